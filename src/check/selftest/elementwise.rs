//! ReLU, alone and after a sum, other activations, a plain sum, multiplication by a constant, and a
//! change of precision.

use super::{At, Case, Data, EPS, Expected, Port, TINY16, activation, random, second, single};
use crate::{
    check::reference::elementwise as reference,
    ops::{Activation, activate, add, add_relu, relu, scale, widen},
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

/// Multiplication by a constant.
#[derive(Clone, Copy, Debug)]
pub struct ScaleByCase {
    /// Input shape, `[images, h, w, channels]`.
    pub shape: [u32; 4],
    /// The factor.
    pub factor: f32,
    /// Whether a ReLU has the same input, so that its gradients accumulate.
    pub shared: bool,
}

impl Case for ScaleByCase {
    fn name(&self) -> String {
        let [n, h, w, c] = self.shape;
        format!("{} times {n}x{h}x{w}x{c}{}", self.factor, if self.shared { ", shared" } else { "" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        second::unary(t, self.shape, self.shared, |t, x| scale(t, x, self.factor))
    }

    fn data(&self) -> Data {
        let len = self.shape.iter().product::<u32>() as usize;
        let mut data = Data::from([("x", random(len, 1)), ("grad_out", random(len, 2))]);
        if self.shared {
            data.insert(second::GRADIENT, random(len, 3));
        }
        data
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    /// A product and a sum have one rounding each, relative to the larger of the summands.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let scaled = |name: &str| data[name].iter().map(|v| f64::from(self.factor) * v).collect::<Vec<_>>();
        let (mut d_x, product) = (scaled("grad_out"), scaled("grad_out"));
        if let Some(second) = second::gradient(data, "x") {
            d_x.iter_mut().zip(second).for_each(|(d, second)| *d += second);
        }
        let mut d_x = Expected::rounded("grad_x", d_x, 1.0);
        d_x.bound.iter_mut().zip(product).for_each(|(bound, v)| *bound += EPS * v.abs());
        vec![Expected::rounded("out", scaled("x"), 1.0), d_x]
    }
}

/// The same numbers in f32.
#[derive(Clone, Copy, Debug)]
pub struct WidenCase {
    /// Input shape, `[images, h, w, channels]`.
    pub shape: [u32; 4],
    /// Whether a ReLU has the same input, so that its gradients accumulate.
    pub shared: bool,
}

impl Case for WidenCase {
    fn name(&self) -> String {
        let [n, h, w, c] = self.shape;
        format!("{n}x{h}x{w}x{c} in f32{}", if self.shared { ", shared" } else { "" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        second::unary(t, self.shape, self.shared, widen)
    }

    fn data(&self) -> Data {
        let len = self.shape.iter().product::<u32>() as usize;
        let mut data = Data::from([("x", random(len, 1)), ("grad_out", random(len, 2))]);
        if self.shared {
            data.insert(second::GRADIENT, random(len, 3));
        }
        data
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let mut d_x = data["grad_out"].clone();
        if let Some(second) = second::gradient(data, "x") {
            d_x.iter_mut().zip(second).for_each(|(d, second)| *d += second);
        }
        vec![Expected::exact("out", data["x"].clone()), Expected::rounded("grad_x", d_x, 1.0)]
    }
}

/// An activation alone.
#[derive(Clone, Copy, Debug)]
pub struct ActivationCase {
    /// Input shape, `[images, h, w, channels]`.
    pub shape: [u32; 4],
    /// Which.
    pub activation: Activation,
    /// Whether a ReLU has the same input, so that its gradients accumulate.
    pub shared: bool,
}

impl Case for ActivationCase {
    fn name(&self) -> String {
        let [n, h, w, c] = self.shape;
        format!("{n}x{h}x{w}x{c}{}{}", self.activation.name(), if self.shared { ", shared" } else { "" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        second::unary(t, self.shape, self.shared, |t, x| activate(t, x, self.activation))
    }

    /// From -8 to 8, where every activation has nearly reached its ends.
    fn data(&self) -> Data {
        let len = self.shape.iter().product::<u32>() as usize;
        let x = random(len, 1).into_iter().map(|x| single(8.0 * x)).collect();
        let mut data = Data::from([("x", x), ("grad_out", random(len, 2))]);
        if self.shared {
            data.insert(second::GRADIENT, random(len, 3));
        }
        data
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let mut out = Expected::exact("out", data["x"].clone());
        let [mut d_x, bound] = activation::backward(self.activation, &out, &data["grad_out"]);
        activation::forward(self.activation, &mut out);
        if let Some(second) = second::gradient(data, "x") {
            d_x.iter_mut().zip(second).for_each(|(d, second)| *d += second);
        }
        let mut d_x = Expected::rounded("grad_x", d_x, 1.0);
        d_x.bound.iter_mut().zip(bound).for_each(|(all, bound)| *all += bound);
        vec![out, d_x]
    }
}
