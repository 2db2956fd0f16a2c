//! What is done to queries and keys before attention: normalization, and rotation by their place.

use super::{Case, Data, Expected, Port, SPREAD, random, second, single};
use crate::{
    check::reference::{
        Sum,
        layernorm::{self, LayerNorm},
        rope as reference,
    },
    ops::{qk_norm, rope},
    program::Tape,
};

/// Which of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueriesKeys {
    /// The normalization.
    Norm,
    /// The rotation.
    Rope,
}

/// Queries, keys and values `[samples, places, 1, 3 heads d]`.
#[derive(Clone, Copy, Debug)]
pub struct QueriesKeysCase {
    /// Samples, places, heads and the channels of a head.
    pub shape: [u32; 4],
    /// What is done.
    pub op: QueriesKeys,
    /// Whether a ReLU has the same input, so that its gradients accumulate.
    pub shared: bool,
}

impl QueriesKeysCase {
    fn len(&self) -> usize {
        3 * self.shape.iter().product::<u32>() as usize
    }

    /// `row` of each query and key, by the index at which it begins, and the values of `from` as they are; and the bounds of all.
    fn each(&self, from: &[f64], row: impl Fn(usize) -> Sum) -> [Vec<f64>; 2] {
        let [_, _, heads, d] = self.shape.map(|d| d as usize);
        let mut all = [vec![], vec![]];
        for (nth, same) in from.chunks_exact(d).enumerate() {
            if nth / heads % 3 == 2 {
                all[0].extend(same);
                all[1].extend(vec![0.0; d]);
            } else {
                let sum = row(nth * d);
                all[1].extend((0..d).map(|i| sum.bound(i, SPREAD)));
                all[0].extend(sum.value);
            }
        }
        all
    }
}

impl Case for QueriesKeysCase {
    fn name(&self) -> String {
        let ([n, places, heads, d], shared) = (self.shape, if self.shared { ", shared" } else { "" });
        format!("{:?} of {n}x{places}, {heads} heads of {d}{shared}", self.op)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let [n, places, heads, d] = self.shape;
        second::unary_rows(t, [n, places, 1, 3 * heads * d], self.shared, |t, x| match self.op {
            QueriesKeys::Norm => qk_norm(t, x, heads),
            QueriesKeys::Rope => rope(t, x, heads),
        })
    }

    fn data(&self) -> Data {
        let x = random(self.len(), 1).into_iter().map(|x| single(3.0 * x)).collect();
        second::data(x, self.len(), self.shared)
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (x, d_y, d) = (&data["x"], &data["grad_out"], self.shape[3] as usize);
        let [out, d_x] = match self.op {
            QueriesKeys::Norm => {
                let shape = LayerNorm { rows: 1, c: d, eps: f64::from(1e-5_f32), centre: false };
                let (ones, zeros) = (vec![1.0; d], vec![0.0; d]);
                let out = self.each(x, |at| layernorm::forward(&shape, &x[at..at + d], &ones, &zeros));
                let gradient = |at| layernorm::backward_input(&shape, &x[at..at + d], &ones, &d_y[at..at + d]);
                [out, self.each(d_y, gradient)]
            }
            QueriesKeys::Rope => [(x, 1.0), (d_y, -1.0)].map(|(from, sign)| {
                let turned = reference::rope(from, self.shape.map(|d| d as usize), sign);
                // Two products with rounded factors, and their sum.
                self.each(from, |at| {
                    let largest = from[at..at + d].iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
                    Sum { value: turned[at..at + d].to_vec(), magnitude: vec![2.0 * largest; d], terms: 1 }
                })
            }),
        };
        let [value, bound] = out;
        vec![Expected { port: "out", value, bound, exempt: 0.0 }, second::with_second(data, d_x)]
    }
}
