//! What a recipe adds to the network and to the update: dropout, bounds of the gradient, the scale of mixed precision.

use super::{At, Case, Data, Expected, Port, SPREAD, random};
use crate::{
    check::reference,
    ops::{adjust_scale, dropout},
    optim::Clip,
    program::{
        BufferKind, Tape,
        params::{Init, Role, Shape},
        step::Step,
    },
};

/// Dropout of an `[n, c]` activation.
#[derive(Clone, Copy, Debug)]
pub struct DropoutCase {
    /// Images.
    pub n: u32,
    /// Channels.
    pub c: u32,
    /// Probability.
    pub p: f32,
}

impl Case for DropoutCase {
    fn name(&self) -> String {
        format!("dropout {} of {}x{}", self.p, self.n, self.c)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = t.tensor([self.n, 1, 1, self.c]);
        let y = dropout(t, x, self.p);
        let d_y = t.write_gradient(y).0;
        t.backward();
        let d_x = t.gradient(x).expect("dropout has given one");
        let ports = [("x", x), ("out", y), ("grad_out", d_y), ("grad_x", d_x)];
        ports.map(|(name, tensor)| Port::new(name, At::Tensor(tensor))).to_vec()
    }

    fn step(&self) -> Step {
        Step { seed: 7, batch: 11, ..Step::default() }
    }

    fn data(&self) -> Data {
        let len = (self.n * self.c) as usize;
        Data::from([("x", random(len, 1)), ("grad_out", random(len, 2))])
    }

    /// The same mask both ways: the first call of the tape is layer 0. Two roundings.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let Step { seed, batch, .. } = self.step();
        let size = [self.n as usize, self.c as usize];
        let mask = reference::dropout::mask(size, f64::from(self.p), seed, batch, 0);
        let times = |values: &[f64]| values.iter().zip(&mask).map(|(v, m)| v * m).collect();
        // 1 - p and its reciprocal are rounded too.
        let rounded = |port, values: &[f64]| Expected::rounded(port, times(values), 4.0);
        vec![rounded("out", &data["x"]), rounded("grad_x", &data["grad_out"])]
    }
}

/// Bounds on the gradient of one tensor.
#[derive(Clone, Copy, Debug)]
pub struct ClipCase {
    /// Elements.
    pub len: u32,
    /// The bounds.
    pub clip: Clip,
}

impl Case for ClipCase {
    fn name(&self) -> String {
        let Clip { value, norm } = self.clip;
        let name = |bound: Option<f32>, what: &str| bound.map_or(String::new(), |v| format!(", {what} to {v}"));
        format!("clip {} elements{}{}", self.len, name(value, "values"), name(norm, "norm"))
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        t.param("weight", Shape::Vector { c: self.len }, Init::Constant(0.0), Role::Weight);
        self.clip.record(t);
        let (blocks, _) = t.layout().tables();
        let words = blocks.len() as u32 * 4;
        let table = At::Buffer { kind: BufferKind::table("blocks"), first: 0, words };
        let mut ports = vec![Port::new("grad", At::Gradient("weight"))];
        if self.clip.norm.is_some() {
            ports.push(Port::integers("blocks", table));
            ports.push(Port::new("factor", At::Scratch { kernel: "norm/clip_factor", argument: 1 }));
        }
        ports
    }

    fn data(&self) -> Data {
        let mut data = Data::from([("grad", random(self.len as usize, 1))]);
        if self.clip.norm.is_some() {
            let mut layout = crate::program::params::Layout::default();
            layout.param("weight".into(), Shape::Vector { c: self.len }, Init::Constant(0.0), true);
            data.insert("blocks", layout.tables().0.into_iter().flatten().map(f64::from).collect());
        }
        data
    }

    /// A sum of positive terms is as exact as the sum's bound; the root halves it, and four operations follow.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let Clip { value, norm } = self.clip;
        let bound = |v: f64, limit: f32| v.clamp(-f64::from(limit), f64::from(limit));
        let mut grad: Vec<f64> = data["grad"].iter().map(|v| value.map_or(*v, |limit| bound(*v, limit))).collect();
        let Some(limit) = norm else { return vec![Expected::exact("grad", grad)] };
        let length = grad.iter().map(|v| v * v).sum::<f64>().sqrt();
        let factor = (f64::from(limit) / (length + 1e-6)).min(1.0);
        grad.iter_mut().for_each(|v| *v *= factor);
        let roundings = SPREAD * f64::from(self.len).sqrt() / 2.0 + 4.0;
        let factor = vec![factor, 0.0, 0.0, 0.0];
        vec![Expected::rounded("grad", grad, roundings), Expected::rounded("factor", factor, roundings)]
    }
}

/// The end of an update under mixed precision.
#[derive(Clone, Copy, Debug)]
pub struct ScaleCase {
    /// The update was skipped.
    pub skipped: bool,
    /// The scale is 2 to this.
    pub exponent: u32,
    /// Updates since the scale last moved.
    pub good: u32,
}

impl Case for ScaleCase {
    fn name(&self) -> String {
        let Self { skipped, exponent, good } = self;
        format!("scale 2^{exponent}, {good} good updates, then one {}", if *skipped { "skipped" } else { "more" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        adjust_scale(t);
        let word = |first| At::Buffer { kind: BufferKind::Report, first, words: 1 };
        vec![Port::integers("skip", word(5)), Port::new("scale", word(6))]
    }

    fn data(&self) -> Data {
        let words = [self.exponent, self.good, 0, 0].map(f64::from).to_vec();
        Data::from([("scaler", words), ("skip", vec![f64::from(u8::from(self.skipped))])])
    }

    /// `torch.amp.GradScaler` with its defaults, its scale from 1 to 2^126.
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
