//! The linear layer.

use super::{At, Case, Data, Expected, Port, random, scaler, unscaled};
use crate::{
    check::reference::linear::{self as reference, Linear},
    ops::linear,
    program::Tape,
};

/// A linear layer on `n` rows.
#[derive(Clone, Copy, Debug)]
pub struct LinearCase {
    /// Samples.
    pub n: u32,
    /// Places of a sample, each of which is a row.
    pub places: u32,
    /// Columns of the input.
    pub inputs: u32,
    /// Columns of the output.
    pub outputs: u32,
}

impl LinearCase {
    fn shape(&self) -> Linear {
        Linear { n: (self.n * self.places) as usize, inputs: self.inputs as usize, outputs: self.outputs as usize }
    }
}

impl Case for LinearCase {
    fn name(&self) -> String {
        format!("linear {}x{}x{} to {}", self.n, self.places, self.inputs, self.outputs)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = t.tensor([self.n, self.places, 1, self.inputs]);
        let y = linear(t, x, self.outputs);
        let d_y = t.write_gradient(y).0;
        t.backward();
        vec![
            Port::new("x", At::Rows(x)),
            Port::new("weight", At::Param("weight")),
            Port::new("bias", At::Param("bias")),
            Port::new("grad_out", At::Rows(d_y)),
            Port::new("grad_weight_before", At::Gradient("weight")),
            Port::new("grad_bias_before", At::Gradient("bias")),
            Port::new("out", At::Rows(y)),
            Port::new("grad_x", At::Rows(t.gradient(x).expect("linear has given one"))),
            Port::new("grad_weight", At::Gradient("weight")),
            Port::new("grad_bias", At::Gradient("bias")),
        ]
    }

    fn data(&self) -> Data {
        let Linear { n, inputs, outputs } = self.shape();
        Data::from([
            ("x", random(n * inputs, 1)),
            ("weight", random(outputs * inputs, 2)),
            ("bias", random(outputs, 3)),
            ("grad_out", random(n * outputs, 4)),
            ("grad_weight_before", random(outputs * inputs, 5)),
            ("grad_bias_before", random(outputs, 6)),
            ("scaler", scaler()),
        ])
    }

    /// The product, before the bias is added.
    fn intermediate(&self, data: &Data) -> Data {
        let shape = self.shape();
        let product = reference::forward(&shape, &data["x"], &data["weight"], &vec![0.0; shape.outputs]);
        Data::from([("out", product.value)])
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (shape, x, d_y) = (self.shape(), &data["x"], &data["grad_out"]);
        let d_weight = unscaled(reference::backward_weight(&shape, x, d_y));
        let d_bias = unscaled(reference::backward_bias(&shape, d_y));
        vec![
            Expected::sum("out", &reference::forward(&shape, x, &data["weight"], &data["bias"])),
            Expected::sum("grad_x", &reference::backward_input(&shape, d_y, &data["weight"])),
            Expected::added("grad_weight", &data["grad_weight_before"], &d_weight),
            Expected::added("grad_bias", &data["grad_bias_before"], &d_bias),
        ]
    }
}
