//! Batch normalization: statistics, normalization and gradients, every intermediate result included.

use super::{At, Case, Data, EPS, Expected, Port, SPREAD, TINY, plus, port::places_of_map, random, single};
use crate::{
    ops::{BatchNorm, Rows, batch_norm, relu},
    params::padded,
    reference::{
        Sum,
        batchnorm::{self as reference, BatchNorm as Shape},
        elementwise,
    },
    tape::Tape,
};

/// A batch normalization of a tensor `[images, h, w, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormCase {
    /// Input shape.
    pub input: [u32; 4],
    /// Batch statistics and a backward pass, or the running statistics.
    pub training: bool,
    /// With a summand.
    pub add: bool,
    /// With a ReLU at the end.
    pub relu: bool,
    /// Whether a ReLU has the same summand, so that its gradients accumulate.
    pub shared: bool,
    /// Mean and half the range of the input.
    pub mean_range: [f64; 2],
}

impl BatchNormCase {
    fn shape(&self) -> Shape {
        let [n, h, w, c] = self.input.map(|d| d as usize);
        Shape { n, c, h, w, eps: 1e-5, momentum: 0.1 }
    }

    /// The matrix of rows by padded channels that the kernels see.
    fn matrix(&self) -> Shape {
        let [n, h, w, c] = self.input;
        Shape { n: (n * h * w) as usize, c: padded(c) as usize, h: 1, w: 1, ..self.shape() }
    }

    fn len(&self) -> usize {
        self.input.iter().product::<u32>() as usize
    }

    /// PyTorch's order to the matrix.
    fn stored(&self, values: &[f64]) -> Vec<f64> {
        let matrix = self.matrix();
        let mut stored = vec![0.0; matrix.n * matrix.c];
        places_of_map(self.input).into_iter().zip(values).for_each(|(place, &value)| stored[place] = value);
        stored
    }

    /// Before the ReLU: the normalization's output and the summand, one rounding more.
    fn before_relu(&self, data: &Data) -> Expected {
        let get = |name: &str| &data[name][..];
        let (x, gamma, beta) = (get("x"), get("gamma"), get("beta"));
        let (mean, variance) = (get("running_mean_before"), get("running_var_before"));
        let y = if self.training {
            reference::forward_training(&self.shape(), x, gamma, beta, mean, variance).y
        } else {
            // Besides the terms, the square root, the quotient and the product with gamma.
            let mut y = reference::forward_evaluation(&self.shape(), x, gamma, beta, mean, variance);
            y.terms += 3;
            y
        };
        let mut out = Expected::sum("out", &y);
        if let Some(other) = data.get("other") {
            for (i, other) in other.iter().enumerate() {
                out.value[i] += other;
                out.bound[i] += EPS * out.value[i].abs();
            }
        }
        out
    }

    /// The gradient as it passes the ReLU.
    fn masked(&self, data: &Data) -> Vec<f64> {
        let out = self.before_relu(data).value;
        let pass = |(d, y): (&f64, f64)| if self.relu && y <= 0.0 { 0.0 } else { *d };
        data["grad_out"].iter().zip(out).map(pass).collect()
    }

    /// `[mean, 1/sqrt(var + eps)][c]` of the batch or of the running statistics.
    fn saved(&self, data: &Data) -> Expected {
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
            // d(1/sqrt(v))/dv = -inverse^3 / 2; then a sum, a square root and a quotient.
            bound[c + i] = inverse.powi(3) / 2.0 * of_variance + 6.0 * EPS * inverse;
        }
        Expected { port: "saved", value, bound, exempt: 0.0 }
    }

    /// `[chunk][mean, sum of squared differences][c]`: the statistics of each chunk of rows.
    fn partial(&self, data: &Data) -> Expected {
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
            // The kernel's sums are over x - x_first: twice the magnitude of x - mean at most.
            bound.extend((0..matrix.c).map(|i| 2.0 * count * found.variance.bound(i, SPREAD)));
        }
        Expected { port: "partial", value, bound, exempt: 0.0 }
    }

    /// Sums of the gradient, and of the gradient times x_hat, over all rows and over each chunk.
    fn sums(&self, data: &Data, g: &[f64]) -> [Expected; 2] {
        let (matrix, g) = (self.matrix(), self.stored(g));
        let (zeros, ones) = (vec![0.0; matrix.c], vec![1.0; matrix.c]);
        let x_hat = reference::forward_training(&matrix, &self.stored(&data["x"]), &ones, &zeros, &zeros, &zeros).y;
        let over = |port, rows: usize| {
            let (mut value, mut bound) = (Vec::new(), Vec::new());
            for first in (0..matrix.n).step_by(rows) {
                for times_x_hat in [false, true] {
                    let mut sum = Sum { value: zeros.clone(), magnitude: zeros.clone(), terms: matrix.n };
                    for i in first * matrix.c..(first + rows).min(matrix.n) * matrix.c {
                        let (factor, magnitude) =
                            if times_x_hat { (x_hat.value[i], x_hat.magnitude[i]) } else { (1.0, 1.0) };
                        sum.value[i % matrix.c] += g[i] * factor;
                        sum.magnitude[i % matrix.c] += g[i].abs() * magnitude;
                    }
                    bound.extend((0..matrix.c).map(|i| sum.bound(i, SPREAD)));
                    value.extend(sum.value);
                }
            }
            Expected { port, value, bound, exempt: 0.0 }
        };
        [over("sums", matrix.n), over("grad_partial", Rows::of(self.input).chunk_rows as usize)]
    }

    /// `running + 0.1 (batch - running)` takes four roundings beyond those of the batch's statistic.
    fn running(&self, data: &Data) -> [Expected; 2] {
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

    fn gradients(&self, data: &Data) -> Vec<Expected> {
        let g = self.masked(data);
        let found = reference::backward(&self.shape(), &data["x"], &data["gamma"], &g);
        let mut expected = vec![
            Expected::sum("grad_x", &found.d_x),
            Expected::added("grad_gamma", &data["grad_gamma_before"], &found.d_gamma),
            Expected::added("grad_beta", &data["grad_beta_before"], &found.d_beta),
        ];
        expected.extend(self.sums(data, &g));
        if let Some(other) = data.get("other") {
            let sum = Sum { magnitude: g.iter().map(|g| g.abs()).collect(), value: g, terms: 1 };
            expected.push(match data.get("second.grad_out") {
                Some(second) => Expected::sum("grad_other", &plus(&elementwise::relu_backward(other, second), &sum)),
                None => Expected::exact("grad_other", sum.value),
            });
        }
        expected
    }
}

/// Zeros up to a multiple of four.
fn pad(values: &[f64]) -> Vec<f64> {
    let mut padded = values.to_vec();
    padded.resize(values.len().next_multiple_of(4), 0.0);
    padded
}

impl Case for BatchNormCase {
    fn name(&self) -> String {
        let ([n, h, w, c], [mean, range]) = (self.input, self.mean_range);
        let mode = if self.training { "" } else { ", evaluation" };
        let flags = [(self.add, " + other"), (self.relu, ", relu"), (self.shared, ", shared")];
        let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, text)| *text).collect();
        format!("{n}x{h}x{w}x{c} of {mean}+-{range}{mode}{flags}")
    }

    fn training(&self) -> bool {
        self.training
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = t.tensor(self.input);
        let other = self.add.then(|| t.tensor(self.input));
        let y = batch_norm(t, x, BatchNorm { add: other, relu: self.relu });
        let saver = if self.training { ("batchnorm/finish", 1) } else { ("batchnorm/running", 2) };
        let scratch = |name, (kernel, argument)| Port::new(name, At::Scratch { kernel, argument });
        let mut ports = vec![
            Port::new("x", At::Tensor(x)),
            Port::new("gamma", At::Param("weight")),
            Port::new("beta", At::Param("bias")),
            Port::new("running_mean_before", At::Running("running_mean")),
            Port::new("running_var_before", At::Running("running_var")),
            Port::new("out", At::Tensor(y)),
            scratch("saved", saver),
        ];
        ports.extend(other.map(|other| Port::new("other", At::Tensor(other))));
        if !self.training {
            return ports;
        }
        ports.push(Port::new("grad_out", At::Tensor(t.write_gradient(y).0)));
        if let Some(other) = other.filter(|_| self.shared) {
            let second = relu(t, other);
            ports.push(Port::new("second.grad_out", At::Tensor(t.write_gradient(second).0)));
        }
        t.backward();
        if let Some(other) = other {
            ports.push(Port::new("grad_other", At::Tensor(t.gradient(other).expect("batch_norm has given one"))));
        }
        ports.extend([
            Port::new("grad_gamma_before", At::Gradient("weight")),
            Port::new("grad_beta_before", At::Gradient("bias")),
            Port::new("running_mean", At::Running("running_mean")),
            Port::new("running_var", At::Running("running_var")),
            scratch("partial", ("batchnorm/partial", 1)),
            scratch("grad_partial", ("batchnorm/backward_partial", 4)),
            scratch("sums", ("batchnorm/backward_finish", 1)),
            Port::new("grad_x", At::Tensor(t.gradient(x).expect("batch_norm has given one"))),
            Port::new("grad_gamma", At::Gradient("weight")),
            Port::new("grad_beta", At::Gradient("bias")),
        ]);
        ports
    }

    fn data(&self) -> Data {
        let (c, [mean, range]) = (self.shape().c, self.mean_range);
        let mut data = Data::from([
            ("x", random(self.len(), 1).into_iter().map(|x| single(mean + range * x)).collect()),
            ("gamma", random(c, 2)),
            ("beta", random(c, 3)),
            ("running_mean_before", random(c, 4)),
            ("running_var_before", random(c, 5).into_iter().map(|x| single(1.5 + x)).collect()),
        ]);
        if self.add {
            data.insert("other", random(self.len(), 6));
        }
        if !self.training {
            return data;
        }
        data.insert("grad_gamma_before", random(c, 7));
        data.insert("grad_beta_before", random(c, 8));
        if self.shared {
            data.insert("second.grad_out", random(self.len(), 9));
        }
        // Where the ReLU's input may be on either side of zero, no gradient arrives: either side is then right.
        let (mut d_y, out) = (random(self.len(), 10), self.before_relu(&data));
        for (i, d) in d_y.iter_mut().enumerate() {
            if self.relu && out.value[i].abs() <= out.bound[i] + TINY {
                *d = 0.0;
            }
        }
        data.insert("grad_out", d_y);
        data
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let mut out = self.before_relu(data);
        if self.relu {
            out.value.iter_mut().for_each(|y| *y = y.max(0.0));
        }
        let mut expected = vec![out, self.saved(data)];
        if self.training {
            expected.push(self.partial(data));
            expected.extend(self.running(data));
            expected.extend(self.gradients(data));
        }
        expected
    }
}
