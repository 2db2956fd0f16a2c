//! The linear layer: a bias, and a matrix product computed as a convolution by 1x1 filters.

use super::{conv2d, rows::Rows, scaler::scaler};
use crate::program::{
    Op, Param, Tape, Tensor,
    params::{Init, Role, Shape, padded},
};

/// `y[..,k] = sum over c of x[..,c] * weight[k,c] + bias[k]`, at every place of every sample: PyTorch's `linear`.
pub fn linear(t: &mut Tape, x: Tensor, outputs: u32) -> Tensor {
    let fan = t.shape(x)[3];
    let (y, weight) = product(t, x, outputs, Init::Uniform { fan });
    let bias = t.param("bias", Shape::Vector { c: outputs }, Init::Uniform { fan }, Role::Bias);
    let rows = Rows::of(t.shape(y));
    t.call("linear/add_bias").sizes(rows.fields()).read(bias.value).write(y).over(rows.invocations());
    t.note(x, [Op::Linear { weight: weight.value, bias: Some(bias.value) }], y);
    t.on_backward(y, move |t, d_y| {
        let c4 = padded(outputs) / 4;
        let scaler = scaler(t);
        let call = t.call_reduce("linear/backward_bias").sizes([("rows", rows.rows), ("c4", c4)]);
        call.read(d_y).read(scaler).write(bias.gradient).grid(c4, 1, 1);
    });
    y
}

/// [`linear`] without bias, with a weight that `init` initializes.
pub fn linear_of(t: &mut Tape, x: Tensor, outputs: u32, init: Init) -> Tensor {
    let (y, weight) = product(t, x, outputs, init);
    t.note(x, [Op::Linear { weight: weight.value, bias: None }], y);
    y
}

/// [`linear`] without bias, by a weight that the caller has declared, to whose gradient each product by it adds.
///
/// # Panics
/// If the weight is no matrix of as many columns as `x` has channels.
pub fn linear_by(t: &mut Tape, x: Tensor, weight: Param) -> Tensor {
    let y = by(t, x, weight);
    t.note(x, [Op::Linear { weight: weight.value, bias: None }], y);
    y
}

/// [`linear`] without bias, with a weight that another layer has declared, as the head of a language model shares that of
/// its [`embedding`](super::embedding). Both layers add to its gradient.
///
/// # Panics
/// If the weight is no matrix of as many columns as `x` has channels.
pub fn linear_tied(t: &mut Tape, x: Tensor, weight: Param) -> Tensor {
    t.tie();
    linear_by(t, x, weight)
}

/// The product of both, and the weight.
fn product(t: &mut Tape, x: Tensor, outputs: u32, init: Init) -> (Tensor, Param) {
    let inputs = t.shape(x)[3];
    let weight = t.param("weight", Shape::Matrix { outputs, inputs }, init, Role::Weight);
    (by(t, x, weight), weight)
}

/// The product with this weight.
fn by(t: &mut Tape, x: Tensor, weight: Param) -> Tensor {
    let [n, h, w, c] = t.shape(x);
    let outputs = match weight.shape {
        Shape::Matrix { outputs, inputs } if inputs == c => outputs,
        other => panic!("linear: an input of shape {:?} and a weight of shape {:?}", [n, h, w, c], other.dims()),
    };
    let sizes = conv2d::Sizes::matrix(n * h * w, c, outputs);
    let y = t.tensor_of(t.dtype(x), [n, h, w, outputs]);
    conv2d::forward(t, sizes, x, &weight, y);
    t.on_backward(y, move |t, d_y| {
        conv2d::backward_weight(t, sizes, d_y, x, &weight);
        if t.wants_gradient(x) {
            conv2d::backward_input(t, sizes, d_y, &weight, x);
        }
    });
    y
}
