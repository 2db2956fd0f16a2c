//! The loss scale of mixed precision: a buffer by which the loss is multiplied and every parameter's gradient divided,
//! in the kernels that compute them anyway, and the call that adjusts it after an update.

use std::borrow::Cow;

use crate::program::{BufferKind, Slot, Tape};

/// The buffer of the loss scale, as `shaders/shared/scaler.wgsl` declares it. All zeros mean a scale of 1.
pub const SCALER: BufferKind = BufferKind::State(Cow::Borrowed("scaler"));

/// Its content at the start of mixed-precision training: a scale of 2^16, and no good update yet.
pub const FIRST_SCALE: [u32; 2] = [16, 0];

pub(super) fn scaler(t: &mut Tape) -> Slot {
    t.buffer(SCALER, 16)
}

/// Records, after an update, the call that halves the scale if the update was skipped and doubles it after 2,000
/// updates that were not: the rule of `torch.amp.GradScaler`.
pub fn adjust_scale(t: &mut Tape) {
    let (report, scaler) = (t.report(), scaler(t));
    t.call("scaler/adjust").write(report).write(scaler).grid(1, 1, 1);
}
