//! The expected intermediate results of batch norm: they refer to the matrices of rows by padded channels that its
//! kernels see.

use super::{
    super::{Data, EPS, Expected, SPREAD, port::places_of_map},
    BatchNormCase,
};
use crate::{
    check::reference::{
        Sum,
        batchnorm::{self as reference, BatchNorm as Shape},
    },
    ops::Rows,
    program::params::padded,
};

impl BatchNormCase {
    /// The shape of the matrix of rows by padded channels that the kernels see.
    fn matrix(&self) -> Shape {
        let [n, h, w, c] = self.input;
        Shape { n: (n * h * w) as usize, c: padded(c) as usize, h: 1, w: 1, ..self.shape() }
    }

    /// Converts values from PyTorch's order to the matrix.
    fn stored(&self, values: &[f64]) -> Vec<f64> {
        let matrix = self.matrix();
        let mut stored = vec![0.0; matrix.n * matrix.c];
        places_of_map(self.input).into_iter().zip(values).for_each(|(place, &value)| stored[place] = value);
        stored
    }

    /// `[mean, 1/sqrt(var + eps)][c]`, of the batch or of the running statistics.
    pub(super) fn saved(&self, data: &Data) -> Expected {
        let (matrix, pad) = (self.matrix(), |name: &str| pad(&data[name]));
        let c = matrix.c;
        let (mut value, mut bound) = (vec![0.0; 2 * c], vec![0.0; 2 * c]);
        let (mean, variance) = (pad("running_mean_before"), pad("running_var_before"));
        let found = reference::forward_training(&matrix, &self.stored(&data["x"]), &mean, &mean, &mean, &variance);
        for i in 0..c {
            let (mean, of_mean, variance, of_variance) = if self.training {
                (
                    found.mean.value[i],
                    found.mean.bound(i, SPREAD),
                    found.variance.value[i],
                    found.variance.bound(i, SPREAD),
                )
            } else {
                (mean[i], 0.0, variance[i], 0.0)
            };
            let inverse = 1.0 / (variance + matrix.eps).sqrt();
            (value[i], bound[i]) = (mean, of_mean);
            value[c + i] = inverse;
            // d(1/sqrt(v))/dv = -inverse^3 / 2; a sum, a square root and a quotient add their roundings.
            bound[c + i] = inverse.powi(3) / 2.0 * of_variance + 6.0 * EPS * inverse;
        }
        Expected { port: "saved", value, bound, exempt: 0.0 }
    }

    /// `[chunk][mean, sum of squared differences][c]`: the statistics of each chunk of rows.
    pub(super) fn partial(&self, data: &Data) -> Expected {
        let (matrix, x) = (self.matrix(), self.stored(&data["x"]));
        let zeros = vec![0.0; matrix.c];
        let (mut value, mut bound) = (Vec::new(), Vec::new());
        for chunk in x.chunks(Rows::of(self.input).chunk_rows as usize * matrix.c) {
            let shape = Shape { n: chunk.len() / matrix.c, ..matrix };
            let found = reference::forward_training(&shape, chunk, &zeros, &zeros, &zeros, &zeros);
            let count = shape.n as f64;
            value.extend(&found.mean.value);
            bound.extend((0..matrix.c).map(|i| found.mean.bound(i, SPREAD)));
            value.extend(found.variance.value.iter().map(|v| v * count));
            // The kernel sums x - x_first, which has at most twice the magnitude of x - mean.
            bound.extend((0..matrix.c).map(|i| 2.0 * count * found.variance.bound(i, SPREAD)));
        }
        Expected { port: "partial", value, bound, exempt: 0.0 }
    }

    /// Sums of the gradient, and of the gradient times x_hat, over all rows and over each chunk.
    pub(super) fn sums(&self, data: &Data, g: &[f64]) -> [Expected; 2] {
        let (matrix, g) = (self.matrix(), self.stored(g));
        let (zeros, ones) = (vec![0.0; matrix.c], vec![1.0; matrix.c]);
        let x_hat = reference::forward_training(&matrix, &self.stored(&data["x"]), &ones, &zeros, &zeros, &zeros).y;
        let products: Vec<f64> = g.iter().zip(&x_hat.value).map(|(g, x)| g * x).collect();
        let magnitudes: Vec<f64> = g.iter().zip(&x_hat.magnitude).map(|(g, x)| g.abs() * x).collect();
        let absolute: Vec<f64> = g.iter().map(|g| g.abs()).collect();
        let over = |port, rows: usize| {
            let (mut value, mut bound) = (Vec::new(), Vec::new());
            for first in (0..g.len()).step_by(rows * matrix.c) {
                let chunk = first..(first + rows * matrix.c).min(g.len());
                for (terms, magnitudes) in [(&g, &absolute), (&products, &magnitudes)] {
                    let sum = by_channel(&matrix, &terms[chunk.clone()], &magnitudes[chunk.clone()]);
                    bound.extend((0..matrix.c).map(|i| sum.bound(i, SPREAD)));
                    value.extend(sum.value);
                }
            }
            Expected { port, value, bound, exempt: 0.0 }
        };
        [over("sums", matrix.n), over("grad_partial", Rows::of(self.input).chunk_rows as usize)]
    }

    /// Widens the bounds of gradients by the effect of `of_g`, the error of the gradient behind the activation: all are
    /// linear in it.
    pub(super) fn widen(&self, data: &Data, of_g: &[f64], expected: &mut [Expected]) {
        if of_g.iter().all(|v| *v == 0.0) {
            return;
        }
        let shape = self.shape();
        let (zeros, ones) = (vec![0.0; shape.c], vec![1.0; shape.c]);
        let x_hat = reference::forward_training(&shape, &data["x"], &ones, &zeros, &zeros, &zeros).y.value;
        let x_hat: Vec<f64> = x_hat.iter().map(|x| x.abs()).collect();
        let products: Vec<f64> = of_g.iter().zip(&x_hat).map(|(g, x)| g * x).collect();
        let (of_g_stored, products_stored) = (self.stored(of_g), self.stored(&products));
        let matrix = self.matrix();
        let sums = |terms: &[f64]| by_channel(&matrix, terms, terms).value;
        let (of_sum, of_dot) = (sums(&of_g_stored), sums(&products_stored));
        let saved = self.saved(data).value;
        let gamma = pad(&data["gamma"]);
        let count = matrix.n as f64;
        for expected in expected {
            let more: Vec<f64> = match expected.port {
                "grad_beta" => of_sum[..shape.c].to_vec(),
                "grad_gamma" if self.airbench => zeros.clone(),
                "grad_gamma" => of_dot[..shape.c].to_vec(),
                "sums" => [&of_sum[..], &of_dot].concat(),
                "grad_partial" => {
                    let chunk = Rows::of(self.input).chunk_rows as usize * matrix.c;
                    let chunks = of_g_stored.chunks(chunk).zip(products_stored.chunks(chunk));
                    chunks.flat_map(|(g, products)| [sums(g), sums(products)].concat()).collect()
                }
                "grad_x" => {
                    let pixels = shape.h * shape.w;
                    let of = |(i, (g, x_hat)): (usize, (&f64, &f64))| {
                        let c = i / pixels % shape.c;
                        let mean = (of_sum[c] + x_hat * of_dot[c]) / count;
                        (gamma[c] * saved[matrix.c + c]).abs() * (g + mean)
                    };
                    of_g.iter().zip(&x_hat).enumerate().map(of).collect()
                }
                _ => continue,
            };
            expected.bound.iter_mut().zip(more).for_each(|(bound, more)| *bound += more);
        }
    }

    /// `running + momentum (batch - running)` adds four roundings to those of the batch's statistic.
    pub(super) fn running(&self, data: &Data) -> [Expected; 2] {
        let shape = self.shape();
        let (mean, variance) = (&data["running_mean_before"], &data["running_var_before"]);
        let found = reference::forward_training(&shape, &data["x"], &data["gamma"], &data["beta"], mean, variance);
        let count = (shape.n * shape.h * shape.w) as f64;
        let moved = |port, before: &[f64], value: Vec<f64>, batch: &Sum, factor: f64| {
            let bound = (0..shape.c).map(|i| {
                let of_batch = factor * batch.bound(i, SPREAD);
                shape.momentum * of_batch + 4.0 * EPS * (before[i].abs() + value[i].abs())
            });
            Expected { port, bound: bound.collect(), value, exempt: 0.0 }
        };
        let unbiased = count / (count - 1.0).max(1.0);
        [
            moved("running_mean", mean, found.running_mean, &found.mean, 1.0),
            moved("running_var", variance, found.running_variance, &found.variance, unbiased),
        ]
    }
}

/// Sums over the rows of each channel.
fn by_channel(matrix: &Shape, terms: &[f64], magnitudes: &[f64]) -> Sum {
    let mut sum = Sum { value: vec![0.0; matrix.c], magnitude: vec![0.0; matrix.c], terms: matrix.n };
    for (i, (term, magnitude)) in terms.iter().zip(magnitudes).enumerate() {
        sum.value[i % matrix.c] += term;
        sum.magnitude[i % matrix.c] += magnitude;
    }
    sum
}

/// Pads with zeros to a multiple of four.
fn pad(values: &[f64]) -> Vec<f64> {
    let mut padded = values.to_vec();
    padded.resize(values.len().next_multiple_of(4), 0.0);
    padded
}
