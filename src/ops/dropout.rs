//! Dropout, from a counter-based generator.
//!
//! Whether an element is dropped depends on the run's seed, the layer, the epoch, the sample's index in its data set
//! and the element's place within the sample. So a sample is masked alike wherever it lies in a batch, however many
//! batches make an update, and however the layers before are computed. The epoch serves as the counter, as in
//! augmentation: since an epoch shows each sample once, neither updates nor batches need counting.

use super::elementwise::vectors;
use crate::program::{BufferKind, Input, Tape, Tensor, params::padded};

/// In training, sets each element of `x`, of shape `[n, h, w, c]`, to 0 with probability `p` and scales the others by
/// 1/(1-p); in evaluation, and for a `p` of 0, returns `x` itself. PyTorch's `dropout`. The samples' indices come from the
/// buffer `indices`.
///
/// # Panics
/// If `p` is not in [0, 1).
pub fn dropout(t: &mut Tape, x: Tensor, p: f32) -> Tensor {
    assert!((0.0..1.0).contains(&p), "dropout: a probability of {p}");
    if !t.training || p == 0.0 {
        return x;
    }
    let y = t.tensor_of(t.dtype(x), t.shape(x));
    let len4 = vectors(t, x);
    let [n, _, _, c] = t.shape(x);
    let indices = t.buffer(BufferKind::Input(Input::Indices), 4 * u64::from(n));
    let layer = t.draw_key("dropout");
    let record = move |t: &mut Tape, from: Tensor, to: Tensor, accumulate: bool| {
        let call = t.call("dropout/apply").constant("ACCUMULATE", accumulate);
        let call = call.sizes([("len4", len4), ("n", n), ("c4", padded(c) / 4), ("layer", layer)]).size("p", p);
        call.read(indices).read(from).write(to).over(len4);
    };
    record(t, x, y, false);
    t.on_backward(y, move |t, d_y| {
        let (d_x, accumulate) = t.write_gradient(x);
        record(t, d_y, d_x, accumulate);
    });
    y
}
