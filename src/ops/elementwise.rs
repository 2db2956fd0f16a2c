//! Activations and sums, for networks that do not fuse them into a normalization; multiplication by a constant, and a change
//! of precision.

use super::activation::Activation;
use crate::program::{Dtype, Op, Tape, Tensor, params::padded};

/// `max(x, 0)`
pub fn relu(t: &mut Tape, x: Tensor) -> Tensor {
    activate(t, x, Activation::Relu)
}

/// `max(x + other, 0)`
///
/// # Panics
/// If the shapes or the types differ.
pub fn add_relu(t: &mut Tape, x: Tensor, other: Tensor) -> Tensor {
    let y = sum(t, x, other, true);
    t.note(x, [Op::Add(other), Op::Relu], y);
    t.on_backward(y, move |t, d_y| {
        backward(t, Activation::Relu, d_y, y, x);
        backward(t, Activation::Relu, d_y, y, other);
    });
    y
}

/// `x + other`
///
/// # Panics
/// If the shapes or the types differ.
pub fn add(t: &mut Tape, x: Tensor, other: Tensor) -> Tensor {
    let y = sum(t, x, other, false);
    t.note(x, [Op::Add(other)], y);
    t.on_backward(y, move |t, d_y| {
        pass_gradient(t, d_y, x);
        pass_gradient(t, d_y, other);
    });
    y
}

fn sum(t: &mut Tape, x: Tensor, other: Tensor, relu: bool) -> Tensor {
    assert_eq!(t.shape(x), t.shape(other), "add: the two shapes differ");
    assert_eq!(t.dtype(x), t.dtype(other), "add: the two are stored differently");
    let y = t.tensor_of(t.dtype(x), t.shape(x));
    let len4 = vectors(t, x);
    let call = t.call("elementwise/add").constant("RELU", relu).size("len4", len4);
    call.read(x).read(other).write(y).over(len4);
    y
}

/// `factor * x`
pub fn scale(t: &mut Tape, x: Tensor, factor: f32) -> Tensor {
    let y = t.tensor_of(t.dtype(x), t.shape(x));
    times(t, factor, x, y, false);
    t.note(x, [Op::Scale(factor)], y);
    t.on_backward(y, move |t, d_y| {
        let (d_x, accumulate) = t.write_gradient(x);
        times(t, factor, d_y, d_x, accumulate);
    });
    y
}

/// An activation that follows neither a normalization nor a bias; one of [`Activation::None`] is `x` itself.
pub fn activate(t: &mut Tape, x: Tensor, activation: Activation) -> Tensor {
    let Some(op) = activation.op() else { return x };
    let y = t.tensor_of(t.dtype(x), t.shape(x));
    let len4 = vectors(t, x);
    activation.choose(t.call("elementwise/activate")).size("len4", len4).read(x).write(y).over(len4);
    t.note(x, [op], y);
    // ReLU's derivative at y is that at x, whose memory can then be given back.
    let at = if activation == Activation::Relu { y } else { x };
    t.on_backward(y, move |t, d_y| backward(t, activation, d_y, at, x));
    y
}

/// `x` in f32: mixed precision ends where the last layer and the loss need all digits. PyTorch's `x.float()`.
pub fn widen(t: &mut Tape, x: Tensor) -> Tensor {
    let y = t.tensor_of(Dtype::F32, t.shape(x));
    let len4 = vectors(t, x);
    t.call("elementwise/widen").size("len4", len4).read(x).write(y).over(len4);
    t.note(x, [], y);
    t.on_backward(y, move |t, d_y| {
        let (d_x, accumulate) = t.write_gradient(x);
        let call = t.call("elementwise/widen_backward").constant("ACCUMULATE", accumulate).size("len4", len4);
        call.read(d_y).write(d_x).over(len4);
    });
    y
}

/// Gives `x` the gradient `d_y` of a result in which it is a summand.
pub(super) fn pass_gradient(t: &mut Tape, d_y: Tensor, x: Tensor) {
    let (d_x, accumulate) = t.write_gradient(x);
    times(t, 1.0, d_y, d_x, accumulate);
}

fn times(t: &mut Tape, factor: f32, from: Tensor, to: Tensor, accumulate: bool) {
    let len4 = vectors(t, from);
    let call = t.call("elementwise/scale").constant("ACCUMULATE", accumulate).size("len4", len4);
    call.size("factor", factor).read(from).write(to).over(len4);
}

/// Gives `x` the gradient `d_y` times the activation's derivative at `z`.
fn backward(t: &mut Tape, activation: Activation, d_y: Tensor, z: Tensor, x: Tensor) {
    let (d_x, accumulate) = t.write_gradient(x);
    let len4 = vectors(t, x);
    let call = activation.choose(t.call("elementwise/activate_backward")).constant("ACCUMULATE", accumulate);
    call.size("len4", len4).read(d_y).read(z).write(d_x).over(len4);
}

pub(super) fn vectors(t: &Tape, x: Tensor) -> u32 {
    let [n, h, w, c] = t.shape(x);
    n * h * w * (padded(c) / 4)
}
