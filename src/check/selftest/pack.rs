//! Queries, keys and values side by side.

use super::{At, Case, Data, Expected, Port, random, second};
use crate::{check::reference::pack as reference, ops::pack, program::Tape};

/// Three tensors `[samples, places, 1, channels]` side by side.
#[derive(Clone, Copy, Debug)]
pub struct PackCase {
    /// Samples, places and channels, a multiple of four.
    pub input: [u32; 3],
    /// Whether a ReLU has the same queries, so that their gradients accumulate.
    pub shared: bool,
}

impl PackCase {
    fn len(&self) -> usize {
        self.input.iter().product::<u32>() as usize
    }
}

impl Case for PackCase {
    fn name(&self) -> String {
        let [n, places, c] = self.input;
        format!("three of {n}x{places}x{c} side by side{}", if self.shared { ", shared" } else { "" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let [n, places, c] = self.input;
        let [key, value] = [(); 2].map(|()| t.tensor([n, places, 1, c]));
        let mut ports = second::unary_rows(t, [n, places, 1, c], self.shared, |t, query| pack(t, query, key, value));
        for (tensor, port, gradient) in [(key, "key", "grad_key"), (value, "value", "grad_value")] {
            ports.push(Port::new(port, At::Rows(tensor)));
            ports.push(Port::new(gradient, At::Rows(t.gradient(tensor).expect("the op has given one"))));
        }
        ports
    }

    fn data(&self) -> Data {
        let mut data = second::data(random(self.len(), 1), 3 * self.len(), self.shared);
        data.extend([("key", random(self.len(), 4)), ("value", random(self.len(), 5))]);
        data
    }

    /// The gradient from the queries' other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (c, d_y) = (self.input[2] as usize, &data["grad_out"]);
        let gradient = |part| reference::pack_backward(d_y, part, c);
        vec![
            Expected::exact("out", reference::pack([&data["x"], &data["key"], &data["value"]], c)),
            second::passed(data, gradient(0)),
            Expected::exact("grad_key", gradient(1)),
            Expected::exact("grad_value", gradient(2)),
        ]
    }
}
