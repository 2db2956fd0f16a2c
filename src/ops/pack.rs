//! Queries, keys and values of layers of their own side by side.

use super::elementwise::vectors;
use crate::program::{Op, Tape, Tensor};

/// Queries, keys and values `[n, h, w, c]` side by side, `[n, h, w, 3 c]`, as [`attention`](super::attention) takes them. PyTorch's
/// `cat((query, key, value), -1)`.
///
/// # Panics
/// If the three have other shapes or types than each other, or their channels are not a multiple of four.
pub fn pack(t: &mut Tape, query: Tensor, key: Tensor, value: Tensor) -> Tensor {
    let shape = t.shape(query);
    let [n, h, w, c] = shape;
    assert!(c.is_multiple_of(4), "pack: queries of shape {shape:?}");
    for other in [key, value] {
        assert_eq!(t.shape(other), shape, "pack: the shapes differ");
        assert_eq!(t.dtype(other), t.dtype(query), "pack: they are stored differently");
    }
    let y = t.tensor_of(t.dtype(query), [n, h, w, 3 * c]);
    let (len4, c4) = (vectors(t, query), c / 4);
    let call = t.call("pack/forward").sizes([("len4", len4), ("c4", c4)]);
    call.read(query).read(key).read(value).write(y).over(len4);
    t.note(query, [Op::Pack { key, value }], y);
    t.on_backward(y, move |t, d_y| {
        for (part, x) in (0..).zip([query, key, value]) {
            let (d_x, accumulate) = t.write_gradient(x);
            let call = t.call("pack/backward").constant("ACCUMULATE", accumulate);
            call.sizes([("len4", len4), ("c4", c4), ("part", part)]).read(d_y).write(d_x).over(len4);
        }
    });
    y
}
