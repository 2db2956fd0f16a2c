//! A bias per channel, followed by an activation.

use super::{
    Activation, At, Case, Data, Expected, Port, TINY16, activation, port::places_of_map, random, scaler, second,
    unscaled,
};
use crate::{
    check::reference::Sum,
    ops::{bias, bias_rows},
    program::{
        Tape,
        params::{Init, padded},
    },
};

/// A bias on a tensor `[images, h, w, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct BiasCase {
    /// Input shape.
    pub input: [u32; 4],
    /// The activation at the end.
    pub activation: Activation,
    /// Whether a ReLU has the same input, so that its gradients accumulate.
    pub shared: bool,
}

impl BiasCase {
    fn len(&self) -> usize {
        self.input.iter().product::<u32>() as usize
    }

    /// The channel of an element.
    fn channel(&self, i: usize) -> usize {
        let [_, h, w, c] = self.input.map(|d| d as usize);
        i / (h * w) % c
    }

    /// Sums over the rows of each chunk, `[chunk][channels padded]`, of values in PyTorch's order.
    fn by_chunk(&self, values: &[f64]) -> Vec<f64> {
        let c = padded(self.input[3]) as usize;
        let rows = bias_rows(self.input).chunk_rows as usize;
        let mut sums = vec![0.0; (self.len() / self.input[3] as usize).div_ceil(rows) * c];
        for (place, value) in places_of_map(self.input).into_iter().zip(values) {
            sums[place / c / rows * c + place % c] += value;
        }
        sums
    }

    /// The argument of the activation, with one rounding.
    fn sum(&self, data: &Data) -> Expected {
        let add = |(i, x): (usize, &f64)| x + data["bias"][self.channel(i)];
        Expected::rounded("out", data["x"].iter().enumerate().map(add).collect(), 1.0)
    }
}

impl Case for BiasCase {
    fn name(&self) -> String {
        let [n, h, w, c] = self.input;
        let shared = if self.shared { ", shared" } else { "" };
        format!("bias of {n}x{h}x{w}x{c}{}{shared}", self.activation.name())
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = t.tensor(self.input);
        let y = bias(t, x, Init::Constant(0.0), self.activation);
        let d_y = t.write_gradient(y).0;
        let second = self.shared.then(|| second::consume(t, x));
        t.backward();
        let mut ports = vec![
            Port::new("x", At::Tensor(x)),
            Port::new("bias", At::Param("bias")),
            Port::new("grad_out", At::Tensor(d_y)),
            Port::new("grad_bias_before", At::Gradient("bias")),
            Port::new("out", At::Tensor(y)),
            Port::new("grad_x", At::Tensor(t.gradient(x).expect("bias has given one"))),
            Port::new("grad_partial", At::Scratch { kernel: "bias/backward_partial", argument: 3 }),
            Port::new("grad_bias", At::Gradient("bias")),
        ];
        ports.extend(second);
        ports
    }

    /// The inputs reach to where the tail of GELU vanishes.
    fn data(&self) -> Data {
        let c = self.input[3] as usize;
        let mut data = Data::from([
            ("x", random(self.len(), 1).into_iter().map(|x| 8.0 * x).collect()),
            ("bias", random(c, 2)),
            ("grad_out", random(self.len(), 3)),
            ("grad_bias_before", random(c, 4)),
            ("scaler", scaler()),
        ]);
        if self.shared {
            data.insert(second::GRADIENT, random(self.len(), 5));
        }
        data
    }

    /// As for batch norm: if the sum may be on either side of ReLU's kink, its gradient is set to 0.
    fn settle(&self, data: &mut Data) {
        let z = self.sum(data);
        let relu = self.activation == Activation::Relu;
        let Some(d_y) = data.get_mut("grad_out").filter(|_| relu) else { return };
        for (i, d) in d_y.iter_mut().enumerate() {
            if z.value[i].abs() <= z.bound[i] + TINY16 {
                *d = 0.0;
            }
        }
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let z = self.sum(data);
        let [g, of_g] = activation::backward(self.activation, &z, &data["grad_out"]);
        let c = self.input[3] as usize;
        let mut d_bias = Sum { value: vec![0.0; c], magnitude: vec![0.0; c], terms: self.len() / c };
        let mut of_bias = vec![0.0; c];
        for i in 0..g.len() {
            d_bias.value[self.channel(i)] += g[i];
            d_bias.magnitude[self.channel(i)] += g[i].abs();
            of_bias[self.channel(i)] += of_g[i];
        }
        let mut d_bias = Expected::added("grad_bias", &data["grad_bias_before"], &unscaled(d_bias));
        d_bias.bound.iter_mut().zip(of_bias).for_each(|(bound, more)| *bound += more);
        let second = second::gradient(data, "x");
        let d_x = (0..g.len()).map(|i| g[i] + second.as_ref().map_or(0.0, |second| second[i])).collect();
        let mut d_x = Expected::rounded("grad_x", d_x, 1.0);
        d_x.bound.iter_mut().zip(&of_g).for_each(|(bound, more)| *bound += more);
        let absolute: Vec<f64> = g.iter().map(|g| g.abs()).collect();
        let terms = bias_rows(self.input).chunk_rows as usize;
        let partial = Sum { value: self.by_chunk(&g), magnitude: self.by_chunk(&absolute), terms };
        let mut partial = Expected::sum("grad_partial", &partial);
        partial.bound.iter_mut().zip(self.by_chunk(&of_g)).for_each(|(bound, more)| *bound += more);
        let mut out = z;
        activation::forward(self.activation, &mut out);
        vec![out, d_x, partial, d_bias]
    }
}
