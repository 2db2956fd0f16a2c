//! Layer norm: the normalization of each row over its channels.

use super::{activation::Activation, bias, rows::Rows};
use crate::program::{
    Tape, Tensor,
    params::{Init, Role, Shape},
};

/// Added to the variance: PyTorch's default.
const EPS: f32 = 1e-5;

/// `y = (x - mean) / sqrt(var + 1e-5) * weight [+ bias]`, with mean and biased variance over the channels at each place of
/// each sample. Ba, Kiros and Hinton 2016; PyTorch's `LayerNorm(channels)`, with `bias=False` unless it is `biased`.
pub fn layer_norm(t: &mut Tape, x: Tensor, biased: bool) -> Tensor {
    let shape = t.shape(x);
    let (c, rows) = (shape[3], Rows::of(shape));
    let weight = t.param("weight", Shape::Vector { c }, Init::Constant(1.0), Role::Norm);
    let shift = biased.then(|| t.param("bias", Shape::Vector { c }, Init::Constant(0.0), Role::Norm));
    let y = t.tensor_of(t.dtype(x), shape);
    let saved = t.scratch(2 * rows.rows);
    let sizes = [("rows", rows.rows), ("c", c), ("c4", rows.c4)];
    let call = t.call_reduce("layernorm/forward").constant("BIAS", biased).sizes(sizes).size("eps", EPS);
    // Without a bias the kernel reads none, but has a binding for it.
    let call = call.read(x).read(weight.value).read(shift.map_or(weight.value, |shift| shift.value));
    call.write(y).write(saved).groups(rows.rows);
    t.on_backward(y, move |t, d_y| {
        let chunks = bias::rows(shape);
        let partial = t.scratch(4 * chunks.invocations());
        let call = t.call("layernorm/backward_partial").sizes(chunks.fields()).read(d_y).read(x).read(saved);
        call.write(partial).over(chunks.invocations());
        bias::finish(t, chunks, partial, weight.gradient);
        if let Some(shift) = &shift {
            bias::gradient(t, chunks, Activation::None, d_y, x, shift);
        }
        let (d_x, accumulate) = t.write_gradient(x);
        let call = t.call_reduce("layernorm/backward_input").constant("ACCUMULATE", accumulate).sizes(sizes);
        call.read(d_y).read(x).read(weight.value).read(saved).write(d_x).groups(rows.rows);
    });
    y
}
