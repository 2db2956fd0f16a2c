//! Device time of each dispatch, from timestamp queries inside one pass.

use super::{Gpu, runtime::Runtime};
use crate::error::{Error, Result};

/// Runs program `index` once and returns the seconds of each of its dispatches; `None` where the device has no
/// timestamps inside passes (Apple GPUs, browsers).
///
/// # Errors
/// As [`Gpu::wait`].
pub fn dispatch_seconds(runtime: &Runtime<'_>, index: usize) -> Result<Option<Vec<f64>>> {
    let gpu = runtime.gpu;
    if !gpu.has_timestamps() {
        return Ok(None);
    }
    let count = runtime.dispatches(index);
    // A query set holds at most 4,096; two dispatches share the timestamp between them.
    let mut seconds = Vec::with_capacity(count);
    for first in (0..count).step_by(2048) {
        seconds.extend(some(gpu, runtime, index, first..count.min(first + 2048))?);
    }
    Ok(Some(seconds))
}

fn some(gpu: &Gpu, runtime: &Runtime<'_>, index: usize, range: std::ops::Range<usize>) -> Result<Vec<f64>> {
    let queries = range.len() as u32 + 1;
    let set = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
        label: Some("timing"),
        ty: wgpu::QueryType::Timestamp,
        count: queries,
    });
    let bytes = u64::from(queries) * 8;
    let buffer = |usage| {
        gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("timing"),
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    };
    let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
    let staging = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.write_timestamp(&set, 0);
        for (query, dispatch) in (1..).zip(range) {
            runtime.encode_range(index, dispatch..dispatch + 1, &mut pass);
            pass.write_timestamp(&set, query);
        }
    }
    encoder.resolve_query_set(&set, 0..queries, &resolved, 0);
    encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
    gpu.queue.submit([encoder.finish()]);
    staging.slice(..).map_async(wgpu::MapMode::Read, |_| ());
    gpu.wait()?;
    let view = staging
        .slice(..)
        .get_mapped_range()
        .map_err(|e| Error::device(format!("{}: reading timestamps failed: {e}", gpu.info.name), ""))?;
    let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&view);
    let period = f64::from(gpu.queue.get_timestamp_period()) * 1e-9;
    Ok(ticks.windows(2).map(|w| w[1].saturating_sub(w[0]) as f64 * period).collect())
}
