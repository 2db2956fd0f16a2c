//! Softmax cross-entropy: loss, gradient, hits and confusion matrix.

use std::mem::offset_of;

use super::{At, Case, Data, EPS, Expected, Port, SCALE_EXPONENT, TINY, random, scaler, single};
use crate::{
    check::reference::loss::{self as reference, CrossEntropy},
    data::IGNORED,
    ops::{confuses, cross_entropy, loss_kernel},
    program::{
        BufferKind, Input, Tape,
        step::{REPORT_BYTES, Report, Step},
    },
};

/// A loss over the logits of `n` samples.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyCase {
    /// Samples.
    pub n: u32,
    /// Targets of a sample, in rows and columns.
    pub places: [u32; 2],
    /// Columns.
    pub classes: u32,
    /// The largest logit; with 0 all are equal.
    pub scale: f32,
    /// PyTorch's `label_smoothing`.
    pub smoothing: f32,
    /// The first of every so many targets is counted, and the others are ignored; with 1 all are.
    pub counted: u32,
}

/// The absolute error that WGSL allows for a logarithm near 1.
const LOG_ERROR: f64 = 1.0 / 2_097_152.0;

/// The number of words in the report after the loss.
pub(super) const REST: u32 = REPORT_BYTES as u32 / 4 - 1;

/// Where the port `rest` has the field of the report that begins at this byte.
pub(super) const fn rest_of(byte: usize) -> usize {
    byte / 4 - 1
}

/// The rounding errors of one row.
pub(super) struct RowBounds {
    pub loss: f64,
    /// Per class, that of softmax.
    pub softmax: Vec<f64>,
}

impl CrossEntropyCase {
    pub(super) fn shape(&self) -> CrossEntropy {
        let [h, w] = self.places.map(|length| length as usize);
        let (n, classes, smoothing) = (self.n as usize, self.classes as usize, f64::from(self.smoothing));
        CrossEntropy { n, places: h * w, classes, smoothing }
    }

    /// Targets of all samples.
    fn targets(&self) -> u32 {
        self.n * self.places[0] * self.places[1]
    }

    fn confuses(&self) -> bool {
        confuses(self.places[0] * self.places[1], self.classes)
    }

    /// The cells of the confusion matrix; one that stays as it is, if there is none.
    fn cells(&self) -> u32 {
        if self.confuses() { self.classes * self.classes } else { 1 }
    }

    fn loss_scale(&self) -> f32 {
        1.0 / self.targets() as f32
    }

    /// First-order bounds from WGSL's accuracy table: `exp(z)` is right to `3 + 2|z|` units in the last place, and `z`,
    /// a difference, is off by half a unit, which changes `exp(z)` by `|z|` more. The sum adds `sqrt(classes)`
    /// roundings. `log` is off by 2^-21 near 1 and by 3 units elsewhere. All of this is doubled.
    pub(super) fn bounds(&self, row: &[f64], label: usize) -> RowBounds {
        let largest = row.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let z: Vec<f64> = row.iter().map(|v| v - largest).collect();
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        let classes = row.len() as f64;
        let of_exp: f64 = z.iter().map(|z| z.exp() / sum * (3.0 + 3.0 * z.abs())).sum();
        let of_log = LOG_ERROR + EPS * (of_exp + classes.sqrt() + 3.0 * sum.ln());
        let below: f64 = z.iter().map(|z| z.abs()).sum();
        let smoothed = f64::from(self.smoothing) * below / classes;
        let terms = sum.ln() + z[label].abs() + smoothed;
        let softmax = z.iter().map(|z| {
            let exponent = z - sum.ln();
            exponent.exp() * (of_log + EPS * (3.0 + 4.0 * exponent.abs() + z.abs()))
        });
        RowBounds {
            loss: 2.0 * (of_log + EPS * (3.0 * terms + classes.sqrt() * smoothed)),
            softmax: softmax.map(|bound| 2.0 * bound + 4.0 * EPS).collect(),
        }
    }

    /// The bounds of a target that is not counted: zeros are exact.
    fn of_ignored(&self) -> RowBounds {
        RowBounds { loss: 0.0, softmax: vec![0.0; self.classes as usize] }
    }
}

impl Case for CrossEntropyCase {
    fn name(&self) -> String {
        let Self { n, places: [h, w], classes, scale, smoothing, counted } = self;
        let places = if h * w == 1 { String::new() } else { format!("{h}x{w}x") };
        let counted = if *counted == 1 { String::new() } else { format!(", one of {counted} counted") };
        format!("{n}x{places}{classes}, logits to {scale}, smoothing {smoothing}{counted}")
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let logits = t.tensor([self.n, self.places[0], self.places[1], self.classes]);
        cross_entropy(t, logits, self.smoothing);
        let words = |kind: &BufferKind, first, words| At::Buffer { kind: kind.clone(), first, words };
        let kernel = loss_kernel(self.classes);
        vec![
            Port::new("logits", At::Tensor(logits)),
            Port::integers("target", words(&BufferKind::Input(Input::Targets), 0, self.targets())),
            Port::integers("confusion_before", words(&BufferKind::Confusion, 0, self.cells())),
            Port::new("loss_before", words(&BufferKind::Report, 0, 1)),
            Port::integers("rest_before", words(&BufferKind::Report, 1, REST)),
            Port::new("grad_logits", At::Tensor(t.gradient(logits).expect("the loss has given one"))),
            Port::new("rows", At::Scratch { kernel, argument: 4 }),
            Port::integers("confusion", words(&BufferKind::Confusion, 0, self.cells())),
            Port::new("loss", words(&BufferKind::Report, 0, 1)),
            Port::integers("rest", words(&BufferKind::Report, 1, REST)),
        ]
    }

    fn step(&self) -> Step {
        Step { loss_scale: self.loss_scale(), ..Step::default() }
    }

    fn data(&self) -> Data {
        let CrossEntropy { n, places, classes, .. } = self.shape();
        let logits = random(n * places * classes, 1).into_iter().map(|x| single(x * f64::from(self.scale)));
        let ignored = |i: usize| !i.is_multiple_of(self.counted as usize);
        let label = |i: usize| if ignored(i) { f64::from(IGNORED) } else { (i * 7 % classes) as f64 };
        Data::from([
            ("logits", logits.collect()),
            ("target", (0..n * places).map(label).collect()),
            ("scaler", scaler()),
            ("confusion_before", (0..self.cells()).map(|i| f64::from(i % 3)).collect()),
            ("loss_before", vec![1.5]),
            ("rest_before", (3..3 + REST).map(f64::from).collect()),
        ])
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (shape, logits) = (self.shape(), &data["logits"]);
        let labels: Vec<u32> = data["target"].iter().map(|&label| label as u32).collect();
        let losses = reference::row_losses(&shape, logits, &labels);
        let of_targets = shape.rows(logits);
        let bounds: Vec<RowBounds> = of_targets
            .chunks(shape.classes)
            .zip(&labels)
            .map(|(row, &label)| if label == IGNORED { self.of_ignored() } else { self.bounds(row, label as usize) })
            .collect();
        let predicted = reference::predictions(shape.classes, &of_targets);
        let hits = reference::hits(shape.classes, &of_targets, &labels);
        let top = reference::among_top(5, shape.classes, &of_targets, &labels);

        let scale = f64::from(self.loss_scale()) * 2.0_f64.powi(SCALE_EXPONENT as i32);
        let d_logits = reference::backward(&shape, logits, &labels, &vec![scale; labels.len()]);
        // The gradient has the order of the logits, [n][classes][places], and the rows have that of their storage, [places][n].
        let samples = bounds.chunks(shape.places);
        let softmax = samples
            .flat_map(|sample| (0..shape.classes).flat_map(move |c| sample.iter().map(move |row| row.softmax[c])));
        let of_gradient = softmax.map(|bound| scale * bound + TINY).collect();

        let (mut rows, mut of_rows) = (Vec::new(), Vec::new());
        for place in 0..shape.places {
            for i in (0..shape.n).map(|n| n * shape.places + place) {
                let [hit, ignored] = [predicted[i], IGNORED].map(|class| f64::from(u8::from(class == labels[i])));
                rows.extend([losses[i], hit, ignored, f64::from(u8::from(top[i]))]);
                of_rows.extend([bounds[i].loss, 0.0, 0.0, 0.0]);
            }
        }
        let before = data["loss_before"][0];
        let loss = before + losses.iter().sum::<f64>();
        let of_loss: f64 = bounds.iter().map(|row| row.loss).sum();
        let of_sum = 4.0 * (losses.len() as f64).sqrt() * EPS * loss.abs();

        let mut confusion = data["confusion_before"].clone();
        if self.confuses() {
            let matrix = reference::confusion(shape.classes, &of_targets, &labels);
            confusion.iter_mut().zip(matrix.counts).for_each(|(cell, new)| *cell += new as f64);
        }
        let mut rest = data["rest_before"].clone();
        rest[rest_of(offset_of!(Report, hits))] += hits as f64;
        rest[rest_of(offset_of!(Report, targets))] += labels.iter().filter(|&&label| label != IGNORED).count() as f64;
        rest[rest_of(offset_of!(Report, top))] += top.iter().filter(|&&among| among).count() as f64;
        vec![
            Expected { port: "grad_logits", value: d_logits, bound: of_gradient, exempt: 0.0 },
            Expected { port: "rows", value: rows, bound: of_rows, exempt: 0.0 },
            Expected::exact("confusion", confusion),
            Expected { port: "loss", value: vec![loss], bound: vec![of_loss + of_sum], exempt: 0.0 },
            Expected::exact("rest", rest),
        ]
    }
}
