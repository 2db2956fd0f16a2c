//! Where a run stands: all that the host knows, as a checkpoint holds it.

use serde::{Deserialize, Serialize};

use super::{EpochRow, OnNan, StepRow};
use crate::{program::step::Report, training::network::RING};

/// Where a run stands between two updates. The order of images, augmentation and dropout are functions of seed, epoch and
/// image, so there is no state of a generator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Updates whose reports have come: the rows of `steps.jsonl`.
    pub step: u64,
    /// Epochs that have ended, with their evaluation: the rows of `metrics.jsonl`.
    pub epochs: Vec<EpochRow>,
    /// Batches done of the epoch under way.
    pub batch: usize,
    /// Sums over them.
    pub tally: Tally,
    /// Sums over the images that the epoch before has carried over: its row has them, and so has the next update's report.
    #[serde(default)]
    pub carried: Tally,
    /// Seconds spent on them.
    pub seconds: f64,
    /// Updates whose gradient was changed by a bound.
    #[serde(default)]
    pub clipped: u64,
    /// The first update that was skipped.
    pub first_skip: Option<u64>,
    /// Updates in a row that were skipped for another reason than the scale of mixed precision.
    pub skips: u32,
    /// The first of that row.
    pub row: Option<u64>,
    /// The first of the updates in a row that were not finite, if the run ends for them.
    pub diverged: Option<u64>,
    /// The last update of a run that has diverged. The host hears of an update up to three submissions late, so the run
    /// ends that much later in any case, and not sooner where it happened to wait for the device.
    pub last_update: Option<u64>,
    /// The least validation loss so far.
    pub best_loss: Option<f64>,
    /// Validations since then.
    pub since_best: u32,
    /// The last epoch as it stood when `max_steps` ended it before all its images were seen, for a run that is to be longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<CutShort>,
}

/// An epoch that was ended before all its images were seen: what a [`Position`] said before.
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
    /// Over the images of updates that were not skipped, as the rest but `images`.
    pub loss: f64,
    /// Classified correctly, in training mode.
    pub hits: u64,
    /// Images of all updates.
    pub images: u64,
    /// Images of those that were not skipped.
    pub counted: u64,
}

/// Whether a skipped update may be due to the scale of mixed precision: the loss is finite, and a smaller scale than this is
/// left to try.
fn overflowed(report: &Report) -> bool {
    report.loss.is_finite() && report.scale > 1.0
}

impl Position {
    /// The epoch under way, from 1.
    pub fn epoch(&self) -> u32 {
        self.epochs.len() as u32 + 1
    }

    /// Takes note of an update at rate `lr`.
    pub(super) fn note(&mut self, report: &Report, lr: f64, on_nan: OnNan) -> StepRow {
        let Report { loss, hits, images, clipped, grad_norm, skip, scale, .. } = *report;
        let clipped = skip == 0 && clipped > 0;
        self.step += 1;
        let before = std::mem::take(&mut self.carried);
        self.tally.images += u64::from(images).saturating_sub(before.images);
        if skip == 0 {
            (self.skips, self.row) = (0, None);
            self.tally.loss += f64::from(loss) - before.loss;
            self.tally.hits += u64::from(hits).saturating_sub(before.hits);
            self.tally.counted += u64::from(images).saturating_sub(before.counted);
        } else {
            self.first_skip = self.first_skip.or(Some(self.step));
            // What the scale may explain does not count, nor does it end the row: the search for the scale takes a few.
            if !overflowed(report) {
                self.skips += 1;
                self.row = self.row.or(Some(self.step));
            }
            if self.skips == on_nan.most() && self.diverged.is_none() {
                (self.diverged, self.last_update) = (self.row, Some(self.step + RING as u64));
            }
        }
        let (epoch, loss, scale) = (self.epoch(), loss / images as f32, Some(scale).filter(|s| *s > 0.0));
        self.clipped += u64::from(clipped);
        StepRow { step: self.step, epoch, loss, lr, grad_norm, clipped, skipped: skip != 0, scale }
    }

    /// Takes note of batches whose gradient is carried over to the next epoch. Their images count in the epoch that has seen
    /// them; their loss does where it is finite, since their update is not known yet.
    pub(super) fn carry(&mut self, sums: &Report) {
        let Report { loss, hits, images, .. } = *sums;
        let seen = Tally { images: images.into(), ..Tally::default() };
        let finite = Tally { loss: loss.into(), hits: hits.into(), counted: images.into(), ..seen };
        self.carried = if loss.is_finite() { finite } else { seen };
        self.tally.loss += self.carried.loss;
        self.tally.hits += self.carried.hits;
        self.tally.images += self.carried.images;
        self.tally.counted += self.carried.counted;
    }

    /// Takes back the end of an epoch that `max_steps` of then cut short, and its row with it, if the run now goes on after the
    /// updates so far: it goes on within the epoch. Without `max_steps` nothing but whole epochs end it.
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

    /// Ends the epoch under way; `cut` says that it has further images.
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
