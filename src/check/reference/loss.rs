//! Softmax cross-entropy with label smoothing, its gradient, hits and the confusion matrix.
//!
//! Source: `torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)` with class indices.

use super::expect_len;
use crate::training::metrics::Confusion;

/// The shape and setting of a cross-entropy: logits are `[n][classes]`, labels `[n]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossEntropy {
    /// Rows.
    pub n: usize,
    /// Classes.
    pub classes: usize,
    /// PyTorch's `label_smoothing`: the share of the target that is spread evenly over all classes, the true one
    /// included.
    pub smoothing: f64,
}

impl CrossEntropy {
    fn check(&self, logits: &[f64], labels: &[u32]) {
        expect_len("logits", logits.len(), self.n * self.classes);
        expect_len("labels", labels.len(), self.n);
        for &label in labels {
            assert!((label as usize) < self.classes, "reference: label {label} of {} classes", self.classes);
        }
    }

    /// `target[c] = (1 - smoothing) [c is the label] + smoothing / classes`.
    fn target(&self, label: u32, class: usize) -> f64 {
        let hot = if class == label as usize { 1.0 } else { 0.0 };
        (1.0 - self.smoothing) * hot + self.smoothing / self.classes as f64
    }

    /// `log p[c] = (z[c] - max z) - ln(sum over j of exp(z[j] - max z))` of one row.
    fn log_softmax(&self, row: &[f64]) -> Vec<f64> {
        let mut largest = f64::NEG_INFINITY;
        for &logit in row {
            largest = largest.max(logit);
        }
        let mut sum = 0.0;
        for &logit in row {
            sum += (logit - largest).exp();
        }
        let mut log_p = vec![0.0; row.len()];
        for c in 0..row.len() {
            log_p[c] = (row[c] - largest) - sum.ln();
        }
        log_p
    }
}

/// The loss of every row: `- sum over c of target[c] log softmax(z)[c]`, not yet averaged.
pub fn row_losses(shape: &CrossEntropy, logits: &[f64], labels: &[u32]) -> Vec<f64> {
    shape.check(logits, labels);
    let mut losses = vec![0.0; shape.n];
    for n in 0..shape.n {
        let log_p = shape.log_softmax(&logits[n * shape.classes..(n + 1) * shape.classes]);
        for (c, log_p) in log_p.into_iter().enumerate() {
            losses[n] -= shape.target(labels[n], c) * log_p;
        }
    }
    losses
}

/// The gradient of `sum over n of scale[n] loss[n]`, `[n][classes]`: `scale[n] (softmax(z)[c] - target[c])`.
///
/// For the mean over the batch every scale is `1 / n`; a row that pads a batch has scale 0.
pub fn backward(shape: &CrossEntropy, logits: &[f64], labels: &[u32], scale: &[f64]) -> Vec<f64> {
    shape.check(logits, labels);
    expect_len("scale", scale.len(), shape.n);
    let mut d_logits = vec![0.0; shape.n * shape.classes];
    for n in 0..shape.n {
        let log_p = shape.log_softmax(&logits[n * shape.classes..(n + 1) * shape.classes]);
        for c in 0..shape.classes {
            d_logits[n * shape.classes + c] = scale[n] * (log_p[c].exp() - shape.target(labels[n], c));
        }
    }
    d_logits
}

/// The predicted class of every row: that of the largest logit, the first one if several are equal.
pub fn predictions(classes: usize, logits: &[f64]) -> Vec<u32> {
    let mut predicted = Vec::new();
    for row in logits.chunks_exact(classes) {
        let mut best = 0;
        for c in 1..classes {
            if row[c] > row[best] {
                best = c;
            }
        }
        predicted.push(best as u32);
    }
    predicted
}

/// The number of rows whose predicted class is their label.
pub fn hits(classes: usize, logits: &[f64], labels: &[u32]) -> u64 {
    let predicted = predictions(classes, logits);
    expect_len("labels", labels.len(), predicted.len());
    let mut hits = 0;
    for n in 0..labels.len() {
        if predicted[n] == labels[n] {
            hits += 1;
        }
    }
    hits
}

/// The confusion matrix `[true][predicted]` of a batch.
pub fn confusion(classes: usize, logits: &[f64], labels: &[u32]) -> Confusion {
    let predicted = predictions(classes, logits);
    expect_len("labels", labels.len(), predicted.len());
    let mut matrix = Confusion::new(classes);
    for n in 0..labels.len() {
        matrix.counts[labels[n] as usize * classes + predicted[n] as usize] += 1;
    }
    matrix
}
