//! Layer norm: the normalization of each row over its channels.

use super::{
    bias::{finish, rows as chunks},
    rows::Rows,
};
use crate::program::{
    Tape, Tensor,
    params::{Init, Role, Shape},
};

/// Added to the variance: PyTorch's default.
const EPS: f32 = 1e-5;

/// `y = (x - mean) / sqrt(var + 1e-5) * weight [+ bias]`, with mean and biased variance over the channels at each place of
/// each sample. Ba, Kiros and Hinton 2016; PyTorch's `LayerNorm(channels)`, with `bias=False` where `bias` is false.
pub fn layer_norm(t: &mut Tape, x: Tensor, bias: bool) -> Tensor {
    let shape = t.shape(x);
    let (c, rows) = (shape[3], Rows::of(shape));
    let weight = t.param("weight", Shape::Vector { c }, Init::Constant(1.0), Role::Norm);
    let shift = bias.then(|| t.param("bias", Shape::Vector { c }, Init::Constant(0.0), Role::Norm));
    let y = t.tensor_of(t.dtype(x), shape);
    let saved = t.scratch(2 * rows.rows);
    let sizes = [("rows", rows.rows), ("c", c), ("c4", rows.c4)];
    let call = t.call_reduce("layernorm/forward").constant("BIAS", bias).sizes(sizes).size("eps", EPS);
    // Without a bias the kernel does not read one.
    let call = call.read(x).read(weight.value).read(shift.map_or(weight.value, |shift| shift.value));
    call.write(y).write(saved).groups(rows.rows);
    t.on_backward(y, move |t, d_y| {
        let chunks = chunks(shape);
        let sum = |t: &mut Tape, of_weight: bool, gradient| {
            let partial = t.scratch(4 * chunks.invocations());
            let kernel = if of_weight { "layernorm/backward_partial" } else { "layernorm/backward_bias" };
            let call = t.call(kernel).sizes(chunks.fields()).read(d_y);
            let call = if of_weight { call.read(x).read(saved) } else { call };
            call.write(partial).over(chunks.invocations());
            finish(t, chunks, partial, gradient);
        };
        sum(t, true, weight.gradient);
        if let Some(shift) = shift {
            sum(t, false, shift.gradient);
        }
        let (d_x, accumulate) = t.write_gradient(x);
        let call = t.call_reduce("layernorm/backward_input").constant("ACCUMULATE", accumulate).sizes(sizes);
        call.read(d_y).read(x).read(weight.value).read(saved).write(d_x).groups(rows.rows);
    });
    y
}
