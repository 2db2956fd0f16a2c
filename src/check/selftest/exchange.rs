//! What several ranks put together: sums of gradients, and running statistics.

use std::borrow::Cow;

use super::{At, Case, Data, EPS, Expected, Port, TINY, random, single};
use crate::{
    check::reference::exchange as reference,
    ops::{add_share, move_running},
    program::{BufferKind, Slot, Tape},
};

fn buffer(t: &mut Tape, name: &'static str, words: u32) -> (Port, Slot) {
    let kind = BufferKind::Scratch(Cow::Borrowed(name));
    let slot = t.buffer(kind.clone(), 4 * u64::from(words));
    (Port::new(name, At::Buffer { kind, first: 0, words }), slot)
}

fn singles(len: u32, seed: u64) -> Vec<f64> {
    random(len as usize, seed).into_iter().map(single).collect()
}

/// The share of a batch, added to a sum.
#[derive(Clone, Copy, Debug)]
pub struct AddShareCase {
    /// Vectors of four numbers.
    pub len4: u32,
}

impl Case for AddShareCase {
    fn name(&self) -> String {
        format!("{} numbers", 4 * self.len4)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let words = 4 * self.len4;
        let ((share, share_slot), (sum, sum_slot)) = (buffer(t, "share", words), buffer(t, "sum", words));
        add_share(t, share_slot, sum_slot, self.len4);
        vec![share, sum]
    }

    fn data(&self) -> Data {
        let words = 4 * self.len4;
        Data::from([("share", singles(words, 1)), ("sum", singles(words, 2))])
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let value = reference::sum(&data["share"], &data["sum"]);
        let bound = value.iter().map(|v| EPS * v.abs() + TINY).collect();
        vec![Expected { port: "sum", value, bound, exempt: 0.0 }]
    }
}

/// Running statistics, moved by those of a batch that leaves every fifth vector of channels as it is.
#[derive(Clone, Copy, Debug)]
pub struct MoveRunningCase {
    /// Vectors of four channels.
    pub c4: u32,
    /// How far they move.
    pub momentum: f32,
}

impl Case for MoveRunningCase {
    fn name(&self) -> String {
        format!("{} channels, momentum {}", 4 * self.c4, self.momentum)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let mut of = |name| buffer(t, name, 4 * self.c4);
        let [(batch_mean, bm), (batch_var, bv), (mean, m), (var, v)] =
            ["batch_mean", "batch_var", "mean", "var"].map(&mut of);
        move_running(t, [bm, bv], [m, v], self.c4, self.momentum);
        vec![batch_mean, batch_var, mean, var]
    }

    fn data(&self) -> Data {
        let words = 4 * self.c4;
        let mut batch_mean = singles(words, 1);
        batch_mean.chunks_mut(4).step_by(5).for_each(|four| four.fill(-0.0));
        let positive = |seed| singles(words, seed).into_iter().map(f64::abs).collect::<Vec<_>>();
        Data::from([
            ("batch_mean", batch_mean),
            ("batch_var", positive(2)),
            ("mean", singles(words, 3)),
            ("var", positive(4)),
        ])
    }

    /// A difference, a product and a sum.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let of = |port, batch: &str| {
            let (running, batch, momentum) = (&data[port], &data[batch], f64::from(self.momentum));
            let value = reference::moved(running, batch, &data["batch_mean"], momentum);
            let magnitude = running.iter().zip(batch).map(|(r, b)| r.abs() + momentum * (r.abs() + b.abs()));
            let bound = magnitude.map(|m| 2.0 * EPS * m + TINY).collect();
            Expected { port, value, bound, exempt: 0.0 }
        };
        vec![of("mean", "batch_mean"), of("var", "batch_var")]
    }
}
