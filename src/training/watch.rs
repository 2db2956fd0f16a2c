//! The interface through which a run reports its progress and asks, at the points where it can be saved, whether to save or
//! stop.

use super::{EpochRow, Position, StepRow, UpdateRatio};
use crate::{error::Result, training::network::State};

/// The state of a run between two updates.
pub struct Checkpoint {
    /// The state on the host.
    pub position: Position,
    /// The state on the device.
    pub network: State,
}

/// A point at which a run can be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Updates issued so far.
    pub updates: u64,
    /// Epochs that have ended.
    pub epochs: u32,
    /// What has just happened.
    pub after: After,
}

/// What has happened just before a [`Point`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// An update; another batch of the epoch follows.
    Update,
    /// The last batch of an epoch; its evaluation follows.
    LastUpdate,
    /// An epoch and its evaluation.
    Epoch,
    /// The last epoch: the run has ended.
    Run,
}

/// What a watcher requests at a [`Point`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// To continue.
    Continue,
    /// To hand over a checkpoint, and continue.
    Checkpoint,
    /// To hand over a checkpoint, and stop here.
    Stop,
    /// To stop here without a checkpoint: [`Trainer::run`](super::Trainer::run) goes on from here, to the same bits.
    Pause,
}

/// Listens to a run; `()` ignores everything.
pub trait Watch {
    /// Called after each update: `images` of the epoch's `total` images, or of the tokens of its blocks, are done, and `hits` of
    /// them were predicted correctly.
    fn step(&mut self, row: &StepRow, images: u64, total: u64, hits: u64) -> Result<()> {
        let _ = (row, images, total, hits);
        Ok(())
    }
    /// Whether [`Watch::update_ratios`] is to be called. It costs an epoch two reads of all parameters, and changes no
    /// number of the run.
    fn wants_update_ratios(&mut self) -> bool {
        false
    }
    /// Called once the last update of an epoch was submitted, often before its row is there, with a ratio for each tensor
    /// that is trained.
    fn update_ratios(&mut self, ratios: &[UpdateRatio]) {
        let _ = ratios;
    }
    /// Called while the network is evaluated at the end of an epoch, with the numbers of samples that are done and of
    /// all.
    fn evaluating(&mut self, done: u64, total: u64) {
        let _ = (done, total);
    }
    /// Called after each epoch.
    fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        let _ = row;
        Ok(())
    }
    /// Called after each update that was submitted, and after each epoch; returns what the run should do.
    fn request(&mut self, at: Point) -> Result<Request> {
        let _ = at;
        Ok(Request::Continue)
    }
    /// Called with the checkpoint that was asked for, after every row before it.
    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let _ = checkpoint;
        Ok(())
    }
    /// Called when the run continues from this position.
    fn resumed(&mut self, position: &Position) {
        let _ = position;
    }
    /// Called with a line of text for the user.
    fn remark(&mut self, text: &str) {
        let _ = text;
    }
}

impl Watch for () {}
