//! Maps as rows, for linear layers behind convolutions.

use super::elementwise::vectors;
use crate::program::{Op, Tape, Tensor, params::padded};

/// A map of shape `[n, h, w, c]` as a row for each image, `[n, 1, 1, c * h * w]`, in PyTorch's order: channel by channel, and
/// row by row within a channel. A map of one pixel is that already. PyTorch's `flatten(x, 1)`.
pub fn flatten(t: &mut Tape, x: Tensor) -> Tensor {
    let [n, h, w, c] = t.shape(x);
    if h * w == 1 {
        return x;
    }
    let outputs = c * h * w;
    let len4 = vectors(t, x);
    let sizes =
        [("len4", len4), ("n", n), ("c", c), ("c4", padded(c) / 4), ("pixels", h * w), ("stride", padded(outputs))];
    let y = t.tensor_of(t.dtype(x), [n, 1, 1, outputs]);
    t.call("reshape/flatten").sizes(sizes).read(x).write(y).over(len4);
    t.note(x, [Op::Flatten], y);
    t.on_backward(y, move |t, d_y| {
        let (d_x, accumulate) = t.write_gradient(x);
        let call = t.call("reshape/flatten_backward").constant("ACCUMULATE", accumulate).sizes(sizes);
        call.read(d_y).write(d_x).over(len4);
    });
    y
}
