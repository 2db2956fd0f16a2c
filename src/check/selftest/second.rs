//! A ReLU as the second consumer of a tensor, so that the op under test adds its gradient to one that is there already.

use super::{At, Data, EPS, Expected, Port, random};
use crate::{
    check::reference::elementwise::relu_backward,
    ops::relu,
    program::{Tape, Tensor},
};

/// The port of the gradient of the ReLU's output, which only cases with a second consumer have.
pub const GRADIENT: &str = "second.grad_out";

/// Records the ReLU: after the op, so that its gradient arrives before the op's.
pub fn consume(t: &mut Tape, x: Tensor) -> Port {
    consume_as(t, x, At::Tensor)
}

fn consume_as(t: &mut Tape, x: Tensor, at: fn(Tensor) -> At) -> Port {
    let y = relu(t, x);
    Port::new(GRADIENT, at(t.write_gradient(y).0))
}

/// Records an op of one tensor `x`, the second consumer if there is to be one, and the backward pass.
pub fn unary(t: &mut Tape, x: [u32; 4], shared: bool, op: impl FnOnce(&mut Tape, Tensor) -> Tensor) -> Vec<Port> {
    unary_as(t, x, shared, At::Tensor, op)
}

/// [`unary`] with its tensors as rows.
pub fn unary_rows(t: &mut Tape, x: [u32; 4], shared: bool, op: impl FnOnce(&mut Tape, Tensor) -> Tensor) -> Vec<Port> {
    unary_as(t, x, shared, At::Rows, op)
}

fn unary_as(
    t: &mut Tape,
    x: [u32; 4],
    shared: bool,
    at: fn(Tensor) -> At,
    op: impl FnOnce(&mut Tape, Tensor) -> Tensor,
) -> Vec<Port> {
    let x = t.tensor(x);
    let y = op(t, x);
    let mut ports =
        vec![Port::new("x", at(x)), Port::new("out", at(y)), Port::new("grad_out", at(t.write_gradient(y).0))];
    ports.extend(shared.then(|| consume_as(t, x, at)));
    t.backward();
    ports.push(Port::new("grad_x", at(t.gradient(x).expect("the op has given one"))));
    ports
}

/// The ports of an op's parameter called weight.
pub fn weight() -> [Port; 3] {
    let gradient = || At::Gradient("weight");
    [
        Port::new("weight", At::Param("weight")),
        Port::new("grad_weight_before", gradient()),
        Port::new("grad_weight", gradient()),
    ]
}

/// The gradient that the ReLU gives the tensor of the port `x`, if there is a second consumer.
pub fn gradient(data: &Data, x: &str) -> Option<Vec<f64>> {
    let gradient = data.get(GRADIENT)?;
    Some(relu_backward(&data[x], gradient))
}

/// The inputs of an op of `x` whose result has so many elements.
pub fn data(x: Vec<f64>, outputs: usize, shared: bool) -> Data {
    let second = shared.then(|| (GRADIENT, random(x.len(), 3)));
    Data::from_iter([("x", x), ("grad_out", random(outputs, 2))].into_iter().chain(second))
}

/// The gradient of `x` that the op gives, with bounds, and that of the second consumer if there is one: a sum of two, which is
/// rounded once.
pub fn with_second(data: &Data, [mut value, mut bound]: [Vec<f64>; 2]) -> Expected {
    if let Some(second) = gradient(data, "x") {
        for (i, second) in second.into_iter().enumerate() {
            value[i] += second;
            bound[i] += EPS * value[i].abs();
        }
    }
    Expected { port: "grad_x", value, bound, exempt: 0.0 }
}

/// A gradient that the op passes on as it is.
pub fn passed(data: &Data, d_x: Vec<f64>) -> Expected {
    let bound = vec![0.0; d_x.len()];
    with_second(data, [d_x, bound])
}

/// What `grad_x` holds before the op adds to it, for [`super::Case::intermediate`].
pub fn left(data: &Data, x: &str, grad_x: &'static str) -> Data {
    gradient(data, x).map(|gradient| (grad_x, gradient)).into_iter().collect()
}
