//! ReLU, its square, the sum of two tensors followed by ReLU (the end of a residual block), and both forms of GELU.
//!
//! Source: `torch.relu`, whose derivative at 0 is 0, and `torch.nn.functional.gelu` with `approximate="none"` and `"tanh"`. All
//! tensors of a call have the same shape, which does not matter here.

use super::expect_len;

/// `y = max(x, 0)`.
pub fn relu(x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for i in 0..x.len() {
        // Written this way round, the result for a NaN is a NaN, as in PyTorch.
        y[i] = if x[i] <= 0.0 { 0.0 } else { x[i] };
    }
    y
}

/// `d_x = d_y where x > 0, else 0`. The output y may be given in place of x, since it is positive in the same places.
pub fn relu_backward(x: &[f64], d_y: &[f64]) -> Vec<f64> {
    expect_len("d_y", d_y.len(), x.len());
    let mut d_x = vec![0.0; x.len()];
    for i in 0..x.len() {
        if x[i] > 0.0 {
            d_x[i] = d_y[i];
        }
    }
    d_x
}

/// `y = max(x, 0)^2`.
pub fn relu2(x: &[f64]) -> Vec<f64> {
    relu(x).into_iter().map(|y| y * y).collect()
}

/// `d_x = 2 x d_y where x > 0, else 0`.
pub fn relu2_backward(x: &[f64], d_y: &[f64]) -> Vec<f64> {
    relu_backward(x, d_y).into_iter().zip(x).map(|(d, x)| 2.0 * x * d).collect()
}

/// `y = max(x + other, 0)`.
pub fn add_relu(x: &[f64], other: &[f64]) -> Vec<f64> {
    expect_len("other", other.len(), x.len());
    let mut y = vec![0.0; x.len()];
    for i in 0..x.len() {
        let sum = x[i] + other[i];
        y[i] = if sum <= 0.0 { 0.0 } else { sum };
    }
    y
}

/// `d_x = d_other = d_y where x + other > 0, else 0`: one tensor, which is the gradient of both inputs.
pub fn add_relu_backward(x: &[f64], other: &[f64], d_y: &[f64]) -> Vec<f64> {
    expect_len("other", other.len(), x.len());
    expect_len("d_y", d_y.len(), x.len());
    let mut d = vec![0.0; x.len()];
    for i in 0..x.len() {
        if x[i] + other[i] > 0.0 {
            d[i] = d_y[i];
        }
    }
    d
}

/// The standard normal distribution function, `(1 + erf(z / sqrt 2)) / 2`, by a series of positive terms for erf:
/// `2 / sqrt(pi) exp(-x^2) sum over n of 2^n x^(2n+1) / (1 3 5 .. (2n+1))` (Abramowitz and Stegun 1964, 7.1.6).
pub fn normal_cdf(z: f64) -> f64 {
    let x = z * std::f64::consts::FRAC_1_SQRT_2;
    if x.abs() > 6.0 {
        return if x > 0.0 { 1.0 } else { 0.0 }; // right to 1e-17
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / (2.0 * f64::from(n) + 1.0);
        sum += term;
    }
    let erf = 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum;
    ((1.0 + erf) / 2.0).clamp(0.0, 1.0)
}

/// `y = x normal_cdf(x)`.
pub fn gelu(x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for i in 0..x.len() {
        y[i] = x[i] * normal_cdf(x[i]);
    }
    y
}

/// `d_x = d_y (normal_cdf(x) + x exp(-x^2 / 2) / sqrt(2 pi))`.
pub fn gelu_backward(x: &[f64], d_y: &[f64]) -> Vec<f64> {
    expect_len("d_y", d_y.len(), x.len());
    let mut d_x = vec![0.0; x.len()];
    for i in 0..x.len() {
        let density = (-x[i] * x[i] / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        d_x[i] = d_y[i] * (normal_cdf(x[i]) + x[i] * density);
    }
    d_x
}

/// `sqrt(2 / pi) (x + 0.044715 x^3)`, the argument of tanh.
fn argument(x: f64) -> f64 {
    (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)
}

/// `(1 + tanh(u)) / 2`, which is `1 / (1 + exp(-2 u))` and loses no digits in that form.
fn half_of_one_and_tanh(u: f64) -> f64 {
    1.0 / (1.0 + (-2.0 * u).exp())
}

/// `y = x (1 + tanh(u)) / 2` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
pub fn gelu_tanh(x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for i in 0..x.len() {
        y[i] = x[i] * half_of_one_and_tanh(argument(x[i]));
    }
    y
}

/// `d_x = d_y ((1 + tanh(u)) / 2 + x (1 - tanh(u)^2) du/dx / 2)`.
pub fn gelu_tanh_backward(x: &[f64], d_y: &[f64]) -> Vec<f64> {
    expect_len("d_y", d_y.len(), x.len());
    let mut d_x = vec![0.0; x.len()];
    for i in 0..x.len() {
        let [half, rest] = [1.0, -1.0].map(|sign| half_of_one_and_tanh(sign * argument(x[i])));
        let slope = (2.0 / std::f64::consts::PI).sqrt() * (1.0 + 3.0 * 0.044715 * x[i] * x[i]);
        // 1 - tanh(u)^2 is four times the product of the two.
        d_x[i] = d_y[i] * (half + x[i] * 2.0 * half * rest * slope);
    }
    d_x
}

#[cfg(test)]
mod tests {
    use super::{gelu, gelu_backward, gelu_tanh, gelu_tanh_backward};

    /// The values are `torch.nn.functional.gelu` of PyTorch 2 in float64, and its gradient by autograd.
    #[test]
    fn gelu_is_pytorchs() {
        let x = [-6.0, -3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.5];
        let y = [
            -5.919525869479969e-09,
            -0.00404969409489031,
            -0.15865525393145702,
            -0.15426876936299344,
            0.0,
            0.14967658142073093,
            0.841344746068543,
            2.4844758366855597,
        ];
        let d_x = [
            -3.546870945402639e-08,
            -0.01194564720418392,
            -0.08331547058768635,
            0.13250487534383712,
            0.5,
            0.695373354883636,
            1.0833154705876864,
            1.037611085908145,
        ];
        let agree = |found: &[f64], expected: &[f64]| {
            found.iter().zip(expected).for_each(|(f, e)| assert!((f - e).abs() < 1e-12, "{f} is not {e}"));
        };
        agree(&gelu(&x), &y);
        agree(&gelu_backward(&x, &[1.0; 8]), &d_x);
    }

    /// The values are `torch.nn.functional.gelu(x, approximate="tanh")` in float64, and its gradient by autograd.
    #[test]
    fn gelu_tanh_is_pytorchs() {
        let x = [-6.0, -3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.5];
        let y = [
            -8.43964897967453e-11,
            -0.0036373920817729943,
            -0.15880800939172324,
            -0.15428599017485606,
            0.0,
            0.149675350701685,
            0.8411919906082768,
            2.484915733910001,
        ];
        let d_x = [
            -7.709976012836329e-10,
            -0.011584166630969648,
            -0.08296408384578252,
            0.13263009646535764,
            0.5,
            0.6953540951510604,
            1.0829640838457826,
            1.037951576212666,
        ];
        let agree = |found: &[f64], expected: &[f64]| {
            found.iter().zip(expected).for_each(|(f, e)| assert!((f - e).abs() < 1e-12, "{f} is not {e}"));
        };
        agree(&gelu_tanh(&x), &y);
        agree(&gelu_tanh_backward(&x, &[1.0; 8]), &d_x);
    }
}
