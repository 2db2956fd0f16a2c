//! Writes the logs and checkpoints of a run while the trainer reports to it.

use super::folder::Folder;
use crate::{
    error::Result,
    host::signals::Stop,
    training::{After, Checkpoint, EpochRow, Point, Request, StepRow, UpdateRatio, Watch},
};

/// A [`Watch`] that writes a run's logs and checkpoints and forwards every call to another [`Watch`].
pub struct Journal<'a> {
    /// The folder that is written to.
    pub folder: Folder,
    /// The watch that calls are forwarded to.
    pub watch: &'a mut dyn Watch,
    /// Whether the run has been asked to stop.
    pub stop: Stop,
}

impl Journal<'_> {
    fn pass_on(&mut self, remark: Option<String>) {
        if let Some(remark) = remark {
            self.watch.remark(&remark);
        }
    }
}

impl Watch for Journal<'_> {
    fn step(&mut self, row: &StepRow, images: u64, total: u64, hits: u64) -> Result<()> {
        self.folder.logs.update(row)?;
        self.watch.step(row, images, total, hits)
    }

    fn wants_update_ratios(&mut self) -> bool {
        self.folder.logs.events().is_some() || self.watch.wants_update_ratios()
    }

    fn update_ratios(&mut self, ratios: &[UpdateRatio]) {
        if let Some(events) = self.folder.logs.events() {
            events.update_ratios(ratios.iter().map(|tensor| tensor.ratio));
        }
        self.watch.update_ratios(ratios);
    }

    fn evaluating(&mut self, done: u64, total: u64) {
        self.watch.evaluating(done, total);
    }

    fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        self.folder.logs.epoch(row)?;
        self.watch.epoch(row)
    }

    fn request(&mut self, at: Point) -> Result<Request> {
        let remark = self.folder.keeper.look()?;
        self.pass_on(remark);
        // A run that has ended anyway does not count as stopped.
        let stops = self.stop.exit_code().is_some() && at.after != After::Run;
        if stops {
            self.watch.remark("stopping: a checkpoint is being written; the signal again leaves at once, without it");
        }
        if !stops && !self.folder.keeper.due(at) {
            return Ok(Request::Continue);
        }
        // Wait here, before the next checkpoint takes memory.
        let remark = self.folder.wait()?;
        self.pass_on(remark);
        Ok(if stops { Request::Stop } else { Request::Checkpoint })
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        // A checkpoint relies on the rows before it.
        self.folder.logs.sync()?;
        let remark = self.folder.keeper.save(checkpoint)?;
        self.pass_on(remark);
        Ok(())
    }

    fn remark(&mut self, text: &str) {
        self.watch.remark(text);
    }
}
