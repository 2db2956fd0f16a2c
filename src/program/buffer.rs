//! Persistent buffers: what each of them is to a run.

use std::{borrow::Cow, fmt};

/// What tells a buffer from others of its kind.
pub type Name = Cow<'static, str>;

/// What the host hands over with each batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// The samples' bytes.
    Images,
    /// The class of each sample.
    Labels,
    /// The index of each sample in its split.
    Indices,
}

/// What a persistent buffer holds. It is also what the buffer is known by: recordings that name the same kind share one buffer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BufferKind {
    /// A part of a batch.
    Input(Input),
    /// All parameters.
    Params,
    /// The gradients of all parameters.
    Grads,
    /// Running statistics, which the forward pass writes.
    Running,
    /// What the device tells the host after a submission ([`Report`](super::step::Report)).
    Report,
    /// How often each class was predicted for each true class.
    Confusion,
    /// The parameters of training, while the network is evaluated elsewhere.
    Aside,
    /// What an update leaves for a later one: a word of the optimizer's state, the scale of mixed precision.
    State(Name),
    /// Facts about the arenas that kernels read.
    Table(Name),
    /// Anything else: what benches and tests work on.
    Scratch(Name),
}

/// When zeros are written to a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleared {
    /// Before the first batch of an update.
    ByUpdate,
    /// Before the first batch of an update, of an evaluation, and of what collects statistics.
    ByCount,
    /// Before the first batch of an evaluation.
    ByEvaluation,
}

/// When the host writes a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Before each batch.
    ByBatch,
    /// Once, before anything runs.
    AtStart,
}

/// When a checkpoint holds a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Always.
    Always,
    /// While a gradient waits for the other batches of its update.
    WhileAccumulating,
    /// While the network is evaluated at another point than training's.
    WhileEvaluating,
}

/// What becomes of a buffer in the course of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// When the host writes it; `None` where programs alone do.
    pub filled: Option<Filled>,
    /// When zeros are written to it.
    pub cleared: Option<Cleared>,
    /// Whether several devices that train together add it up between backward pass and update.
    pub exchanged: bool,
    /// When a checkpoint holds it. What is never kept is written anew before it is read.
    pub kept: Option<Kept>,
}

impl BufferKind {
    /// What becomes of such a buffer: the one list of what is an input, cleared, exchanged, kept.
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
            // The count of skipped updates in it is not cleared, and a checkpoint says what it counts.
            Self::Report => Life { cleared: Some(Cleared::ByCount), exchanged: true, ..none },
            Self::Confusion => Life { cleared: Some(Cleared::ByEvaluation), ..none },
            Self::Aside => Life { kept: Some(Kept::WhileEvaluating), ..none },
            Self::Table(_) => Life { filled: Some(Filled::AtStart), ..none },
            Self::Scratch(_) => none,
        }
    }

    /// A word of the optimizer's state.
    pub fn state(name: impl Into<Name>) -> Self {
        Self::State(name.into())
    }

    /// A table.
    pub fn table(name: impl Into<Name>) -> Self {
        Self::Table(name.into())
    }

    /// A buffer that is nothing else.
    pub fn scratch(name: impl Into<Name>) -> Self {
        Self::Scratch(name.into())
    }
}

impl fmt::Display for BufferKind {
    /// The buffer's name in tables, errors and checkpoints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(Input::Images) => f.write_str("images"),
            Self::Input(Input::Labels) => f.write_str("labels"),
            Self::Input(Input::Indices) => f.write_str("indices"),
            Self::Params => f.write_str("params"),
            Self::Grads => f.write_str("grads"),
            Self::Running => f.write_str("running"),
            Self::Report => f.write_str("report"),
            Self::Confusion => f.write_str("confusion"),
            Self::Aside => f.write_str("params.aside"),
            Self::State(name) => write!(f, "state.{name}"),
            Self::Table(name) | Self::Scratch(name) => f.write_str(name),
        }
    }
}

/// A persistent buffer of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Buffer(pub(super) u32);

impl Buffer {
    /// The buffer's place in [`Recording::buffers`](super::Recording::buffers).
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
