//! Queries of one sequence beside keys and values of another, for the attention of a decoder to what an encoder returned.

use super::elementwise::vectors;
use crate::program::{Op, Tape, Tensor};

/// The queries of `own` and the keys and values of `memory`, each all three side by side, `[n, h, w, 3 c]`, as
/// [`attention`](super::attention) takes them. PyTorch's `MultiheadAttention` of a query and another key and value, whose
/// `in_proj_weight` is multiplied by both.
///
/// # Panics
/// If the shapes or the types differ, or `c` is not a multiple of four.
pub fn cross(t: &mut Tape, own: Tensor, memory: Tensor) -> Tensor {
    let shape = t.shape(own);
    let all = shape[3];
    assert!(shape == t.shape(memory) && all.is_multiple_of(12), "cross: {shape:?} and {:?}", t.shape(memory));
    assert_eq!(t.dtype(own), t.dtype(memory), "cross: the two are stored differently");
    let y = t.tensor_of(t.dtype(own), shape);
    let len4 = vectors(t, y);
    let sizes = [("len4", len4), ("c4", all / 12)];
    t.call("cross/forward").sizes(sizes).read(own).read(memory).write(y).over(len4);
    t.note(own, [Op::Cross(memory)], y);
    t.on_backward(y, move |t, d_y| {
        for (x, is_own) in [(own, true), (memory, false)] {
            let (d_x, accumulate) = t.write_gradient(x);
            let call = t.call("cross/backward").constant("OWN", is_own).constant("ACCUMULATE", accumulate);
            call.sizes(sizes).read(d_y).write(d_x).over(len4);
        }
    });
    y
}
