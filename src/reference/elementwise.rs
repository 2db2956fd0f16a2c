//! ReLU, and the sum of two tensors followed by ReLU (the end of a residual block).
//!
//! Source: `torch.relu`; its derivative at 0 is 0. All tensors of a call have one shape, which does not matter here.

use super::expect_len;

/// `y = max(x, 0)`.
pub fn relu(x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for i in 0..x.len() {
        // Written this way round, a NaN stays one, as in PyTorch.
        y[i] = if x[i] <= 0.0 { 0.0 } else { x[i] };
    }
    y
}

/// `d_x = d_y where x > 0, else 0`. The output y may be given in place of x: it is positive in the same places.
pub fn relu_backward(x: &[f64], d_y: &[f64]) -> Vec<f64> {
    expect_len("d_y", d_y.len(), x.len());
    let mut d_x = vec![0.0; x.len()];
    for i in 0..x.len() {
        if x[i] > 0.0 {
            d_x[i] = d_y[i];
        }
    }
    d_x
}

/// `y = max(x + other, 0)`.
pub fn add_relu(x: &[f64], other: &[f64]) -> Vec<f64> {
    expect_len("other", other.len(), x.len());
    let mut y = vec![0.0; x.len()];
    for i in 0..x.len() {
        let sum = x[i] + other[i];
        y[i] = if sum <= 0.0 { 0.0 } else { sum };
    }
    y
}

/// `d_x = d_other = d_y where x + other > 0, else 0`: one tensor, the gradient of both inputs.
pub fn add_relu_backward(x: &[f64], other: &[f64], d_y: &[f64]) -> Vec<f64> {
    expect_len("other", other.len(), x.len());
    expect_len("d_y", d_y.len(), x.len());
    let mut d = vec![0.0; x.len()];
    for i in 0..x.len() {
        if x[i] + other[i] > 0.0 {
            d[i] = d_y[i];
        }
    }
    d
}
