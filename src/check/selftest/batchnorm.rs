//! Batch norm: statistics, normalization and gradients, with every intermediate result.

mod statistics;

use super::{At, Case, Data, EPS, Expected, Port, TINY16, activation, plus, random, scaler, second, single, unscaled};
use crate::{
    check::reference::{
        Sum,
        batchnorm::{self as reference, BatchNorm as Shape},
    },
    ops::{Activation, BatchNorm, batch_norm},
    program::{Tape, Tensor},
};

/// A batch norm of a tensor `[images, h, w, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormCase {
    /// Input shape.
    pub input: [u32; 4],
    /// Whether it uses batch statistics and has a backward pass, or uses the running statistics.
    pub training: bool,
    /// Whether it has a summand.
    pub add: bool,
    /// The activation at the end.
    pub activation: Activation,
    /// Whether it has airbench's eps, momentum and frozen weight instead of PyTorch's defaults.
    pub airbench: bool,
    /// Whether a ReLU has the same summand, so that its gradients accumulate.
    pub shared: bool,
    /// Mean of the input, and half its range.
    pub mean_range: [f64; 2],
}

impl BatchNormCase {
    fn options(&self, add: Option<Tensor>) -> BatchNorm {
        let options = BatchNorm { add, ..BatchNorm::then(self.activation) };
        if self.airbench { BatchNorm { eps: 1e-12, momentum: 0.4, frozen_weight: true, ..options } } else { options }
    }

    fn shape(&self) -> Shape {
        let [n, h, w, c] = self.input.map(|d| d as usize);
        let BatchNorm { eps, momentum, .. } = self.options(None);
        Shape { n, c, h, w, eps: f64::from(eps), momentum: f64::from(momentum) }
    }

    fn len(&self) -> usize {
        self.input.iter().product::<u32>() as usize
    }

    /// The argument of the activation: the normalization's output plus the summand, with one more rounding.
    fn before_activation(&self, data: &Data) -> Expected {
        let get = |name: &str| &data[name][..];
        let (x, gamma, beta) = (get("x"), get("gamma"), get("beta"));
        let (mean, variance) = (get("running_mean_before"), get("running_var_before"));
        let y = if self.training {
            reference::forward_training(&self.shape(), x, gamma, beta, mean, variance).y
        } else {
            // Besides the sum's terms, the bound covers the square root, the quotient and the product with gamma.
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

    /// The gradient behind the activation, and its bounds.
    fn passed(&self, data: &Data) -> [Vec<f64>; 2] {
        activation::backward(self.activation, &self.before_activation(data), &data["grad_out"])
    }

    fn gradients(&self, data: &Data) -> Vec<Expected> {
        let [g, of_g] = self.passed(data);
        let found = reference::backward(&self.shape(), &data["x"], &data["gamma"], &g);
        let mut d_gamma = unscaled(found.d_gamma);
        if self.options(None).frozen_weight {
            [&mut d_gamma.value, &mut d_gamma.magnitude].into_iter().for_each(|list| list.fill(0.0));
        }
        let mut expected = vec![
            Expected::sum("grad_x", &found.d_x),
            Expected::added("grad_gamma", &data["grad_gamma_before"], &d_gamma),
            Expected::added("grad_beta", &data["grad_beta_before"], &unscaled(found.d_beta)),
        ];
        expected.extend(self.sums(data, &g));
        self.widen(data, &of_g, &mut expected);
        if self.add {
            let sum = Sum { magnitude: g.iter().map(|g| g.abs()).collect(), value: g, terms: 1 };
            expected.push(match second::gradient(data, "other") {
                Some(second) => Expected::sum("grad_other", &plus(&second, &sum)),
                None => Expected::exact("grad_other", sum.value),
            });
        }
        expected
    }
}

impl Case for BatchNormCase {
    fn name(&self) -> String {
        let ([n, h, w, c], [mean, range]) = (self.input, self.mean_range);
        let mode = if self.training { "" } else { ", evaluation" };
        let flags = [(self.add, " + other"), (true, self.activation.name()), (self.shared, ", shared")];
        let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, text)| *text).collect();
        let choices = if self.airbench { ", eps 1e-12, frozen weight" } else { "" };
        format!("{n}x{h}x{w}x{c} of {mean}+-{range}{mode}{flags}{choices}")
    }

    fn training(&self) -> bool {
        self.training
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = t.tensor(self.input);
        let other = self.add.then(|| t.tensor(self.input));
        let y = batch_norm(t, x, self.options(other));
        let scratch = |name, kernel, argument| Port::new(name, At::Scratch { kernel, argument });
        let mut ports = vec![
            Port::new("x", At::Tensor(x)),
            Port::new("gamma", At::Param("weight")),
            Port::new("beta", At::Param("bias")),
            Port::new("running_mean_before", At::Running("running_mean")),
            Port::new("running_var_before", At::Running("running_var")),
            Port::new("out", At::Tensor(y)),
        ];
        ports.extend(other.map(|other| Port::new("other", At::Tensor(other))));
        if !self.training {
            ports.push(scratch("saved", "batchnorm/running", 2));
            return ports;
        }
        ports.push(Port::new("grad_out", At::Tensor(t.write_gradient(y).0)));
        if let Some(other) = other.filter(|_| self.shared) {
            ports.push(second::consume(t, other));
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
            scratch("saved", "batchnorm/finish", 1),
            scratch("partial", "batchnorm/partial", 1),
            match self.add {
                true => scratch("grad_partial", "batchnorm/backward_partial_add", 4),
                false => scratch("grad_partial", "batchnorm/backward_partial", 5),
            },
            scratch("sums", "batchnorm/backward_finish", 2),
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
        data.insert("scaler", scaler());
        if self.shared {
            data.insert(second::GRADIENT, random(self.len(), 9));
        }
        data.insert("grad_out", random(self.len(), 10));
        data
    }

    /// If ReLU's argument may be on either side of zero, or be stored as zero, its gradient is set to 0: either side is
    /// then right.
    fn settle(&self, data: &mut Data) {
        let out = self.before_activation(data);
        let relu = self.activation == Activation::Relu;
        let Some(d_y) = data.get_mut("grad_out").filter(|_| relu) else { return };
        for (i, d) in d_y.iter_mut().enumerate() {
            if out.value[i].abs() <= out.bound[i] + TINY16 {
                *d = 0.0;
            }
        }
    }

    /// The gradient from the summand's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "other", "grad_other")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let mut out = self.before_activation(data);
        activation::forward(self.activation, &mut out);
        let mut expected = vec![out, self.saved(data)];
        if self.training {
            expected.push(self.partial(data));
            expected.extend(self.running(data));
            expected.extend(self.gradients(data));
        }
        expected
    }
}
