//! Where a run stands: its state on the host, as a checkpoint stores it.

use serde::{Deserialize, Serialize};

use super::{EpochRow, OnNan, StepRow};
use crate::{program::step::Report, training::network::RING};

/// Where a run stands between two updates. The order of images, augmentation and dropout are functions of seed, epoch
/// and image, so no random generator has a state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Updates whose reports have arrived: the rows of `steps.jsonl`.
    pub step: u64,
    /// Epochs that have ended, with their evaluation: the rows of `metrics.jsonl`.
    pub epochs: Vec<EpochRow>,
    /// Batches of the epoch under way that are done.
    pub batch: usize,
    /// Sums over these batches.
    pub tally: Tally,
    /// Sums over the images that the previous epoch carried over: both its row and the report of the next update
    /// contain them.
    #[serde(default)]
    pub carried: Tally,
    /// Seconds spent on the epoch under way.
    pub seconds: f64,
    /// Updates whose gradient was clipped.
    #[serde(default)]
    pub clipped: u64,
    /// The first update that was skipped.
    pub first_skip: Option<u64>,
    /// The number of updates skipped in a row, without those that the loss scale of mixed precision may explain.
    pub skips: u32,
    /// The first update of that row.
    pub row: Option<u64>,
    /// The first of the updates in a row that were not finite, if the run ends because of them.
    pub diverged: Option<u64>,
    /// The last update of a run that has diverged. The host learns of an update up to three submissions late, so the
    /// run always ends that much later, even if the host happened to wait for the device.
    pub last_update: Option<u64>,
    /// The lowest validation loss so far.
    pub best_loss: Option<f64>,
    /// Validations since the one with that loss.
    pub since_best: u32,
    /// The epoch that `max_steps` ended before all its images were seen, as it stood then, for a run that may be
    /// extended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<CutShort>,
}

/// The fields of [`Position`] at the end of an epoch of which not all images were seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CutShort {
    batch: usize,
    tally: Tally,
    seconds: f64,
    best_loss: Option<f64>,
    since_best: u32,
}

/// Sums of an epoch so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// The sum of losses over the targets of updates that were not skipped, as all fields but `images`.
    pub loss: f64,
    /// Targets that were predicted correctly, in training mode.
    pub hits: u64,
    /// Targets of all updates: an image has one, a block of tokens one for each token.
    pub images: u64,
    /// Targets of the updates that were not skipped.
    pub counted: u64,
}

/// Whether the loss scale of mixed precision may be why an update was skipped: the loss is finite, and there is a
/// smaller scale to try.
fn overflowed(report: &Report) -> bool {
    report.loss.is_finite() && report.scale > 1.0
}

impl Position {
    /// The epoch under way, from 1.
    pub fn epoch(&self) -> u32 {
        self.epochs.len() as u32 + 1
    }

    /// Adds an update with learning rate `lr`.
    pub(super) fn note(&mut self, report: &Report, lr: f64, on_nan: OnNan) -> StepRow {
        let Report { loss, hits, targets, clipped, grad_norm, skip, scale, .. } = *report;
        let clipped = skip == 0 && clipped > 0;
        self.step += 1;
        let before = std::mem::take(&mut self.carried);
        self.tally.images += u64::from(targets).saturating_sub(before.images);
        if skip == 0 {
            (self.skips, self.row) = (0, None);
            self.tally.loss += f64::from(loss) - before.loss;
            self.tally.hits += u64::from(hits).saturating_sub(before.hits);
            self.tally.counted += u64::from(targets).saturating_sub(before.counted);
        } else {
            self.first_skip = self.first_skip.or(Some(self.step));
            // Skips that the scale may explain do not count, but do not end the row either: a few are normal while the
            // scale is found.
            if !overflowed(report) {
                self.skips += 1;
                self.row = self.row.or(Some(self.step));
            }
            if self.skips == on_nan.most() && self.diverged.is_none() {
                (self.diverged, self.last_update) = (self.row, Some(self.step + RING as u64));
            }
        }
        let (epoch, loss, scale) = (self.epoch(), loss / targets as f32, Some(scale).filter(|s| *s > 0.0));
        self.clipped += u64::from(clipped);
        StepRow { step: self.step, epoch, loss, lr, grad_norm, clipped, skipped: skip != 0, scale }
    }

    /// Adds batches whose gradient is carried over to the next epoch. Their images count in the epoch that has seen
    /// them; so does their loss if it is finite, since it is not known yet whether their update will be skipped.
    pub(super) fn carry(&mut self, sums: &Report) {
        let Report { loss, hits, targets, .. } = *sums;
        let seen = Tally { images: targets.into(), ..Tally::default() };
        let finite = Tally { loss: loss.into(), hits: hits.into(), counted: targets.into(), ..seen };
        self.carried = if loss.is_finite() { finite } else { seen };
        self.tally.loss += self.carried.loss;
        self.tally.hits += self.carried.hits;
        self.tally.images += self.carried.images;
        self.tally.counted += self.carried.counted;
    }

    /// Undoes the end of an epoch that an earlier `max_steps` cut short, and removes its row, if the run now continues after the
    /// updates so far: it then continues within the epoch. `max_steps` is the present bound on the run's updates.
    pub fn reopen(&mut self, max_steps: Option<u64>) {
        if max_steps.is_some_and(|most| most <= self.step) {
            return;
        }
        if let Some(CutShort { batch, tally, seconds, best_loss, since_best }) = self.cut_short.take() {
            self.epochs.pop();
            (self.batch, self.tally, self.seconds) = (batch, tally, seconds);
            (self.best_loss, self.since_best) = (best_loss, since_best);
        }
    }

    /// Ends the epoch under way; `cut` says that not all its images were seen.
    pub(super) fn end_epoch(&mut self, row: EpochRow, cut: bool) {
        let Self { batch, tally, seconds, best_loss, since_best, .. } = *self;
        self.cut_short = cut.then_some(CutShort { batch, tally, seconds, best_loss, since_best });
        if let Some(loss) = row.val_loss {
            let better = loss < self.best_loss.unwrap_or(f64::INFINITY);
            self.since_best = if better { 0 } else { self.since_best + 1 };
            if better {
                self.best_loss = Some(loss);
            }
        }
        self.epochs.push(row);
        (self.batch, self.tally, self.seconds) = (0, Tally::default(), 0.0);
    }
}
