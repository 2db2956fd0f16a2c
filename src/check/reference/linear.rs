//! Linear (fully connected) layer with bias, and its three gradients.
//!
//! Source: `torch.nn.functional.linear`.

use super::{Accumulator, Sum, expect_len};

/// The shape of a linear layer: x is `[n][inputs]`, weight `[outputs][inputs]`, bias `[outputs]`, y `[n][outputs]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// Rows of x.
    pub n: usize,
    /// Columns of x.
    pub inputs: usize,
    /// Columns of y.
    pub outputs: usize,
}

/// `y[n][o] = bias[o] + sum over i of x[n][i] weight[o][i]`.
pub fn forward(shape: &Linear, x: &[f64], weight: &[f64], bias: &[f64]) -> Sum {
    expect_len("x", x.len(), shape.n * shape.inputs);
    expect_len("weight", weight.len(), shape.outputs * shape.inputs);
    expect_len("bias", bias.len(), shape.outputs);
    let mut y = Accumulator::new(shape.n * shape.outputs);
    for n in 0..shape.n {
        for o in 0..shape.outputs {
            for i in 0..shape.inputs {
                y.add(n * shape.outputs + o, x[n * shape.inputs + i] * weight[o * shape.inputs + i]);
            }
            y.add(n * shape.outputs + o, bias[o]);
        }
    }
    y.finish()
}

/// `d_x[n][i] = sum over o of d_y[n][o] weight[o][i]`.
pub fn backward_input(shape: &Linear, d_y: &[f64], weight: &[f64]) -> Sum {
    expect_len("d_y", d_y.len(), shape.n * shape.outputs);
    expect_len("weight", weight.len(), shape.outputs * shape.inputs);
    let mut d_x = Accumulator::new(shape.n * shape.inputs);
    for n in 0..shape.n {
        for i in 0..shape.inputs {
            for o in 0..shape.outputs {
                d_x.add(n * shape.inputs + i, d_y[n * shape.outputs + o] * weight[o * shape.inputs + i]);
            }
        }
    }
    d_x.finish()
}

/// `d_weight[o][i] = sum over n of d_y[n][o] x[n][i]`.
pub fn backward_weight(shape: &Linear, x: &[f64], d_y: &[f64]) -> Sum {
    expect_len("x", x.len(), shape.n * shape.inputs);
    expect_len("d_y", d_y.len(), shape.n * shape.outputs);
    let mut d_weight = Accumulator::new(shape.outputs * shape.inputs);
    for o in 0..shape.outputs {
        for i in 0..shape.inputs {
            for n in 0..shape.n {
                d_weight.add(o * shape.inputs + i, d_y[n * shape.outputs + o] * x[n * shape.inputs + i]);
            }
        }
    }
    d_weight.finish()
}

/// `d_bias[o] = sum over n of d_y[n][o]`.
pub fn backward_bias(shape: &Linear, d_y: &[f64]) -> Sum {
    expect_len("d_y", d_y.len(), shape.n * shape.outputs);
    let mut d_bias = Accumulator::new(shape.outputs);
    for n in 0..shape.n {
        for o in 0..shape.outputs {
            d_bias.add(o, d_y[n * shape.outputs + o]);
        }
    }
    d_bias.finish()
}
