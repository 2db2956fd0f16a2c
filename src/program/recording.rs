//! What a tape produces: plain data that can be printed, planned and checked without a device.

use std::{borrow::Cow, fmt};

use super::{
    Buffer, BufferKind, Dtype, Node, Slot, Tensor, TensorInfo,
    params::Layout,
    product::Product,
    shader::{Access, Spec, link},
};

/// A field of a kernel's `Sizes`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// `u32`
    U32(u32),
    /// `f32`
    F32(f32),
}

impl From<u32> for Size {
    fn from(value: u32) -> Self {
        Self::U32(value)
    }
}

impl From<f32> for Size {
    fn from(value: f32) -> Self {
        Self::F32(value)
    }
}

/// One dispatch.
#[derive(Clone, Debug)]
pub struct Call {
    /// The kernel and its options.
    pub spec: Spec,
    /// The place in the network, e.g. `layer1.0.conv1`.
    pub label: String,
    /// Storage buffers in binding order.
    pub args: Vec<(Slot, Access)>,
    /// Values of the uniform's fields by name.
    pub sizes: Vec<(Cow<'static, str>, Size)>,
    /// The number of workgroups in each dimension.
    pub grid: [u32; 3],
    /// Floating-point operations, two per multiply-add; 0 if they are not counted.
    pub flop: f64,
    /// The tunable product that this call computes, or whose chosen form needs this call.
    pub product: Option<Product>,
}

/// Computes the contents of a table.
pub type Values = Box<dyn Fn() -> Vec<f32> + Send + Sync>;

/// What a tape produces: calls in order, the tensors and buffers that they work on, and the arenas' layout.
pub struct Recording {
    /// The dispatches.
    pub calls: Vec<Call>,
    /// All tensors; a [`Tensor`] is an index into them.
    pub tensors: Vec<TensorInfo>,
    /// Persistent buffers and their bytes; a [`Buffer`] is an index into them.
    pub buffers: Vec<(BufferKind, u64)>,
    /// The buffers whose contents never change, each with the function that computes them.
    pub tables: Vec<(BufferKind, Values)>,
    /// Parameters and running statistics.
    pub layout: Layout,
    /// What the calls of an evaluation compute, op by op; empty in training.
    pub nodes: Vec<Node>,
    /// The result of a network: its logits.
    pub output: Option<Tensor>,
    /// How many of the calls come before the backward pass.
    pub forward_calls: usize,
    /// The largest dimension of a grid that exceeds what a device can dispatch; 0 if no grid does.
    pub largest_grid: u32,
}

impl Recording {
    /// What is recorded about a tensor.
    pub fn info(&self, tensor: Tensor) -> &TensorInfo {
        &self.tensors[tensor.0 as usize]
    }

    /// What a persistent buffer holds.
    pub fn kind(&self, buffer: Buffer) -> &BufferKind {
        &self.buffers[buffer.index()].0
    }

    /// The buffer of a kind, if the recording mentions it.
    pub fn buffer(&self, kind: &BufferKind) -> Option<Buffer> {
        self.buffers.iter().position(|(known, _)| known == kind).map(|index| Buffer(index as u32))
    }

    /// Adds a persistent buffer, which has no bytes yet.
    pub(super) fn add(&mut self, kind: BufferKind) -> Buffer {
        self.buffers.push((kind, 0));
        Buffer(self.buffers.len() as u32 - 1)
    }

    /// Makes a persistent buffer at least `bytes` long.
    pub(super) fn lengthen(&mut self, buffer: Buffer, bytes: u64) {
        let known = &mut self.buffers[buffer.index()].1;
        *known = bytes.max(*known);
    }

    /// Bytes of all arguments of a call, which it has to move at least once.
    pub fn bytes(&self, call: &Call) -> u64 {
        call.args.iter().map(|(slot, _)| self.slot_bytes(slot)).sum()
    }

    /// Bytes that a call loads and stores: each argument's length, once if its kernel loads from it, and once more if
    /// it stores to it, as naga finds in the WGSL.
    pub fn moved_bytes(&self, call: &Call) -> u64 {
        let linked = link(&call.spec);
        let uses = linked.storage.iter().map(|b| u64::from(b.loaded) + u64::from(b.stored));
        call.args.iter().zip(uses).map(|((slot, _), uses)| uses * self.slot_bytes(slot)).sum()
    }

    /// How a slot's elements are stored: persistent buffers hold words of four bytes.
    pub fn dtype(&self, slot: &Slot) -> Dtype {
        match slot {
            Slot::Tensor(t) => self.info(*t).dtype,
            Slot::Buffer { .. } => Dtype::F32,
        }
    }

    /// The length of a slot in bytes.
    pub fn slot_bytes(&self, slot: &Slot) -> u64 {
        match slot {
            Slot::Tensor(t) => 4 * self.info(*t).words,
            Slot::Buffer { bytes, .. } => *bytes,
        }
    }
}

impl fmt::Display for Recording {
    /// The recording as a table, a row per call.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = |text: fn(&Call) -> usize| self.calls.iter().map(text).max().unwrap_or(0);
        let (place, kernel) = (widest(|c| c.label.len()), widest(|c| c.spec.to_string().len()));
        let row = |cells: [&str; 6]| {
            let [number, label, spec, grid, megabytes, flop] = cells;
            let line = format!("{number:>4}  {label:<place$}  {spec:<kernel$}  {grid:>11} {megabytes:>9} {flop:>9}");
            line.trim_end().to_owned()
        };
        writeln!(f, "{}", row(["#", "where", "kernel", "workgroups", "MB", "MFLOP"]))?;
        for (i, call) in self.calls.iter().enumerate() {
            let [x, y, z] = call.grid;
            let megabytes = format!("{:.3}", self.bytes(call) as f64 / 1e6);
            let flop = if call.flop > 0.0 { format!("{:.1}", call.flop / 1e6) } else { String::new() };
            let (number, spec, grid) = (i.to_string(), call.spec.to_string(), format!("{x}x{y}x{z}"));
            writeln!(f, "{}", row([&number, &call.label, &spec, &grid, &megabytes, &flop]))?;
        }
        Ok(())
    }
}
