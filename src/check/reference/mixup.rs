//! mixup: mixed images, and the cross-entropy of mixed targets with its gradient and hits.
//!
//! Source: H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018, equations of
//! section 2; `torchvision.transforms.v2.MixUp`, which mixes each sample with the one before it (`roll(1, 0)`); and
//! `torch.nn.functional.cross_entropy` with class probabilities and `label_smoothing`.

use super::{expect_len, loss::CrossEntropy};

/// The sample in the place of each after `roll(1, 0)`.
fn before(sample: usize, n: usize) -> usize {
    (sample + n - 1) % n
}

/// `y[i] = lambda x[i] + (1 - lambda) x[i - 1]` of `n` samples.
pub fn mix(n: usize, x: &[f64], lambda: f64) -> Vec<f64> {
    let each = x.len() / n;
    expect_len("x", x.len(), n * each);
    let mut y = vec![0.0; x.len()];
    for i in 0..n {
        for j in 0..each {
            y[i * each + j] = lambda * x[i * each + j] + (1.0 - lambda) * x[before(i, n) * each + j];
        }
    }
    y
}

/// The mixed one-hot targets, `[n][classes]`.
fn targets(shape: &CrossEntropy, labels: &[u32], lambda: f64) -> Vec<f64> {
    let mut hot = vec![0.0; shape.n * shape.classes];
    for i in 0..shape.n {
        hot[i * shape.classes + labels[i] as usize] = 1.0;
    }
    mix(shape.n, &hot, lambda)
}

/// The same, smoothed: `(1 - smoothing) target + smoothing / classes`.
fn smoothed(shape: &CrossEntropy, labels: &[u32], lambda: f64) -> Vec<f64> {
    let spread = shape.smoothing / shape.classes as f64;
    targets(shape, labels, lambda).into_iter().map(|target| (1.0 - shape.smoothing) * target + spread).collect()
}

fn check(shape: &CrossEntropy, logits: &[f64], labels: &[u32]) {
    assert_eq!(shape.places, 1, "reference: samples that are mixed have one label");
    expect_len("logits", logits.len(), shape.n * shape.classes);
    expect_len("labels", labels.len(), shape.n);
}

/// The loss of every sample: `- sum over c of target[c] log softmax(z)[c]`.
pub fn losses(shape: &CrossEntropy, logits: &[f64], labels: &[u32], lambda: f64) -> Vec<f64> {
    check(shape, logits, labels);
    let (targets, classes) = (smoothed(shape, labels, lambda), shape.classes);
    let mut losses = vec![0.0; shape.n];
    for i in 0..shape.n {
        let log_p = shape.log_softmax(&logits[i * classes..(i + 1) * classes]);
        for c in 0..classes {
            losses[i] -= targets[i * classes + c] * log_p[c];
        }
    }
    losses
}

/// The gradient of `scale` times the sum of the losses, `[n][classes]`: `scale (softmax(z)[c] - target[c])`.
pub fn backward(shape: &CrossEntropy, logits: &[f64], labels: &[u32], lambda: f64, scale: f64) -> Vec<f64> {
    check(shape, logits, labels);
    let (targets, classes) = (smoothed(shape, labels, lambda), shape.classes);
    let mut d_logits = vec![0.0; logits.len()];
    for i in 0..shape.n {
        let log_p = shape.log_softmax(&logits[i * classes..(i + 1) * classes]);
        for c in 0..classes {
            d_logits[i * classes + c] = scale * (log_p[c].exp() - targets[i * classes + c]);
        }
    }
    d_logits
}

/// The label of each sample that has the larger share of its target; its own if both shares are a half.
pub fn dominant(labels: &[u32], lambda: f64) -> Vec<u32> {
    let n = labels.len();
    (0..n).map(|i| if lambda >= 0.5 { labels[i] } else { labels[before(i, n)] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::reference::loss;

    /// The loss is lambda times that of the own labels and 1 - lambda times that of the others.
    #[test]
    fn the_loss_is_that_of_both_labels() {
        let shape = CrossEntropy { n: 3, places: 1, classes: 4, smoothing: 0.1 };
        let logits = [0.5, -1.0, 2.0, 0.0, 1.5, 1.0, -0.5, 0.25, 3.0, 0.0, -2.0, 1.0];
        let (own, other) = ([2, 0, 3], [3, 2, 0]);
        let [a, b] = [own, other].map(|labels| loss::row_losses(&shape, &logits, &labels));
        let [d_a, d_b] = [own, other].map(|labels| loss::backward(&shape, &logits, &labels, &[0.5; 3]));
        for lambda in [0.0, 0.3, 0.5, 1.0] {
            let both = |a: &[f64], b: &[f64]| -> Vec<f64> {
                a.iter().zip(b).map(|(a, b)| lambda * a + (1.0 - lambda) * b).collect()
            };
            let near = |found: Vec<f64>, expected: Vec<f64>| {
                found
                    .iter()
                    .zip(&expected)
                    .for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{found:?}, {expected:?}"));
            };
            near(losses(&shape, &logits, &own, lambda), both(&a, &b));
            near(backward(&shape, &logits, &own, lambda, 0.5), both(&d_a, &d_b));
            assert_eq!(dominant(&own, lambda), if lambda < 0.5 { other } else { own });
        }
        assert_eq!(mix(2, &[1.0, 2.0, 5.0, 10.0], 0.75), [2.0, 4.0, 4.0, 8.0]);
    }
}
