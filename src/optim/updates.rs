//! Counts updates while the device may skip some.
//!
//! The device skips an update whose loss or gradient is not finite, and the host learns of it a few submissions later.
//! Bias corrections depend on the number of updates that really happened. So the host sends the rows of the last eight
//! possible counts, and the device picks one by the number of skips that the host did not know of.

use super::Optimizer;
use crate::program::step::{Report, Step};

/// Most updates that may be under way before the host has read their reports: the number of rows in `Step`, less the
/// current one.
pub const IN_FLIGHT: usize = 7;

/// The host's count of updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Updates {
    /// Updates issued.
    pub issued: u64,
    /// Issued updates that the device is known to have skipped.
    pub skipped: u32,
}

impl Updates {
    /// The step uniform of the next update, at learning rate `lr`; counts that update as issued.
    ///
    /// The caller must let no more than [`IN_FLIGHT`] updates go unreported.
    pub fn next(&mut self, optimizer: &dyn Optimizer, lr: f64) -> Step {
        self.issued += 1;
        let newest = self.issued - u64::from(self.skipped);
        let mut rows = [[0.0; 4]; 8];
        for (back, row) in (0..).zip(&mut rows) {
            *row = optimizer.scalars(newest.saturating_sub(back).max(1)).map(|v| v as f32);
        }
        Step { lr: lr as f32, skipped_known: self.skipped, update: newest as u32, rows, ..Step::default() }
    }

    /// Records the number of skipped updates in a report.
    pub fn heard(&mut self, report: &Report) {
        self.skipped = report.skipped;
    }
}

/// `1 / (1 - beta^t)`: the bias correction of a moving average that starts at zero (Kingma, Ba 2015, section 3).
pub(super) fn correction(beta: f64, t: u64) -> f64 {
    // -expm1(t ln beta) keeps the digits that 1 - beta^t loses when beta is near 1.
    if beta == 0.0 { 1.0 } else { -1.0 / (t as f64 * beta.ln()).exp_m1() }
}
