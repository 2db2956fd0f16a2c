//! mixup: each image of a batch is mixed with the one before it.

use super::elementwise::vectors;
use crate::program::{BufferKind, Input, Slot, Tape, Tensor};

/// The buffer of the share that an image keeps of itself, which comes with the batch.
pub(super) fn mixing(t: &mut Tape) -> Slot {
    t.buffer(BufferKind::Input(Input::Mixing), 4)
}

/// `lambda x + (1 - lambda) x'` of images `[n, h, w, c]` that need no gradient, where `x'` has in the place of each image the one
/// before it, and in that of the first the last (Zhang et al. 2018, arXiv 1710.09412; the pairs are those of torchvision's `MixUp`).
/// `lambda` is one number for the batch, which comes with it. [`cross_entropy_mixed`](super::cross_entropy_mixed) mixes the targets.
pub fn mixup(t: &mut Tape, x: Tensor) -> Tensor {
    let y = t.tensor_of(t.dtype(x), t.shape(x));
    t.no_gradient(y);
    let (len4, [n, _, _, c]) = (vectors(t, x), t.shape(x));
    assert!(c <= 4 && !t.wants_gradient(x), "mixup: {:?} are no images", t.shape(x));
    let mixing = mixing(t);
    t.call("mixup/mix").sizes([("n", n), ("len4", len4)]).read(x).read(mixing).write(y).over(len4);
    y
}
