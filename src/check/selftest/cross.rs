//! Queries of one sequence beside keys and values of another.

use super::{At, Case, Data, Expected, Port, random, second};
use crate::{ops::cross, program::Tape};

/// Both sequences `[samples, places, 1, 3 c]`.
#[derive(Clone, Copy, Debug)]
pub struct CrossCase {
    /// Samples, places and `c`.
    pub shape: [u32; 3],
    /// Whether a ReLU has the first of both, so that its gradients accumulate.
    pub shared: bool,
}

impl Case for CrossCase {
    fn name(&self) -> String {
        let [n, places, c] = self.shape;
        format!("queries {n}x{places}x{c} beside others{}", if self.shared { ", shared" } else { "" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let [n, places, c] = self.shape;
        let memory = t.tensor([n, places, 1, 3 * c]);
        let mut ports = second::unary_rows(t, [n, places, 1, 3 * c], self.shared, |t, own| cross(t, own, memory));
        ports.push(Port::new("memory", At::Rows(memory)));
        ports.push(Port::new("grad_memory", At::Rows(t.gradient(memory).expect("the op has given one"))));
        ports
    }

    fn data(&self) -> Data {
        let elements = 3 * self.shape.iter().product::<u32>() as usize;
        let mut data = second::data(random(elements, 1), elements, self.shared);
        data.insert("memory", random(elements, 4));
        data
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let c = self.shape[2] as usize;
        let rows = |own: &[f64], others: &[f64]| -> Vec<f64> {
            let pairs = own.chunks_exact(3 * c).zip(others.chunks_exact(3 * c));
            pairs.flat_map(|(own, others)| [&own[..c], &others[c..]].concat()).collect()
        };
        let d_y = &data["grad_out"];
        let zeros = vec![0.0; d_y.len()];
        vec![
            Expected::exact("out", rows(&data["x"], &data["memory"])),
            second::passed(data, rows(d_y, &zeros)),
            Expected::exact("grad_memory", rows(&zeros, d_y)),
        ]
    }
}
