//! Maps as rows.

use super::{Case, Data, Expected, Port, random, second};
use crate::{ops::flatten, program::Tape};

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
        second::unary(t, self.input, self.shared, flatten)
    }

    fn data(&self) -> Data {
        second::data(random(self.len(), 1), self.len(), self.shared)
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    /// In PyTorch's order of elements, which the values here have, nothing moves.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        vec![Expected::exact("out", data["x"].clone()), second::passed(data, data["grad_out"].clone())]
    }
}
