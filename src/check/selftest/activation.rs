//! The expected results of an activation after a sum, and their bounds: its own error, and that of its argument.

use super::{EPS, Expected};
use crate::{
    check::reference::elementwise::{
        gelu, gelu_backward, gelu_tanh, gelu_tanh_backward, normal_cdf, relu, relu_backward, relu2, relu2_backward,
    },
    ops::Activation,
};

/// Relative error of the tail of the normal distribution as the kernels compute it, at z: 1.2e-7 for the approximation,
/// a dozen operations, and exp of an argument near ln of the tail, which WGSL lets be off by (3 + 2 |argument|) units,
/// plus the argument's rounding.
fn of_tail(z: f64) -> f64 {
    let argument = normal_cdf(-z.abs()).max(1e-300).ln().abs();
    1.2e-7 + EPS * (15.0 + 4.0 * argument)
}

/// Relative error of `1 / (1 + exp(-2u))` at z, or of `exp(-2u)` times it, as the kernels compute it: exp is off by
/// (3 + 2 |argument|) units, its argument by a few roundings of its own size.
fn of_odds(z: f64) -> f64 {
    EPS * (8.0 + 6.0 * 1.6 * z.abs() * (1.0 + 0.045 * z * z))
}

/// Replaces the values and bounds of an argument by those of its activation.
pub(super) fn forward(activation: Activation, out: &mut Expected) {
    match activation {
        Activation::None => {}
        Activation::Relu => out.value = relu(&out.value),
        Activation::Gelu => {
            let y = gelu(&out.value);
            for ((z, bound), y) in out.value.iter().zip(&mut out.bound).zip(&y) {
                // The derivative of GELU is below 1.13; a product and a difference follow the tail.
                let own = z.abs() * normal_cdf(-z.abs()) * of_tail(*z) + 2.0 * EPS * y.abs();
                *bound = 1.13 * *bound + own;
            }
            out.value = y;
        }
        Activation::GeluTanh => {
            let y = gelu_tanh(&out.value);
            for ((z, bound), y) in out.value.iter().zip(&mut out.bound).zip(&y) {
                *bound = 1.13 * *bound + y.abs() * of_odds(*z) + f64::from(f32::MIN_POSITIVE);
            }
            out.value = y;
        }
        Activation::Relu2 => {
            let y = relu2(&out.value);
            for ((z, bound), y) in out.value.iter().zip(&mut out.bound).zip(&y) {
                *bound = (2.0 * z.abs() + *bound) * *bound + EPS * y + f64::from(f32::MIN_POSITIVE);
            }
            out.value = y;
        }
    }
}

/// The gradient of the argument `z` from that of the activation, and the bounds of those elements that are not exact.
pub(super) fn backward(activation: Activation, z: &Expected, d_y: &[f64]) -> [Vec<f64>; 2] {
    match activation {
        Activation::None => [d_y.to_vec(), vec![0.0; d_y.len()]],
        Activation::Relu => [relu_backward(&z.value, d_y), vec![0.0; d_y.len()]],
        Activation::Gelu => {
            let bound = z.value.iter().zip(&z.bound).zip(d_y).map(|((z, of_z), d)| {
                // GELU's second derivative is at most 0.8; exp in the density has the error of the tail's, and the rest
                // is at most 1.13.
                let density = 0.4 * (-z * z / 2.0).exp();
                let own = (normal_cdf(-z.abs()) + z.abs() * density) * of_tail(*z) + 4.0 * EPS;
                d.abs() * (0.8 * of_z + own)
            });
            [gelu_backward(&z.value, d_y), bound.collect()]
        }
        Activation::GeluTanh => {
            let bound = z.value.iter().zip(&z.bound).zip(d_y).map(|((z, of_z), d)| {
                // The derivative is a share and a product of two shares, a slope and z.
                let share = 1.0 / (1.0 + (-1.6 * z * (1.0 + 0.0447 * z * z)).exp());
                let product = share * (1.0 - share) * z.abs() * 1.6 * (1.0 + 0.135 * z * z);
                let own = (share + 2.0 * product) * (of_odds(*z) + 4.0 * EPS);
                d.abs() * (0.8 * of_z + own) + f64::from(f32::MIN_POSITIVE)
            });
            [gelu_tanh_backward(&z.value, d_y), bound.collect()]
        }
        Activation::Relu2 => {
            let bound = z.value.iter().zip(&z.bound).zip(d_y).map(|((z, of_z), d)| {
                d.abs() * 2.0 * (of_z + EPS * z.abs()) + f64::from(f32::MIN_POSITIVE) // the derivative is continuous at 0
            });
            [relu2_backward(&z.value, d_y), bound.collect()]
        }
    }
}
