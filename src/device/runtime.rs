//! Recordings on a device: buffers are allocated and bind groups created once, and the dispatches encoded again and
//! again.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{Gpu, kernel::Kernel, readback::out_of_memory};
use crate::{
    error::{Error, Result},
    program::{
        BufferKind, Call, MAX_GROUPS, Recording, Slot, Tensor,
        plan::Plan,
        shader::Binding,
        step::{STEP_BYTES, Step},
    },
};

/// Distance between the `Sizes` of two calls in their common buffer: the alignment of uniforms that WebGPU guarantees.
const SIZES_STRIDE: u64 = 256;

/// A range of the dispatches of a program: the program's index, and the range.
pub type Stretch = (usize, Range<usize>);

/// One dispatch of a program.
pub struct Dispatch {
    kernel: Arc<Kernel>,
    group: wgpu::BindGroup,
    grid: [u32; 3],
    /// The place in the network.
    pub label: String,
    /// Floating-point operations plus ten times the bytes of its arguments: roughly proportional to its time.
    pub work: f64,
    /// What it reads and writes.
    pub arguments: Vec<Argument>,
}

impl Dispatch {
    /// The kernel's name and options.
    pub fn kernel(&self) -> &str {
        &self.kernel.name
    }
}

/// A range of a buffer as a dispatch sees it.
pub struct Argument {
    /// The variable in WGSL.
    pub binding: Binding,
    /// The buffer that holds it.
    pub buffer: wgpu::Buffer,
    /// Its first byte in the buffer.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// One recording, ready to be encoded any number of times.
pub struct Program {
    dispatches: Vec<Dispatch>,
}

/// Several programs over the same buffers.
pub struct Runtime {
    /// The device.
    pub gpu: Gpu,
    programs: Vec<Program>,
    buffers: Buffers,
    step: wgpu::Buffer,
    plan: Plan,
    /// Bytes of all buffers.
    pub planned_bytes: u64,
}

/// Bytes that recordings need together: their buffers and uniforms. Nothing has to be allocated for this.
pub fn planned_bytes(recordings: &[Recording], plan: &Plan) -> u64 {
    let calls: usize = recordings.iter().map(|r| r.calls.len()).sum();
    persistent(recordings).values().sum::<u64>() + plan.bytes() + calls as u64 * SIZES_STRIDE + STEP_BYTES
}

fn persistent(recordings: &[Recording]) -> BTreeMap<&BufferKind, u64> {
    let mut buffers = BTreeMap::new();
    for (kind, bytes) in recordings.iter().flat_map(|r| &r.buffers) {
        let known = buffers.entry(kind).or_insert(*bytes);
        *known = (*known).max(*bytes);
    }
    buffers
}

/// Checks that the device can bind every buffer and dispatch every grid.
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
    Ok(())
}

/// Checks that there is memory for every buffer, by allocating them all for a moment: no device reports its free
/// memory.
///
/// # Errors
/// [`Error::Device`] as [`fits`], and where there is not enough memory left.
pub async fn has_room(gpu: &Gpu, recordings: &[Recording], plan: &Plan) -> Result<()> {
    fits(gpu, recordings, plan)?;
    drop(Buffers::new(gpu, recordings, plan).await?);
    gpu.wait().await // the memory is not given back before
}

/// The memory of several programs.
struct Buffers {
    pool: Vec<wgpu::Buffer>,
    persistent: BTreeMap<BufferKind, wgpu::Buffer>,
}

impl Buffers {
    async fn new(gpu: &Gpu, recordings: &[Recording], plan: &Plan) -> Result<Self> {
        let memory = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let make = |label: &str, bytes: u64| storage(gpu, label, bytes);
        let pool = plan.pool.iter().map(|&bytes| make("activations", bytes)).collect();
        let persistent = persistent(recordings).into_iter();
        let persistent = persistent.map(|(kind, bytes)| (kind.clone(), make(&kind.to_string(), bytes))).collect();
        match memory.pop().await {
            None => Ok(Self { pool, persistent }),
            Some(error) => {
                drop((pool, persistent));
                gpu.wait().await?;
                Err(out_of_memory(gpu, planned_bytes(recordings, plan), &error))
            }
        }
    }
}

fn storage(gpu: &Gpu, label: &str, bytes: u64) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes.next_multiple_of(16),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

impl Runtime {
    /// Allocates buffers and compiles kernels. `share` lets activations share buffers; without it each has its own.
    ///
    /// # Errors
    /// [`Error::Device`] if something does not fit or the driver refuses.
    pub async fn new(gpu: &Gpu, recordings: &[Recording], share: bool) -> Result<Self> {
        Self::with_plan(gpu, recordings, Plan::new(recordings, share)).await
    }

    /// As [`Self::new`], with a plan that the caller made, and in which buffers may be larger than needed.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub async fn with_plan(gpu: &Gpu, recordings: &[Recording], plan: Plan) -> Result<Self> {
        fits(gpu, recordings, &plan)?;
        let buffers = Buffers::new(gpu, recordings, &plan).await?;
        let step = uniform(gpu, "step", STEP_BYTES);
        let planned_bytes = planned_bytes(recordings, &plan);
        gpu.compile(recordings.iter().flat_map(|recording| &recording.calls).map(|call| &call.spec));
        let mut runtime = Self { gpu: gpu.clone(), programs: vec![], buffers, step, plan, planned_bytes };
        for (index, recording) in recordings.iter().enumerate() {
            let program = runtime.resolve(index, recording);
            runtime.programs.push(program);
        }
        let tables: BTreeMap<_, _> = recordings.iter().flat_map(|r| &r.tables).map(|(kind, v)| (kind, v)).collect();
        for (kind, values) in tables {
            runtime.write(runtime.buffer(kind), &values());
        }
        gpu.check()?;
        Ok(runtime)
    }

    fn resolve(&self, index: usize, recording: &Recording) -> Program {
        let gpu = &self.gpu;
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
            let group = self.bind(index, recording, call, &kernel, &sizes, offset);
            let arguments = self.arguments(index, recording, call, &kernel);
            let (label, work) = (call.label.clone(), call.flop + 10.0 * recording.bytes(call) as f64);
            dispatches.push(Dispatch { kernel, group, grid: call.grid, label, work, arguments });
        }
        gpu.queue.write_buffer(&sizes, 0, &packed);
        Program { dispatches }
    }

    fn arguments(&self, index: usize, recording: &Recording, call: &Call, kernel: &Kernel) -> Vec<Argument> {
        let argument = |(binding, (slot, _)): (&Binding, &(Slot, _))| {
            let (buffer, offset) = self.place(index, recording, slot);
            Argument { binding: binding.clone(), buffer: buffer.clone(), offset, bytes: recording.slot_bytes(slot) }
        };
        kernel.storage.iter().zip(&call.args).map(argument).collect()
    }

    /// The buffer that a slot lies in, and the slot's first byte there.
    fn place(&self, index: usize, recording: &Recording, slot: &Slot) -> (&wgpu::Buffer, u64) {
        match slot {
            Slot::Tensor(t) => (self.tensor(index, *t), 0),
            Slot::Buffer { buffer, offset, .. } => (&self.buffers.persistent[recording.kind(*buffer)], *offset),
        }
    }

    fn bind(
        &self,
        index: usize,
        recording: &Recording,
        call: &Call,
        kernel: &Kernel,
        sizes: &wgpu::Buffer,
        at: u64,
    ) -> wgpu::BindGroup {
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
                Slot::Buffer { buffer, offset, bytes } => {
                    range(&self.buffers.persistent[recording.kind(*buffer)], *offset, *bytes)
                }
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

    /// Appends some of a program's dispatches to a pass.
    pub(super) fn encode(&self, (program, range): &Stretch, pass: &mut wgpu::ComputePass<'_>) {
        for Dispatch { kernel, group, grid: [x, y, z], .. } in &self.programs[*program].dispatches[range.clone()] {
            pass.set_pipeline(&kernel.pipeline);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(*x, *y, *z);
        }
    }

    /// All dispatches of a program.
    pub fn whole(&self, program: usize) -> Stretch {
        (program, 0..self.dispatches(program).len())
    }

    /// Dispatches of a program.
    pub fn dispatches(&self, index: usize) -> &[Dispatch] {
        &self.programs[index].dispatches
    }

    /// The pool of buffers that hold the activations.
    pub fn activations(&self) -> &[wgpu::Buffer] {
        &self.buffers.pool
    }

    /// Sets the step uniform of the next submission.
    pub fn set_step(&self, step: &Step) {
        self.gpu.queue.write_buffer(&self.step, 0, bytemuck::bytes_of(step));
    }

    /// The persistent buffer of a kind.
    ///
    /// # Panics
    /// If no recording mentions it.
    pub fn buffer(&self, kind: &BufferKind) -> &wgpu::Buffer {
        self.buffers.persistent.get(kind).unwrap_or_else(|| panic!("no recording mentions a buffer `{kind}`"))
    }

    /// The kinds of the persistent buffers, in order.
    pub fn kinds(&self) -> impl Iterator<Item = &BufferKind> {
        self.buffers.persistent.keys()
    }

    /// The buffer that a tensor of a recording lives in.
    pub fn tensor(&self, index: usize, tensor: Tensor) -> &wgpu::Buffer {
        &self.buffers.pool[self.plan.buffer(index, tensor).expect("a call mentions the tensor")]
    }

    /// Overwrites the start of a buffer before the next submission runs.
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
}

fn uniform(gpu: &Gpu, label: &str, bytes: u64) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}
