//! Optimizers: the registry, and what all rules share when they are recorded.
//!
//! An optimizer is recorded like a layer. Its calls work on the arenas `params`, `grads` and `state.*`, a block or a
//! vec4 at a time, and the device decides whether an update happens at all. What changes from update to update (bias
//! corrections) is a row of four numbers that the host computes in f64.

mod choice;
mod element_wise;
mod inert;
mod lookahead;
pub mod muon;
mod rule;
pub mod schedulefree;
mod stepper;
mod updates;
pub mod velograd;

pub use crate::settings::{Bound, Kind, Range, Setting, Settings, Value};
pub use choice::RuleChoice;
pub use inert::Trial;
pub use lookahead::Lookahead;
pub use rule::{LONGEST as LONGEST_RULE, TEMPLATE};
pub use stepper::{Snapshot, Stepper, try_out};
pub use updates::{IN_FLIGHT, Updates};

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, LazyLock},
};

use element_wise::ElementWise;
use rule::{RuleFile, Variants};
use updates::correction;

use crate::{
    device::runtime::Runtime,
    error::{Error, Result, suggest},
    ops,
    program::{
        BufferKind, GradNorm, Name, Recording, Slot, Tape, Tensor,
        params::{CHUNK, Layout},
        shader::SHADERS,
        target::Precision,
    },
};

/// The initial values of a state buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// All zeros.
    Zero,
    /// A copy of the parameters.
    Params,
}

/// An update rule with its settings.
pub trait Optimizer {
    /// The name and the initial values of each state buffer.
    fn state(&self) -> Vec<(String, Start)>;
    /// Number of 4-byte words of state per parameter.
    fn words(&self) -> usize {
        self.state().len()
    }
    /// Appends the calls of one update to the recording.
    fn record(&self, t: &mut Tape);
    /// The four numbers that the kernels read in update `t` (1 for the first), computed in f64.
    fn scalars(&self, t: u64) -> [f64; 4];
    /// The learning rate.
    fn lr(&self) -> f64;
    /// The norm to which the rule itself clips the gradient. This clipping comes after that of [`Clip`] and before the
    /// rule.
    fn clip_norm(&self) -> Option<f64> {
        None
    }
    /// The tables about the layout that the calls read: the name of each one's buffer, and its contents.
    fn tables(&self, layout: &Layout) -> Vec<(&'static str, Vec<u32>)> {
        let _ = layout;
        vec![]
    }
    /// The trials that [`try_out`] makes of a rule from outside the program; none for a built-in rule.
    fn trials(&self) -> Vec<Trial> {
        vec![]
    }
    /// Appends the calls that move `params`, in place, from the point where gradients are taken to the point where the
    /// network is evaluated and saved. A rule with one point for both appends none. The way back is a copy
    /// ([`begin_evaluation`]).
    fn record_evaluation(&self, t: &mut Tape) {
        let _ = t;
    }
}

/// An update rule that can be chosen: one of [`ALL`], or one that was parsed from a text.
pub struct Rule {
    /// Its name in runs and tables, by which a built-in rule is also chosen.
    pub name: String,
    /// The paper or code that it is from.
    pub source: String,
    /// Its settings, with their defaults and ranges.
    pub settings: Vec<Setting>,
    make: Make,
}

/// How a rule becomes an optimizer.
enum Make {
    /// By Rust code of its own.
    Program(fn(Settings) -> Box<dyn Optimizer>),
    /// From the rule's file, under the given settings.
    File(Variants),
}

impl Rule {
    /// Parses a rule from its text (`docs/RULES.md`). `name` is the rule's name in runs and tables, `file` the name of
    /// the text in errors.
    ///
    /// The text is not trusted: a rule can neither reach memory other than its own element's nor run forever, and
    /// anything that it must not contain is an error with line and column.
    ///
    /// # Errors
    /// [`Error::Config`] with file, line and column of what is wrong.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Self> {
        Self::of_file(name, RuleFile::parse(&format!("rule/{name}"), file, text, true)?)
    }

    fn of_file(name: &str, file: RuleFile) -> Result<Self> {
        let (source, settings) = (file.source().to_owned(), file.settings().to_vec());
        Ok(Self { name: name.to_owned(), source, settings, make: Make::File(Variants::new(name, file)?) })
    }

    /// Builds the optimizer with these `KEY=VALUE` settings, and returns it with the values of all its settings.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown key, a value out of its range, settings that do not fit together, or a rule
    /// that is not valid under them.
    pub fn build(&self, given: &[(String, String)]) -> Result<(Box<dyn Optimizer>, Settings)> {
        let settings = Settings::parse(&self.name, &self.settings, given)?;
        let optimizer = match &self.make {
            Make::Program(make) => make(settings.clone()),
            Make::File(variants) => Box::new(ElementWise::new(variants.of(&settings)?, variants.default.clone())),
        };
        Ok((optimizer, settings))
    }

    /// The text that [`Rule::parse`] parsed; `None` for a built-in rule.
    pub fn text(&self) -> Option<&str> {
        match &self.make {
            Make::File(Variants { file, .. }) if file.is_foreign() => Some(file.text()),
            _ => None,
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("name", &self.name).field("text", &self.text()).finish_non_exhaustive()
    }
}

impl PartialEq for Rule {
    /// Rules are equal if they have the same name and the same text.
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.text()) == (&other.name, other.text())
    }
}

/// The registry's entry for a rule with Rust code of its own.
struct Program {
    name: &'static str,
    source: &'static str,
    settings: fn() -> Vec<Setting>,
    make: fn(Settings) -> Box<dyn Optimizer>,
}

/// The rules that consist of one file in `shaders/optim/`.
const FILES: [&str; 21] = [
    "sgd",
    "adam",
    "adamw",
    "nadamw",
    "rmsprop",
    "adagrad",
    "adadelta",
    "nadam",
    "radam",
    "adabelief",
    "laprop",
    "adabound",
    "amvt",
    "vradam",
    "mvngrad",
    "lion",
    "signum",
    "adan",
    "ademamix",
    "lars",
    "lamb",
];

/// All built-in rules. To add one, put its file into `shaders/optim/`, its name into `FILES` and its formula into
/// `reference::optim`.
pub static ALL: LazyLock<Vec<Arc<Rule>>> = LazyLock::new(|| {
    let program = |program: &Program| {
        let (name, source) = (program.name.to_owned(), program.source.to_owned());
        Arc::new(Rule { name, source, settings: (program.settings)(), make: Make::Program(program.make) })
    };
    let file = |name: &str| {
        let path = format!("optim/{name}");
        let (_, text) = SHADERS.iter().find(|(known, _)| *known == path).expect("the file is there");
        let file = RuleFile::parse(&path, &format!("shaders/{path}.wgsl"), text, false);
        let rule = file.and_then(|file| Rule::of_file(name, file));
        Arc::new(rule.unwrap_or_else(|fault| panic!("{fault}")))
    };
    let first = std::iter::once(program(&velograd::PROGRAM));
    let last = [&muon::PROGRAM, &schedulefree::PROGRAM].map(program);
    first.chain(FILES.map(file)).chain(last).collect()
});

/// Finds a built-in rule by its name, regardless of upper and lower case.
///
/// # Errors
/// [`Error::Config`] for an unknown name, with the nearest known name and the list of all.
pub fn find(name: &str) -> Result<Arc<Rule>> {
    let unknown = || {
        let names: Vec<_> = ALL.iter().map(|rule| rule.name.as_str()).collect();
        Error::config(format!("no optimizer is called `{name}`"), suggest::hint(name, &names))
    };
    ALL.iter().find(|rule| rule.name.eq_ignore_ascii_case(name)).cloned().ok_or_else(unknown)
}

/// Builds the optimizer `name` with `KEY=VALUE` settings, and returns it with the values of all its settings.
///
/// # Errors
/// As [`find`] and [`Rule::build`].
pub fn build(name: &str, given: &[(String, String)]) -> Result<(Box<dyn Optimizer>, Settings)> {
    find(name)?.build(given)
}

/// Gradient clipping, which comes before the rule.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Clip {
    /// Bound of each element's magnitude: `torch.nn.utils.clip_grad_value_`.
    pub value: Option<f32>,
    /// Bound of the norm over all parameters, applied after `value`: `torch.nn.utils.clip_grad_norm_`.
    pub norm: Option<f32>,
}

impl Clip {
    /// Appends the calls that clip the arena `grads`, and stores in [`Tape::grad_norm`] what is then known of its norm.
    /// `own` is the bound of the norm that belongs to the rule ([`Optimizer::clip_norm`]).
    ///
    /// The norm is computed once: clipping by value also leaves the blocks' sums of squares, and clipping by norm also
    /// checks for non-finite values and reports the norm before clipping.
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

/// The blocks' sums of squares of the current gradient: those already known, or else computed by a pass over it.
fn squares(t: &mut Tape) -> Tensor {
    if let GradNorm::Sums(sums) = t.grad_norm {
        return sums;
    }
    let (table, count) = blocks(t);
    let (grads, sums) = (arena(t, BufferKind::Grads), t.scratch(4 * count));
    t.call_reduce("norm/partial").size("blocks", count).read(table).read(grads).write(sums).groups(count);
    sums
}

/// Records one update over a network's arenas. In mixed precision, the loss scale is then adjusted.
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

/// Initializes what updates start from: the tables of blocks, segments and decays, and the state buffers. Call it after
/// the parameters are in place.
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

/// Records the calls that move the parameters to the rule's point of evaluation; `None` if that is where gradients are
/// taken.
pub fn record_evaluation(optimizer: &dyn Optimizer, t: Tape) -> Option<Recording> {
    let mut t = t;
    optimizer.record_evaluation(&mut t);
    arena(&mut t, BufferKind::Aside);
    Some(t.finish()).filter(|recording| !recording.calls.is_empty())
}

/// Copies the parameters aside, then runs `program`, which [`record_evaluation`] recorded, on them.
pub fn begin_evaluation(runtime: &Runtime, program: usize) {
    let mut submission = runtime.submission();
    submission.copy(runtime.buffer(&BufferKind::Params), runtime.buffer(&BufferKind::Aside));
    submission.run(&[runtime.whole(program)]);
    submission.submit();
}

/// Returns to training: restores, to the bit, the parameters from before [`begin_evaluation`].
pub fn end_evaluation(runtime: &Runtime) {
    let mut submission = runtime.submission();
    submission.copy(runtime.buffer(&BufferKind::Aside), runtime.buffer(&BufferKind::Params));
    submission.submit();
}

// Tables that describe the arenas.
const BLOCKS: BufferKind = BufferKind::Table(Cow::Borrowed("blocks"));
const SEGMENTS: BufferKind = BufferKind::Table(Cow::Borrowed("segments"));
const DECAYS: BufferKind = BufferKind::Table(Cow::Borrowed("decays"));

/// A buffer as long as the parameters: the parameters, their gradients, or a state buffer.
fn arena(t: &mut Tape, kind: BufferKind) -> Slot {
    let bytes = 4 * u64::from(t.layout().param_floats());
    t.buffer(kind, bytes)
}

fn state(t: &mut Tape, name: impl Into<Name>) -> Slot {
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

/// The table with the factor of weight decay in each chunk.
fn decays(t: &mut Tape) -> Slot {
    let chunks = t.layout().param_floats() / CHUNK;
    t.buffer(DECAYS, 4 * u64::from(chunks))
}

/// Computes the gradient's norm and checks it for non-finite values. A rule without norms of its own begins with this.
/// If the norm was clipped, the report has both results already.
fn norm_and_guard(t: &mut Tape) {
    if t.grad_norm == GradNorm::Reported {
        return;
    }
    let (sums, report, count) = (squares(t), report(t), blocks(t).1);
    t.call_reduce("norm/finish").size("blocks", count).read(sums).write(report).grid(1, 1, 1);
}
