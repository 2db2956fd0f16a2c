//! What a recipe adds to the network and the update: dropout, gradient clipping, the loss scale of mixed precision.

use std::mem::offset_of;

use super::{At, Case, Data, Expected, Port, SPREAD, random};
use crate::{
    check::reference,
    ops::{adjust_scale, dropout},
    optim::Clip,
    program::{
        BufferKind, Input, Tape,
        params::{Init, Role, Shape},
        step::{Report, Step},
    },
};

/// Dropout of an activation `[n, h, w, c]`.
#[derive(Clone, Copy, Debug)]
pub struct DropoutCase {
    /// Its shape.
    pub shape: [u32; 4],
    /// Probability of dropping an element.
    pub p: f32,
}

impl DropoutCase {
    /// The indices of its samples in their data set.
    fn samples(&self) -> Vec<u32> {
        (0..self.shape[0]).map(|i| i.wrapping_mul(2_654_435_761) % 50_000).collect()
    }
}

impl Case for DropoutCase {
    fn name(&self) -> String {
        let [n, h, w, c] = self.shape;
        format!("dropout {} of {n}x{h}x{w}x{c}", self.p)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = t.tensor(self.shape);
        let y = dropout(t, x, self.p);
        let d_y = t.write_gradient(y).0;
        t.backward();
        let d_x = t.gradient(x).expect("dropout has given one");
        let ports = [("x", x), ("out", y), ("grad_out", d_y), ("grad_x", d_x)];
        let mut ports = ports.map(|(name, tensor)| Port::new(name, At::Tensor(tensor))).to_vec();
        ports.push(Port::integers(
            "indices",
            At::Buffer { kind: BufferKind::Input(Input::Indices), first: 0, words: self.shape[0] },
        ));
        ports
    }

    fn step(&self) -> Step {
        Step { seed: 7, epoch: 11, ..Step::default() }
    }

    fn data(&self) -> Data {
        let len = self.shape.iter().product::<u32>() as usize;
        let indices = self.samples().into_iter().map(f64::from).collect();
        Data::from([("x", random(len, 1)), ("grad_out", random(len, 2)), ("indices", indices)])
    }

    /// The mask, that of the first dropout in a scope without a name, is the same forward and backward. Two roundings.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let Step { seed, epoch, .. } = self.step();
        let [_, h, w, c] = self.shape.map(|size| size as usize);
        let layer = crc32fast::hash(b" dropout 0");
        let mask = reference::dropout::mask(&self.samples(), [c, h, w], f64::from(self.p), [seed, layer, epoch]);
        let times = |values: &[f64]| values.iter().zip(&mask).map(|(v, m)| v * m).collect();
        // 1 - p and its reciprocal are rounded too.
        let rounded = |port, values: &[f64]| Expected::rounded(port, times(values), 4.0);
        vec![rounded("out", &data["x"]), rounded("grad_x", &data["grad_out"])]
    }
}

/// Clipping the gradient of one tensor.
#[derive(Clone, Copy, Debug)]
pub struct ClipCase {
    /// Elements.
    pub len: u32,
    /// The limits.
    pub clip: Clip,
    /// A limit on the norm that belongs to the rule itself.
    pub own: Option<f64>,
}

/// Elements in a block of the arena's table.
const BLOCK: usize = 16_384;

impl ClipCase {
    fn bounds_norm(&self) -> bool {
        self.clip.norm.is_some() || self.own.is_some()
    }
}

impl Case for ClipCase {
    fn name(&self) -> String {
        let Clip { value, norm } = self.clip;
        let name = |bound: Option<f64>, what: &str| bound.map_or(String::new(), |v| format!(", {what} to {v}"));
        let [value, norm] = [value, norm].map(|bound| bound.map(f64::from));
        let bounds = [name(value, "values"), name(norm, "norm"), name(self.own, "the rule's norm")];
        format!("clip {} elements{}", self.len, bounds.concat())
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        t.param("weight", Shape::Vector { c: self.len }, Init::Constant(0.0), Role::Weight);
        self.clip.record(self.own, t);
        let (blocks, _) = t.layout().tables();
        let table = At::Buffer { kind: BufferKind::table("blocks"), first: 0, words: blocks.len() as u32 * 4 };
        let word = |byte: usize| At::Buffer { kind: BufferKind::Report, first: byte as u32 / 4, words: 1 };
        let mut ports = vec![
            Port::new("grad", At::Gradient("weight")),
            Port::integers("blocks", table),
            Port::integers("clipped", word(offset_of!(Report, clipped))),
        ];
        if self.clip.value.is_some() {
            ports.push(Port::new("sums", At::Scratch { kernel: "norm/clip_value", argument: 2 }));
        }
        if self.bounds_norm() {
            ports.push(Port::new("factor", At::Scratch { kernel: "norm/clip_norm", argument: 1 }));
            ports.push(Port::new("loss", word(offset_of!(Report, loss))));
            ports.extend([
                Port::integers("skipped", word(offset_of!(Report, skipped))),
                Port::integers("skip", word(offset_of!(Report, skip))),
            ]);
            ports.extend([
                Port::new("grad_norm", word(offset_of!(Report, grad_norm))),
                Port::new("bounded_norm", word(offset_of!(Report, bounded_norm))),
            ]);
        }
        ports
    }

    fn data(&self) -> Data {
        let mut layout = crate::program::params::Layout::default();
        layout.param("weight".into(), Shape::Vector { c: self.len }, Init::Constant(0.0), true);
        let table = layout.tables().0.into_iter().flatten().map(f64::from).collect();
        let mut data = Data::from([("grad", random(self.len as usize, 1)), ("blocks", table)]);
        if self.bounds_norm() {
            data.extend([("loss", vec![2.5]), ("skipped", vec![3.0]), ("skip", vec![1.0])]);
        }
        data
    }

    /// The norm is the root of a sum of positive terms: the root halves the sum's relative error, and four operations
    /// follow.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let Clip { value, norm } = self.clip;
        let limit = value.map_or(f64::INFINITY, f64::from);
        let mut clipped = data["grad"].iter().filter(|v| v.abs() > limit).count() as f64;
        let mut grad: Vec<f64> = data["grad"].iter().map(|v| v.clamp(-limit, limit)).collect();
        let mut expected = vec![];
        if value.is_some() {
            let blocks = grad.chunks(BLOCK).map(|block| block.iter().map(|v| v * v).sum::<f64>());
            let sums: Vec<f64> = blocks.flat_map(|sum| [sum, 0.0, 0.0, 0.0]).collect();
            expected.push(Expected::rounded("sums", sums, SPREAD * (BLOCK.min(grad.len()) as f64).sqrt()));
        }
        if !self.bounds_norm() {
            expected.extend([Expected::exact("grad", grad), Expected::exact("clipped", vec![clipped])]);
            return expected;
        }
        let length = grad.iter().map(|v| v * v).sum::<f64>().sqrt();
        let mut factor = norm.map_or(1.0, |limit| (f64::from(limit) / (length + 1e-6)).min(1.0));
        if let Some(own) = self.own.filter(|own| factor * length > *own) {
            factor = own / length;
        }
        clipped += f64::from(u8::from(factor < 1.0));
        grad.iter_mut().for_each(|v| *v *= factor);
        let roundings = SPREAD * f64::from(self.len).sqrt() / 2.0 + 4.0;
        expected.extend([
            Expected::rounded("grad", grad, roundings),
            Expected::rounded("factor", vec![factor, 0.0, 0.0, 0.0], roundings),
            Expected::rounded("grad_norm", vec![length], roundings),
            Expected::rounded("bounded_norm", vec![factor * length], roundings),
            Expected::exact("clipped", vec![clipped]),
            Expected::exact("skipped", vec![3.0]),
            Expected::exact("skip", vec![0.0]),
        ]);
        expected
    }
}

/// The end of an update under mixed precision.
#[derive(Clone, Copy, Debug)]
pub struct ScaleCase {
    /// Whether the update was skipped.
    pub skipped: bool,
    /// The binary logarithm of the scale.
    pub exponent: u32,
    /// Updates since the scale last changed.
    pub good: u32,
}

impl Case for ScaleCase {
    fn name(&self) -> String {
        let Self { skipped, exponent, good } = self;
        format!("scale 2^{exponent}, {good} good updates, then one {}", if *skipped { "skipped" } else { "more" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        adjust_scale(t);
        let word = |byte: usize| At::Buffer { kind: BufferKind::Report, first: byte as u32 / 4, words: 1 };
        vec![
            Port::integers("skip", word(offset_of!(Report, skip))),
            Port::new("scale", word(offset_of!(Report, scale))),
        ]
    }

    fn data(&self) -> Data {
        let words = [self.exponent, self.good, 0, 0].map(f64::from).to_vec();
        Data::from([("scaler", words), ("skip", vec![f64::from(u8::from(self.skipped))])])
    }

    /// The rule of `torch.amp.GradScaler` with its defaults, with a scale from 1 to 2^126.
    fn expected(&self, _: &Data) -> Vec<Expected> {
        let (exponent, good) = (i64::from(self.exponent), i64::from(self.good));
        let (exponent, good) = match self.skipped {
            true => (exponent - 1, 0),
            false if good == 1999 => (exponent + 1, 0),
            false => (exponent, good + 1),
        };
        let next = [exponent.clamp(0, 126) as f64, good as f64, 0.0, 0.0];
        vec![
            Expected::exact("scale", vec![2.0_f64.powi(self.exponent as i32)]),
            Expected::exact("scaler", next.to_vec()),
        ]
    }
}
