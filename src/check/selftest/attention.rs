//! Self-attention.

use super::{At, Case, Data, EPS16, Expected, Port, random, single};
use crate::{
    check::reference::attention::{self as reference, Attention as Shape},
    ops::{Attention, attention},
    program::{BufferKind, Input, Tape, step::Step},
};

/// An attention over the places of `n` samples, in training.
#[derive(Clone, Copy, Debug)]
pub struct AttentionCase {
    /// Samples.
    pub n: u32,
    /// Places of a sample.
    pub places: u32,
    /// Channels of a head.
    pub d: u32,
    /// Heads, causality and dropout.
    pub options: Attention,
    /// The factor on queries and keys: how far the weights are from equal.
    pub scale: f64,
}

const SEED: u32 = 5;
const EPOCH: u32 = 3;

impl AttentionCase {
    fn shape(&self) -> Shape {
        let [n, places, d, heads] = [self.n, self.places, self.d, self.options.heads].map(|d| d as usize);
        Shape { n, places, heads, d, causal: self.options.causal }
    }

    /// The samples' indices in their data set.
    fn samples(&self) -> Vec<u32> {
        (0..self.n).map(|i| i * 77 + 3).collect()
    }

    fn mask(&self) -> Vec<f64> {
        // The only op of the tape that draws.
        let layer = crc32fast::hash(b" attention 0");
        let p = f64::from(self.options.dropout);
        reference::mask(&self.shape(), &self.samples(), p, [SEED, layer, EPOCH])
    }

    fn elements(&self) -> usize {
        let Shape { n, places, heads, d, .. } = self.shape();
        n * places * heads * d
    }
}

impl Case for AttentionCase {
    fn name(&self) -> String {
        let (Self { n, places, d, scale, .. }, Attention { heads, causal, dropout }) = (self, self.options);
        let causal = if causal { ", causal" } else { "" };
        let dropout = if dropout > 0.0 { format!(", dropout {dropout}") } else { String::new() };
        format!("attention of {n}x{places}, {heads} heads of {d}, times {scale}{causal}{dropout}")
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let c = self.options.heads * self.d;
        let qkv = t.tensor([self.n, self.places, 1, 3 * c]);
        let y = attention(t, qkv, self.options);
        let d_y = t.write_gradient(y).0;
        t.backward();
        let indices = BufferKind::Input(Input::Indices);
        vec![
            Port::integers("samples", At::Buffer { kind: indices, first: 0, words: self.n }),
            Port::new("qkv", At::Rows(qkv)),
            Port::new("grad_out", At::Rows(d_y)),
            Port::new("out", At::Rows(y)),
            Port::new("log_sum", At::Scratch { kernel: "attention/forward", argument: 3 }),
            Port::new("delta", At::Scratch { kernel: "attention/backward_query", argument: 5 }),
            Port::new("grad_qkv", At::Rows(t.gradient(qkv).expect("attention has given one"))),
        ]
    }

    fn step(&self) -> Step {
        Step { seed: SEED, epoch: EPOCH, ..Step::default() }
    }

    fn data(&self) -> Data {
        let qkv = random(3 * self.elements(), 1).into_iter();
        let c = (self.options.heads * self.d) as usize;
        let scaled = |(i, x): (usize, f64)| if i / c % 3 < 2 { single(self.scale * x) } else { x };
        Data::from([
            ("samples", self.samples().into_iter().map(f64::from).collect()),
            ("qkv", qkv.enumerate().map(scaled).collect()),
            ("grad_out", random(self.elements(), 2)),
        ])
    }

    /// The backward pass takes the sum of gradients times outputs from the stored output.
    fn intermediate(&self, data: &Data) -> Data {
        let gradient = reference::backward(&self.shape(), &data["qkv"], &self.mask(), &data["grad_out"]);
        Data::from([("grad_qkv", gradient.by_y)])
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (shape, qkv, mask) = (self.shape(), &data["qkv"], self.mask());
        let gradient = reference::backward(&shape, qkv, &mask, &data["grad_out"]);
        // It is made of the stored output, which may be f16; the gradients that follow from it are bounded by what is stored.
        let mut delta = Expected::sum("delta", &gradient.delta);
        delta.bound.iter_mut().zip(&gradient.delta_by_y).for_each(|(bound, by_y)| *bound += EPS16 * by_y);
        vec![
            delta,
            Expected::sum("out", &reference::forward(&shape, qkv, &mask)),
            Expected::sum("log_sum", &reference::log_sums(&shape, qkv)),
            Expected::sum("grad_qkv", &gradient.d_qkv),
        ]
    }
}
