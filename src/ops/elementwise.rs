//! ReLU alone and after a sum, for networks that do not fuse it into a normalization; and multiplication by a constant.

use crate::program::{Op, Tape, Tensor, params::padded};

/// `max(x, 0)`
pub fn relu(t: &mut Tape, x: Tensor) -> Tensor {
    let y = t.tensor_of(t.dtype(x), t.shape(x));
    let len4 = vectors(t, x);
    t.call("elementwise/relu").size("len4", len4).read(x).write(y).over(len4);
    t.note(x, [Op::Relu], y);
    t.on_backward(y, move |t, d_y| backward(t, d_y, y, x));
    y
}

/// `max(x + other, 0)`
///
/// # Panics
/// If the shapes or the types differ.
pub fn add_relu(t: &mut Tape, x: Tensor, other: Tensor) -> Tensor {
    assert_eq!(t.shape(x), t.shape(other), "add_relu: the two shapes differ");
    assert_eq!(t.dtype(x), t.dtype(other), "add_relu: the two are stored differently");
    let y = t.tensor_of(t.dtype(x), t.shape(x));
    let len4 = vectors(t, x);
    t.call("elementwise/add_relu").size("len4", len4).read(x).read(other).write(y).over(len4);
    t.note(x, [Op::Add(other), Op::Relu], y);
    t.on_backward(y, move |t, d_y| {
        backward(t, d_y, y, x);
        backward(t, d_y, y, other);
    });
    y
}

/// `factor * x`
pub fn scale(t: &mut Tape, x: Tensor, factor: f32) -> Tensor {
    let y = t.tensor_of(t.dtype(x), t.shape(x));
    let len4 = vectors(t, x);
    let record = move |t: &mut Tape, from: Tensor, to: Tensor, accumulate: bool| {
        let call = t.call("elementwise/scale").constant("ACCUMULATE", accumulate).size("len4", len4);
        call.size("factor", factor).read(from).write(to).over(len4);
    };
    record(t, x, y, false);
    t.note(x, [Op::Scale(factor)], y);
    t.on_backward(y, move |t, d_y| {
        let (d_x, accumulate) = t.write_gradient(x);
        record(t, d_y, d_x, accumulate);
    });
    y
}

fn backward(t: &mut Tape, d_y: Tensor, y: Tensor, x: Tensor) {
    let (d_x, accumulate) = t.write_gradient(x);
    let len4 = vectors(t, x);
    let call = t.call("elementwise/relu_backward").constant("ACCUMULATE", accumulate).size("len4", len4);
    call.read(d_y).read(y).write(d_x).over(len4);
}

pub(super) fn vectors(t: &Tape, x: Tensor) -> u32 {
    let [n, h, w, c] = t.shape(x);
    n * h * w * (padded(c) / 4)
}
