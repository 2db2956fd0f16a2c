//! Functions of one tensor, element by element.

use super::{Case, Data, EPS, Expected, Port, activation, random, second, single};
use crate::{
    ops::{Activation, activate, scale, widen},
    program::Tape,
};

/// Which function.
#[derive(Clone, Copy, Debug)]
pub enum Unary {
    /// An activation alone.
    Activation(Activation),
    /// Multiplication by a constant.
    Scale(f32),
    /// The same numbers in f32.
    Widen,
}

/// A function of a tensor's elements.
#[derive(Clone, Copy, Debug)]
pub struct UnaryCase {
    /// Input shape, `[images, h, w, channels]`.
    pub shape: [u32; 4],
    /// The function.
    pub op: Unary,
    /// Whether a ReLU has the same input, so that its gradients accumulate.
    pub shared: bool,
}

impl Case for UnaryCase {
    fn name(&self) -> String {
        let [n, h, w, c] = self.shape;
        let (shape, shared) = (format!("{n}x{h}x{w}x{c}"), if self.shared { ", shared" } else { "" });
        match self.op {
            Unary::Activation(activation) => format!("{shape}{}{shared}", activation.name()),
            Unary::Scale(factor) => format!("{factor} times {shape}{shared}"),
            Unary::Widen => format!("{shape} in f32{shared}"),
        }
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        second::unary(t, self.shape, self.shared, |t, x| match self.op {
            Unary::Activation(activation) => activate(t, x, activation),
            Unary::Scale(factor) => scale(t, x, factor),
            Unary::Widen => widen(t, x),
        })
    }

    /// From -8 to 8, where every activation has nearly reached its ends.
    fn data(&self) -> Data {
        let len = self.shape.iter().product::<u32>() as usize;
        let x = random(len, 1).into_iter().map(|x| single(8.0 * x)).collect();
        second::data(x, len, self.shared)
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    /// A sum of gradients has one rounding, relative to itself.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (x, d_y) = (Expected::exact("out", data["x"].clone()), &data["grad_out"]);
        let scaled = |values: &[f64], factor: f32| values.iter().map(|v| f64::from(factor) * v).collect::<Vec<_>>();
        let (out, [mut d_x, bound]) = match self.op {
            Unary::Activation(activation) => {
                let gradient = activation::backward(activation, &x, d_y);
                let mut out = x;
                activation::forward(activation, &mut out);
                (out, gradient)
            }
            Unary::Scale(factor) => {
                let product = scaled(d_y, factor);
                let bound = product.iter().map(|v| EPS * v.abs()).collect();
                (Expected::rounded("out", scaled(&x.value, factor), 1.0), [product, bound])
            }
            Unary::Widen => (x, [d_y.clone(), vec![0.0; d_y.len()]]),
        };
        if let Some(second) = second::gradient(data, "x") {
            d_x.iter_mut().zip(second).for_each(|(d, second)| *d += second);
        }
        let mut d_x = Expected::rounded("grad_x", d_x, 1.0);
        d_x.bound.iter_mut().zip(bound).for_each(|(all, bound)| *all += bound);
        vec![out, d_x]
    }
}
