//! What several ranks that train together hand each other is put together by these.

use crate::program::{Slot, Tape};

/// Records `sum += share`, of `len4` vectors of four numbers.
pub fn add_share(t: &mut Tape, share: Slot, sum: Slot, len4: u32) {
    t.call("exchange/add").size("len4", len4).read(share).write(sum).over(len4.max(1));
}

/// Records that the running mean and variance of a batch norm of `c4` vectors of channels move by those of a batch, each by
/// `momentum` of the way. A mean of -0 says that the batch leaves them as they are.
pub fn move_running(t: &mut Tape, batch: [Slot; 2], running: [Slot; 2], c4: u32, momentum: f32) {
    let ([batch_mean, batch_var], [mean, var]) = (batch, running);
    let call = t.call("exchange/running").size("c4", c4).size("momentum", momentum);
    call.read(batch_mean).read(batch_var).write(mean).write(var).over(c4);
}
