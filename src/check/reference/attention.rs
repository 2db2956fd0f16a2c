//! Multi-head attention over the places of a sample, and its gradient, with the whole matrix of weights.
//!
//! Source: Vaswani et al. 2017, arXiv 1706.03762, equation 1; `torch.nn.functional.scaled_dot_product_attention`.

use super::{Sum, expect_len, random::pcg4d};

/// The shape of an attention: qkv is `[n][places][3][heads][d]`, y `[n][places][heads][d]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attention {
    /// Samples.
    pub n: usize,
    /// Places of a sample.
    pub places: usize,
    /// Heads.
    pub heads: usize,
    /// Channels of a head.
    pub d: usize,
    /// Whether a place sees itself and those before it only.
    pub causal: bool,
}

/// One query's weights, the logarithm of the sum that they are divided by, and how much larger than a weight its error is in
/// units of float32's.
struct Weights {
    p: Vec<f64>,
    log_sum: f64,
    amplified: f64,
}

impl Attention {
    fn at(&self, n: usize, place: usize, part: usize, head: usize) -> usize {
        (((n * self.places + place) * 3 + part) * self.heads + head) * self.d
    }

    fn out(&self, n: usize, place: usize, head: usize) -> usize {
        ((n * self.places + place) * self.heads + head) * self.d
    }

    fn seen(&self, query: usize) -> usize {
        if self.causal { query + 1 } else { self.places }
    }

    /// `p[k] = softmax over k of (q k^T / sqrt(d))`.
    fn weights(&self, qkv: &[f64], [n, query, head]: [usize; 3]) -> Weights {
        let factor = 1.0 / (self.d as f64).sqrt();
        let (mut s, mut magnitude) = (vec![], 0.0_f64);
        for key in 0..self.seen(query) {
            let (mut dot, mut all) = (0.0, 0.0);
            for i in 0..self.d {
                let term = qkv[self.at(n, query, 0, head) + i] * qkv[self.at(n, key, 1, head) + i];
                dot += term;
                all += term.abs();
            }
            s.push(factor * dot);
            magnitude = magnitude.max(factor * all);
        }
        let largest = s.iter().fold(f64::NEG_INFINITY, |largest, &s| largest.max(s));
        let total: f64 = s.iter().map(|s| (s - largest).exp()).sum();
        let p = s.iter().map(|s| (s - largest).exp() / total).collect();
        // An error of s is one of p's logarithm; WGSL lets exp be off by 3 + 2 |argument| units.
        let spread = s.iter().fold(0.0_f64, |spread, s| spread.max(largest - s));
        Weights { p, log_sum: largest + total.ln(), amplified: 8.0 + 4.0 * spread + 2.0 * magnitude }
    }
}

/// The factors on the weights in training, `[n][heads][query][key]`: 0 with probability `p`, else 1/(1-p). `samples` are the `n`
/// indices in the data set. Keys are drawn four at a time from the counter (seed combined with layer, epoch, sample, index
/// of the four keys among all queries and heads of the sample).
pub fn mask(shape: &Attention, samples: &[u32], p: f64, [seed, layer, epoch]: [u32; 3]) -> Vec<f64> {
    let fours = shape.places.div_ceil(4);
    let mut mask = vec![];
    for &sample in samples {
        for head in 0..shape.heads {
            for query in 0..shape.places {
                for key in 0..shape.places {
                    let element = ((head * shape.places + query) * fours + key / 4) as u32;
                    let word = pcg4d([seed ^ layer, epoch, sample, element])[key % 4];
                    let draw = f64::from(word >> 8) / 16_777_216.0;
                    mask.push(if draw >= p { 1.0 / (1.0 - p) } else { 0.0 });
                }
            }
        }
    }
    mask
}

/// `y = (softmax(q k^T / sqrt(d)) mask) v`; a mask of ones drops nothing.
pub fn forward(shape: &Attention, qkv: &[f64], mask: &[f64]) -> Sum {
    expect_len("qkv", qkv.len(), 3 * shape.n * shape.places * shape.heads * shape.d);
    expect_len("mask", mask.len(), shape.n * shape.heads * shape.places * shape.places);
    let len = shape.n * shape.places * shape.heads * shape.d;
    let mut y = Sum { value: vec![0.0; len], magnitude: vec![0.0; len], terms: shape.d + shape.places };
    for n in 0..shape.n {
        for head in 0..shape.heads {
            for query in 0..shape.places {
                let weights = shape.weights(qkv, [n, query, head]);
                let kept = &mask[((n * shape.heads + head) * shape.places + query) * shape.places..];
                for (key, p) in weights.p.iter().enumerate() {
                    for i in 0..shape.d {
                        let term = p * kept[key] * qkv[shape.at(n, key, 2, head) + i];
                        y.value[shape.out(n, query, head) + i] += term;
                        y.magnitude[shape.out(n, query, head) + i] += term.abs() * weights.amplified;
                    }
                }
            }
        }
    }
    y
}

/// `log(sum over keys of exp(q k^T / sqrt(d)))`, `[n][heads][places]`.
pub fn log_sums(shape: &Attention, qkv: &[f64]) -> Sum {
    let mut sums = Sum { value: vec![], magnitude: vec![], terms: shape.d + shape.places };
    for n in 0..shape.n {
        for head in 0..shape.heads {
            for query in 0..shape.places {
                let Weights { log_sum, amplified, .. } = shape.weights(qkv, [n, query, head]);
                sums.value.push(log_sum);
                sums.magnitude.push(log_sum.abs() + amplified);
            }
        }
    }
    sums
}

/// The gradient of qkv.
pub struct Gradient {
    /// The gradient.
    pub d_qkv: Sum,
    /// How far each element moves if every element of y moves by its own size: what storing y in another format adds.
    pub by_y: Vec<f64>,
    /// `d_y y` of each query, `[n][heads][places]`.
    pub delta: Sum,
    /// How far each element of `delta` moves if every element of y moves by its own size.
    pub delta_by_y: Vec<f64>,
}

/// `d_v = (p mask)^T d_y`, `ds = p ((d_y v^T) mask - delta)` with `delta = d_y y`, `d_q = ds k / sqrt(d)` and
/// `d_k = ds^T q / sqrt(d)`.
pub fn backward(shape: &Attention, qkv: &[f64], mask: &[f64], d_y: &[f64]) -> Gradient {
    let y = forward(shape, qkv, mask);
    expect_len("d_y", d_y.len(), y.value.len());
    let factor = 1.0 / (shape.d as f64).sqrt();
    let mut sum = Sum { value: vec![0.0; qkv.len()], magnitude: vec![0.0; qkv.len()], terms: shape.d + shape.places };
    let mut by_y = vec![0.0; qkv.len()];
    let mut deltas = Sum { value: vec![], magnitude: vec![], terms: sum.terms };
    let mut delta_by_y = vec![];
    for n in 0..shape.n {
        for head in 0..shape.heads {
            for query in 0..shape.places {
                let weights = shape.weights(qkv, [n, query, head]);
                let kept = &mask[((n * shape.heads + head) * shape.places + query) * shape.places..];
                let (q, out) = (shape.at(n, query, 0, head), shape.out(n, query, head));
                let (mut delta, mut of_delta, mut all) = (0.0, 0.0, 0.0);
                for i in 0..shape.d {
                    delta += d_y[out + i] * y.value[out + i];
                    of_delta += d_y[out + i].abs() * y.magnitude[out + i];
                    all += (d_y[out + i] * y.value[out + i]).abs();
                }
                deltas.value.push(delta);
                deltas.magnitude.push(of_delta + all);
                delta_by_y.push(all);
                for (key, p) in weights.p.iter().enumerate() {
                    let (k, v) = (shape.at(n, key, 1, head), shape.at(n, key, 2, head));
                    let (mut dp, mut of_dp) = (0.0, 0.0);
                    for i in 0..shape.d {
                        let term = d_y[out + i] * qkv[v + i] * kept[key];
                        dp += term;
                        of_dp += term.abs();
                    }
                    let ds = p * (dp - delta);
                    let of_ds = p * (of_dp + of_delta + (dp - delta).abs() * weights.amplified);
                    for i in 0..shape.d {
                        for (at, value, magnitude) in [
                            (q + i, factor * ds * qkv[k + i], factor * of_ds * qkv[k + i].abs()),
                            (k + i, factor * ds * qkv[q + i], factor * of_ds * qkv[q + i].abs()),
                            (
                                v + i,
                                p * kept[key] * d_y[out + i],
                                p * kept[key] * d_y[out + i].abs() * weights.amplified,
                            ),
                        ] {
                            sum.value[at] += value;
                            sum.magnitude[at] += magnitude;
                        }
                        by_y[q + i] += factor * p * all * qkv[k + i].abs();
                        by_y[k + i] += factor * p * all * qkv[q + i].abs();
                    }
                }
            }
        }
    }
    Gradient { d_qkv: sum, by_y, delta: deltas, delta_by_y }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gradient is that of finite differences of the forward pass, with and without a mask.
    #[test]
    fn the_gradient_is_a_difference() {
        let list = |seed: u32, len: u32| -> Vec<f64> {
            (0..len).map(|i| f64::from((i * 7919 + seed * 104_729) % 1000) / 500.0 - 1.0).collect()
        };
        for causal in [false, true] {
            let shape = Attention { n: 2, places: 3, heads: 2, d: 2, causal };
            let (qkv, d_y) = (list(1, 72), list(2, 24));
            for mask in [vec![1.0; 36], mask(&shape, &[3, 8], 0.4, [1, 2, 3])] {
                let loss = |qkv: &[f64]| -> f64 {
                    forward(&shape, qkv, &mask).value.iter().zip(&d_y).map(|(y, d)| y * d).sum()
                };
                let found = backward(&shape, &qkv, &mask, &d_y).d_qkv.value;
                for i in 0..qkv.len() {
                    let moved = |by: f64| {
                        let mut moved = qkv.clone();
                        moved[i] += by;
                        loss(&moved)
                    };
                    let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                    assert!((found[i] - slope).abs() < 1e-8, "{i}: {} is not {slope}", found[i]);
                }
            }
        }
    }
}
