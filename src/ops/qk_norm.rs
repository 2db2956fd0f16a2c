//! The normalization of queries and keys, which keeps the products of attention bounded.

use crate::program::{Op, Tape, Tensor};

const EPS: f32 = 1e-5;

/// Queries and keys of each head, `x / sqrt(mean(x^2) + 1e-5)` with the mean over the head's channels; values as they are. Takes
/// and returns all three side by side, `[n, h, w, 3 c]`, as [`attention`](super::attention) takes them. Henry and others 2020;
/// PyTorch's `rms_norm(x, (d,), eps=1e-5)`.
///
/// # Panics
/// If a head's channels are not a multiple of four.
pub fn qk_norm(t: &mut Tape, qkv: Tensor, heads: u32) -> Tensor {
    let shape = t.shape(qkv);
    let [n, h, w, all] = shape;
    assert!(all.is_multiple_of(12 * heads), "qk_norm: {heads} heads on an input of shape {shape:?}");
    let rows = n * h * w * 3 * heads;
    let sizes = [("rows", rows), ("heads", heads), ("d4", all / (12 * heads))];
    let y = t.tensor_of(t.dtype(qkv), shape);
    t.call("qk_norm/forward").sizes(sizes).size("eps", EPS).read(qkv).write(y).over(rows);
    t.note(qkv, [Op::QkNorm { heads, eps: EPS }], y);
    t.on_backward(y, move |t, d_y| {
        let (d_x, accumulate) = t.write_gradient(qkv);
        let call = t.call("qk_norm/backward").constant("ACCUMULATE", accumulate).sizes(sizes).size("eps", EPS);
        call.read(qkv).read(d_y).write(d_x).over(rows);
    });
    y
}
