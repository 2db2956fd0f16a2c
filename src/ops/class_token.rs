//! The class token of ViT and BERT: a learned token before the places of a sample, and what has become of it.

use super::{elementwise::vectors, scaler::scaler};
use crate::program::{
    Op, Tape, Tensor,
    params::{Init, Role, Shape, padded},
};

/// A map of shape `[n, h, w, c]` as places in a line behind a parameter called `name`, `[n, 1 + h w, 1, c]`. PyTorch:
/// `cat([token.expand(n, 1, c), x], dim=1)` with a token of shape `[1, 1, c]`.
pub fn class_token(t: &mut Tape, x: Tensor, name: &str, init: Init) -> Tensor {
    let [n, h, w, c] = t.shape(x);
    let token = t.param(name, Shape::Rows { rows: 1, c }, init, Role::Embedding);
    let y = t.tensor_of(t.dtype(x), [n, 1 + h * w, 1, c]);
    let (c4, len4) = (padded(c) / 4, vectors(t, y));
    let call = t.call("class_token/forward").sizes([("len4", len4), ("first", n * c4), ("c4", c4)]);
    call.read(x).read(token.value).write(y).over(len4);
    t.note(x, [Op::ClassToken(token.value)], y);
    t.on_backward(y, move |t, d_y| {
        let scaler = scaler(t);
        let call = t.call("embedding/backward_positions").sizes([("len4", c4), ("n", n), ("c4", c4)]);
        call.read(d_y).read(scaler).write(token.gradient).over(c4);
        let (d_x, accumulate) = t.write_gradient(x);
        part(t, d_y, d_x, n * c4, accumulate);
    });
    y
}

/// The first place of each sample, `[n, 1, 1, c]`: PyTorch's `x[:, 0]`.
pub fn first_place(t: &mut Tape, x: Tensor) -> Tensor {
    let [n, _, _, c] = t.shape(x);
    let y = t.tensor_of(t.dtype(x), [n, 1, 1, c]);
    part(t, x, y, 0, false);
    t.note(x, [Op::FirstPlace], y);
    t.on_backward(y, move |t, d_y| {
        let (d_x, accumulate) = t.write_gradient(x);
        part(t, d_y, d_x, 0, accumulate);
    });
    y
}

/// `to` is `from` without its first `skip` vectors, and 0 where that has ended.
fn part(t: &mut Tape, from: Tensor, to: Tensor, skip: u32, accumulate: bool) {
    let (len4, end) = (vectors(t, to), vectors(t, from));
    let call = t.call("class_token/part").constant("ACCUMULATE", accumulate);
    call.sizes([("len4", len4), ("skip", skip), ("end", end)]).read(from).write(to).over(len4);
}
