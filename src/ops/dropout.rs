//! Dropout, from a counter-based generator.

use super::elementwise::vectors;
use crate::program::{Tape, Tensor};

/// In training, sets each element to 0 with probability `p` and scales the others by 1/(1-p); in evaluation, and for a `p`
/// of 0, returns `x` itself. PyTorch's `dropout`.
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
    // Two dropouts of one network draw apart.
    let layer = t.calls_so_far();
    let record = move |t: &mut Tape, from: Tensor, to: Tensor, accumulate: bool| {
        let call = t.call("dropout/apply").constant("ACCUMULATE", accumulate).size("len4", len4);
        call.size("layer", layer).size("p", p).read(from).write(to).over(len4);
    };
    record(t, x, y, false);
    t.on_backward(y, move |t, d_y| {
        let (d_x, accumulate) = t.write_gradient(x);
        record(t, d_y, d_x, accumulate);
    });
    y
}
