//! Persistent buffers: what each of them holds, and what becomes of it during a run.

use std::{borrow::Cow, fmt};

/// The name that tells a buffer from others of its kind.
pub type Name = Cow<'static, str>;

/// What the host writes to the device with each batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// The bytes of the samples.
    Samples,
    /// The targets of each sample, one sample after the other.
    Targets,
    /// The index of each sample in its split.
    Indices,
    /// The share that an image keeps of itself where the images of a batch are mixed.
    Mixing,
}

/// What a persistent buffer holds. The kind also identifies the buffer: recordings that name the same kind share one
/// buffer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BufferKind {
    /// A part of a batch.
    Input(Input),
    /// All parameters.
    Params,
    /// The gradients of all parameters.
    Grads,
    /// What a batch alone adds to gradients, where it adds more than once and the gradients may hold what others have added.
    Apart,
    /// Running statistics, which the forward pass writes.
    Running,
    /// What the device tells the host after a submission ([`Report`](super::step::Report)).
    Report,
    /// How often each class was predicted for each true class.
    Confusion,
    /// A copy of the parameters that are being trained, kept while the network is evaluated at others.
    Aside,
    /// What one update leaves for the next: a state buffer of the optimizer, or the loss scale of mixed precision.
    State(Name),
    /// The state that a batch of a text in columns leaves for the next, which goes on from it.
    Carried(Name),
    /// The same for an evaluation, which leaves that of training alone.
    CarriedInEvaluation(Name),
    /// Constant data about the arenas that kernels read.
    Table(Name),
    /// Any other buffer; benches and tests work on these.
    Scratch(Name),
}

/// When a buffer is filled with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleared {
    /// Before the first batch of an update.
    ByUpdate,
    /// Before each batch that is trained on.
    ByBatch,
    /// Before the first batch of an update, of an evaluation, and of a pass that collects batch-norm statistics.
    ByCount,
    /// Before the first batch of an evaluation.
    ByEvaluation,
    /// Before the first batch of an epoch.
    ByEpoch,
}

/// When the host writes a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Before each batch.
    ByBatch,
    /// Once, before anything runs.
    AtStart,
}

/// When a buffer is part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Always.
    Always,
    /// While gradients have been accumulated for an update that is not complete, and where no update clears them.
    WhileAccumulating,
    /// While the network is evaluated at other parameters than those that are being trained.
    WhileEvaluating,
}

/// What becomes of a buffer during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// When the host writes it; `None` if only kernels do.
    pub filled: Option<Filled>,
    /// When it is filled with zeros.
    pub cleared: Option<Cleared>,
    /// Whether devices that train together sum it up (an all-reduce) between the backward pass and the update.
    pub exchanged: bool,
    /// When it is part of a checkpoint. A buffer that never is must be written anew before it is read.
    pub kept: Option<Kept>,
}

impl BufferKind {
    /// What becomes of a buffer of this kind: the only list of what is an input, cleared, exchanged or kept.
    pub fn life(&self) -> Life {
        let none = Life::default();
        match self {
            Self::Input(_) => Life { filled: Some(Filled::ByBatch), ..none },
            Self::Params | Self::Running | Self::State(_) => {
                Life { filled: Some(Filled::AtStart), kept: Some(Kept::Always), ..none }
            }
            Self::Grads => {
                let kept = Some(Kept::WhileAccumulating);
                Life { cleared: Some(Cleared::ByUpdate), exchanged: true, kept, ..none }
            }
            Self::Apart => Life { cleared: Some(Cleared::ByBatch), ..none },
            // Its count of skipped updates is not cleared; checkpoints store that count themselves.
            Self::Report => Life { cleared: Some(Cleared::ByCount), exchanged: true, ..none },
            Self::Confusion => Life { cleared: Some(Cleared::ByEvaluation), ..none },
            Self::Aside => Life { kept: Some(Kept::WhileEvaluating), ..none },
            Self::Carried(_) => Life { cleared: Some(Cleared::ByEpoch), kept: Some(Kept::Always), ..none },
            Self::CarriedInEvaluation(_) => Life { cleared: Some(Cleared::ByEvaluation), ..none },
            Self::Table(_) => Life { filled: Some(Filled::AtStart), ..none },
            Self::Scratch(_) => none,
        }
    }

    /// The kind of a state buffer of the optimizer.
    pub fn state(name: impl Into<Name>) -> Self {
        Self::State(name.into())
    }

    /// The kind of a table.
    pub fn table(name: impl Into<Name>) -> Self {
        Self::Table(name.into())
    }

    /// The kind of any other buffer.
    pub fn scratch(name: impl Into<Name>) -> Self {
        Self::Scratch(name.into())
    }
}

impl fmt::Display for BufferKind {
    /// The buffer's name in tables, errors and checkpoints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(Input::Samples) => f.write_str("samples"),
            Self::Input(Input::Targets) => f.write_str("targets"),
            Self::Input(Input::Indices) => f.write_str("indices"),
            Self::Input(Input::Mixing) => f.write_str("mixing"),
            Self::Params => f.write_str("params"),
            Self::Grads => f.write_str("grads"),
            Self::Apart => f.write_str("grads.apart"),
            Self::Running => f.write_str("running"),
            Self::Report => f.write_str("report"),
            Self::Confusion => f.write_str("confusion"),
            Self::Aside => f.write_str("params.aside"),
            Self::State(name) => write!(f, "state.{name}"),
            Self::Carried(name) => write!(f, "carried.{name}"),
            Self::CarriedInEvaluation(name) => write!(f, "carried.evaluation.{name}"),
            Self::Table(name) | Self::Scratch(name) => f.write_str(name),
        }
    }
}

/// A persistent buffer of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Buffer(pub(super) u32);

impl Buffer {
    /// The buffer's index in [`Recording::buffers`](super::Recording::buffers).
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
