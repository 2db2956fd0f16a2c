//! Training and evaluation of a network on a device.

pub mod evaluate;
pub mod generate;
pub mod metrics;
mod mixup;
pub mod network;
mod normalization;
mod options;
mod position;
pub mod predict;
pub mod provenance;
pub mod ranks;
mod remainder;
mod rows;
pub mod sampling;
pub mod schedule;
mod score;
mod trainer;
pub mod tune;
mod update_ratio;
mod watch;
pub mod weights;
pub mod whiten;

pub use mixup::mixing;
pub use normalization::{Normalization, Origin, choose_normalize};
pub use options::{OnNan, Options};
pub use position::{CutShort, Position, Tally};
pub use remainder::{Cut, Part, Remainder};
pub use rows::{EpochRow, LEAST_EPOCHS, StepRow, loss_variance};
pub use score::{Measure, Per, Score};
pub use trainer::Trainer;
pub use update_ratio::{UpdateRatio, update_ratios};
pub use watch::{After, Checkpoint, Point, Request, Watch};
