//! Optimizers: a registry, and what is common to their recording.
//!
//! An optimizer is recorded like a layer: its calls work on the arenas `params`, `grads` and `state.*`, a block or a vec4
//! at a time, and whether an update happens at all is decided on the device. What it needs per update (bias corrections)
//! is a row of four numbers that the host computes in f64.

pub mod adabelief;
pub mod adabound;
pub mod adadelta;
pub mod adagrad;
pub mod adam;
pub mod adamw;
pub mod adan;
pub mod amvt;
mod element_wise;
pub mod laprop;
pub mod lion;
mod lookahead;
pub mod muon;
pub mod mvngrad;
pub mod nadam;
pub mod radam;
pub mod rmsprop;
pub mod schedulefree;
mod settings;
pub mod sgd;
mod stepper;
mod updates;
pub mod velograd;
pub mod vradam;

pub use lookahead::Lookahead;
pub use settings::{Kind, Setting, Settings, Value};
pub use stepper::{Snapshot, Stepper};
pub use updates::{IN_FLIGHT, Updates};

use element_wise::ElementWise;
use updates::correction;

use std::borrow::Cow;

use crate::{
    device::runtime::Runtime,
    error::{Error, Result, suggest},
    ops,
    program::{
        BufferKind, GradNorm, Recording, Slot, Tape, Tensor,
        params::{CHUNK, Layout},
        target::Precision,
    },
};

/// How a word of state begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// All zeros.
    Zero,
    /// A copy of the parameters.
    Params,
}

/// An update rule with its settings.
pub trait Optimizer {
    /// One arena each: name and first value.
    fn state(&self) -> Vec<(&'static str, Start)>;
    /// 4-byte words of state per parameter.
    fn words(&self) -> usize {
        self.state().len()
    }
    /// Appends the calls of one update.
    fn record(&self, t: &mut Tape);
    /// What the kernels read of update `t` (1 for the first), computed in f64.
    fn scalars(&self, t: u64) -> [f64; 4];
    /// The learning rate.
    fn lr(&self) -> f64;
    /// A bound of the gradient's norm that belongs to the rule. It acts before the rule, and after the bounds of [`Clip`].
    fn clip_norm(&self) -> Option<f64> {
        None
    }
    /// Tables about the arenas that the calls read: buffer and words.
    fn tables(&self, layout: &Layout) -> Vec<(&'static str, Vec<u32>)> {
        let _ = layout;
        vec![]
    }
    /// Appends the calls that turn `params`, in place, from where gradients are taken into where the network is to be
    /// evaluated and saved. None for a rule with one point for both; the way back is a copy ([`begin_evaluation`]).
    fn record_evaluation(&self, t: &mut Tape) {
        let _ = t;
    }
}

/// A registered optimizer.
pub struct Entry {
    /// Its name on the command line.
    pub name: &'static str,
    /// Where the rule is from.
    pub source: &'static str,
    /// What can be set.
    pub settings: &'static [Setting],
    /// Makes it.
    pub build: fn(Settings) -> Result<Box<dyn Optimizer>>,
}

/// Every optimizer. To add one: its shader, its file here, its line here.
pub static ALL: &[&Entry] = &[
    &velograd::ENTRY,
    &sgd::ENTRY,
    &adam::ENTRY,
    &adamw::ENTRY,
    &rmsprop::ENTRY,
    &adagrad::ENTRY,
    &adadelta::ENTRY,
    &nadam::ENTRY,
    &radam::ENTRY,
    &adabelief::ENTRY,
    &laprop::ENTRY,
    &adabound::ENTRY,
    &amvt::ENTRY,
    &vradam::ENTRY,
    &mvngrad::ENTRY,
    &lion::ENTRY,
    &adan::ENTRY,
    &muon::ENTRY,
    &schedulefree::ENTRY,
];

// What settings of the same meaning say of themselves.
const BETA1: &str = "the decay of the first moment";
const BETA2: &str = "the decay of the second moment";
const EPS: &str = "what is added to the root in the denominator";
const L2: &str = "the L2 penalty, added to the gradient";
const DECOUPLED: &str = "the decoupled decay, by lr * weight_decay";
const EITHER: &str = "the L2 penalty, or the decoupled decay";
const AMSGRAD: &str = "division by the largest second moment so far";

/// The entry of a name.
///
/// # Errors
/// [`Error::Config`] with the nearest name and the list.
pub fn find(name: &str) -> Result<&'static Entry> {
    let names: Vec<_> = ALL.iter().map(|e| e.name).collect();
    ALL.iter()
        .find(|e| e.name == name)
        .copied()
        .ok_or_else(|| Error::config(format!("no optimizer is called `{name}`"), suggest::hint(name, &names)))
}

/// Builds the optimizer `name` from `KEY=VALUE` settings.
///
/// # Errors
/// [`Error::Config`] for an unknown name or key, or a value out of its range.
pub fn build(name: &str, given: &[(String, String)]) -> Result<(Box<dyn Optimizer>, Settings)> {
    let entry = find(name)?;
    let settings = Settings::parse(entry, given)?;
    Ok(((entry.build)(settings.clone())?, settings))
}

/// What is done to the gradient before the rule sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Clip {
    /// Bound of each element's magnitude: `torch.nn.utils.clip_grad_value_`.
    pub value: Option<f32>,
    /// Bound of the norm over all parameters, applied after the other: `torch.nn.utils.clip_grad_norm_`.
    pub norm: Option<f32>,
}

impl Clip {
    /// Appends what bounds the arena `grads`, and leaves in [`Tape::grad_norm`] what is then known of its norm. `own` is the
    /// rule's own bound of the norm ([`Optimizer::clip_norm`]).
    ///
    /// The norm is computed once: bounding elements leaves the blocks' sums of squares, and bounding the norm does the guard's
    /// work too, with the norm before it is bounded.
    pub fn record(&self, own: Option<f64>, t: &mut Tape) {
        let (table, count) = blocks(t);
        let (grads, report) = (arena(t, BufferKind::Grads), report(t));
        if let Some(limit) = self.value {
            let sums = t.scratch(4 * count);
            let call = t.call_reduce("norm/clip_value").size("blocks", count).size("limit", limit);
            call.read(table).write(grads).write(sums).write(report).groups(count);
            t.grad_norm = GradNorm::Sums(sums);
        }
        if self.norm.is_some() || own.is_some() {
            let (sums, factor) = (squares(t), t.scratch(4));
            let call = t.call_reduce("norm/clip_norm").size("blocks", count);
            let call = call.constant("LIMITED", self.norm.is_some()).size("limit", self.norm.unwrap_or(0.0));
            let call = call.constant("OWN", own.is_some()).size("own", own.unwrap_or(0.0) as f32);
            call.read(sums).write(factor).write(report).grid(1, 1, 1);
            let len4 = t.layout().param_floats() / 4;
            t.call("norm/scale").size("len4", len4).read(factor).write(grads).over(len4);
            t.grad_norm = GradNorm::Reported;
        }
    }
}

/// The blocks' sums of squares of the gradient as it is: those that are known, or else by a pass over it.
fn squares(t: &mut Tape) -> Tensor {
    if let GradNorm::Sums(sums) = t.grad_norm {
        return sums;
    }
    let (table, count) = blocks(t);
    let (grads, sums) = (arena(t, BufferKind::Grads), t.scratch(4 * count));
    t.call_reduce("norm/partial").size("blocks", count).read(table).read(grads).write(sums).groups(count);
    sums
}

/// Records one update over a network's arenas; under mixed precision the loss's scale is then adjusted.
pub fn record(optimizer: &dyn Optimizer, clip: Clip, mut t: Tape) -> Recording {
    if clip != Clip::default() || optimizer.clip_norm().is_some() {
        clip.record(optimizer.clip_norm(), &mut t);
    }
    optimizer.record(&mut t);
    if t.target.precision == Precision::Mixed {
        ops::adjust_scale(&mut t);
    }
    t.finish()
}

/// Fills what updates start from: the tables of blocks, segments and decays, and state that copies the parameters. To be called
/// once the parameters are in place.
pub fn start(optimizer: &dyn Optimizer, runtime: &Runtime, layout: &Layout) {
    let ((blocks, segments), decays) = (layout.tables(), layout.decays());
    let tables: [(BufferKind, &[u32]); 3] = [
        (BLOCKS, bytemuck::cast_slice(&blocks)),
        (SEGMENTS, bytemuck::cast_slice(&segments)),
        (DECAYS, bytemuck::cast_slice(&decays)),
    ];
    for (table, words) in tables.iter().filter(|(table, _)| runtime.kinds().any(|kind| kind == table)) {
        runtime.write(runtime.buffer(table), words);
    }
    for (name, words) in optimizer.tables(layout) {
        runtime.write(runtime.buffer(&BufferKind::table(name)), &words);
    }
    let mut submission = runtime.submission();
    for (name, start) in optimizer.state() {
        let state = runtime.buffer(&BufferKind::state(name));
        match start {
            Start::Zero => submission.clear(state),
            Start::Params => submission.copy(runtime.buffer(&BufferKind::Params), state),
        }
    }
    submission.submit();
}

/// Records the way to a rule's point of evaluation; `None` where it is the parameters themselves.
pub fn record_evaluation(optimizer: &dyn Optimizer, t: Tape) -> Option<Recording> {
    let mut t = t;
    optimizer.record_evaluation(&mut t);
    arena(&mut t, BufferKind::Aside);
    Some(t.finish()).filter(|recording| !recording.calls.is_empty())
}

/// Runs `program`, of [`record_evaluation`], on the parameters after a copy of them.
pub fn begin_evaluation(runtime: &Runtime, program: usize) {
    let mut submission = runtime.submission();
    submission.copy(runtime.buffer(&BufferKind::Params), runtime.buffer(&BufferKind::Aside));
    submission.run(&[runtime.whole(program)]);
    submission.submit();
}

/// Returns to training: the parameters are, to the bit, those before [`begin_evaluation`].
pub fn end_evaluation(runtime: &Runtime) {
    let mut submission = runtime.submission();
    submission.copy(runtime.buffer(&BufferKind::Aside), runtime.buffer(&BufferKind::Params));
    submission.submit();
}

// Tables about the arenas.
const BLOCKS: BufferKind = BufferKind::Table(Cow::Borrowed("blocks"));
const SEGMENTS: BufferKind = BufferKind::Table(Cow::Borrowed("segments"));
const DECAYS: BufferKind = BufferKind::Table(Cow::Borrowed("decays"));

/// A buffer as long as the parameters: those themselves, their gradients, or a word of state.
fn arena(t: &mut Tape, kind: BufferKind) -> Slot {
    let bytes = 4 * u64::from(t.layout().param_floats());
    t.buffer(kind, bytes)
}

fn state(t: &mut Tape, name: &'static str) -> Slot {
    arena(t, BufferKind::state(name))
}

fn report(t: &mut Tape) -> Slot {
    t.report()
}

fn blocks(t: &mut Tape) -> (Slot, u32) {
    let count = t.layout().tables().0.len() as u32;
    (t.buffer(BLOCKS, 16 * u64::from(count)), count)
}

fn segments(t: &mut Tape) -> (Slot, u32) {
    let count = t.layout().tables().1.len() as u32;
    (t.buffer(SEGMENTS, 12 * u64::from(count)), count)
}

/// What multiplies weight decay in each chunk.
fn decays(t: &mut Tape) -> Slot {
    let chunks = t.layout().param_floats() / CHUNK;
    t.buffer(DECAYS, 4 * u64::from(chunks))
}

/// The gradient's norm and the guard against what is not finite: what a rule without norms of its own begins with. Where the
/// norm was bounded, both are in the report already.
fn norm_and_guard(t: &mut Tape) {
    if t.grad_norm == GradNorm::Reported {
        return;
    }
    let (sums, report, count) = (squares(t), report(t), blocks(t).1);
    t.call_reduce("norm/finish").size("blocks", count).read(sums).write(report).grid(1, 1, 1);
}
