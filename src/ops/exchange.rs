//! Sums of what several batches add: of several ranks that train together, and of one device.

use crate::program::{Apart, Slot, Tape};

/// Records `sum += share`, of `len4` vectors of four numbers.
pub fn add_share(t: &mut Tape, share: Slot, sum: Slot, len4: u32) {
    t.call("exchange/add").size("len4", len4).read(share).write(sum).over(len4.max(1));
}

/// Has what a batch adds to a parameter's gradient more than once summed apart, and added to the gradient once; comes after the
/// backward pass. The sum over batches then has the bits that several ranks give it.
pub fn sum_apart(t: &mut Tape) {
    for Apart { label, own, all, floats } in t.set_apart() {
        t.scope(label, |t| add_share(t, own, all, floats / 4));
    }
}

/// Records that the running mean and variance of a batch norm of `c4` vectors of channels move by those of a batch, each by
/// `momentum` of the way. A mean of -0 says that the batch leaves them as they are.
pub fn move_running(t: &mut Tape, batch: [Slot; 2], running: [Slot; 2], c4: u32, momentum: f32) {
    let ([batch_mean, batch_var], [mean, var]) = (batch, running);
    let call = t.call("exchange/running").size("c4", c4).size("momentum", momentum);
    call.read(batch_mean).read(batch_var).write(mean).write(var).over(c4);
}
