//! A layer of an LSTM.

use std::ops::{Add, Mul, Sub};

use super::{
    At, Case, Data, EPS, EPS16, Expected, Port, SCALE_EXPONENT, SPREAD, TINY, TINY16, Word, random, scaler, single,
};
use crate::{
    check::reference::lstm::{self as reference, Arguments, Backward, Forward, Lstm, Number},
    ops::lstm,
    program::{BufferKind, Tape, params::padded},
};

/// A layer that goes on from a state.
#[derive(Clone, Copy, Debug)]
pub struct LstmCase {
    /// Samples.
    pub n: u32,
    /// Places of a sample.
    pub places: u32,
    /// Channels of the input.
    pub inputs: u32,
    /// Units.
    pub units: u32,
    /// Whether the layer is evaluated, and not trained.
    pub evaluated: bool,
}

/// A number, and how far a device's may be from it: to first order, for independent operations in float32 and, where `HALF`, for
/// storing activations as f16. The bounds of the gates are those of WGSL's accuracy table: `exp(z)` is right to `3 + 2|z|` units in
/// the last place, and a division to 2.5.
#[derive(Clone, Copy)]
struct Near<const HALF: bool> {
    value: f64,
    error: f64,
}

impl<const HALF: bool> Near<HALF> {
    /// The number with a further error of this many units in the last place of `size`.
    fn rounded(self, units: f64, size: f64) -> Self {
        Self { error: self.error + EPS * units * size.abs() + TINY, ..self }
    }
}

impl<const HALF: bool> Add for Near<HALF> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let value = self.value + other.value;
        Self { value, error: self.error + other.error }.rounded(1.0, value)
    }
}

impl<const HALF: bool> Sub for Near<HALF> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + Self { value: -other.value, ..other }
    }
}

impl<const HALF: bool> Mul for Near<HALF> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let value = self.value * other.value;
        let error = self.error * other.value.abs() + self.value.abs() * other.error + self.error * other.error;
        Self { value, error }.rounded(1.0, value)
    }
}

impl<const HALF: bool> Number for Near<HALF> {
    fn exactly(value: f64) -> Self {
        Self { value, error: 0.0 }
    }

    fn sum(terms: &[Self]) -> Self {
        let of = |get: fn(&Self) -> f64| terms.iter().map(get).sum::<f64>();
        let units = SPREAD * (terms.len().max(1) as f64).sqrt();
        Self { value: of(|term| term.value), error: of(|term| term.error) }.rounded(units, of(|term| term.value.abs()))
    }

    fn sigmoid(self) -> Self {
        let (value, z) = (Number::sigmoid(self.value), self.value.abs());
        let error = value * (1.0 - value) * (self.error + EPS * (3.0 + 2.0 * z));
        Self { value, error }.rounded(4.0, value)
    }

    /// As `2 sigmoid(2 z) - 1`.
    fn tanh(self) -> Self {
        let twice = Number::sigmoid(Self { value: 2.0 * self.value, error: 2.0 * self.error });
        Self { value: self.value.tanh(), error: 2.0 * twice.error }.rounded(1.0, 1.0)
    }

    fn stored(self) -> Self {
        let error = if HALF { EPS16 * (self.value.abs() + self.error) + TINY16 } else { 0.0 };
        Self { error: self.error + error, ..self }
    }
}

/// `[n][rows][c]` as `[n][c][rows]`, in which order the elements of working memory are.
fn channels_first<T: Copy>(values: &[T], rows: usize, c: usize) -> Vec<T> {
    let samples = values.chunks_exact(rows * c);
    samples.flat_map(|sample| (0..c).flat_map(move |c_| (0..rows).map(move |row| sample[row * c + c_]))).collect()
}

/// A value for each element and its bound.
fn near<const HALF: bool>(port: &'static str, value: Vec<f64>, near: &[Near<HALF>]) -> Expected {
    let bound = near.iter().map(|near| near.error + TINY).collect();
    Expected { port, value, bound, exempt: 0.0 }
}

/// The gradient of a parameter, with the loss scale undone, added to what is there.
fn added<const HALF: bool>(port: &'static str, before: &[f64], value: &[f64], near: &[Near<HALF>]) -> Expected {
    let inverse = 0.5_f64.powi(SCALE_EXPONENT as i32);
    let value: Vec<f64> = before.iter().zip(value).map(|(before, v)| before + inverse * v).collect();
    let bound = near.iter().zip(&value).map(|(near, v)| inverse * near.error + EPS * v.abs() + TINY).collect();
    Expected { port, value, bound, exempt: 0.0 }
}

impl LstmCase {
    fn shape(&self) -> Lstm {
        let [n, places, inputs, units] = [self.n, self.places, self.inputs, self.units].map(|d| d as usize);
        Lstm { n, places, inputs, units }
    }

    /// Words of one state as the carried buffer stores it.
    fn state(&self) -> u32 {
        self.n * padded(self.units)
    }

    /// A state of the carried buffer: 0 and 1 are the hidden state and the cells.
    fn carried(&self, data: &Data, nth: usize) -> Vec<f64> {
        let (stride, units) = (padded(self.units) as usize, self.units as usize);
        let state = &data["carried"][nth * self.state() as usize..][..self.state() as usize];
        state.chunks(stride).flat_map(|row| &row[..units]).copied().collect()
    }

    /// A state `[n][units]` as it is stored.
    fn stored<T: Copy>(&self, state: &[T], zero: T) -> Vec<T> {
        let pad = (padded(self.units) - self.units) as usize;
        state
            .chunks(self.units as usize)
            .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(zero, pad)))
            .collect()
    }

    /// The last of so many rows of each sample.
    fn last<T: Copy>(&self, values: &[T], rows: u32) -> Vec<T> {
        let units = self.units as usize;
        values.chunks(rows as usize * units).flat_map(|sample| &sample[sample.len() - units..]).copied().collect()
    }

    fn judged<const HALF: bool>(&self, data: &Data) -> Vec<Expected> {
        let (shape, states) = (self.shape(), [0, 1].map(|nth| self.carried(data, nth)));
        let of = Arguments {
            x: &data["x"],
            of_inputs: &data["weight_ih"],
            of_hidden: &data["weight_hh"],
            biases: [&data["bias_ih"], &data["bias_hh"]],
            hidden: &states[0],
            cells: &states[1],
        };
        let Lstm { places, units, .. } = shape;
        let (exact, bounds): (Forward<f64>, Forward<Near<HALF>>) =
            (reference::forward(&shape, &of), reference::forward(&shape, &of));
        let zero = Near::exactly(0.0);
        let behind = |states: [Vec<f64>; 2]| states.map(|state| self.stored(&state, 0.0)).concat();
        let left = [self.last(&bounds.y, self.places), self.last(&bounds.cells, self.places + 1)];
        let left = left.map(|state| self.stored(&state, zero)).concat();
        let after = behind([self.last(&exact.y, self.places), self.last(&exact.cells, self.places + 1)]);
        let first = |values: &[f64], rows, c| channels_first(values, rows, c);
        let mut expected = vec![
            near("out", exact.y.clone(), &bounds.y),
            near("gates", first(&exact.gates, places, 4 * units), &channels_first(&bounds.gates, places, 4 * units)),
            near("cells", first(&exact.cells, places + 1, units), &channels_first(&bounds.cells, places + 1, units)),
            near("previous", first(&exact.previous, places, units), &channels_first(&bounds.previous, places, units)),
            near("carried_after", after, &left),
            Expected::exact("before", behind(states.clone())),
        ];
        if !self.evaluated {
            let d_y = &data["grad_out"];
            let (exact, bounds): (Backward<f64>, Backward<Near<HALF>>) =
                (reference::backward(&shape, &of, d_y), reference::backward(&shape, &of, d_y));
            let of_gates = channels_first(&bounds.gates, places, 4 * units);
            expected.extend([
                near("grad_gates", first(&exact.gates, places, 4 * units), &of_gates),
                near("grad_x", exact.x, &bounds.x),
                added("grad_weight_ih", &data["grad_weight_ih_before"], &exact.of_inputs, &bounds.of_inputs),
                added("grad_weight_hh", &data["grad_weight_hh_before"], &exact.of_hidden, &bounds.of_hidden),
                added("grad_bias_ih", &data["grad_bias_ih_before"], &exact.bias, &bounds.bias),
                added("grad_bias_hh", &data["grad_bias_hh_before"], &exact.bias, &bounds.bias),
            ]);
        }
        expected
    }
}

const PARAMS: [[&str; 4]; 4] = [
    ["weight_ih", "weight_ih_l0", "grad_weight_ih_before", "grad_weight_ih"],
    ["weight_hh", "weight_hh_l0", "grad_weight_hh_before", "grad_weight_hh"],
    ["bias_ih", "bias_ih_l0", "grad_bias_ih_before", "grad_bias_ih"],
    ["bias_hh", "bias_hh_l0", "grad_bias_hh_before", "grad_bias_hh"],
];

impl Case for LstmCase {
    fn name(&self) -> String {
        let Self { n, places, inputs, units, evaluated } = self;
        format!("lstm {n}x{places}x{inputs} to {units}{}", if *evaluated { ", evaluated" } else { "" })
    }

    fn training(&self) -> bool {
        !self.evaluated
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = t.tensor([self.n, self.places, 1, self.inputs]);
        let y = lstm(t, x, self.units, 0);
        let kind = match self.evaluated {
            true => BufferKind::CarriedInEvaluation("l0".into()),
            false => BufferKind::Carried("l0".into()),
        };
        let states = |first: u32, count: u32| {
            let (first, words) = (first * self.state(), count * self.state());
            At::Buffer { kind: kind.clone(), first, words }
        };
        let scratch = |kernel, argument| At::Scratch { kernel, argument };
        let mut ports = vec![
            Port::new("x", At::Rows(x)),
            Port::new("carried", states(0, 4)),
            Port::new("out", At::Rows(y)),
            Port::new("gates", scratch("lstm/forward", 1)),
            Port::new("previous", scratch("lstm/forward", 2)),
            Port::new("cells", scratch("lstm/forward", 3)),
            Port::new("carried_after", states(0, 2)),
            Port::new("before", states(2, 2)),
        ];
        ports.extend(PARAMS.map(|[name, param, ..]| Port::new(name, At::Param(param))));
        if !self.evaluated {
            ports.push(Port::new("grad_out", At::Rows(t.write_gradient(y).0)));
            t.backward();
            ports.push(Port::new("grad_x", At::Rows(t.gradient(x).expect("the layer has given one"))));
            ports.push(Port::new("grad_gates", scratch("lstm/backward", 5)));
            for [_, param, before, gradient] in PARAMS {
                ports.extend([before, gradient].map(|name| Port::new(name, At::Gradient(param))));
            }
        }
        ports
    }

    fn data(&self) -> Data {
        let Lstm { n, places, inputs, units } = self.shape();
        // Small enough that an error does not grow from place to place.
        let scaled = |len, seed| -> Vec<f64> {
            let factor = 1.0 / (units.max(inputs) as f64).sqrt();
            random(len, seed).into_iter().map(|v| single(v * factor)).collect()
        };
        let state = |seed| self.stored(&random(n * units, seed), 0.0);
        let mut data = Data::from([
            ("x", random(n * places * inputs, 1)),
            ("weight_ih", scaled(4 * units * inputs, 2)),
            ("weight_hh", scaled(4 * units * units, 3)),
            ("bias_ih", random(4 * units, 4)),
            ("bias_hh", random(4 * units, 5)),
            ("carried", [6, 7, 8, 9].map(state).concat()),
        ]);
        if !self.evaluated {
            data.extend([
                ("grad_out", random(n * places * units, 10)),
                ("grad_weight_ih_before", random(4 * units * inputs, 11)),
                ("grad_weight_hh_before", random(4 * units * units, 12)),
                ("grad_bias_ih_before", random(4 * units, 13)),
                ("grad_bias_hh_before", random(4 * units, 14)),
                ("scaler", scaler()),
            ]);
        }
        data
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        // Where activations are f16, so is the input.
        let half = data["x"].iter().all(|&x| Word::F16.round(x) == x);
        if half { self.judged::<true>(data) } else { self.judged::<false>(data) }
    }
}
