//! Batch normalization over `[n][h][w]` of every channel: training, evaluation and gradients.
//!
//! Source: `torch.nn.functional.batch_norm`. Magnitudes: a rounding error of `x - mean` is relative to `|x| + mean|x|`,
//! not to the difference, so each [`Sum`] here carries the first-order amplification
//!
//! ```text
//! var   : mean of |x - mean| (|x| + mean|x|)
//! rho   : 1 + 0.5 var_magnitude / (var + eps)                     relative error of inv = 1 / sqrt(var + eps)
//! x_hat : inv (|x| + mean|x|) + |x_hat| rho
//! y     : |gamma| x_hat_magnitude + |beta|
//! ```

use super::{Accumulator, Sum, expect_len};

/// The shape and settings: x and y are `[n][c][h][w]`, everything else `[c]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNorm {
    /// Images.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Added to the variance before the square root; PyTorch's default is 1e-5.
    pub eps: f64,
    /// Weight of the new value in the running statistics; PyTorch's default is 0.1.
    pub momentum: f64,
}

/// What the training forward pass returns.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// The normalized output, `[n][c][h][w]`.
    pub y: Sum,
    /// The batch's mean of every channel.
    pub mean: Sum,
    /// The batch's biased variance of every channel.
    pub variance: Sum,
    /// The updated running mean.
    pub running_mean: Vec<f64>,
    /// The updated running variance.
    pub running_variance: Vec<f64>,
}

/// What the backward pass returns.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// The gradient of x, `[n][c][h][w]`.
    pub d_x: Sum,
    /// The gradient of gamma, `[c]`.
    pub d_gamma: Sum,
    /// The gradient of beta, `[c]`.
    pub d_beta: Sum,
}

impl BatchNorm {
    /// The number of values per channel.
    fn count(&self) -> usize {
        self.n * self.h * self.w
    }

    fn x_len(&self) -> usize {
        self.c * self.count()
    }

    /// Calls `visit(channel, x index)` for every element.
    fn for_each(&self, mut visit: impl FnMut(usize, usize)) {
        for n in 0..self.n {
            for c in 0..self.c {
                for h in 0..self.h {
                    for w in 0..self.w {
                        visit(c, ((n * self.c + c) * self.h + h) * self.w + w);
                    }
                }
            }
        }
    }
}

/// Mean and biased variance of every channel: `mean = sum x / count`, `variance = sum (x - mean)^2 / count`.
fn statistics(shape: &BatchNorm, x: &[f64]) -> (Sum, Sum) {
    let count = shape.count() as f64;
    let mut mean = Accumulator::new(shape.c);
    shape.for_each(|c, i| mean.add(c, x[i] / count));
    let mean = mean.finish();
    let mut variance = Sum { value: vec![0.0; shape.c], magnitude: vec![0.0; shape.c], terms: shape.count() };
    shape.for_each(|c, i| {
        let difference = x[i] - mean.value[c];
        variance.value[c] += difference * difference / count;
        variance.magnitude[c] += difference.abs() * (x[i].abs() + mean.magnitude[c]) / count;
    });
    (mean, variance)
}

/// `inv = 1 / sqrt(var + eps)` of every channel, and rho, the magnitude of its relative error.
fn inverse_deviation(shape: &BatchNorm, variance: &Sum) -> (Vec<f64>, Vec<f64>) {
    let (mut inv, mut rho) = (vec![0.0; shape.c], vec![0.0; shape.c]);
    for c in 0..shape.c {
        inv[c] = 1.0 / (variance.value[c] + shape.eps).sqrt();
        rho[c] = 1.0 + 0.5 * variance.magnitude[c] / (variance.value[c] + shape.eps);
    }
    (inv, rho)
}

/// `x_hat = (x - mean) inv` with the batch's statistics, `[n][c][h][w]`.
fn normalized(shape: &BatchNorm, x: &[f64], mean: &Sum, variance: &Sum) -> Sum {
    let (inv, rho) = inverse_deviation(shape, variance);
    let mut x_hat = Sum { value: vec![0.0; x.len()], magnitude: vec![0.0; x.len()], terms: shape.count() };
    shape.for_each(|c, i| {
        x_hat.value[i] = (x[i] - mean.value[c]) * inv[c];
        x_hat.magnitude[i] = inv[c] * (x[i].abs() + mean.magnitude[c]) + x_hat.value[i].abs() * rho[c];
    });
    x_hat
}

/// Training: `y = gamma x_hat + beta`; `running <- (1 - momentum) running + momentum batch`.
///
/// The running variance uses the unbiased variance, `sum (x - mean)^2 / (count - 1)`. With one value per channel
/// PyTorch raises an error; here the variance is 0 and the running statistics do not change.
pub fn forward_training(
    shape: &BatchNorm,
    x: &[f64],
    gamma: &[f64],
    beta: &[f64],
    running_mean: &[f64],
    running_variance: &[f64],
) -> Training {
    expect_len("x", x.len(), shape.x_len());
    let channels = [("gamma", gamma), ("beta", beta), ("running_mean", running_mean)];
    for (name, operand) in channels.into_iter().chain([("running_variance", running_variance)]) {
        expect_len(name, operand.len(), shape.c);
    }
    let (mean, variance) = statistics(shape, x);
    let x_hat = normalized(shape, x, &mean, &variance);
    let mut y = Sum { value: vec![0.0; x.len()], magnitude: vec![0.0; x.len()], terms: shape.count() };
    shape.for_each(|c, i| {
        y.value[i] = gamma[c] * x_hat.value[i] + beta[c];
        y.magnitude[i] = gamma[c].abs() * x_hat.magnitude[i] + beta[c].abs();
    });
    let (mut new_mean, mut new_variance) = (running_mean.to_vec(), running_variance.to_vec());
    let count = shape.count() as f64;
    for c in 0..shape.c {
        if count == 1.0 {
            continue;
        }
        let unbiased = variance.value[c] * count / (count - 1.0);
        new_mean[c] = (1.0 - shape.momentum) * running_mean[c] + shape.momentum * mean.value[c];
        new_variance[c] = (1.0 - shape.momentum) * running_variance[c] + shape.momentum * unbiased;
    }
    Training { y, mean, variance, running_mean: new_mean, running_variance: new_variance }
}

/// Evaluation: `y = gamma (x - running_mean) / sqrt(running_variance + eps) + beta`.
pub fn forward_evaluation(
    shape: &BatchNorm,
    x: &[f64],
    gamma: &[f64],
    beta: &[f64],
    running_mean: &[f64],
    running_variance: &[f64],
) -> Sum {
    expect_len("x", x.len(), shape.x_len());
    let mut y = Sum { value: vec![0.0; x.len()], magnitude: vec![0.0; x.len()], terms: 3 };
    shape.for_each(|c, i| {
        let factor = gamma[c] / (running_variance[c] + shape.eps).sqrt();
        y.value[i] = factor * (x[i] - running_mean[c]) + beta[c];
        y.magnitude[i] = factor.abs() * (x[i].abs() + running_mean[c].abs()) + beta[c].abs();
    });
    y
}

/// Gradients of the training forward pass, with the means taken over `[n][h][w]` of the channel:
///
/// ```text
/// d_beta = sum d_y,   d_gamma = sum d_y x_hat,   d_x = gamma inv (d_y - mean(d_y) - x_hat mean(d_y x_hat))
/// ```
///
/// Magnitudes: d_gamma sums `|d_y| x_hat_magnitude`; d_x is `|gamma| inv` times
/// `(1 + rho) (|d_y| + mean|d_y|) + (x_hat_magnitude + rho |x_hat|) mean|d_y x_hat| + |x_hat| mean(|d_y| x_hat_magnitude)`.
pub fn backward(shape: &BatchNorm, x: &[f64], gamma: &[f64], d_y: &[f64]) -> Gradients {
    expect_len("x", x.len(), shape.x_len());
    expect_len("d_y", d_y.len(), shape.x_len());
    expect_len("gamma", gamma.len(), shape.c);
    let count = shape.count() as f64;
    let (mean, variance) = statistics(shape, x);
    let (inv, rho) = inverse_deviation(shape, &variance);
    let x_hat = normalized(shape, x, &mean, &variance);

    let mut d_beta = Accumulator::new(shape.c);
    let mut d_gamma = Sum { value: vec![0.0; shape.c], magnitude: vec![0.0; shape.c], terms: shape.count() };
    let mut absolute_products = vec![0.0; shape.c];
    shape.for_each(|c, i| {
        d_beta.add(c, d_y[i]);
        d_gamma.value[c] += d_y[i] * x_hat.value[i];
        d_gamma.magnitude[c] += d_y[i].abs() * x_hat.magnitude[i];
        absolute_products[c] += (d_y[i] * x_hat.value[i]).abs();
    });
    let d_beta = d_beta.finish();

    let mut d_x = Sum { value: vec![0.0; x.len()], magnitude: vec![0.0; x.len()], terms: shape.count() };
    shape.for_each(|c, i| {
        let hat = x_hat.value[i];
        d_x.value[i] = gamma[c] * inv[c] * (d_y[i] - d_beta.value[c] / count - hat * d_gamma.value[c] / count);
        let direct = (1.0 + rho[c]) * (d_y[i].abs() + d_beta.magnitude[c] / count);
        let projected = (x_hat.magnitude[i] + rho[c] * hat.abs()) * absolute_products[c] / count;
        let projection = hat.abs() * d_gamma.magnitude[c] / count;
        d_x.magnitude[i] = (gamma[c] * inv[c]).abs() * (direct + projected + projection);
    });
    Gradients { d_x, d_gamma, d_beta }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With values far from zero, so that `x - mean` cancels, two passes in float32 stay inside the bound.
    #[test]
    fn float32_is_within_the_bound() {
        for (count, offset) in [(2, 0.0), (50, 100.0), (4000, 1000.0)] {
            let shape = BatchNorm { n: count, c: 1, h: 1, w: 1, eps: 1e-5, momentum: 0.1 };
            let x: Vec<f32> = (0..count).map(|i| offset + (i * 7919 % 1000) as f32 / 500.0 - 1.0).collect();
            let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            let mean = x.iter().sum::<f32>() / count as f32;
            let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count as f32;
            let expected = forward_training(&shape, &wide, &[1.5], &[0.25], &[0.0], &[1.0]);
            assert!((f64::from(variance) - expected.variance.value[0]).abs() <= expected.variance.bound(0, 2.0));
            for (i, x) in x.iter().enumerate() {
                let y = (x - mean) / (variance + 1e-5).sqrt() * 1.5 + 0.25;
                let off = (f64::from(y) - expected.y.value[i]).abs();
                assert!(off <= expected.y.bound(i, 2.0), "{count} values around {offset}: y[{i}] is {off} off");
            }
        }
    }
}
