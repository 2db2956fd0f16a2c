//! Random numbers that stay the same in every version of the program.
//!
//! A seed in a report must give the same order of images and the same initial weights years later, so the generator is
//! written here rather than taken from a crate whose next version may draw differently. It consists of two published
//! pieces:
//!
//! * PCG32 (the XSH-RR 64/32 variant) draws the numbers: M. E. O'Neill, "PCG: A Family of Simple Fast
//!   Space-Efficient Statistically Good Algorithms for Random Number Generation", HMC-CS-2014-0905, 2014.
//! * SplitMix64 turns a seed and a key into PCG's state and sequence: G. L. Steele, D. Lea and C. H. Flood, "Fast
//!   Splittable Pseudorandom Number Generators", OOPSLA 2014.
//!
//! [`Rng::keyed`] is what makes parallel work repeatable: every image, epoch or layer has a generator of its own, which
//! depends on (seed, key) alone, so the order of the draws does not matter. Everything but [`Rng::normal`] is integer
//! arithmetic or exact in `f64`, and so equal on every platform; `normal` calls the platform's `ln` and `cos`, which
//! may differ in the last bit of an `f64`.

/// The odd integer nearest to 2^64 divided by the golden ratio: SplitMix64's increment.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// The multiplier of PCG's 64-bit linear congruential generator.
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;

/// One step of SplitMix64: advances `state` and returns 64 well mixed bits.
pub fn split_mix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(GOLDEN);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Four words from a counter of four words, without a state: pcg4d of Jarzynski and Olano, "Hash Functions for GPU Rendering",
/// JCGT 9(3), 2020, by which kernels draw too (`shaders/shared/random.wgsl`).
pub fn pcg4d(counter: [u32; 4]) -> [u32; 4] {
    fn mix(mut v: [u32; 4]) -> [u32; 4] {
        for (to, a, b) in [(0, 1, 3), (1, 2, 0), (2, 0, 1), (3, 1, 2)] {
            v[to] = v[to].wrapping_add(v[a].wrapping_mul(v[b]));
        }
        v
    }
    let v = mix(counter.map(|word| word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)));
    mix(v.map(|word| word ^ (word >> 16)))
}

/// A PCG32 generator, with 64 bits of state and one of 2^63 sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: u64,
    /// Selects the sequence; always odd.
    increment: u64,
}

impl Rng {
    /// A generator for `seed`.
    pub fn new(seed: u64) -> Self {
        Self::keyed(seed, &[])
    }

    /// The generator that belongs to `key` under `seed`, such as `&[SHUFFLE, epoch]`. Different keys, also of
    /// different lengths or in another order, give unrelated sequences.
    pub fn keyed(seed: u64, key: &[u64]) -> Self {
        let mut state = seed;
        for &word in key {
            // The state is mixed before the next word comes in, so that the keys (a, b) and (b, a) give different
            // generators.
            state = split_mix64(&mut state) ^ word;
        }
        let initial = split_mix64(&mut state);
        let sequence = split_mix64(&mut state);
        Self::reference(initial, sequence)
    }

    /// The generator as the paper's own code seeds it (`pcg32_srandom`), for comparison with published numbers.
    pub fn reference(initial: u64, sequence: u64) -> Self {
        let mut rng = Self { state: 0, increment: (sequence << 1) | 1 };
        rng.u32();
        rng.state = rng.state.wrapping_add(initial);
        rng.u32();
        rng
    }

    /// 32 uniform bits.
    pub fn u32(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
        let shifted = (((old >> 18) ^ old) >> 27) as u32;
        shifted.rotate_right((old >> 59) as u32)
    }

    /// 64 uniform bits: two draws, the first one the upper half.
    pub fn u64(&mut self) -> u64 {
        (u64::from(self.u32()) << 32) | u64::from(self.u32())
    }

    /// A whole number in `0..n`, each equally likely (D. Lemire, "Fast Random Integer Generation in an Interval", ACM
    /// TOMACS 2019: one multiplication, and a new draw in the few cases that would make some numbers likelier).
    ///
    /// # Panics
    /// If `n` is 0: there is no number below it.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "Rng::below: no number lies below 0");
        let rejected = n.wrapping_neg() % n; // 2^32 mod n: with lower words below it, some numbers would be likelier
        loop {
            let product = u64::from(self.u32()) * u64::from(n);
            if product as u32 >= rejected {
                return (product >> 32) as u32;
            }
        }
    }

    /// A uniform number in [0, 1), a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A uniform number in [low, high).
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A normal number of mean 0 and variance 1 (G. E. P. Box and M. E. Muller, "A Note on the Generation of Random
    /// Normal Deviates", 1958). The second number of each pair is dropped, so that a draw always costs the same.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt(); // 1 - u lies in (0, 1]: the logarithm is finite
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Puts `items` in a random order, each order equally likely (Fisher and Yates, as in Knuth's algorithm P).
    ///
    /// # Panics
    /// If there are more than `u32::MAX` items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        assert!(u32::try_from(items.len()).is_ok(), "Rng::shuffle: {} items are more than 2^32 - 1", items.len());
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}
