//! A convolution and the batch norm behind it, whose statistics the convolution computes if its tiles allow.

use super::{At, BatchNormCase, Case, Conv2dCase, Data, Expected, Port, random};
use crate::{
    check::reference::conv2d as reference,
    ops::{Activation, BatchNorm, Conv2d, batch_norm, conv2d},
    program::Tape,
};

/// The inputs are small whole numbers, so that the convolution is exact in any precision and the batch norm keeps its
/// bounds.
#[derive(Clone, Copy, Debug)]
pub struct ConvNormCase {
    /// Input shape.
    pub input: [u32; 4],
    /// The convolution.
    pub conv: Conv2d,
}

impl ConvNormCase {
    fn convolution(&self) -> Conv2dCase {
        Conv2dCase { input: self.input, conv: self.conv, shared: false }
    }

    /// The batch norm of the convolution's result.
    fn normalization(&self) -> BatchNormCase {
        let shape = self.convolution().shape(self.conv);
        let input = [shape.n, shape.p(), shape.q(), shape.k].map(|d| d as u32);
        BatchNormCase {
            input,
            training: true,
            add: false,
            activation: Activation::Relu,
            shared: false,
            mean_range: [0.0, 1.0],
            airbench: false,
        }
    }

    fn product(&self, data: &Data) -> Vec<f64> {
        reference::forward(&self.convolution().shape(self.conv), &data["x"], &data["weight"]).value
    }

    /// The inputs of the batch norm.
    fn behind(&self, data: &Data) -> Data {
        let mut behind = data.clone();
        behind.insert("x", self.product(data));
        behind
    }
}

impl Case for ConvNormCase {
    fn name(&self) -> String {
        format!("{}, normalized", self.convolution().name())
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = t.tensor(self.input);
        let y = t.scope("conv", |t| conv2d(t, x, self.conv));
        let z = t.scope("bn", |t| batch_norm(t, y, BatchNorm::then(Activation::Relu)));
        vec![
            Port::new("x", At::Tensor(x)),
            Port::new("weight", At::Param("conv.weight")),
            Port::new("gamma", At::Param("bn.weight")),
            Port::new("beta", At::Param("bn.bias")),
            Port::new("running_mean_before", At::Running("bn.running_mean")),
            Port::new("running_var_before", At::Running("bn.running_var")),
            Port::new("product", At::Tensor(y)),
            Port::new("out", At::Tensor(z)),
            Port::new("running_mean", At::Running("bn.running_mean")),
            Port::new("running_var", At::Running("bn.running_var")),
            Port::new("saved", At::Scratch { kernel: "batchnorm/finish", argument: 1 }),
        ]
    }

    fn data(&self) -> Data {
        let shape = self.convolution().shape(self.conv);
        let whole =
            |len: usize, seed: u64, most: f64| random(len, seed).into_iter().map(|v| (most * v).round()).collect();
        let mut data = self.normalization().data();
        data.insert("x", whole(shape.x_len(), 11, 3.0));
        data.insert("weight", whole(shape.weight_len(), 12, 2.0));
        data
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let behind = self.behind(data);
        let wanted = ["out", "running_mean", "running_var", "saved"];
        let mut expected = self.normalization().expected(&behind);
        expected.retain(|expected| wanted.contains(&expected.port));
        expected.push(Expected::exact("product", behind["x"].clone()));
        expected
    }
}
