//! Convolution: three passes, with a second convolution of the same input if gradients are to accumulate.

use super::{At, Case, Data, Expected, Port, plus, random, scaler, unscaled};
use crate::{
    check::reference::conv2d::{self as reference, Conv},
    ops::{Conv2d, conv2d},
    program::{Tape, Tensor},
};

/// A convolution of a tensor `[images, h, w, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dCase {
    /// Input shape.
    pub input: [u32; 4],
    /// The op's options.
    pub conv: Conv2d,
    /// Whether a 1x1 convolution to 5 channels has the same input.
    pub shared: bool,
}

/// The other consumer of the input.
const SECOND: Conv2d = Conv2d { outputs: 5, kernel: 1, stride: 1, padding: 0 };

impl Conv2dCase {
    pub(super) fn shape(&self, conv: Conv2d) -> Conv {
        let [n, h, w, c] = self.input.map(|d| d as usize);
        let Conv2d { outputs, kernel, stride, padding } = conv;
        let kernel = kernel as usize;
        Conv {
            n,
            c,
            h,
            w,
            k: outputs as usize,
            r: kernel,
            s: kernel,
            stride: stride as usize,
            padding: padding as usize,
        }
    }
}

impl Case for Conv2dCase {
    fn name(&self) -> String {
        let ([n, h, w, c], Conv2d { outputs, kernel, stride, padding }) = (self.input, self.conv);
        let shared = if self.shared { ", shared" } else { "" };
        format!("{n}x{h}x{w}x{c} to {outputs}, {kernel}x{kernel} stride {stride} pad {padding}{shared}")
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = t.tensor(self.input);
        let convolve = |t: &mut Tape, conv: Conv2d| -> [Tensor; 2] {
            let y = conv2d(t, x, conv);
            [y, t.write_gradient(y).0]
        };
        let [y, d_y] = convolve(t, self.conv);
        let second = self.shared.then(|| t.scope("second", |t| convolve(t, SECOND)));
        t.backward();
        let mut ports = vec![
            Port::new("x", At::Tensor(x)),
            Port::new("weight", At::Param("weight")),
            Port::new("grad_out", At::Tensor(d_y)),
            Port::new("grad_weight_before", At::Gradient("weight")),
            Port::new("out", At::Tensor(y)),
            Port::new("grad_x", At::Tensor(t.gradient(x).expect("conv2d has given one"))),
            Port::new("grad_weight", At::Gradient("weight")),
        ];
        if let Some([y, d_y]) = second {
            ports.extend([
                Port::new("second.weight", At::Param("second.weight")),
                Port::new("second.grad_out", At::Tensor(d_y)),
                Port::new("second.out", At::Tensor(y)),
                Port::new("second.grad_weight", At::Gradient("second.weight")),
            ]);
        }
        ports
    }

    fn data(&self) -> Data {
        let shape = self.shape(self.conv);
        let mut data = Data::from([
            ("x", random(shape.x_len(), 1)),
            ("weight", random(shape.weight_len(), 2)),
            ("grad_out", random(shape.y_len(), 3)),
            ("grad_weight_before", random(shape.weight_len(), 4)),
            ("scaler", scaler()),
        ]);
        if self.shared {
            let shape = self.shape(SECOND);
            data.insert("second.weight", random(shape.weight_len(), 5));
            data.insert("second.grad_out", random(shape.y_len(), 6));
        }
        data
    }

    /// The gradient from the second convolution is there first.
    fn intermediate(&self, data: &Data) -> Data {
        let Some(d_y) = data.get("second.grad_out") else { return Data::new() };
        let d_x = reference::backward_input(&self.shape(SECOND), d_y, &data["second.weight"]);
        Data::from([("grad_x", d_x.value)])
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (shape, x) = (self.shape(self.conv), &data["x"]);
        let mut d_x = reference::backward_input(&shape, &data["grad_out"], &data["weight"]);
        let d_weight = unscaled(reference::backward_weight(&shape, x, &data["grad_out"]));
        let mut expected = vec![
            Expected::sum("out", &reference::forward(&shape, x, &data["weight"])),
            Expected::added("grad_weight", &data["grad_weight_before"], &d_weight),
        ];
        if self.shared {
            let (shape, d_y) = (self.shape(SECOND), &data["second.grad_out"]);
            let other = reference::backward_input(&shape, d_y, &data["second.weight"]);
            let terms = d_x.terms + other.terms;
            let magnitude: Vec<f64> = d_x.magnitude.iter().zip(&other.magnitude).map(|(a, b)| a + b).collect();
            d_x = plus(&other.value, &d_x);
            (d_x.magnitude, d_x.terms) = (magnitude, terms);
            expected.push(Expected::sum("second.out", &reference::forward(&shape, x, &data["second.weight"])));
            let d_weight = unscaled(reference::backward_weight(&shape, x, d_y));
            expected.push(Expected::sum("second.grad_weight", &d_weight));
        }
        expected.push(Expected::sum("grad_x", &d_x));
        expected
    }
}
