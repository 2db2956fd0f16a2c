//! Maps as rows.

use super::{At, Case, Data, EPS, Expected, Port, random};
use crate::{
    check::reference::elementwise,
    ops::{flatten, relu},
    program::Tape,
};

/// A map of shape `[images, h, w, channels]` as rows.
#[derive(Clone, Copy, Debug)]
pub struct FlattenCase {
    /// Input shape, of more than one pixel.
    pub input: [u32; 4],
    /// Whether a ReLU has the same input, so that gradients accumulate.
    pub shared: bool,
}

impl FlattenCase {
    fn len(&self) -> usize {
        self.input.iter().product::<u32>() as usize
    }
}

impl Case for FlattenCase {
    fn name(&self) -> String {
        let [n, h, w, c] = self.input;
        format!("rows of {n}x{h}x{w}x{c}{}", if self.shared { ", shared" } else { "" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = t.tensor(self.input);
        let y = flatten(t, x);
        let mut ports = vec![
            Port::new("x", At::Tensor(x)),
            Port::new("grad_out", At::Tensor(t.write_gradient(y).0)),
            Port::new("out", At::Tensor(y)),
        ];
        if self.shared {
            let second = relu(t, x);
            ports.push(Port::new("second.grad_out", At::Tensor(t.write_gradient(second).0)));
        }
        t.backward();
        ports.push(Port::new("grad_x", At::Tensor(t.gradient(x).expect("flatten has given one"))));
        ports
    }

    fn data(&self) -> Data {
        let mut data = Data::from([("x", random(self.len(), 1)), ("grad_out", random(self.len(), 2))]);
        if self.shared {
            data.insert("second.grad_out", random(self.len(), 3));
        }
        data
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        let Some(second) = data.get("second.grad_out") else { return Data::new() };
        Data::from([("grad_x", elementwise::relu_backward(&data["x"], second))])
    }

    /// In PyTorch's order of elements, which the values here have, nothing moves.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let mut d_x = data["grad_out"].clone();
        let mut bound = vec![0.0; d_x.len()];
        if let Some(second) = data.get("second.grad_out") {
            for (i, second) in elementwise::relu_backward(&data["x"], second).into_iter().enumerate() {
                d_x[i] += second;
                bound[i] = EPS * d_x[i].abs();
            }
        }
        vec![Expected::exact("out", data["x"].clone()), Expected { port: "grad_x", value: d_x, bound, exempt: 0.0 }]
    }
}
