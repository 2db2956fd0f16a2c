//! Positions by sines and cosines.

use super::{Case, Data, EPS, Expected, Port, random, second};
use crate::{check::reference::sinusoids::sinusoids, ops::add_sinusoids, program::Tape};

/// The sum of a tensor `[samples, places, 1, channels]` and sines and cosines.
#[derive(Clone, Copy, Debug)]
pub struct SinusoidsCase {
    /// Samples, places and channels.
    pub input: [u32; 3],
    /// Whether a ReLU has the same input, so that its gradients accumulate.
    pub shared: bool,
}

impl Case for SinusoidsCase {
    fn name(&self) -> String {
        let [n, places, c] = self.input;
        format!("{n}x{places}x{c} and sinusoids{}", if self.shared { ", shared" } else { "" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let [n, places, c] = self.input;
        second::unary_rows(t, [n, places, 1, c], self.shared, add_sinusoids)
    }

    fn data(&self) -> Data {
        let elements = self.input.iter().product::<u32>() as usize;
        second::data(random(elements, 1), elements, self.shared)
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    /// The sines are rounded to floats, and so is the sum.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let [_, places, c] = self.input.map(|d| d as usize);
        let rows = sinusoids(places, c);
        let value: Vec<f64> = data["x"].iter().zip(rows.iter().cycle()).map(|(x, sine)| x + sine).collect();
        let bound = value.iter().map(|y| EPS * (1.0 + y.abs())).collect();
        vec![Expected { port: "out", value, bound, exempt: 0.0 }, second::passed(data, data["grad_out"].clone())]
    }
}
