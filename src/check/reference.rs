//! References of all operations of the trainer: naive, in f64, on the processor, written from the formulas.
//!
//! The kernel tests, `velograd selftest` and the benches compare with these functions. They are plain loops over slices
//! with the indices spelled out, share no code with the host side of the kernels, and are never made fast.
//!
//! Layouts are PyTorch's: activations `[n][c][h][w]`, convolution weights `[k][c][r][s]` (out, in, rows, columns),
//! linear weights `[out][in]`.
//!
//! Where an operation sums, it returns a [`Sum`]: the value and the sum of the absolute values of its terms, from which
//! a test derives how far a float32 result may be off.

pub mod attention;
pub mod augment;
pub mod batchnorm;
pub mod conv2d;
pub mod dropout;
pub mod elementwise;
pub mod embedding;
pub mod exchange;
pub mod layernorm;
pub mod linear;
pub mod loss;
pub mod lstm;
pub mod mixup;
pub mod optim;
pub mod pack;
pub mod pool;
pub mod random;
pub mod rope;
pub mod sinusoids;

/// A tensor whose elements are sums, with what bounds the rounding error of the same sums in float32.
#[derive(Debug, Clone, PartialEq)]
pub struct Sum {
    /// The elements.
    pub value: Vec<f64>,
    /// For every element the sum of the absolute values of its terms; if an element is more than one sum, the
    /// first-order error amplification that the function's doc comment derives.
    pub magnitude: Vec<f64>,
    /// The largest number of terms that any element has.
    pub terms: usize,
}

impl Sum {
    /// How far a float32 result may be from `value[index]`: `c * sqrt(terms) * eps32 * magnitude + tiny`.
    ///
    /// `eps32` is 2^-23 and `tiny` the smallest normal float32, since a device may flush subnormal numbers. Rounding
    /// errors of a sum of K terms grow like sqrt(K) when they are independent; `c` of 2 to 4 covers the tail.
    pub fn bound(&self, index: usize, c: f64) -> f64 {
        c * (self.terms.max(1) as f64).sqrt() * f64::from(f32::EPSILON) * self.magnitude[index]
            + f64::from(f32::MIN_POSITIVE)
    }
}

/// Collects a [`Sum`] term by term.
struct Accumulator {
    value: Vec<f64>,
    magnitude: Vec<f64>,
    count: Vec<usize>,
}

impl Accumulator {
    fn new(elements: usize) -> Self {
        Self { value: vec![0.0; elements], magnitude: vec![0.0; elements], count: vec![0; elements] }
    }

    fn add(&mut self, element: usize, term: f64) {
        self.value[element] += term;
        self.magnitude[element] += term.abs();
        self.count[element] += 1;
    }

    fn finish(self) -> Sum {
        let terms = self.count.iter().copied().max().unwrap_or(0);
        Sum { value: self.value, magnitude: self.magnitude, terms }
    }
}

/// Panics with the operand's name unless it has the length that the shape says.
#[track_caller]
fn expect_len(operand: &str, found: usize, expected: usize) {
    assert_eq!(found, expected, "reference: `{operand}` has {found} elements, its shape says {expected}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of random terms in float32, in order, are far inside the bound, and a sum that lacks a term is outside.
    #[test]
    fn float32_sums_are_within_the_bound_and_a_lost_term_is_not() {
        for terms in [1, 10, 1000, 30_000] {
            let (mut sum, mut single, mut without_last) = (Accumulator::new(1), 0.0_f32, 0.0_f32);
            let mut state = 1_u32;
            for _ in 0..terms {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let term = (state >> 8) as f32 / 8_388_608.0 - 1.0;
                sum.add(0, f64::from(term));
                without_last = single;
                single += term;
            }
            let sum = sum.finish();
            assert_eq!(sum.terms, terms);
            assert!((f64::from(single) - sum.value[0]).abs() <= 0.5 * sum.bound(0, 2.0), "{terms} terms");
            assert!((f64::from(without_last) - sum.value[0]).abs() > sum.bound(0, 2.0), "{terms} terms");
        }
    }
}
