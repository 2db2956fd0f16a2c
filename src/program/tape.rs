//! Recording: a network and its backward pass as a list of dispatches, before any device is involved.
//!
//! An op is a function that allocates a [`Tensor`], appends a [`Call`] and registers a closure that appends the calls of
//! its backward pass. Shapes are checked here, so a wrong network fails before the first step. What comes out, a
//! [`Recording`], is plain data: it can be printed, planned, validated without a GPU, and run any number of times.

mod apart;

pub use apart::Apart;

use std::{borrow::Cow, collections::BTreeSet};

use super::{
    BufferKind, Call, Dtype, Name, Node, Op, Recording, Size, Slot, Tensor, TensorInfo,
    params::{Init, Layout, NoDecay, Role, Shape},
    product::{Gemm, Product},
    shader::{Access, Const, Spec},
    step::REPORT_BYTES,
    target::{OPERAND, Precision, Target},
};

/// A parameter and its gradient as a network uses them.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// The values, which forward and backward pass read.
    pub value: Slot,
    /// The gradient, which the backward pass adds to; a range of no bytes where no backward pass is recorded.
    pub gradient: Slot,
    /// Logical shape.
    pub shape: Shape,
}

type Backward = Box<dyn FnOnce(&mut Tape, Tensor)>;

/// What is known about the gradient's norm while an update is recorded, so that it is computed only once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GradNorm {
    /// Nothing.
    #[default]
    Unknown,
    /// This tensor holds the sums of squares of the gradient's blocks.
    Sums(Tensor),
    /// The norm was clipped: the report holds the norm before that, and whether the update is skipped.
    Reported,
}

/// A recording in progress.
pub struct Tape {
    /// The forms of kernels to use.
    pub target: Target,
    /// Whether batch norm uses the batch's statistics and updates the running ones (true), or uses the running ones
    /// (false).
    pub training: bool,
    /// Probability of dropout, for models that have dropout before their classifier.
    pub dropout: f32,
    /// Which parameters weight decay leaves out; set it before any is declared.
    pub no_decay: NoDecay,
    /// What is known about the gradient's norm at this point of the update.
    pub grad_norm: GradNorm,
    recording: Recording,
    backward: Vec<(Tensor, Backward)>,
    scopes: Vec<String>,
    /// The keys that [`Tape::draw_key`] has returned so far.
    draw_keys: BTreeSet<u32>,
}

impl Tape {
    /// An empty tape.
    pub fn new(target: &Target, training: bool) -> Self {
        let recording = Recording {
            calls: vec![],
            tensors: vec![],
            buffers: vec![],
            tables: vec![],
            layout: Layout::default(),
            nodes: vec![],
            output: None,
            forward_calls: 0,
            largest_grid: 0,
        };
        let (target, no_decay) = (target.clone(), NoDecay::default());
        Self {
            target,
            training,
            dropout: 0.0,
            no_decay,
            grad_norm: GradNorm::Unknown,
            recording,
            backward: vec![],
            scopes: vec![],
            draw_keys: BTreeSet::new(),
        }
    }

    /// A tape over the arenas that another recording has laid out, for an optimizer.
    pub fn over_layout(target: &Target, layout: &Layout) -> Self {
        let mut tape = Self::new(target, true);
        tape.recording.layout = layout.clone();
        tape
    }

    /// The arenas declared so far.
    pub fn layout(&self) -> &Layout {
        &self.recording.layout
    }

    /// Ends the recording. Parameters, gradients and running statistics become buffers as long as their arenas.
    pub fn finish(mut self) -> Recording {
        let layout = &self.recording.layout;
        let (params, running) = (u64::from(layout.param_floats()) * 4, u64::from(layout.running_floats()) * 4);
        for (kind, bytes) in [(BufferKind::Params, params), (BufferKind::Grads, params), (BufferKind::Running, running)]
        {
            if bytes > 0 && (kind != BufferKind::Grads || self.training) {
                self.buffer(kind, bytes);
            }
        }
        self.recording
    }

    /// Runs `body` with `name` added to the path of parameters and labels.
    pub fn scope<T>(&mut self, name: impl Into<String>, body: impl FnOnce(&mut Self) -> T) -> T {
        self.scopes.push(name.into());
        let result = body(self);
        self.scopes.pop();
        result
    }

    /// A number that distinguishes the random draws of an op from those of every other op of the network: the CRC-32 of
    /// `PATH OP COUNT`, where the path is that of the current scope and the count is the first from 0 that gives an
    /// unused number. It depends on scopes alone, not on how many calls come before.
    pub fn draw_key(&mut self, op: &str) -> u32 {
        let path = self.path("");
        let keys = (0..).map(|count: u32| crc32fast::hash(format!("{path} {op} {count}").as_bytes()));
        let key = keys.into_iter().find(|key| !self.draw_keys.contains(key)).expect("a tape has few ops that draw");
        self.draw_keys.insert(key);
        key
    }

    fn path(&self, name: &str) -> String {
        let mut path = self.scopes.join(".");
        if !path.is_empty() && !name.is_empty() {
            path.push('.');
        }
        path + name
    }

    /// A new activation, stored in the target's precision.
    pub fn tensor(&mut self, shape: [u32; 4]) -> Tensor {
        let dtype = match self.target.precision {
            Precision::F32 => Dtype::F32,
            Precision::Mixed => Dtype::F16,
        };
        self.tensor_of(dtype, shape)
    }

    /// A new activation whose elements have this type.
    pub fn tensor_of(&mut self, dtype: Dtype, shape: [u32; 4]) -> Tensor {
        assert!(shape.iter().all(|&d| d > 0), "{}: a tensor of shape {shape:?} is empty", self.path(""));
        self.push(shape, dtype, dtype.words(shape))
    }

    /// Working memory for a kernel: `words` words of 4 bytes.
    pub fn scratch(&mut self, words: u32) -> Tensor {
        self.push([1, 1, 1, words], Dtype::F32, u64::from(words))
    }

    fn push(&mut self, shape: [u32; 4], dtype: Dtype, words: u64) -> Tensor {
        let label = self.path("");
        let info = TensorInfo { shape, dtype, words, label, keep: false, gradient: None, no_gradient: false };
        self.recording.tensors.push(info);
        Tensor(self.recording.tensors.len() as u32 - 1)
    }

    /// The shape `[n, h, w, c]` of a tensor.
    pub fn shape(&self, tensor: Tensor) -> [u32; 4] {
        self.recording.info(tensor).shape
    }

    /// How the tensor's elements are stored.
    pub fn dtype(&self, tensor: Tensor) -> Dtype {
        self.recording.info(tensor).dtype
    }

    /// Keeps the tensor readable after the last call.
    pub fn keep(&mut self, tensor: Tensor) {
        self.recording.tensors[tensor.0 as usize].keep = true;
    }

    /// Marks an input that needs no gradient.
    pub fn no_gradient(&mut self, tensor: Tensor) {
        self.recording.tensors[tensor.0 as usize].no_gradient = true;
    }

    /// Whether this tensor needs a gradient.
    pub fn wants_gradient(&self, tensor: Tensor) -> bool {
        self.training && !self.recording.info(tensor).no_gradient
    }

    /// Notes what the calls since the last note compute: `ops`, one after the other, from `x` (`None` for images) to `y`.
    /// Other formats describe the network by these notes ([`Recording::graph`]). They say what an evaluation computes; in
    /// training, where statistics and random draws are of the batch, nothing is noted.
    pub fn note(&mut self, x: impl Into<Option<Tensor>>, ops: impl IntoIterator<Item = Op>, y: Tensor) {
        if !self.training {
            let (label, calls) = (self.path(""), self.recording.calls.len());
            let ops = ops.into_iter().collect();
            self.recording.nodes.push(Node { label, x: x.into(), ops, y, calls });
        }
    }

    /// Declares that `tensor` is the network's result, which an evaluation keeps readable.
    pub fn output(&mut self, tensor: Tensor) {
        self.recording.output = Some(tensor);
        if !self.training {
            self.keep(tensor);
        }
    }

    /// Declares a parameter under the current scope.
    pub fn param(&mut self, name: &str, shape: Shape, init: Init, role: Role) -> Param {
        let decays = !self.no_decay.leaves_out(role);
        let (path, layout) = (self.path(name), &mut self.recording.layout);
        let segment = layout.param_of(role, path, shape, init, decays);
        let (offset, bytes) = (u64::from(segment.offset) * 4, u64::from(shape.stored()) * 4);
        let value = self.range(BufferKind::Params, offset, bytes);
        let gradient = if self.training {
            self.range(BufferKind::Grads, offset, bytes)
        } else {
            self.range(BufferKind::Params, 0, 0)
        };
        Param { value, gradient, shape }
    }

    /// Declares that the last layer has the weight of an embedding.
    pub fn tie(&mut self) {
        self.recording.layout.tied = true;
    }

    /// Declares a running statistic of `c` channels under the current scope.
    pub fn running(&mut self, name: &str, c: u32, value: f32) -> Slot {
        let segment = self.recording.layout.running(self.path(name), c, value);
        let (offset, bytes) = (u64::from(segment.offset) * 4, u64::from(segment.shape.stored()) * 4);
        self.range(BufferKind::Running, offset, bytes)
    }

    /// The call that wrote `tensor` last.
    pub(crate) fn maker(&mut self, tensor: Tensor) -> Option<&mut Call> {
        let made = (Slot::Tensor(tensor), Access::ReadWrite);
        self.recording.calls.iter_mut().rev().find(|call| call.args.contains(&made))
    }

    /// A whole persistent buffer of `bytes` bytes, created at its first mention. Mentions of one kind share one buffer,
    /// which gets the largest length asked for.
    pub fn buffer(&mut self, kind: BufferKind, bytes: u64) -> Slot {
        self.range(kind, 0, bytes)
    }

    /// The buffer of a state that a batch goes on from and leaves for the next, `words` words long, zero at an epoch's start; an
    /// evaluation has one of its own. `name` tells it from others of the current scope.
    pub fn carried(&mut self, name: &str, words: u32) -> Slot {
        let path = Name::from(self.path(name));
        let kind = if self.training { BufferKind::Carried(path) } else { BufferKind::CarriedInEvaluation(path) };
        self.buffer(kind, 4 * u64::from(words))
    }

    /// A persistent buffer of `len` numbers that never change. Mentions of one name share a buffer, so that the name says what the
    /// numbers are; `values` computes them when the recording is given memory.
    pub fn table(
        &mut self,
        name: impl Into<Name>,
        len: u32,
        values: impl Fn() -> Vec<f32> + Send + Sync + 'static,
    ) -> Slot {
        let kind = BufferKind::table(name);
        if self.recording.buffer(&kind).is_none() {
            self.recording.tables.push((kind.clone(), Box::new(values)));
        }
        self.buffer(kind, 4 * u64::from(len))
    }

    /// A range of a persistent buffer, which is created at its first mention.
    pub(crate) fn range(&mut self, kind: BufferKind, offset: u64, bytes: u64) -> Slot {
        let buffer = self.recording.buffer(&kind).unwrap_or_else(|| self.recording.add(kind));
        self.recording.lengthen(buffer, offset + bytes);
        Slot::Buffer { buffer, offset, bytes }
    }

    /// The buffer of the report that the device makes to the host after each submission (`shaders/shared/report.wgsl`).
    pub fn report(&mut self) -> Slot {
        self.buffer(BufferKind::Report, REPORT_BYTES)
    }

    /// Begins a call of the kernel `path`.
    pub fn call(&mut self, path: &'static str) -> CallBuilder<'_> {
        self.call_of(Spec::new(path))
    }

    /// Begins a call of a kernel that imports `reduce`.
    pub fn call_reduce(&mut self, path: &'static str) -> CallBuilder<'_> {
        let spec = self.target.reducing(Spec::new(path));
        self.call_of(spec)
    }

    /// Begins a call of a kernel that imports `gemm`, in f32, with the core that wastes least on an output of `cols`
    /// columns.
    pub fn call_gemm(&mut self, path: &'static str, cols: u32) -> (Gemm, CallBuilder<'_>) {
        let waste = |core: &&Gemm| cols.next_multiple_of(core.cols());
        let core = *self.target.gemm.iter().min_by_key(waste).expect("a target has a core");
        (core, self.call_of(self.target.loading(core.spec(path))))
    }

    /// Begins a call of the kernel that computes this product, with this core.
    pub fn call_product(&mut self, product: &Product, gemm: Gemm) -> CallBuilder<'_> {
        self.call_of(self.target.loading(gemm.spec(product.path))).part_of(product)
    }

    /// Begins a call of this kernel.
    pub fn call_of(&mut self, spec: Spec) -> CallBuilder<'_> {
        let label = self.path("");
        let call = Call { spec, label, args: vec![], sizes: vec![], grid: [1; 3], flop: 0.0, product: None };
        CallBuilder { tape: self, call }
    }

    /// Registers the backward pass of the op that made `y`. It is called with the gradient of `y`, in the scope that is
    /// current now, and only if a consumer of `y` has written that gradient.
    pub fn on_backward(&mut self, y: Tensor, backward: impl FnOnce(&mut Self, Tensor) + 'static) {
        if self.training {
            let scopes = self.scopes.clone();
            let scoped = move |tape: &mut Self, d_y: Tensor| {
                let outside = std::mem::replace(&mut tape.scopes, scopes);
                backward(tape, d_y);
                tape.scopes = outside;
            };
            self.backward.push((y, Box::new(scoped)));
        }
    }

    /// Records the backward passes of all ops so far, the last op's first.
    pub fn backward(&mut self) {
        self.recording.forward_calls = self.recording.calls.len();
        for (y, backward) in std::mem::take(&mut self.backward).into_iter().rev() {
            if let Some(d_y) = self.gradient(y) {
                backward(self, d_y);
            }
        }
    }

    /// The gradient of `tensor`, if a consumer has written one.
    pub fn gradient(&self, tensor: Tensor) -> Option<Tensor> {
        self.recording.info(tensor).gradient
    }

    /// Where to write the gradient of `x`, and whether to add to what is there: the first consumer assigns, later ones
    /// accumulate.
    pub fn write_gradient(&mut self, x: Tensor) -> (Tensor, bool) {
        if let Some(d_x) = self.gradient(x) {
            return (d_x, true);
        }
        let TensorInfo { shape, dtype, words, .. } = *self.recording.info(x);
        let d_x = self.push(shape, dtype, words);
        self.recording.tensors[x.0 as usize].gradient = Some(d_x);
        (d_x, false)
    }
}

/// A call under construction; [`grid`](Self::grid) or [`over`](Self::over) records it. If an argument is f16, the
/// kernel's f16 form is called.
#[must_use = "a call is recorded by `grid` or `over`"]
pub struct CallBuilder<'a> {
    tape: &'a mut Tape,
    call: Call,
}

impl CallBuilder<'_> {
    /// Adds a constant to the prelude.
    pub fn constant(mut self, name: &'static str, value: impl Into<Const>) -> Self {
        self.call.spec.consts.push((name.into(), value.into()));
        self
    }

    /// Makes `#import name` paste `shaders/shared/file.wgsl`.
    pub fn import(mut self, name: &'static str, file: &'static str) -> Self {
        self.call.spec.imports.push((name, file));
        self
    }

    /// Marks the call as one that the computation of this product needs.
    pub fn part_of(mut self, product: &Product) -> Self {
        self.call.product = Some(product.clone());
        self
    }

    /// Sets a field of `Sizes`.
    pub fn size(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Size>) -> Self {
        self.call.sizes.push((name.into(), value.into()));
        self
    }

    /// Sets several `u32` fields of `Sizes`.
    pub fn sizes<const N: usize>(mut self, fields: [(&'static str, u32); N]) -> Self {
        self.call.sizes.extend(fields.map(|(name, value)| (name.into(), Size::U32(value))));
        self
    }

    /// Binds the next storage buffer, read only.
    pub fn read(mut self, slot: impl Into<Slot>) -> Self {
        self.call.args.push((slot.into(), Access::Read));
        self
    }

    /// Binds the next storage buffer, for reading and writing.
    pub fn write(mut self, slot: impl Into<Slot>) -> Self {
        self.call.args.push((slot.into(), Access::ReadWrite));
        self
    }

    /// States the floating-point operations, for `plan` and benches.
    pub fn flop(mut self, flop: f64) -> Self {
        self.call.flop = flop;
        self
    }

    /// Records the call over this many workgroups.
    pub fn grid(self, x: u32, y: u32, z: u32) {
        assert!(x > 0 && y > 0 && z > 0, "{}: a grid of {x} x {y} x {z} workgroups", self.call.spec);
        if x.max(y).max(z) > MAX_GROUPS {
            let largest = &mut self.tape.recording.largest_grid;
            *largest = (*largest).max(x.max(y).max(z));
        }
        let mut call = self.call;
        call.grid = [x, y, z];
        let recording = &mut self.tape.recording;
        call.spec.half = call.args.iter().any(|(slot, _)| recording.dtype(slot) == Dtype::F16);
        // f16 is loaded as it is.
        if call.spec.half {
            call.spec.imports.retain(|(name, _)| *name != OPERAND);
        }
        recording.calls.push(call);
    }

    /// Records the call over `count` workgroups, in two dimensions if one is too short (`shared/grid.wgsl`).
    pub fn groups(self, count: u32) {
        let y = count.div_ceil(MAX_GROUPS);
        self.grid(count.div_ceil(y), y, 1);
    }

    /// Records the call over `count` invocations in workgroups of 64.
    pub fn over(self, count: u32) {
        self.groups(count.div_ceil(64));
    }
}

/// WebGPU's limit on the workgroups of a dimension.
pub const MAX_GROUPS: u32 = 65_535;
