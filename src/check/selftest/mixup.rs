//! mixup: mixed images, and the loss of mixed targets.

use std::mem::offset_of;

use super::{
    At, Case, CrossEntropyCase, Data, EPS, Expected, Port, SCALE_EXPONENT, TINY,
    loss::{REST, rest_of},
    random, scaler, single,
};
use crate::{
    check::reference::{loss, mixup as reference},
    data::Image,
    ops::{cross_entropy_mixed, mixup},
    program::{
        BufferKind, Input, Tape,
        step::{Report, Step},
    },
};

fn mixing() -> Port {
    Port::new("lambda", At::Buffer { kind: BufferKind::Input(Input::Mixing), first: 0, words: 1 })
}

/// `n` images that are mixed.
#[derive(Clone, Copy, Debug)]
pub struct MixupCase {
    /// Images.
    pub n: u32,
    /// Their size.
    pub image: Image,
    /// The share that an image keeps of itself.
    pub lambda: f32,
}

impl Case for MixupCase {
    fn name(&self) -> String {
        format!("{} images of {}, lambda {}", self.n, self.image, self.lambda)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let Image { channels, height, width } = self.image;
        let x = t.tensor([self.n, height, width, channels]);
        t.no_gradient(x);
        let y = mixup(t, x);
        vec![Port::new("x", At::Tensor(x)), mixing(), Port::new("out", At::Tensor(y))]
    }

    fn data(&self) -> Data {
        let x = random(self.n as usize * self.image.bytes(), 1).into_iter().map(|v| 3.0 * v).map(single);
        Data::from([("x", x.collect()), ("lambda", vec![f64::from(self.lambda)])])
    }

    /// Two products, a difference and a sum.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (n, lambda) = (self.n as usize, data["lambda"][0]);
        let value = reference::mix(n, &data["x"], lambda);
        let magnitude: Vec<f64> = data["x"].iter().map(|v| v.abs()).collect();
        let bound = reference::mix(n, &magnitude, lambda).into_iter().map(|m| 4.0 * EPS * m + TINY).collect();
        vec![Expected { port: "out", value, bound, exempt: 0.0 }]
    }
}

/// The loss of `n` mixed images.
#[derive(Clone, Copy, Debug)]
pub struct MixedCrossEntropyCase {
    /// Images.
    pub n: u32,
    /// Columns.
    pub classes: u32,
    /// The largest logit; with 0 all are equal.
    pub scale: f32,
    /// PyTorch's `label_smoothing`.
    pub smoothing: f32,
    /// The share that an image keeps of itself.
    pub lambda: f32,
}

impl MixedCrossEntropyCase {
    /// The case without mixing.
    fn plain(&self) -> CrossEntropyCase {
        let Self { n, classes, scale, smoothing, .. } = *self;
        CrossEntropyCase { n, places: [1, 1], classes, scale, smoothing, counted: 1 }
    }

    fn loss_scale(&self) -> f32 {
        1.0 / self.n as f32
    }
}

impl Case for MixedCrossEntropyCase {
    fn name(&self) -> String {
        let Self { n, classes, scale, smoothing, lambda } = self;
        format!("{n}x{classes}, logits to {scale}, smoothing {smoothing}, lambda {lambda}")
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let logits = t.tensor([self.n, 1, 1, self.classes]);
        cross_entropy_mixed(t, logits, self.smoothing);
        let words = |kind: BufferKind, first, words| At::Buffer { kind, first, words };
        vec![
            Port::new("logits", At::Tensor(logits)),
            Port::integers("target", words(BufferKind::Input(Input::Targets), 0, self.n)),
            mixing(),
            Port::new("loss_before", words(BufferKind::Report, 0, 1)),
            Port::integers("rest_before", words(BufferKind::Report, 1, REST)),
            Port::new("grad_logits", At::Tensor(t.gradient(logits).expect("the loss has given one"))),
            Port::new("rows", At::Scratch { kernel: "loss/cross_entropy_mixed", argument: 5 }),
            Port::new("loss", words(BufferKind::Report, 0, 1)),
            Port::integers("rest", words(BufferKind::Report, 1, REST)),
        ]
    }

    fn step(&self) -> Step {
        Step { loss_scale: self.loss_scale(), ..Step::default() }
    }

    fn data(&self) -> Data {
        let mut data = self.plain().data();
        data.retain(|name, _| *name != "confusion_before");
        // Neighbours may have one label.
        let labels = (0..self.n).map(|i| f64::from(i * 7 / 2 % self.classes)).collect();
        data.extend([("target", labels), ("lambda", vec![f64::from(self.lambda)]), ("scaler", scaler())]);
        data
    }

    /// The bounds of the loss of a label, for the one of both that has the larger; the products with the two shares and their sum have
    /// four roundings more.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (plain, logits, lambda) = (self.plain(), &data["logits"], data["lambda"][0]);
        let (shape, classes) = (plain.shape(), self.classes as usize);
        let labels: Vec<u32> = data["target"].iter().map(|&label| label as u32).collect();
        let losses = reference::losses(&shape, logits, &labels, lambda);
        let scale = f64::from(self.loss_scale()) * 2.0_f64.powi(SCALE_EXPONENT as i32);
        let d_logits = reference::backward(&shape, logits, &labels, lambda, scale);
        let (predicted, dominant) = (loss::predictions(classes, logits), reference::dominant(&labels, lambda));
        let among = loss::among_top(5, classes, logits, &dominant);

        let (mut rows, mut of_rows, mut of_gradient, mut hits) = (vec![], vec![], vec![], 0.0);
        for (i, row) in logits.chunks(classes).enumerate() {
            let both = [labels[i], labels[(i + labels.len() - 1) % labels.len()]].map(|label| label as usize);
            let bounds = both.map(|label| plain.bounds(row, label));
            let largest = row.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            let of_shares = 4.0 * EPS * both.map(|label| (row[label] - largest).abs()).iter().sum::<f64>();
            let hit = f64::from(u8::from(predicted[i] == dominant[i]));
            hits += hit;
            rows.extend([losses[i], hit, 0.0, f64::from(u8::from(among[i]))]);
            of_rows.extend([bounds[0].loss.max(bounds[1].loss) + of_shares, 0.0, 0.0, 0.0]);
            of_gradient.extend(bounds[0].softmax.iter().map(|bound| scale * (bound + 4.0 * EPS) + TINY));
        }
        let loss = data["loss_before"][0] + losses.iter().sum::<f64>();
        let of_loss = of_rows.iter().sum::<f64>() + 4.0 * (losses.len() as f64).sqrt() * EPS * loss.abs();
        let mut rest = data["rest_before"].clone();
        rest[rest_of(offset_of!(Report, hits))] += hits;
        rest[rest_of(offset_of!(Report, targets))] += f64::from(self.n);
        rest[rest_of(offset_of!(Report, top))] += among.iter().filter(|&&among| among).count() as f64;
        vec![
            Expected { port: "grad_logits", value: d_logits, bound: of_gradient, exempt: 0.0 },
            Expected { port: "rows", value: rows, bound: of_rows, exempt: 0.0 },
            Expected { port: "loss", value: vec![loss], bound: vec![of_loss], exempt: 0.0 },
            Expected::exact("rest", rest),
        ]
    }
}
