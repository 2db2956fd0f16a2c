//! A bias per channel and an activation, in one pass over memory, for convolutions without batch norm.

use super::{activation::Activation, rows::Rows, scaler::scaler};
use crate::program::{
    Op, Param, Slot, Tape, Tensor,
    params::{Init, Role, Shape},
};

/// Cuts a map into chunks of rows whose sums one workgroup merges. There may be more chunks than in batch norm, since
/// each has only one number per channel and the maps behind a first layer are the largest.
pub(crate) fn rows(shape: [u32; 4]) -> Rows {
    let rows = Rows::of(shape);
    Rows { chunk_rows: rows.rows.div_ceil(4096).max(16), ..rows }
}

/// `y[n,h,w,c] = activation(x[n,h,w,c] + bias[c])`.
///
/// If `x` needs no gradient ([`Tape::no_gradient`]), only that of the bias is computed.
pub fn bias(t: &mut Tape, x: Tensor, init: Init, activation: Activation) -> Tensor {
    bias_called(t, x, "bias", init, activation)
}

/// [`bias`] with a parameter of this name.
pub fn bias_called(t: &mut Tape, x: Tensor, name: &str, init: Init, activation: Activation) -> Tensor {
    let shape = t.shape(x);
    let (rows, spread) = (rows(shape), Rows::spread(shape));
    let bias = t.param(name, Shape::Vector { c: shape[3] }, init, Role::Bias);
    let y = t.tensor_of(t.dtype(x), shape);
    let call = activation.choose(t.call("bias/apply")).sizes(spread.fields()).read(x).read(bias.value);
    call.write(y).over(spread.invocations());
    t.note(x, [Some(Op::Bias(bias.value)), activation.op()].into_iter().flatten(), y);
    t.on_backward(y, move |t, d_y| {
        gradient(t, rows, activation, d_y, x, &bias);
        if t.wants_gradient(x) {
            let (d_x, accumulate) = t.write_gradient(x);
            let call = activation.choose(t.call("bias/backward_apply")).constant("ACCUMULATE", accumulate);
            let call = call.sizes(spread.fields()).read(d_y).read(x).read(bias.value);
            call.write(d_x).over(spread.invocations());
        }
    });
    y
}

/// Adds to a bias's gradient: the sum over the rows of `d_y` times the activation's derivative at `x + bias`.
pub(super) fn gradient(t: &mut Tape, rows: Rows, activation: Activation, d_y: Tensor, x: Tensor, bias: &Param) {
    let partial = t.scratch(4 * rows.invocations());
    let call = activation.choose(t.call("bias/backward_partial")).sizes(rows.fields()).read(d_y).read(x);
    call.read(bias.value).write(partial).over(rows.invocations());
    finish(t, rows, partial, bias.gradient);
}

/// Adds the sums over chunks of rows, four channels of each in an invocation's place, to a parameter's gradient.
pub(super) fn finish(t: &mut Tape, rows: Rows, partial: Tensor, gradient: Slot) {
    let scaler = scaler(t);
    let call = t.call_reduce("bias/backward_finish").sizes(rows.fields()).read(partial).read(scaler);
    call.write(gradient).groups(rows.c4);
}
