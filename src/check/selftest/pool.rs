//! Max-pooling, global and adaptive average pooling.

use super::{At, Case, Data, EPS, Expected, Port, TINY, plus, random, second, single};
use crate::{
    check::reference::pool::{self as reference, AdaptiveAvgPool, GlobalAvgPool, MaxPool},
    ops::{adaptive_avg_pool2d, global_avg_pool, max_pool2d},
    program::Tape,
};

/// A max-pooling of a tensor `[images, h, w, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPoolCase {
    /// Input shape.
    pub input: [u32; 4],
    /// Rows and columns of the window.
    pub kernel: u32,
    /// Stride of the window.
    pub stride: u32,
    /// Positions around the map that never win.
    pub padding: u32,
    /// Whether inputs are -1, -0.5, 0 or 0.5, so that most windows have several maxima; otherwise all are below zero,
    /// so that padding would win if it counted.
    pub ties: bool,
    /// Whether a ReLU has the same input, so that gradients accumulate.
    pub shared: bool,
}

impl MaxPoolCase {
    fn shape(&self) -> MaxPool {
        let [n, h, w, c] = self.input.map(|d| d as usize);
        let (kernel, stride, padding) = (self.kernel as usize, self.stride as usize, self.padding as usize);
        MaxPool { n, c, h, w, kernel, stride, padding }
    }
}

impl Case for MaxPoolCase {
    fn name(&self) -> String {
        let ([n, h, w, c], Self { kernel, stride, padding, .. }) = (self.input, self);
        let ties = if self.ties { ", ties" } else { "" };
        let shared = if self.shared { ", shared" } else { "" };
        format!("{n}x{h}x{w}x{c}, window {kernel} stride {stride} pad {padding}{ties}{shared}")
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let Self { kernel, stride, padding, .. } = *self;
        let mut ports = second::unary(t, self.input, self.shared, |t, x| max_pool2d(t, x, kernel, stride, padding));
        ports.push(Port::integers("winner", At::Scratch { kernel: "pool/max_forward", argument: 2 }));
        ports
    }

    fn data(&self) -> Data {
        let shape = self.shape();
        let value = |x: f64| if self.ties { (x * 2.0).floor() / 2.0 } else { single(x - 1.5) };
        second::data(random(shape.x_len(), 1).into_iter().map(value).collect(), shape.y_len(), self.shared)
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (shape, x) = (self.shape(), &data["x"]);
        let (y, winner) = reference::max_pool2d(&shape, x);
        let mut d_x = reference::max_pool2d_backward(&shape, &winner, &data["grad_out"]);
        if let Some(second) = second::gradient(data, "x") {
            d_x = plus(&second, &d_x);
        }
        let pixel = winner.iter().map(|i| (i % (shape.h * shape.w)) as f64).collect();
        vec![Expected::exact("out", y), Expected::exact("winner", pixel), Expected::sum("grad_x", &d_x)]
    }
}

/// The mean over the maps of a tensor `[images, h, w, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAvgPoolCase {
    /// Input shape.
    pub input: [u32; 4],
    /// Whether a ReLU has the same input, so that gradients accumulate.
    pub shared: bool,
}

impl GlobalAvgPoolCase {
    fn shape(&self) -> GlobalAvgPool {
        let [n, h, w, c] = self.input.map(|d| d as usize);
        GlobalAvgPool { n, c, h, w }
    }
}

impl Case for GlobalAvgPoolCase {
    fn name(&self) -> String {
        let [n, h, w, c] = self.input;
        format!("mean of {n}x{h}x{w}x{c}{}", if self.shared { ", shared" } else { "" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        second::unary(t, self.input, self.shared, global_avg_pool)
    }

    fn data(&self) -> Data {
        let GlobalAvgPool { n, c, h, w } = self.shape();
        second::data(random(n * c * h * w, 1), n * c, self.shared)
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    /// The gradient has a division, right to 2.5 units in the last place, and a sum.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (shape, x) = (self.shape(), &data["x"]);
        let d_x = reference::global_avg_pool_backward(&shape, &data["grad_out"]);
        let bound = d_x.iter().map(|d| 4.0 * EPS * d.abs() + TINY).collect();
        let mut y = Expected::sum("out", &reference::global_avg_pool(&shape, x));
        y.bound.iter_mut().zip(&y.value).for_each(|(bound, y)| *bound += 3.0 * EPS * y.abs());
        vec![y, second::with_second(data, [d_x, bound])]
    }
}

/// The means over windows that cover the maps of a tensor `[images, h, w, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct AdaptiveAvgPoolCase {
    /// Input shape.
    pub input: [u32; 4],
    /// Rows and columns of the output.
    pub out: u32,
    /// Whether a ReLU has the same input, so that gradients accumulate.
    pub shared: bool,
}

impl AdaptiveAvgPoolCase {
    fn shape(&self) -> AdaptiveAvgPool {
        let [n, h, w, c] = self.input.map(|d| d as usize);
        AdaptiveAvgPool { n, c, h, w, out: self.out as usize }
    }
}

impl Case for AdaptiveAvgPoolCase {
    fn name(&self) -> String {
        let ([n, h, w, c], out) = (self.input, self.out);
        format!("means of {n}x{h}x{w}x{c} to {out}x{out}{}", if self.shared { ", shared" } else { "" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        second::unary(t, self.input, self.shared, |t, x| adaptive_avg_pool2d(t, x, self.out))
    }

    fn data(&self) -> Data {
        let AdaptiveAvgPool { n, c, h, w, out } = self.shape();
        second::data(random(n * c * h * w, 1), n * c * out * out, self.shared)
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    /// Each term of a sum is, or its result is, divided: right to 2.5 units in the last place.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (shape, x) = (self.shape(), &data["x"]);
        let mut y = Expected::sum("out", &reference::adaptive_avg_pool2d(&shape, x));
        y.bound.iter_mut().zip(&y.value).for_each(|(bound, y)| *bound += 3.0 * EPS * y.abs());
        let mut sum = reference::adaptive_avg_pool2d_backward(&shape, &data["grad_out"]);
        let divided: Vec<f64> = sum.magnitude.iter().map(|magnitude| 3.0 * EPS * magnitude + TINY).collect();
        if let Some(second) = second::gradient(data, "x") {
            sum = plus(&second, &sum);
        }
        let mut d_x = Expected::sum("grad_x", &sum);
        d_x.bound.iter_mut().zip(divided).for_each(|(bound, divided)| *bound += divided);
        vec![y, d_x]
    }
}
