//! Several processes or threads, each with a device of its own, that train one network together.
//!
//! Batch k of an update belongs to rank `k % ranks`, and what each batch adds is put together in the order of the batches. So the
//! weights have the bits that one device gives them that takes all the batches of an update one after the other.

use std::{ops::Range, time::Duration};

use crate::error::Result;

/// One of the ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

impl Rank {
    /// The only one.
    pub const ALONE: Self = Self { index: 0, of: 1 };

    /// Whether there are others.
    pub fn has_others(self) -> bool {
        self.of > 1
    }

    /// Whether the batch of this number, counted from 0 within its update or its evaluation, is this rank's.
    pub fn owns(self, batch: usize) -> bool {
        batch % self.of == self.index
    }

    /// The part of an arena of `floats` numbers, a multiple of four, that this rank adds up. The parts of all ranks make the arena;
    /// one may be empty.
    pub fn slice(self, floats: usize) -> Range<usize> {
        let at = |rank: usize| floats / 4 * rank / self.of * 4;
        at(self.index)..at(self.index + 1)
    }

    /// All ranks, in order.
    pub fn all(self) -> impl Iterator<Item = Self> {
        (0..self.of).map(move |index| Self { index, of: self.of })
    }
}

/// How ranks hand each other 32-bit words. Every rank makes the same calls in the same order, and a call returns when all have made it.
pub trait Exchange {
    /// Which rank this is.
    fn rank(&self) -> Rank;

    /// Hands `parts[r]` to rank r. Returns the parts that this rank was handed, in the order of ranks.
    ///
    /// # Errors
    /// If another rank has ended, or does not come.
    fn scatter(&mut self, parts: Vec<Vec<u32>>) -> Result<Vec<Vec<u32>>>;

    /// Hands `words` to every rank. Returns those of all, in the order of ranks.
    ///
    /// # Errors
    /// As [`scatter`](Self::scatter).
    fn gather(&mut self, words: &[u32]) -> Result<Vec<Vec<u32>>>;

    /// What the calls so far have taken.
    fn spent(&self) -> Spent {
        Spent::default()
    }
}

/// What ranks spend on each other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Time until the other ranks were there.
    pub waiting: Duration,
    /// Time to hand over what there was.
    pub moving: Duration,
    /// Bytes that this rank has sent.
    pub bytes: u64,
}

/// A single rank, which has nobody to exchange anything with.
pub struct Alone;

impl Exchange for Alone {
    fn rank(&self) -> Rank {
        Rank::ALONE
    }

    fn scatter(&mut self, parts: Vec<Vec<u32>>) -> Result<Vec<Vec<u32>>> {
        Ok(parts)
    }

    fn gather(&mut self, words: &[u32]) -> Result<Vec<Vec<u32>>> {
        Ok(vec![words.to_vec()])
    }
}

#[cfg(test)]
mod tests {
    use super::Rank;

    #[test]
    fn slices_make_the_arena() {
        for (floats, of) in [(0, 2), (4, 3), (40, 3), (4096, 7)] {
            let slices: Vec<_> = Rank { index: 0, of }.all().map(|rank| rank.slice(floats)).collect();
            assert_eq!((slices[0].start, slices[of - 1].end), (0, floats));
            assert!(slices.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(slices.iter().all(|slice| slice.start % 4 == 0));
        }
    }
}
