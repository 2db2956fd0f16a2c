//! What a kernel should give, and how far it may be from it.

use super::port::Word;
use crate::check::reference::Sum;

/// What a port should hold after the run.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The port's name.
    pub port: &'static str,
    /// In PyTorch's order.
    pub value: Vec<f64>,
    /// How far off each element may be.
    pub bound: Vec<f64>,
    /// The share of elements that may be further off: only where the result is not continuous, as for a rotated image.
    pub exempt: f64,
}

/// The factor of [`Sum::bound`]: independent rounding errors stay within 4 standard deviations for all elements of the
/// table, and the order in which the cores add up only makes them smaller.
pub(super) const SPREAD: f64 = 4.0;

/// Relative error of one float32 operation, doubled because devices need not round to nearest.
pub(super) const EPS: f64 = f32::EPSILON as f64;

/// The smallest normal float32: a device may flush smaller numbers to zero.
pub(super) const TINY: f64 = f32::MIN_POSITIVE as f64;

/// Relative error of storing a number as f16: half a unit in the last of 11 binary digits. WGSL requires the nearest
/// number.
pub(super) const EPS16: f64 = 1.0 / 2048.0;

/// The smallest normal f16: a device may flush smaller numbers to zero.
pub(super) const TINY16: f64 = 1.0 / 16_384.0;

impl Expected {
    /// Values that the device only copies, so that they must be exact.
    pub fn exact(port: &'static str, value: Vec<f64>) -> Self {
        let bound = vec![0.0; value.len()];
        Self { port, value, bound, exempt: 0.0 }
    }

    /// Values that result from `roundings` operations on numbers of the same magnitude.
    pub fn rounded(port: &'static str, value: Vec<f64>, roundings: f64) -> Self {
        let bound = value.iter().map(|v| roundings * EPS * v.abs() + TINY).collect();
        Self { port, value, bound, exempt: 0.0 }
    }

    /// Sums, within `4 sqrt(terms) eps32 magnitude`.
    pub fn sum(port: &'static str, sum: &Sum) -> Self {
        let bound = (0..sum.value.len()).map(|i| sum.bound(i, SPREAD)).collect();
        Self { port, value: sum.value.clone(), bound, exempt: 0.0 }
    }

    /// Widens the bounds of a port that is stored as f16, first with the value `before` and then with the result: each
    /// rounding is relative to the stored value. From half a unit above the largest f16 on, numbers become infinite.
    pub(super) fn store_as_f16(&mut self, before: Option<&Vec<f64>>) {
        for (i, (value, bound)) in self.value.iter_mut().zip(&mut self.bound).enumerate() {
            if value.abs() >= 65_520.0 {
                *value = value.signum() * f64::INFINITY;
                continue;
            }
            *bound += before.map_or(0.0, |values| EPS16 * values[i].abs() + TINY16);
            let exact = *bound == 0.0 && Word::F16.round(*value) == *value;
            if !exact {
                *bound += EPS16 * (value.abs() + *bound) + TINY16;
            }
        }
    }

    /// A sum that is added to the values `before`.
    pub fn added(port: &'static str, before: &[f64], sum: &Sum) -> Self {
        Self::sum(port, &plus(before, sum))
    }
}

/// A sum with one more term for each element.
pub(super) fn plus(before: &[f64], sum: &Sum) -> Sum {
    Sum {
        value: sum.value.iter().zip(before).map(|(value, before)| value + before).collect(),
        magnitude: sum.magnitude.iter().zip(before).map(|(magnitude, before)| magnitude + before.abs()).collect(),
        terms: sum.terms + 1,
    }
}
