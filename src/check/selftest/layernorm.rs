//! Layer norm and RMS norm.

use super::{At, Case, Data, Expected, Port, plus, random, scaler, second, single, unscaled};
use crate::{
    check::reference::{
        Sum,
        layernorm::{self as reference, LayerNorm as Shape},
    },
    ops::{LayerNorm, bias_rows, layer_norm, rms_norm},
    program::{Tape, params::padded},
};

/// A norm of a tensor `[samples, places, 1, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormCase {
    /// Samples, places and channels.
    pub input: [u32; 3],
    /// Whether it is a layer norm, or an RMS norm, which has no bias.
    pub centre: bool,
    /// Whether it has a bias.
    pub bias: bool,
    /// Whether a ReLU has the same input, so that its gradients accumulate.
    pub shared: bool,
    /// Mean of the input, and half its range.
    pub mean_range: [f64; 2],
}

impl LayerNormCase {
    fn shape(&self) -> Shape {
        let [n, places, c] = self.input.map(|d| d as usize);
        Shape { rows: n * places, c, eps: f64::from(1e-5_f32), centre: self.centre }
    }

    /// Sums over the rows of each chunk, `[chunk][channels padded]`; rows are stored place by place.
    fn by_chunk(&self, sum: impl Fn(&Shape, &[f64], &[f64]) -> Sum, data: &Data) -> Sum {
        let [n, places, c] = self.input.map(|d| d as usize);
        let stored = |values: &[f64]| -> Vec<f64> {
            let row = |at: usize| &values[(at % n * places + at / n) * c..][..c];
            (0..n * places).flat_map(row).copied().collect()
        };
        let (x, d_y) = (stored(&data["x"]), stored(&data["grad_out"]));
        let rows = bias_rows([self.input[0], self.input[1], 1, self.input[2]]).chunk_rows as usize;
        let mut all = Sum { value: vec![], magnitude: vec![], terms: 0 };
        for (x, d_y) in x.chunks(rows * c).zip(d_y.chunks(rows * c)) {
            let sum = sum(&Shape { rows: x.len() / c, ..self.shape() }, x, d_y);
            let fill = padded(self.input[2]) as usize - c;
            all.value.extend(sum.value.into_iter().chain(vec![0.0; fill]));
            all.magnitude.extend(sum.magnitude.into_iter().chain(vec![0.0; fill]));
            all.terms = all.terms.max(sum.terms);
        }
        all
    }

    /// The bias, or zeros.
    fn bias(&self, data: &Data) -> Vec<f64> {
        data.get("bias").cloned().unwrap_or_else(|| vec![0.0; self.shape().c])
    }
}

impl Case for LayerNormCase {
    fn name(&self) -> String {
        let ([n, places, c], [mean, range]) = (self.input, self.mean_range);
        let flags = [(!self.bias, ", no bias"), (self.shared, ", shared")];
        let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, text)| *text).collect();
        let kind = if self.centre { "layer" } else { "rms" };
        format!("{kind} norm of {n}x{places}x{c} of {mean}+-{range}{flags}")
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let [n, places, c] = self.input;
        let mut ports = second::unary_rows(t, [n, places, 1, c], self.shared, |t, x| match self.centre {
            true => layer_norm(t, x, LayerNorm { bias: self.bias, ..LayerNorm::default() }),
            false => rms_norm(t, x),
        });
        ports.push(Port::new("partial", At::Scratch { kernel: "layernorm/backward_partial", argument: 3 }));
        ports.push(Port::new("weight", At::Param("weight")));
        ports.push(Port::new("grad_weight_before", At::Gradient("weight")));
        ports.push(Port::new("grad_weight", At::Gradient("weight")));
        if self.bias {
            ports.push(Port::new("partial_bias", At::Scratch { kernel: "bias/backward_partial", argument: 3 }));
            ports.push(Port::new("bias", At::Param("bias")));
            ports.push(Port::new("grad_bias_before", At::Gradient("bias")));
            ports.push(Port::new("grad_bias", At::Gradient("bias")));
        }
        ports
    }

    fn data(&self) -> Data {
        let (Shape { rows, c, .. }, [mean, range]) = (self.shape(), self.mean_range);
        let x = random(rows * c, 1).into_iter().map(|x| single(mean + range * x)).collect();
        let mut data = Data::from([
            ("x", x),
            ("weight", random(c, 2)),
            ("grad_out", random(rows * c, 3)),
            ("grad_weight_before", random(c, 4)),
            ("scaler", scaler()),
        ]);
        if self.bias {
            data.extend([("bias", random(c, 5)), ("grad_bias_before", random(c, 6))]);
        }
        if self.shared {
            data.insert(second::GRADIENT, random(rows * c, 7));
        }
        data
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (shape, x, weight, d_y) = (self.shape(), &data["x"], &data["weight"], &data["grad_out"]);
        let mut d_x = reference::backward_input(&shape, x, weight, d_y);
        if let Some(second) = second::gradient(data, "x") {
            d_x = plus(&second, &d_x);
        }
        let d_weight = unscaled(reference::backward_weight(&shape, x, d_y));
        let mut expected = vec![
            Expected::sum("out", &reference::forward(&shape, x, weight, &self.bias(data))),
            Expected::sum("grad_x", &d_x),
            Expected::sum("partial", &self.by_chunk(reference::backward_weight, data)),
            Expected::added("grad_weight", &data["grad_weight_before"], &d_weight),
        ];
        if self.bias {
            let d_bias = unscaled(reference::backward_bias(&shape, d_y));
            let by_chunk = self.by_chunk(|shape, _, d_y| reference::backward_bias(shape, d_y), data);
            expected.push(Expected::sum("partial_bias", &by_chunk));
            expected.push(Expected::added("grad_bias", &data["grad_bias_before"], &d_bias));
        }
        expected
    }
}
