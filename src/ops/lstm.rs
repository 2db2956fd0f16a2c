//! A layer of an LSTM: the products with its inputs for all places at once, and then place by place the products with the hidden
//! state before, each in one kernel with the gates and the cell.

use super::{
    conv2d::{self, Sizes},
    rows::Rows,
    scaler::scaler,
};
use crate::program::{
    Dtype, Op, Param, Slot, Tape, Tensor,
    params::{Init, Role, Shape, padded},
    product::{Gemm, Product},
};

/// What the kernels of a place must know.
#[derive(Clone, Copy)]
struct Layer {
    n: u32,
    places: u32,
    units: u32,
    half: bool,
}

impl Layer {
    /// The core that computes a place's product of so many columns and terms, whose sums have to be whole.
    fn core(&self, t: &Tape, path: &'static str, cols: u32, terms: u32) -> (Gemm, [u32; 2]) {
        let Self { n, half, .. } = *self;
        let name = format!("{path} {n}x{terms} to {cols}");
        let core = t.target.whole(&Product { path, name, rows: n, cols, count: 1, terms, half });
        (core, core.tiles(n, cols))
    }

    /// The floating-point operations of a place's product.
    fn flop(&self) -> f64 {
        8.0 * f64::from(self.n) * f64::from(self.units) * f64::from(self.units)
    }

    /// Vectors of one state.
    fn len4(&self) -> u32 {
        self.n * padded(self.units) / 4
    }

    /// Places and samples as the rows of one matrix.
    fn rows(&self) -> u32 {
        self.n * self.places
    }
}

/// The layer with number `layer` of PyTorch's `LSTM(c, units, batch_first=True)`, in order of places: takes `[n, h, w, c]` and
/// returns the hidden states `[n, h, w, units]`. Its parameters are `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0` and `bias_hh_l0`
/// under the current scope, with the gates in the order input, forget, cell, output, and its first weights are uniform in
/// ±1/sqrt(units).
///
/// It goes on from the state that the batch before has left ([`Tape::carried`]), sample by sample, as if that were a constant, and
/// leaves the one behind its last place.
pub fn lstm(t: &mut Tape, x: Tensor, units: u32, layer: u32) -> Tensor {
    let ([n, h, w, c], dtype) = (t.shape(x), t.dtype(x));
    let (init, gates) = (Init::Uniform { fan: units }, 4 * units);
    let weight = |t: &mut Tape, name: &str, inputs| {
        t.param(&format!("{name}_l{layer}"), Shape::Matrix { outputs: gates, inputs }, init, Role::Weight)
    };
    let (of_inputs, of_hidden) = (weight(t, "weight_ih", c), weight(t, "weight_hh", units));
    let biases = ["bias_ih", "bias_hh"]
        .map(|name| t.param(&format!("{name}_l{layer}"), Shape::Vector { c: gates }, init, Role::Bias));

    let values = t.tensor_of(dtype, [n, h, w, gates]);
    let sizes = Sizes::matrix(n * h * w, c, gates);
    conv2d::forward(t, sizes, x, &of_inputs, values);
    let rows = Rows::of(t.shape(values));
    for bias in &biases {
        t.call("linear/add_bias").sizes(rows.fields()).read(bias.value).write(values).over(rows.invocations());
    }

    let layer_of = Layer { n, places: h * w, units, half: dtype == Dtype::F16 };
    let previous = t.tensor_of(dtype, [n, h, w, units]);
    let cells = t.tensor_of(Dtype::F32, [n, h * w + 1, 1, units]);
    let y = t.tensor_of(dtype, [n, h, w, units]);
    let states = Tensors { values, previous, cells };
    forward(t, layer_of, &of_hidden, states, y, layer);
    let params = [of_inputs, of_hidden, biases[0], biases[1]].map(|param| param.value);
    t.note(x, [Op::Lstm { params, units, layer }], y);
    t.on_backward(y, move |t, d_y| {
        let d_values = backward(t, layer_of, &of_hidden, states, d_y);
        let (scaler, c4) = (scaler(t), gates / 4);
        for bias in biases {
            let call = t.call_reduce("linear/backward_bias").sizes([("rows", layer_of.rows()), ("c4", c4)]);
            call.read(d_values).read(scaler).write(bias.gradient).grid(c4, 1, 1);
        }
        conv2d::backward_weight(t, Sizes::matrix(layer_of.rows(), units, gates), d_values, previous, &of_hidden);
        conv2d::backward_weight(t, sizes, d_values, x, &of_inputs);
        if t.wants_gradient(x) {
            conv2d::backward_input(t, sizes, d_values, &of_inputs, x);
        }
    });
    y
}

/// What the forward pass leaves for the backward pass.
#[derive(Clone, Copy)]
struct Tensors {
    /// The gates' values; before their place is computed, what is known of their arguments.
    values: Tensor,
    /// The hidden state before each place.
    previous: Tensor,
    /// The cells before each place and behind the last, in f32: their errors would add up.
    cells: Tensor,
}

fn forward(t: &mut Tape, of: Layer, weight: &Param, states: Tensors, y: Tensor, layer: u32) {
    let Layer { n, places, units, .. } = of;
    let Tensors { values, previous, cells } = states;
    let carried = t.carried(&format!("l{layer}"), 16 * of.len4());
    let call = t.call("lstm/begin").size("len4", of.len4());
    call.write(carried).write(previous).write(cells).over(of.len4());
    let (core, [down, across]) = of.core(t, "lstm/forward", 4 * padded(units), padded(units));
    for place in 0..places {
        let call = t.call_of(core.spec("lstm/forward")).flop(of.flop());
        let call = call.sizes([("n", n), ("units", units), ("h4", padded(units) / 4)]);
        let call = call.sizes([("place", place), ("places", places)]).read(weight.value);
        call.write(values).write(previous).write(cells).write(y).grid(down, across, 1);
    }
    let call = t.call("lstm/end").sizes([("len4", of.len4()), ("places", places)]);
    call.read(y).read(cells).write(first_half(carried)).over(of.len4());
}

/// The state of a carried buffer, without the copy of the one before.
fn first_half(carried: Slot) -> Slot {
    match carried {
        Slot::Buffer { buffer, offset, bytes } => Slot::Buffer { buffer, offset, bytes: bytes / 2 },
        Slot::Tensor(_) => unreachable!("lstm: the state is carried in a persistent buffer"),
    }
}

/// Returns the gradient of the gates' arguments.
fn backward(t: &mut Tape, of: Layer, weight: &Param, states: Tensors, d_y: Tensor) -> Tensor {
    let Layer { n, places, units, .. } = of;
    let (d_values, d_cell) = (t.write_gradient(states.values).0, t.scratch(4 * of.len4()));
    let (core, [down, across]) = of.core(t, "lstm/backward", padded(units), 4 * units);
    for place in (0..places).rev() {
        let last = place + 1 == places;
        let call = t.call_of(core.spec("lstm/backward")).flop(if last { 0.0 } else { of.flop() });
        let call = call.sizes([("n", n), ("units", units), ("h4", padded(units) / 4)]);
        let call = call.sizes([("place", place), ("depth", if last { 0 } else { 4 * units })]);
        let call = call.read(weight.value).read(states.values).read(states.cells).read(d_y);
        call.write(d_cell).write(d_values).grid(down, across, 1);
    }
    d_values
}
