//! Layer norm and RMS norm over the last dimension of rows `[rows][c]`, and their gradients.
//!
//! Source: Ba, Kiros, Hinton 2016, arXiv 1607.06450; `torch.nn.functional.layer_norm`. Zhang, Sennrich 2019, arXiv 1910.07467;
//! `torch.nn.functional.rms_norm`.

use super::{Accumulator, Sum, expect_len};

/// The shape of a norm: x, y and their gradients are `[rows][c]`, weight and bias `[c]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerNorm {
    /// Rows.
    pub rows: usize,
    /// Channels.
    pub c: usize,
    /// Added to the variance.
    pub eps: f64,
    /// Whether the mean is subtracted: a layer norm. An RMS norm takes it to be 0.
    pub centre: bool,
}

/// A row's normalized values, `1 / sqrt(var + eps)`, and how much larger than it an error of an element may become in a
/// normalized value: float32 has an error relative to the elements and to their mean, not to their difference.
struct Row {
    normalized: Vec<f64>,
    inverse: f64,
    amplified: f64,
}

impl LayerNorm {
    fn row(&self, x: &[f64]) -> Row {
        let c = self.c as f64;
        let mean = if self.centre { x.iter().sum::<f64>() / c } else { 0.0 };
        let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / c;
        let inverse = 1.0 / (variance + self.eps).sqrt();
        let largest = x.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
        let normalized = x.iter().map(|x| (x - mean) * inverse).collect();
        Row { normalized, inverse, amplified: 1.0 + 2.0 * largest * inverse }
    }
}

/// `y = (x - mean) / sqrt(var + eps) * weight + bias`, with the biased variance.
pub fn forward(shape: &LayerNorm, x: &[f64], weight: &[f64], bias: &[f64]) -> Sum {
    expect_len("x", x.len(), shape.rows * shape.c);
    expect_len("weight", weight.len(), shape.c);
    expect_len("bias", bias.len(), shape.c);
    let mut y = Sum { value: vec![], magnitude: vec![], terms: shape.c };
    for x in x.chunks_exact(shape.c) {
        let row = shape.row(x);
        for c in 0..shape.c {
            y.value.push(row.normalized[c] * weight[c] + bias[c]);
            // The error of the deviation is relative to the normalized value.
            let normalized = row.amplified * (1.0 + row.normalized[c].abs());
            y.magnitude.push(normalized * weight[c].abs() + bias[c].abs());
        }
    }
    y
}

/// `d_x = (g - mean(g) - x_hat mean(g x_hat)) / sqrt(var + eps)` with `g = d_y weight`; without `mean(g)` for an RMS norm.
pub fn backward_input(shape: &LayerNorm, x: &[f64], weight: &[f64], d_y: &[f64]) -> Sum {
    expect_len("x", x.len(), shape.rows * shape.c);
    expect_len("weight", weight.len(), shape.c);
    expect_len("d_y", d_y.len(), shape.rows * shape.c);
    let mut d_x = Sum { value: vec![], magnitude: vec![], terms: shape.c };
    for (x, d_y) in x.chunks_exact(shape.c).zip(d_y.chunks_exact(shape.c)) {
        let row = shape.row(x);
        let (mut mean, mut along, mut all) = (0.0, 0.0, 0.0);
        for c in 0..shape.c {
            let g = d_y[c] * weight[c];
            mean += if shape.centre { g / shape.c as f64 } else { 0.0 };
            along += g * row.normalized[c] / shape.c as f64;
            all += g.abs() * (1.0 + row.normalized[c].abs()) / shape.c as f64;
        }
        for c in 0..shape.c {
            let g = d_y[c] * weight[c];
            d_x.value.push(row.inverse * (g - mean - row.normalized[c] * along));
            let terms = g.abs() + (1.0 + row.normalized[c].abs()) * all;
            d_x.magnitude.push(row.inverse * row.amplified * terms);
        }
    }
    d_x
}

/// `d_weight[c] = sum over rows of d_y[c] x_hat[c]`.
pub fn backward_weight(shape: &LayerNorm, x: &[f64], d_y: &[f64]) -> Sum {
    let mut d_weight = Accumulator::new(shape.c);
    let mut amplified = vec![0.0; shape.c];
    for (x, d_y) in x.chunks_exact(shape.c).zip(d_y.chunks_exact(shape.c)) {
        let row = shape.row(x);
        for c in 0..shape.c {
            d_weight.add(c, d_y[c] * row.normalized[c]);
            amplified[c] += d_y[c].abs() * row.amplified * (1.0 + row.normalized[c].abs());
        }
    }
    let sum = d_weight.finish();
    Sum { magnitude: amplified, terms: sum.terms + shape.c, ..sum }
}

/// `d_bias[c] = sum over rows of d_y[c]`.
pub fn backward_bias(shape: &LayerNorm, d_y: &[f64]) -> Sum {
    expect_len("d_y", d_y.len(), shape.rows * shape.c);
    let mut d_bias = Accumulator::new(shape.c);
    for (i, d_y) in d_y.iter().enumerate() {
        d_bias.add(i % shape.c, *d_y);
    }
    d_bias.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gradients are those of finite differences of the forward pass.
    #[test]
    fn gradients_are_differences() {
        for centre in [true, false] {
            differences(LayerNorm { rows: 2, c: 5, eps: 1e-5, centre });
        }
    }

    fn differences(shape: LayerNorm) {
        let list = |seed: u32, len: u32| -> Vec<f64> {
            (0..len).map(|i| f64::from((i * 7919 + seed * 104_729) % 1000) / 500.0 - 1.0).collect()
        };
        let (x, weight, bias, d_y) = (list(1, 10), list(2, 5), list(3, 5), list(4, 10));
        let loss = |x: &[f64], weight: &[f64], bias: &[f64]| -> f64 {
            forward(&shape, x, weight, bias).value.iter().zip(&d_y).map(|(y, d)| y * d).sum()
        };
        let close = |found: &[f64], of: &[f64], loss: &dyn Fn(&[f64]) -> f64| {
            for i in 0..of.len() {
                let moved = |by: f64| {
                    let mut moved = of.to_vec();
                    moved[i] += by;
                    loss(&moved)
                };
                let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((found[i] - slope).abs() < 1e-8, "{i}: {} is not {slope}", found[i]);
            }
        };
        close(&backward_input(&shape, &x, &weight, &d_y).value, &x, &|x| loss(x, &weight, &bias));
        close(&backward_weight(&shape, &x, &d_y).value, &weight, &|weight| loss(&x, weight, &bias));
        close(&backward_bias(&shape, &d_y).value, &bias, &|bias| loss(&x, &weight, bias));
    }
}
