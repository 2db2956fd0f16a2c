//! ReLU, alone and after a sum, and a plain sum.

use super::{At, Case, Data, Expected, Port, TINY16, random, second};
use crate::{
    check::reference::elementwise as reference,
    ops::{add, add_relu, relu},
    program::Tape,
};

/// A ReLU.
#[derive(Clone, Copy, Debug)]
pub struct ReluCase {
    /// Input shape.
    pub shape: [u32; 4],
    /// Whether the argument is a sum of two tensors rather than one.
    pub add: bool,
    /// Whether a second ReLU has the same input, so that gradients accumulate.
    pub shared: bool,
    /// Whether it has a backward pass.
    pub training: bool,
}

impl ReluCase {
    fn len(&self) -> usize {
        self.shape.iter().product::<u32>() as usize
    }
}

impl Case for ReluCase {
    fn name(&self) -> String {
        let ([n, h, w, c], op) = (self.shape, if self.add { "add_relu" } else { "relu" });
        format!("{op} {n}x{h}x{w}x{c}{}", if self.shared { ", shared" } else { "" })
    }

    fn training(&self) -> bool {
        self.training
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = t.tensor(self.shape);
        let other = self.add.then(|| t.tensor(self.shape));
        let y = match other {
            Some(other) => add_relu(t, x, other),
            None => relu(t, x),
        };
        let mut ports = vec![Port::new("x", At::Tensor(x)), Port::new("out", At::Tensor(y))];
        ports.extend(other.map(|other| Port::new("other", At::Tensor(other))));
        if !self.training {
            return ports;
        }
        ports.push(Port::new("grad_out", At::Tensor(t.write_gradient(y).0)));
        if self.shared {
            ports.push(second::consume(t, x));
        }
        t.backward();
        ports.push(Port::new("grad_x", At::Tensor(t.gradient(x).expect("relu has given one"))));
        if let Some(other) = other {
            ports.push(Port::new("grad_other", At::Tensor(t.gradient(other).expect("add_relu has given one"))));
        }
        ports
    }

    fn data(&self) -> Data {
        let mut x = random(self.len(), 1);
        x.iter_mut().step_by(7).for_each(|x| *x = 0.0); // the kink, where the derivative is 0
        let mut data = Data::from([("x", x)]);
        if self.add {
            let mut other = random(self.len(), 2);
            // Their sum is beyond the largest f16.
            for values in [&mut other, data.get_mut("x").expect("it is there")] {
                values[1] = 65_504.0;
            }
            data.insert("other", other);
        }
        if self.training {
            data.insert("grad_out", random(self.len(), 3));
        }
        if self.shared {
            data.insert(second::GRADIENT, random(self.len(), 4));
        }
        data
    }

    /// If the sum may be stored as zero, its gradient is set to 0: it does not matter then whether ReLU lets it pass.
    fn settle(&self, data: &mut Data) {
        let Some(other) = data.get("other") else { return };
        let vanishes: Vec<bool> = data["x"].iter().zip(other).map(|(x, other)| (x + other).abs() < TINY16).collect();
        let Some(d_y) = data.get_mut("grad_out") else { return };
        d_y.iter_mut().zip(vanishes).filter(|(_, vanishes)| *vanishes).for_each(|(d, _)| *d = 0.0);
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    /// A maximum and a selection are exact; a sum of two has one rounding.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let x = &data["x"];
        let mut expected = vec![match data.get("other") {
            Some(other) => Expected::rounded("out", reference::add_relu(x, other), 1.0),
            None => Expected::exact("out", reference::relu(x)),
        }];
        let Some(d_y) = data.get("grad_out") else { return expected };
        let mut d_x = match data.get("other") {
            Some(other) => reference::add_relu_backward(x, other, d_y),
            None => reference::relu_backward(x, d_y),
        };
        if self.add {
            expected.push(Expected::exact("grad_other", d_x.clone()));
        }
        if let Some(second) = second::gradient(data, "x") {
            d_x.iter_mut().zip(second).for_each(|(d, second)| *d += second);
        }
        expected.push(Expected::rounded("grad_x", d_x, 1.0));
        expected
    }
}

/// The sum of two tensors.
#[derive(Clone, Copy, Debug)]
pub struct AddCase {
    /// Their shape, `[images, h, w, channels]`.
    pub shape: [u32; 4],
    /// Whether a ReLU has the same first summand, so that its gradients accumulate.
    pub shared: bool,
}

impl Case for AddCase {
    fn name(&self) -> String {
        let [n, h, w, c] = self.shape;
        format!("sum of {n}x{h}x{w}x{c}{}", if self.shared { ", shared" } else { "" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let other = t.tensor(self.shape);
        let mut ports = second::unary(t, self.shape, self.shared, |t, x| add(t, x, other));
        ports.push(Port::new("other", At::Tensor(other)));
        ports.push(Port::new("grad_other", At::Tensor(t.gradient(other).expect("add has given one"))));
        ports
    }

    fn data(&self) -> Data {
        let len = self.shape.iter().product::<u32>() as usize;
        let mut data = Data::from([("x", random(len, 1)), ("other", random(len, 2)), ("grad_out", random(len, 3))]);
        if self.shared {
            data.insert(second::GRADIENT, random(len, 4));
        }
        data
    }

    /// The gradient from the summand's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let mut d_x = data["grad_out"].clone();
        if let Some(second) = second::gradient(data, "x") {
            d_x.iter_mut().zip(second).for_each(|(d, second)| *d += second);
        }
        let sum = data["x"].iter().zip(&data["other"]).map(|(x, other)| x + other).collect();
        vec![
            Expected::rounded("out", sum, 1.0),
            Expected::exact("grad_other", data["grad_out"].clone()),
            Expected::rounded("grad_x", d_x, 1.0),
        ]
    }
}
