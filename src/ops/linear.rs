//! The linear layer: a bias, and a matrix product computed as a convolution on a 1x1 map.

use super::{conv2d, rows::Rows, scaler::scaler};
use crate::program::{
    Op, Param, Tape, Tensor,
    params::{Init, Role, Shape, padded},
};

/// `y[n,k] = sum over c of x[n,c] * weight[k,c] + bias[k]`: PyTorch's `linear`.
///
/// # Panics
/// If `x` has more than one pixel: pool it first.
pub fn linear(t: &mut Tape, x: Tensor, outputs: u32) -> Tensor {
    let fan = t.shape(x)[3];
    let (y, weight) = product(t, x, outputs, Init::Uniform { fan });
    let bias = t.param("bias", Shape::Vector { c: outputs }, Init::Uniform { fan }, Role::Bias);
    let n = t.shape(y)[0];
    let rows = Rows::of([n, 1, 1, outputs]);
    t.call("linear/add_bias").sizes(rows.fields()).read(bias.value).write(y).over(rows.invocations());
    t.note(x, [Op::Linear { weight: weight.value, bias: Some(bias.value) }], y);
    t.on_backward(y, move |t, d_y| {
        let c4 = padded(outputs) / 4;
        let scaler = scaler(t);
        let call = t.call_reduce("linear/backward_bias").sizes([("rows", n), ("c4", c4)]);
        call.read(d_y).read(scaler).write(bias.gradient).grid(c4, 1, 1);
    });
    y
}

/// [`linear`] without bias, with a weight that `init` initializes.
///
/// # Panics
/// If `x` has more than one pixel.
pub fn linear_of(t: &mut Tape, x: Tensor, outputs: u32, init: Init) -> Tensor {
    let (y, weight) = product(t, x, outputs, init);
    t.note(x, [Op::Linear { weight: weight.value, bias: None }], y);
    y
}

/// The product of both, and the weight.
fn product(t: &mut Tape, x: Tensor, outputs: u32, init: Init) -> (Tensor, Param) {
    let [n, h, w, inputs] = t.shape(x);
    assert!(h == 1 && w == 1, "linear: an input of shape {:?} has a map", [n, h, w, inputs]);
    let sizes = conv2d::Sizes::matrix(n, inputs, outputs);
    let weight = t.param("weight", Shape::Matrix { outputs, inputs }, init, Role::Weight);
    let y = t.tensor_of(t.dtype(x), [n, 1, 1, outputs]);
    conv2d::forward(t, sizes, x, &weight, y);
    t.on_backward(y, move |t, d_y| {
        conv2d::backward_weight(t, sizes, d_y, x, &weight);
        if t.wants_gradient(x) {
            conv2d::backward_input(t, sizes, d_y, &weight, x);
        }
    });
    (y, weight)
}
