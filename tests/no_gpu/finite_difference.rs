//! Every backward function of the reference against central differences of its forward function, in f64, and the rules
//! that a difference cannot show: relu'(0) = 0, ties, batch norm over one value per channel.

use velograd::check::reference::batchnorm::{self, BatchNorm};
use velograd::check::reference::conv2d::{self, Conv};
use velograd::check::reference::linear::{self, Linear};
use velograd::check::reference::loss::{self, CrossEntropy};
use velograd::check::reference::pool::{self, GlobalAvgPool, MaxPool};
use velograd::check::reference::{Sum, elementwise};

/// Half the distance of the two points, at which truncation and rounding are both near 1e-9 of the gradient.
const STEP: f64 = 1e-4;

/// Numbers in [-1, 1) from a linear congruential generator.
fn random(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..16).for_each(|_| _ = next());
    (0..len).map(|_| next()).collect()
}

/// `len` different numbers in random order, 0.1 apart and at least 0.05 from zero, so that no kink is within a step.
fn apart(len: usize, seed: u64) -> Vec<f64> {
    let keys = random(len, seed);
    let rank = |i: usize| (0..len).filter(|&j| (keys[j], j) < (keys[i], i)).count();
    (0..len).map(|i| 0.1 * (rank(i) as f64 - (len / 2) as f64) + 0.05).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Compares `gradient` with the differences of `objective` at `at`, within 1e-6 of the gradient's largest element.
#[track_caller]
fn check(what: &str, gradient: &[f64], at: &[f64], objective: impl Fn(&[f64]) -> f64) {
    assert_eq!(gradient.len(), at.len(), "{what}: length");
    let largest = gradient.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    assert!(largest > 0.0, "{what}: the gradient is zero");
    for i in 0..at.len() {
        let mut moved = at.to_vec();
        moved[i] = at[i] + STEP;
        let above = objective(&moved);
        moved[i] = at[i] - STEP;
        let below = objective(&moved);
        let difference = (above - below) / (2.0 * STEP);
        let off = (gradient[i] - difference).abs();
        assert!(off <= 1e-6 * largest, "{what}[{i}]: {} is not {difference}, largest {largest}", gradient[i]);
    }
}

/// Asserts that a sum has terms and that its magnitude is at least its absolute value.
#[track_caller]
fn plausible(what: &str, sum: &Sum) {
    assert!(sum.terms > 0, "{what}: no terms");
    for i in 0..sum.value.len() {
        assert!(sum.magnitude[i] >= sum.value[i].abs() * (1.0 - 1e-12), "{what}[{i}]: magnitude below value");
    }
}

#[test]
fn convolution() {
    // n, c, h, w, k, r, s, stride, padding
    let shapes = [
        (2, 3, 5, 4, 2, 3, 3, 1, 1),
        (2, 2, 7, 5, 3, 3, 3, 2, 1),
        (1, 3, 1, 1, 2, 3, 3, 1, 1),
        (3, 2, 5, 5, 4, 1, 1, 2, 0),
        (1, 1, 9, 11, 2, 7, 7, 2, 3),
        (1, 2, 7, 8, 3, 5, 5, 3, 2),
        (2, 1, 6, 5, 1, 3, 1, 2, 0),
        (1, 1, 1, 1, 1, 1, 1, 1, 0),
        (2, 1, 2, 3, 2, 5, 3, 2, 4),
    ];
    for (n, c, h, w, k, r, s, stride, padding) in shapes {
        let shape = Conv { n, c, h, w, k, r, s, stride, padding };
        let what = format!("{shape:?}");
        let (x, weight) = (random(shape.x_len(), 1), random(shape.weight_len(), 2));
        let d_y = random(shape.y_len(), 3);
        let objective = |x: &[f64], weight: &[f64]| dot(&conv2d::forward(&shape, x, weight).value, &d_y);
        let d_x = conv2d::backward_input(&shape, &d_y, &weight);
        let d_weight = conv2d::backward_weight(&shape, &x, &d_y);
        check(&what, &d_x.value, &x, |x| objective(x, &weight));
        check(&what, &d_weight.value, &weight, |weight| objective(&x, weight));
        for sum in [conv2d::forward(&shape, &x, &weight), d_x, d_weight] {
            plausible(&what, &sum);
            assert!(sum.terms <= (c * r * s).max(k * r * s).max(n * shape.p() * shape.q()), "{what}: {}", sum.terms);
        }
    }
}

#[test]
fn batch_normalization() {
    for (n, c, h, w) in [(3, 2, 3, 5), (1, 3, 3, 2), (7, 2, 1, 1), (2, 1, 1, 1)] {
        let shape = BatchNorm { n, c, h, w, eps: 1e-2, momentum: 0.1 };
        let what = format!("{shape:?}");
        let x: Vec<f64> = random(n * c * h * w, 4).iter().map(|x| 2.0 * x + 0.7).collect();
        let (gamma, beta, d_y) = (random(c, 5), random(c, 6), random(x.len(), 7));
        let (running_mean, running_variance) = (vec![0.3; c], vec![2.0; c]);
        let forward = |x: &[f64], gamma: &[f64], beta: &[f64]| {
            batchnorm::forward_training(&shape, x, gamma, beta, &running_mean, &running_variance)
        };
        let objective = |x: &[f64], gamma: &[f64], beta: &[f64]| dot(&forward(x, gamma, beta).y.value, &d_y);
        let found = batchnorm::backward(&shape, &x, &gamma, &d_y);
        check(&what, &found.d_x.value, &x, |x| objective(x, &gamma, &beta));
        check(&what, &found.d_gamma.value, &gamma, |gamma| objective(&x, gamma, &beta));
        check(&what, &found.d_beta.value, &beta, |beta| objective(&x, &gamma, beta));
        let training = forward(&x, &gamma, &beta);
        for sum in [found.d_x, found.d_gamma, found.d_beta, training.y, training.mean, training.variance] {
            plausible(&what, &sum);
        }
    }
}

#[test]
fn batch_normalization_of_one_value_per_channel() {
    let shape = BatchNorm { n: 1, c: 2, h: 1, w: 1, eps: 1e-5, momentum: 0.1 };
    let found = batchnorm::forward_training(&shape, &[3.0, -4.0], &[2.0, 3.0], &[0.5, 0.25], &[1.0; 2], &[1.0; 2]);
    assert_eq!(found.y.value, [0.5, 0.25]);
    assert_eq!((found.running_mean, found.running_variance), (vec![1.0; 2], vec![1.0; 2]));
    assert_eq!(batchnorm::backward(&shape, &[3.0, -4.0], &[2.0, 3.0], &[1.0, 1.0]).d_x.value, [0.0, 0.0]);
}

#[test]
fn rectified_linear() {
    for len in [1, 2, 17, 64] {
        let (x, d_y) = (apart(len, 8), random(len, 9));
        check("relu", &elementwise::relu_backward(&x, &d_y), &x, |x| dot(&elementwise::relu(x), &d_y));
        // Multiples of 0.1, so that the sum stays as far from zero.
        let other: Vec<f64> = (0..len).map(|i| 0.1 * (i % 5) as f64).collect();
        let d = elementwise::add_relu_backward(&x, &other, &d_y);
        check("add_relu x", &d, &x, |x| dot(&elementwise::add_relu(x, &other), &d_y));
        check("add_relu other", &d, &other, |other| dot(&elementwise::add_relu(&x, other), &d_y));
    }
    assert_eq!(elementwise::relu_backward(&[0.0, -0.0, 1.0, -1.0], &[7.0; 4]), [0.0, 0.0, 7.0, 0.0]);
    assert_eq!(elementwise::add_relu_backward(&[1.0, 2.0], &[-1.0, 0.0], &[7.0; 2]), [0.0, 7.0]);
}

#[test]
fn gelu() {
    let (x, d_y): (Vec<f64>, _) = (random(64, 8).iter().map(|x| 4.0 * x).collect(), random(64, 9));
    check("gelu", &elementwise::gelu_backward(&x, &d_y), &x, |x| dot(&elementwise::gelu(x), &d_y));
}

#[test]
fn max_pooling() {
    for (n, c, h, w, kernel, stride, padding) in [
        (2, 2, 7, 5, 3, 2, 1),
        (1, 1, 4, 6, 2, 2, 0),
        (1, 3, 1, 1, 3, 2, 1),
        (2, 1, 5, 5, 3, 1, 1),
        (1, 1, 9, 8, 5, 3, 2),
    ] {
        let shape = MaxPool { n, c, h, w, kernel, stride, padding };
        let (x, d_y) = (apart(shape.x_len(), 10), random(shape.y_len(), 11));
        let (_, winner) = pool::max_pool2d(&shape, &x);
        let d_x = pool::max_pool2d_backward(&shape, &winner, &d_y);
        check(&format!("{shape:?}"), &d_x.value, &x, |x| dot(&pool::max_pool2d(&shape, x).0, &d_y));
    }
    let shape = MaxPool { n: 1, c: 1, h: 2, w: 3, kernel: 2, stride: 1, padding: 0 };
    let (y, winner) = pool::max_pool2d(&shape, &[1.0, 5.0, 5.0, 5.0, 2.0, 3.0]);
    assert_eq!((y, winner), (vec![5.0, 5.0], vec![1, 1]), "the first of equal maxima wins");
}

#[test]
fn average_pooling() {
    for (n, c, h, w) in [(2, 3, 3, 5), (1, 1, 1, 1), (1, 4, 4, 4)] {
        let shape = GlobalAvgPool { n, c, h, w };
        let (x, d_y) = (random(n * c * h * w, 12), random(n * c, 13));
        let d_x = pool::global_avg_pool_backward(&shape, &d_y);
        check(&format!("{shape:?}"), &d_x, &x, |x| dot(&pool::global_avg_pool(&shape, x).value, &d_y));
    }
}

#[test]
fn fully_connected() {
    for (n, inputs, outputs) in [(3, 5, 4), (1, 1, 1), (1, 7, 3), (5, 1, 2)] {
        let shape = Linear { n, inputs, outputs };
        let what = format!("{shape:?}");
        let (x, weight, bias) = (random(n * inputs, 14), random(outputs * inputs, 15), random(outputs, 16));
        let d_y = random(n * outputs, 17);
        let objective =
            |x: &[f64], weight: &[f64], bias: &[f64]| dot(&linear::forward(&shape, x, weight, bias).value, &d_y);
        let d_x = linear::backward_input(&shape, &d_y, &weight).value;
        let d_weight = linear::backward_weight(&shape, &x, &d_y).value;
        check(&what, &d_x, &x, |x| objective(x, &weight, &bias));
        check(&what, &d_weight, &weight, |weight| objective(&x, weight, &bias));
        check(&what, &linear::backward_bias(&shape, &d_y).value, &bias, |bias| objective(&x, &weight, bias));
    }
}

#[test]
fn cross_entropy() {
    for (n, classes, smoothing) in [(3, 10, 0.0), (1, 2, 0.1), (5, 3, 0.3), (2, 7, 1.0)] {
        let shape = CrossEntropy { n, places: 1, classes, smoothing };
        let logits: Vec<f64> = random(n * classes, 18).iter().map(|x| 3.0 * x).collect();
        let labels: Vec<u32> = (0..n).map(|i| (i * 2 % classes) as u32).collect();
        let scale = random(n, 19);
        let d_logits = loss::backward(&shape, &logits, &labels, &scale);
        let objective = |logits: &[f64]| dot(&loss::row_losses(&shape, logits, &labels), &scale);
        check(&format!("{shape:?}"), &d_logits, &logits, objective);
    }
}

#[test]
fn hits_and_confusion() {
    let logits = [1.0, 3.0, 3.0, -1.0, -2.0, -3.0, 0.0, 0.0, 5.0];
    assert_eq!(loss::predictions(3, &logits), [1, 0, 2], "the first of equal maxima wins");
    assert_eq!(loss::hits(3, &logits, &[2, 0, 2]), 2);
    assert_eq!(loss::confusion(3, &logits, &[2, 0, 2]).counts, [1, 0, 0, 0, 0, 0, 0, 1, 1]);
}
