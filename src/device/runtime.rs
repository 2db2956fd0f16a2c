//! Recordings on a device: buffers allocated once, bind groups made once, then replayed.

use std::{collections::HashMap, ops::Range, sync::Arc};

use super::{Gpu, kernel::Kernel};
use crate::{
    error::{Error, Result},
    program::{
        Call, MAX_GROUPS, Recording, Slot, Tensor,
        plan::Plan,
        shader::Binding,
        step::{STEP_BYTES, Step},
    },
};

/// Spacing of the `Sizes` of two calls in their common buffer: WebGPU's guaranteed uniform alignment.
const SIZES_STRIDE: u64 = 256;

/// One dispatch of a program.
pub struct Dispatch {
    kernel: Arc<Kernel>,
    group: wgpu::BindGroup,
    grid: [u32; 3],
    /// Where in the network.
    pub label: String,
    /// Operations, and ten for each byte that its arguments span: roughly in proportion to its time.
    pub work: f64,
    /// What it reads and writes.
    pub arguments: Vec<Argument>,
}

impl Dispatch {
    /// Kernel and choices.
    pub fn kernel(&self) -> &str {
        &self.kernel.name
    }
}

/// A range of a buffer as a dispatch sees it.
pub struct Argument {
    /// The variable in WGSL.
    pub binding: Binding,
    /// Where it lives.
    pub buffer: wgpu::Buffer,
    /// First byte there.
    pub offset: u64,
    /// Bytes that belong to it.
    pub bytes: u64,
}

/// One recording, ready to be encoded any number of times.
pub struct Program {
    dispatches: Vec<Dispatch>,
}

/// Several programs over the same buffers.
pub struct Runtime<'a> {
    /// The device.
    pub gpu: &'a Gpu,
    programs: Vec<Program>,
    pool: Vec<wgpu::Buffer>,
    buffers: HashMap<String, wgpu::Buffer>,
    step: wgpu::Buffer,
    plan: Plan,
    /// Bytes of all buffers.
    pub planned_bytes: u64,
}

/// Bytes and calls of recordings that would run together, before anything is allocated.
pub fn planned_bytes(recordings: &[Recording], plan: &Plan) -> u64 {
    let calls: usize = recordings.iter().map(|r| r.calls.len()).sum();
    persistent(recordings).values().sum::<u64>() + plan.bytes() + calls as u64 * SIZES_STRIDE + STEP_BYTES
}

fn persistent(recordings: &[Recording]) -> HashMap<&str, u64> {
    let mut buffers = HashMap::new();
    for (name, &bytes) in recordings.iter().flat_map(|r| &r.buffers) {
        let known = buffers.entry(name.as_str()).or_insert(bytes);
        *known = bytes.max(*known);
    }
    buffers
}

/// Whether the device can bind and hold every buffer.
///
/// # Errors
/// [`Error::Device`] naming the limit and what exceeds it.
pub fn fits(gpu: &Gpu, recordings: &[Recording], plan: &Plan) -> Result<()> {
    let limits = gpu.device.limits();
    let limit = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
    let largest = persistent(recordings).into_values().chain(plan.pool.iter().copied()).max().unwrap_or(0);
    if largest > limit {
        let message = format!("{} binds at most {limit} bytes at once; one buffer needs {largest}", gpu.info.name);
        return Err(Error::device(message, ""));
    }
    let grid = recordings.iter().map(|r| r.largest_grid).max().unwrap_or(0);
    if grid > 0 {
        let message = format!("a dispatch has at most {MAX_GROUPS} workgroups in a dimension; one needs {grid}");
        return Err(Error::device(message, ""));
    }
    allocates(gpu, recordings, plan)
}

/// Allocates everything once, for a moment: no device says beforehand how much it has left.
fn allocates(gpu: &Gpu, recordings: &[Recording], plan: &Plan) -> Result<()> {
    let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let sizes = persistent(recordings).into_values().chain(plan.pool.iter().copied());
    let buffers: Vec<_> = sizes.map(|bytes| storage(gpu, "trial", bytes)).collect();
    let error = pollster::block_on(scope.pop());
    drop(buffers);
    gpu.wait()?; // only then is the memory given back
    let bytes = planned_bytes(recordings, plan);
    error.map_or(Ok(()), |e| Err(Error::device(format!("{} has no {bytes} bytes left: {e}", gpu.info.name), "")))
}

fn storage(gpu: &Gpu, label: &str, bytes: u64) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes.next_multiple_of(16),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

impl<'a> Runtime<'a> {
    /// Allocates and compiles. `share` lets activations share buffers; without it each has its own.
    ///
    /// # Errors
    /// [`Error::Device`] if something does not fit or the driver refuses.
    pub fn new(gpu: &'a Gpu, recordings: &[Recording], share: bool) -> Result<Self> {
        Self::with_plan(gpu, recordings, Plan::new(recordings, share))
    }

    /// As [`Self::new`], with buffers as planned; a caller may have made them larger.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_plan(gpu: &'a Gpu, recordings: &[Recording], plan: Plan) -> Result<Self> {
        fits(gpu, recordings, &plan)?;
        let memory = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let make = |label: &str, bytes: u64| storage(gpu, label, bytes);
        let pool: Vec<_> = plan.pool.iter().map(|&bytes| make("activations", bytes)).collect();
        let buffers: HashMap<String, _> =
            persistent(recordings).into_iter().map(|(name, bytes)| (name.to_owned(), make(name, bytes))).collect();
        let step = uniform(gpu, "step", STEP_BYTES);
        let planned_bytes = planned_bytes(recordings, &plan);
        if let Some(error) = pollster::block_on(memory.pop()) {
            let message = format!("{}: {planned_bytes} bytes do not fit: {error}", gpu.info.name);
            return Err(Error::device(message, "a smaller --batch-size or --width needs less"));
        }
        gpu.compile(recordings.iter().flat_map(|recording| &recording.calls).map(|call| &call.spec));
        let mut runtime = Self { gpu, programs: vec![], pool, buffers, step, plan, planned_bytes };
        for (index, recording) in recordings.iter().enumerate() {
            let program = runtime.resolve(index, recording);
            runtime.programs.push(program);
        }
        gpu.check()?;
        Ok(runtime)
    }

    fn resolve(&self, index: usize, recording: &Recording) -> Program {
        let gpu = self.gpu;
        let kernels: Vec<_> = recording.calls.iter().map(|call| gpu.kernel(&call.spec)).collect();
        let sizes = uniform(gpu, "sizes", (kernels.len().max(1) as u64) * SIZES_STRIDE);
        let mut packed = vec![0; sizes.size() as usize];
        let mut dispatches = Vec::new();
        for (at, (call, kernel)) in recording.calls.iter().zip(kernels).enumerate() {
            let given: Vec<_> = call.args.iter().map(|(slot, access)| (*access, recording.dtype(slot))).collect();
            kernel.check(&given, &call.sizes);
            let bytes = kernel.pack(&call.sizes);
            let offset = at as u64 * SIZES_STRIDE;
            packed[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
            let group = self.bind(index, call, &kernel, &sizes, offset);
            let arguments = self.arguments(index, recording, call, &kernel);
            let (label, work) = (call.label.clone(), call.flop + 10.0 * recording.bytes(call) as f64);
            dispatches.push(Dispatch { kernel, group, grid: call.grid, label, work, arguments });
        }
        gpu.queue.write_buffer(&sizes, 0, &packed);
        Program { dispatches }
    }

    fn arguments(&self, index: usize, recording: &Recording, call: &Call, kernel: &Kernel) -> Vec<Argument> {
        let argument = |(binding, (slot, _)): (&Binding, &(Slot, _))| {
            let (buffer, offset) = self.place(index, slot);
            Argument { binding: binding.clone(), buffer: buffer.clone(), offset, bytes: recording.slot_bytes(slot) }
        };
        kernel.storage.iter().zip(&call.args).map(argument).collect()
    }

    /// The buffer of a slot and its first byte there.
    fn place(&self, index: usize, slot: &Slot) -> (&wgpu::Buffer, u64) {
        match slot {
            Slot::Tensor(t) => (self.tensor(index, *t), 0),
            Slot::Buffer { name, offset, .. } => (&self.buffers[name], *offset),
        }
    }

    fn bind(&self, index: usize, call: &Call, kernel: &Kernel, sizes: &wgpu::Buffer, at: u64) -> wgpu::BindGroup {
        let range = |buffer, offset, bytes| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size: std::num::NonZeroU64::new(bytes),
            })
        };
        let mut entries = Vec::new();
        for (binding, (slot, _)) in kernel.storage.iter().zip(&call.args) {
            let resource = match slot {
                Slot::Tensor(t) => self.tensor(index, *t).as_entire_binding(),
                Slot::Buffer { name, offset, bytes } => range(&self.buffers[name], *offset, *bytes),
            };
            entries.push(wgpu::BindGroupEntry { binding: binding.index, resource });
        }
        if let Some((binding, span, _)) = &kernel.sizes {
            entries.push(wgpu::BindGroupEntry { binding: *binding, resource: range(sizes, at, u64::from(*span)) });
        }
        if let Some(binding) = kernel.step {
            entries.push(wgpu::BindGroupEntry { binding, resource: self.step.as_entire_binding() });
        }
        self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&kernel.name),
            layout: &kernel.pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }

    /// Appends program `index` to a pass.
    pub fn encode(&self, index: usize, pass: &mut wgpu::ComputePass<'_>) {
        self.encode_range(index, 0..self.dispatches(index).len(), pass);
    }

    /// Appends some of a program's dispatches to a pass.
    pub fn encode_range(&self, index: usize, range: Range<usize>, pass: &mut wgpu::ComputePass<'_>) {
        for Dispatch { kernel, group, grid: [x, y, z], .. } in &self.programs[index].dispatches[range] {
            pass.set_pipeline(&kernel.pipeline);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(*x, *y, *z);
        }
    }

    /// Runs programs in one submission and waits. For tests and tools; training keeps several in flight.
    ///
    /// # Errors
    /// As [`Gpu::wait`].
    pub fn run(&self, programs: &[usize]) -> Result<()> {
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            programs.iter().for_each(|&p| self.encode(p, &mut pass));
        }
        self.gpu.queue.submit([encoder.finish()]);
        self.gpu.wait()
    }

    /// Dispatches of a program.
    pub fn dispatches(&self, index: usize) -> &[Dispatch] {
        &self.programs[index].dispatches
    }

    /// Zeros in every activation.
    pub fn clear_activations(&self, encoder: &mut wgpu::CommandEncoder) {
        self.pool.iter().for_each(|buffer| encoder.clear_buffer(buffer, 0, None));
    }

    /// Sets the step uniform of the next submission.
    pub fn set_step(&self, step: &Step) {
        self.gpu.queue.write_buffer(&self.step, 0, bytemuck::bytes_of(step));
    }

    /// A persistent buffer.
    ///
    /// # Panics
    /// If no recording mentions it.
    pub fn buffer(&self, name: &str) -> &wgpu::Buffer {
        self.buffers.get(name).unwrap_or_else(|| panic!("no recording mentions a buffer `{name}`"))
    }

    /// Whether any recording mentions the buffer.
    pub fn has_buffer(&self, name: &str) -> bool {
        self.buffers.contains_key(name)
    }

    /// Where a tensor of a recording lives.
    pub fn tensor(&self, index: usize, tensor: Tensor) -> &wgpu::Buffer {
        &self.pool[self.plan.buffer(index, tensor).expect("a call mentions the tensor")]
    }

    /// Overwrites the start of a buffer before the next submission.
    pub fn write<T: bytemuck::NoUninit>(&self, buffer: &wgpu::Buffer, values: &[T]) {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        if bytes.len().is_multiple_of(4) {
            self.gpu.queue.write_buffer(buffer, 0, bytes);
        } else {
            let mut whole = bytes.to_vec();
            whole.resize(bytes.len().next_multiple_of(4), 0);
            self.gpu.queue.write_buffer(buffer, 0, &whole);
        }
    }

    /// Reads the first `count` values of a buffer; waits for all work.
    ///
    /// # Errors
    /// As [`Gpu::wait`].
    pub fn read<T: bytemuck::Pod>(&self, buffer: &wgpu::Buffer, count: usize) -> Result<Vec<T>> {
        self.read_at(buffer, 0, count)
    }

    /// Reads `count` values from byte `offset` of a buffer, a multiple of 4; waits for all work.
    ///
    /// # Errors
    /// As [`Gpu::wait`].
    pub fn read_at<T: bytemuck::Pod>(&self, buffer: &wgpu::Buffer, offset: u64, count: usize) -> Result<Vec<T>> {
        let bytes = (count * size_of::<T>()) as u64;
        let staging = self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read-back"),
            size: bytes.next_multiple_of(4),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, bytes.next_multiple_of(4));
        self.gpu.queue.submit([encoder.finish()]);
        staging.slice(..).map_async(wgpu::MapMode::Read, |_| ());
        self.gpu.wait()?;
        let view = self.gpu.mapped(&staging)?;
        Ok(bytemuck::pod_collect_to_vec(&view[..bytes as usize]))
    }
}

fn uniform(gpu: &Gpu, label: &str, bytes: u64) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}
