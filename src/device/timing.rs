//! Device time of each dispatch, from timestamp queries.

use std::ops::Range;

use web_time::Instant;

use super::{
    readback::{Readback, Submitted},
    runtime::Runtime,
};
use crate::error::Result;

/// Dispatches that are timed in one submission: a query set holds at most 4,096 timestamps.
const AT_ONCE: usize = 2048;

/// Runs program `index` once and returns the seconds of each of its dispatches; `None` where the device has no
/// timestamps (some browsers).
///
/// Where timestamps are possible inside a pass, the dispatches follow each other as in training. Elsewhere (Apple GPUs)
/// each gets a pass of its own, so that there may be more time between them than in training.
///
/// # Errors
/// As [`Gpu::wait`](super::Gpu::wait).
pub async fn dispatch_seconds(runtime: &Runtime, index: usize) -> Result<Option<Vec<f64>>> {
    if !runtime.gpu.features.timestamps {
        return Ok(None);
    }
    in_passes(runtime, index, !runtime.gpu.features.timestamps_in_passes).await.map(Some)
}

/// As [`dispatch_seconds`], with a pass for each dispatch (`apart`) or one pass for all.
///
/// # Errors
/// As [`Gpu::wait`](super::Gpu::wait).
pub async fn in_passes(runtime: &Runtime, index: usize, apart: bool) -> Result<Vec<f64>> {
    let count = runtime.dispatches(index).len();
    let mut seconds = Vec::with_capacity(count);
    for first in (0..count).step_by(AT_ONCE) {
        seconds.extend(some(runtime, index, first..count.min(first + AT_ONCE), apart).await?);
    }
    Ok(seconds)
}

/// Seconds that program `index` takes: the sum over its dispatches on the device or, without timestamps, the time until
/// the whole submission is done.
///
/// # Errors
/// As [`Gpu::wait`](super::Gpu::wait).
pub async fn program_seconds(runtime: &Runtime, index: usize) -> Result<f64> {
    if let Some(dispatches) = dispatch_seconds(runtime, index).await? {
        return Ok(dispatches.iter().sum());
    }
    let start = Instant::now();
    runtime.run(&[index]).await?;
    Ok(start.elapsed().as_secs_f64())
}

async fn some(runtime: &Runtime, index: usize, range: Range<usize>, apart: bool) -> Result<Vec<f64>> {
    // A timestamp is taken before and after each dispatch; inside one pass, the end of one is the beginning of the
    // next.
    let gpu = &runtime.gpu;
    let queries = if apart { 2 * range.len() as u32 } else { range.len() as u32 + 1 };
    let set = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
        label: Some("timing"),
        ty: wgpu::QueryType::Timestamp,
        count: queries,
    });
    let bytes = u64::from(queries) * 8;
    let resolved = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("timing"),
        size: bytes,
        usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    });
    let readback = Readback::new(gpu, bytes);
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    if apart {
        for (nth, dispatch) in (0..).zip(range) {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &set,
                    beginning_of_pass_write_index: Some(2 * nth),
                    end_of_pass_write_index: Some(2 * nth + 1),
                }),
            });
            runtime.encode(&(index, dispatch..dispatch + 1), &mut pass);
        }
    } else {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.write_timestamp(&set, 0);
        for (query, dispatch) in (1..).zip(range) {
            runtime.encode(&(index, dispatch..dispatch + 1), &mut pass);
            pass.write_timestamp(&set, query);
        }
    }
    encoder.resolve_query_set(&set, 0..queries, &resolved, 0);
    readback.copy(&mut encoder, &resolved, 0);
    let landing = readback.landing(Submitted(gpu.queue.submit([encoder.finish()])));
    let ticks: Vec<u64> = readback.landed(gpu, landing).await?;
    let period = f64::from(gpu.queue.get_timestamp_period()) * 1e-9;
    let spans = ticks.windows(2).step_by(if apart { 2 } else { 1 });
    Ok(spans.map(|w| w[1].saturating_sub(w[0]) as f64 * period).collect())
}
