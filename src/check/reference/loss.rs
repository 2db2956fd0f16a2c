//! Softmax cross-entropy with label smoothing, its gradient, hits and the confusion matrix.
//!
//! Source: `torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)` with class indices, where each sample
//! may have labels at several places; [`IGNORED`] is its `ignore_index`.

use super::expect_len;
use crate::{data::IGNORED, training::metrics::Confusion};

/// The shape and setting of a cross-entropy: logits are `[n][classes][places]`, labels `[n][places]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossEntropy {
    /// Samples.
    pub n: usize,
    /// Labels of a sample.
    pub places: usize,
    /// Classes.
    pub classes: usize,
    /// PyTorch's `label_smoothing`: the share of the target that is spread evenly over all classes, the true one
    /// included.
    pub smoothing: f64,
}

impl CrossEntropy {
    fn check(&self, logits: &[f64], labels: &[u32]) {
        expect_len("logits", logits.len(), self.n * self.classes * self.places);
        expect_len("labels", labels.len(), self.n * self.places);
        for &label in labels {
            assert!(
                label == IGNORED || (label as usize) < self.classes,
                "reference: label {label} of {} classes",
                self.classes
            );
        }
    }

    /// Where the logits have the value for a class at a place of a sample.
    fn at(&self, n: usize, class: usize, place: usize) -> usize {
        (n * self.classes + class) * self.places + place
    }

    /// The logits as a row for each label, `[n][places][classes]`.
    pub fn rows(&self, logits: &[f64]) -> Vec<f64> {
        let mut rows = Vec::new();
        for n in 0..self.n {
            for place in 0..self.places {
                for c in 0..self.classes {
                    rows.push(logits[self.at(n, c, place)]);
                }
            }
        }
        rows
    }

    /// `target[c] = (1 - smoothing) [c is the label] + smoothing / classes`.
    fn target(&self, label: u32, class: usize) -> f64 {
        let hot = if class == label as usize { 1.0 } else { 0.0 };
        (1.0 - self.smoothing) * hot + self.smoothing / self.classes as f64
    }

    /// `log p[c] = (z[c] - max z) - ln(sum over j of exp(z[j] - max z))` of one row.
    pub(super) fn log_softmax(&self, row: &[f64]) -> Vec<f64> {
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

/// The loss of every label, `[n][places]`: `- sum over c of target[c] log softmax(z)[c]`, not yet averaged.
pub fn row_losses(shape: &CrossEntropy, logits: &[f64], labels: &[u32]) -> Vec<f64> {
    shape.check(logits, labels);
    let rows = shape.rows(logits);
    let mut losses = vec![0.0; labels.len()];
    for i in 0..labels.len() {
        if labels[i] == IGNORED {
            continue;
        }
        let log_p = shape.log_softmax(&rows[i * shape.classes..(i + 1) * shape.classes]);
        for (c, log_p) in log_p.into_iter().enumerate() {
            losses[i] -= shape.target(labels[i], c) * log_p;
        }
    }
    losses
}

/// The gradient of `sum over labels i of scale[i] loss[i]`, `[n][classes][places]`: `scale[i] (softmax(z)[c] - target[c])`.
///
/// For the mean over the batch every scale is `1 / (n places)`; a row that pads a batch has scale 0.
pub fn backward(shape: &CrossEntropy, logits: &[f64], labels: &[u32], scale: &[f64]) -> Vec<f64> {
    shape.check(logits, labels);
    expect_len("scale", scale.len(), labels.len());
    let rows = shape.rows(logits);
    let mut d_logits = vec![0.0; logits.len()];
    for i in 0..labels.len() {
        if labels[i] == IGNORED {
            continue;
        }
        let log_p = shape.log_softmax(&rows[i * shape.classes..(i + 1) * shape.classes]);
        for (c, log_p) in log_p.into_iter().enumerate() {
            let at = shape.at(i / shape.places, c, i % shape.places);
            d_logits[at] = scale[i] * (log_p.exp() - shape.target(labels[i], c));
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

/// Whether each label is among the `k` likeliest classes of its row: fewer than `k` classes have a larger logit, so that ties count for
/// the label, where `torch.topk` takes any of them. An [`IGNORED`] label is not.
pub fn among_top(k: usize, classes: usize, logits: &[f64], labels: &[u32]) -> Vec<bool> {
    expect_len("logits", logits.len(), classes * labels.len());
    let mut among = vec![false; labels.len()];
    for (n, row) in logits.chunks_exact(classes).enumerate() {
        if labels[n] == IGNORED {
            continue;
        }
        let mut larger = 0;
        for &logit in row {
            if logit > row[labels[n] as usize] {
                larger += 1;
            }
        }
        among[n] = larger < k;
    }
    among
}

/// The confusion matrix `[true][predicted]` of a batch.
pub fn confusion(classes: usize, logits: &[f64], labels: &[u32]) -> Confusion {
    let predicted = predictions(classes, logits);
    expect_len("labels", labels.len(), predicted.len());
    let mut matrix = Confusion::new(classes);
    for n in 0..labels.len() {
        if labels[n] == IGNORED {
            continue;
        }
        matrix.counts[labels[n] as usize * classes + predicted[n] as usize] += 1;
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Rng;

    /// Against a sort of each row, for every k.
    #[test]
    fn the_likeliest_are_what_a_sort_finds() {
        let mut rng = Rng::new(4);
        let (classes, rows) = (9, 200);
        let logits: Vec<f64> = (0..classes * rows).map(|_| rng.normal()).collect();
        let labels: Vec<u32> = (0..rows).map(|_| rng.below(classes as u32)).collect();
        for k in 1..=classes {
            let found = among_top(k, classes, &logits, &labels);
            for ((row, label), found) in logits.chunks(classes).zip(&labels).zip(found) {
                let mut order: Vec<usize> = (0..classes).collect();
                order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
                assert_eq!(order[..k].contains(&(*label as usize)), found);
            }
        }
        let hit = |k, logits: &[f64]| among_top(k, 3, logits, &[0])[0];
        assert!(hit(1, &[1.0, 1.0, 1.0]) && !hit(1, &[1.0, 2.0, 1.0]) && hit(2, &[1.0, 2.0, 1.0]));
        assert_eq!(among_top(3, 3, &[1.0, 2.0, 3.0], &[IGNORED]), [false]);
    }
}
