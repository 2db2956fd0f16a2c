//! The scale of the loss's gradient under mixed precision: a buffer that the loss multiplies by and every parameter's
//! gradient is divided by, in the kernels that compute them anyway, and the call that moves it after an update.

use std::borrow::Cow;

use crate::program::{BufferKind, Slot, Tape};

/// The buffer of the scale, as `shaders/shared/scaler.wgsl` has it. All zeros is a scale of 1.
pub const SCALER: BufferKind = BufferKind::State(Cow::Borrowed("scaler"));

/// What it starts from under mixed precision: 2^16, and no good update yet.
pub const FIRST_SCALE: [u32; 2] = [16, 0];

pub(super) fn scaler(t: &mut Tape) -> Slot {
    t.buffer(SCALER, 16)
}

/// Appends, behind an update, the call that halves the scale if the update was skipped and doubles it after 2,000 that were
/// not: `torch.amp.GradScaler`'s rule.
pub fn adjust_scale(t: &mut Tape) {
    let (report, scaler) = (t.report(), scaler(t));
    t.call("scaler/adjust").write(report).write(scaler).grid(1, 1, 1);
}
