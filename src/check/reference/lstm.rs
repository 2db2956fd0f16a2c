//! A layer of an LSTM. Activations are `[n][places][c]`.
//!
//! Source: `torch.nn.LSTM`; the gradients are the chain rule, place by place from the last.
//!
//! Its results are sums of products of sums, so the loops are written for any kind of number: f64, or numbers with a bound of
//! their error, which say how far off a float32 result may be.

use std::ops::{Add, Mul, Sub};

/// A number that the loops compute with.
pub trait Number: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    /// A number that is known exactly.
    fn exactly(value: f64) -> Self;

    /// The sum of some numbers.
    fn sum(terms: &[Self]) -> Self;

    /// `1 / (1 + exp(-x))`
    fn sigmoid(self) -> Self;

    /// `tanh(x)`
    fn tanh(self) -> Self;

    /// What is left of it where it is stored as an activation.
    fn stored(self) -> Self;
}

impl Number for f64 {
    fn exactly(value: f64) -> Self {
        value
    }

    fn sum(terms: &[Self]) -> Self {
        terms.iter().sum()
    }

    fn sigmoid(self) -> Self {
        1.0 / (1.0 + (-self).exp())
    }

    fn tanh(self) -> Self {
        self.tanh()
    }

    fn stored(self) -> Self {
        self
    }
}

/// The shape of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lstm {
    /// Samples.
    pub n: usize,
    /// Places of a sample.
    pub places: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Units.
    pub units: usize,
}

/// The arguments of a layer.
pub struct Arguments<'a> {
    /// The input.
    pub x: &'a [f64],
    /// `weight_ih`, `[4][units][inputs]`.
    pub of_inputs: &'a [f64],
    /// `weight_hh`, `[4][units][units]`.
    pub of_hidden: &'a [f64],
    /// `bias_ih` and `bias_hh`, `[4][units]`.
    pub biases: [&'a [f64]; 2],
    /// The hidden state before the first place, `[n][units]`.
    pub hidden: &'a [f64],
    /// The cells before the first place, `[n][units]`.
    pub cells: &'a [f64],
}

/// What the layer computes.
pub struct Forward<N> {
    /// The hidden states, `[n][places][units]`.
    pub y: Vec<N>,
    /// The values of the gates input, forget, cell and output, `[n][places][4][units]`.
    pub gates: Vec<N>,
    /// The cells before each place and behind the last, `[n][places + 1][units]`.
    pub cells: Vec<N>,
    /// The hidden state before each place, `[n][places][units]`.
    pub previous: Vec<N>,
}

/// The gradients of a layer.
pub struct Backward<N> {
    /// That of the gates' arguments, `[n][places][4][units]`.
    pub gates: Vec<N>,
    /// That of the input.
    pub x: Vec<N>,
    /// That of `weight_ih`.
    pub of_inputs: Vec<N>,
    /// That of `weight_hh`.
    pub of_hidden: Vec<N>,
    /// That of either bias.
    pub bias: Vec<N>,
}

/// `[i f g o] = [s s tanh s](W_ih x + b_ih + W_hh h_before + b_hh)`, `c = f c_before + i g`, `h = o tanh(c)`.
pub fn forward<N: Number>(shape: &Lstm, of: &Arguments<'_>) -> Forward<N> {
    let Lstm { n, places, inputs, units } = *shape;
    let zero = N::exactly(0.0);
    let mut result = Forward {
        y: vec![zero; n * places * units],
        gates: vec![zero; n * places * 4 * units],
        cells: vec![zero; n * (places + 1) * units],
        previous: vec![zero; n * places * units],
    };
    for s in 0..n {
        let mut h: Vec<N> = of.hidden[s * units..(s + 1) * units].iter().map(|&h| N::exactly(h).stored()).collect();
        let mut c: Vec<N> = of.cells[s * units..(s + 1) * units].iter().map(|&c| N::exactly(c)).collect();
        result.cells[s * (places + 1) * units..][..units].copy_from_slice(&c);
        for p in 0..places {
            let place = s * places + p;
            result.previous[place * units..][..units].copy_from_slice(&h);
            let mut gates = vec![zero; 4 * units];
            for k in 0..4 * units {
                let mut terms = vec![];
                for i in 0..inputs {
                    terms.push(N::exactly(of.of_inputs[k * inputs + i]) * N::exactly(of.x[place * inputs + i]));
                }
                let mut z = N::sum(&terms).stored();
                for bias in of.biases {
                    z = (z + N::exactly(bias[k])).stored();
                }
                let mut terms = vec![];
                for (j, &h) in h.iter().enumerate() {
                    terms.push(N::exactly(of.of_hidden[k * units + j]) * h);
                }
                z = z + N::sum(&terms);
                gates[k] = if k / units == 2 { z.tanh() } else { z.sigmoid() };
            }
            for j in 0..units {
                let [i, f, g, o] = [0, 1, 2, 3].map(|gate| gates[gate * units + j]);
                c[j] = f * c[j] + i * g;
                h[j] = (o * c[j].tanh()).stored();
                result.y[place * units + j] = h[j];
                result.cells[(s * (places + 1) + p + 1) * units + j] = c[j];
            }
            for (k, gate) in gates.into_iter().enumerate() {
                result.gates[place * 4 * units + k] = gate.stored();
            }
        }
    }
    result
}

/// The gradients for a gradient `d_y` of the hidden states. That of the state before the first place is not computed.
pub fn backward<N: Number>(shape: &Lstm, of: &Arguments<'_>, d_y: &[f64]) -> Backward<N> {
    let Lstm { n, places, inputs, units } = *shape;
    let Forward { gates, cells, previous, .. } = forward::<N>(shape, of);
    let (zero, one) = (N::exactly(0.0), N::exactly(1.0));
    let mut d_gates = vec![zero; n * places * 4 * units];
    for s in 0..n {
        let mut d_c = vec![zero; units];
        for p in (0..places).rev() {
            let place = s * places + p;
            for j in 0..units {
                let mut terms = vec![];
                if p + 1 < places {
                    for k in 0..4 * units {
                        terms.push(d_gates[(place + 1) * 4 * units + k] * N::exactly(of.of_hidden[k * units + j]));
                    }
                }
                let d_h = N::sum(&terms) + N::exactly(d_y[place * units + j]);
                let [i, f, g, o] = [0, 1, 2, 3].map(|gate| gates[(place * 4 + gate) * units + j]);
                let before = cells[(s * (places + 1) + p) * units + j];
                let t = cells[(s * (places + 1) + p + 1) * units + j].tanh();
                let d_cell = d_c[j] + d_h * o * (one - t * t);
                let of_gates = [
                    d_cell * g * i * (one - i),
                    d_cell * before * f * (one - f),
                    d_cell * i * (one - g * g),
                    d_h * t * o * (one - o),
                ];
                for (gate, d_gate) in of_gates.into_iter().enumerate() {
                    d_gates[(place * 4 + gate) * units + j] = d_gate.stored();
                }
                d_c[j] = d_cell * f;
            }
        }
    }
    let rows = n * places;
    let over_rows = |k: usize, factor: &dyn Fn(usize) -> N| {
        let terms: Vec<N> = (0..rows).map(|row| d_gates[row * 4 * units + k] * factor(row)).collect();
        N::sum(&terms)
    };
    let mut result = Backward { gates: vec![], x: vec![], of_inputs: vec![], of_hidden: vec![], bias: vec![] };
    for k in 0..4 * units {
        for i in 0..inputs {
            result.of_inputs.push(over_rows(k, &|row| N::exactly(of.x[row * inputs + i])));
        }
        for j in 0..units {
            result.of_hidden.push(over_rows(k, &|row| previous[row * units + j]));
        }
        result.bias.push(over_rows(k, &|_| one));
    }
    for row in 0..rows {
        for i in 0..inputs {
            let mut terms = vec![];
            for k in 0..4 * units {
                terms.push(d_gates[row * 4 * units + k] * N::exactly(of.of_inputs[k * inputs + i]));
            }
            result.x.push(N::sum(&terms));
        }
    }
    result.gates = d_gates;
    result
}
