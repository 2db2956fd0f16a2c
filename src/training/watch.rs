//! Who is told how a run goes, and where it can be taken apart.

use super::{EpochRow, Position, StepRow};
use crate::{error::Result, training::network::State};

/// A run between two updates.
pub struct Checkpoint {
    /// What the host knows.
    pub position: Position,
    /// What the device holds.
    pub network: State,
}

/// A place where a run can be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Updates issued so far.
    pub updates: u64,
    /// Epochs that have ended.
    pub epochs: u32,
    /// What has just happened.
    pub after: After,
}

/// What came before a [`Point`].
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

/// What a watcher asks the run for at a [`Point`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// To continue.
    Continue,
    /// To hand over a checkpoint, and continue.
    Checkpoint,
    /// To hand over a checkpoint, and stop here.
    Stop,
}

/// Who is told how the run goes; `()` for nobody.
pub trait Watch {
    /// After each update; `images` of the epoch's `total` are done, `hits` of them right.
    fn step(&mut self, row: &StepRow, images: u64, total: u64, hits: u64) -> Result<()> {
        let _ = (row, images, total, hits);
        Ok(())
    }
    /// After each epoch.
    fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        let _ = row;
        Ok(())
    }
    /// What is asked for after each update that was submitted, and after each epoch.
    fn request(&mut self, at: Point) -> Result<Request> {
        let _ = at;
        Ok(Request::Continue)
    }
    /// The checkpoint that was asked for; every row before it has been told.
    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let _ = checkpoint;
        Ok(())
    }
    /// The run continues from here.
    fn resumed(&mut self, position: &Position) {
        let _ = position;
    }
    /// A line for the user.
    fn remark(&mut self, text: &str) {
        let _ = text;
    }
}

impl Watch for () {}
