//! Jitter of an image's colours: how it is stored, and how far a pixel may be off.

use super::{EPS, SPREAD, single};
use crate::{
    check::reference::augment::{Image, Jitter},
    ops,
};

/// An order as the kernels store it: two bits each, the first in the lowest.
pub(super) fn packed(order: [usize; 4]) -> f64 {
    order.iter().rev().fold(0, |bits, kind| 4 * bits + kind) as f64
}

/// The jitter of image `nth` of a case, in numbers of float32: the largest factors for the first, the smallest for the second, and
/// those that were drawn for the others.
pub(super) fn end_of_range(drawn: Jitter, of: ops::Jitter, nth: u32) -> Jitter {
    let (ops::Jitter { brightness, contrast, saturation, hue }, least) =
        (of, |strength: f64| (1.0 - strength).max(0.0));
    let factors = match nth {
        0 => [1.0 + brightness, 1.0 + contrast, 1.0 + saturation, hue],
        1 => [least(brightness), least(contrast), least(saturation), -hue],
        _ => drawn.factors,
    };
    Jitter { factors: factors.map(single), ..drawn }
}

/// How far values from 0 to 1 of an image may be off, to first order.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub shape: Image,
    /// The strengths of the changes; a change whose strength is 0 is not computed.
    pub changes: ops::Jitter,
    /// How far the values may be off before the changes.
    pub off: f64,
}

impl Bounds {
    /// A pixel after all.
    pub fn pixel(&self, jitter: &Jitter) -> f64 {
        jitter.order.iter().fold(self.off, |off, &kind| self.after(off, jitter, kind))
    }

    /// The mean of the grey image where contrast comes in the order.
    pub fn mean(&self, jitter: &Jitter) -> f64 {
        let before = jitter.order.iter().take_while(|&&kind| kind != 1);
        self.of_mean(before.fold(self.off, |off, &kind| self.after(off, jitter, kind)))
    }

    /// A sum of three products, whose weights are rounded and add up to less than 1.
    fn of_grey(off: f64) -> f64 {
        off + 5.0 * EPS
    }

    fn of_mean(&self, off: f64) -> f64 {
        let pixels = (self.shape.h * self.shape.w) as f64;
        Self::of_grey(off) + EPS * (SPREAD * pixels.sqrt() + 3.0)
    }

    /// A blend adds products with a share f, and with 1 - f, which is rounded; clamping brings numbers no further apart.
    fn blended(share: f64, off: f64, of_other: f64) -> f64 {
        let rest = (1.0 - share).abs();
        share.abs() * off + rest * of_other + EPS * (2.0 * share.abs() + 3.0 * rest + 1.0)
    }

    /// Changing the hue is continuous. Of a value M, a chroma C and a difference D of two channels, a channel becomes M - C g, where g is
    /// from 0 to 1 and 0, 1 or linear in D / C with a slope of 1; the derivatives by M, C and D are at most 1, 2 and 1, and C and D
    /// may be off twice as far as a channel. Hues up to 5 have, with the divisions and the shift, an error of 11 roundings, which are
    /// divided and multiplied by six; adding the shift, taking the fraction, and adding 1, 3 or 5 to sixths have 45 more.
    fn after(&self, off: f64, jitter: &Jitter, kind: usize) -> f64 {
        let factor = jitter.factors[kind];
        if self.changes.strengths()[kind] == 0.0 || (kind > 1 && self.shape.c == 1) {
            return off;
        }
        match kind {
            0 => Self::blended(factor, off, 0.0),
            1 => Self::blended(factor, off, self.of_mean(off)),
            2 => Self::blended(factor, off, Self::of_grey(off)),
            _ => 7.0 * off + 56.0 * EPS,
        }
    }
}
