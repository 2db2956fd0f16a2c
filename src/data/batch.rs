//! Samples that go through the network together, and the order in which they come.

mod read;

use super::{IGNORED, Input, MOST_IMAGES, Tokens};
use crate::random::Rng;

/// The first word of the key for an epoch's order, which no other use of the run's seed has.
const SHUFFLE: u64 = 0x7368_7566_666c_6500;

/// Samples that go through the network together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// One after the other, as [`Dataset::read`](super::Dataset::read) gives them; zeros at the end fill up a whole number of
    /// words of four bytes.
    pub inputs: Vec<u8>,
    /// The targets of each sample, one sample after the other; those that are [`IGNORED`] have no loss.
    pub targets: Vec<u32>,
    /// The index of each sample in its split.
    pub indices: Vec<u32>,
}

impl Batch {
    /// `n` samples of noise, always the same, for benches and tests: images with labels that go through all classes in turn,
    /// or random tokens with random targets.
    pub fn noise(n: u32, input: impl Into<Input>, classes: u32) -> Self {
        let mut rng = Rng::new(5);
        let (inputs, targets) = match input.into() {
            Input::Image(image) => {
                let bytes = (n as usize * image.bytes()).next_multiple_of(4);
                ((0..bytes).map(|_| rng.u32() as u8).collect(), (0..n).map(|i| i % classes).collect())
            }
            Input::Tokens(Tokens { length, vocabulary }) => {
                let mut below = |most: u32| (0..n * length).map(|_| rng.u32() % most).collect::<Vec<_>>();
                let tokens = below(vocabulary);
                (tokens.into_iter().flat_map(u32::to_le_bytes).collect(), below(classes))
            }
        };
        Self { inputs, targets, indices: (0..n).collect() }
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// The number of targets that are not [`IGNORED`].
    pub fn counted(&self) -> u32 {
        self.targets.iter().filter(|&&target| target != IGNORED).count() as u32
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}

/// The indices of a text's `len` samples, cut into so many columns, in the order in which a network reads them that carries its state:
/// in whole batches of a sample of each column. Sample `r` of batch `b` is number `r * batches + b`, so that it continues sample `r` of
/// the batch before. What is left at the end of the text, fewer samples than columns, is not read.
pub fn columns(len: usize, columns: usize) -> Vec<u32> {
    let batches = len.checked_div(columns).unwrap_or(0);
    (0..batches).flat_map(|batch| (0..columns).map(move |row| (row * batches + batch) as u32)).collect()
}

/// The indices of `len` images in the order of an epoch: shuffled from (seed, epoch), or in the order of the data set
/// for `None`. Each index comes exactly once.
///
/// # Panics
/// If `len` is more than [`MOST_IMAGES`], which no data set has.
pub fn order(len: usize, shuffle: Option<(u64, u64)>) -> Vec<u32> {
    assert!(len <= MOST_IMAGES, "order: {len} samples are more than an index can count");
    let mut order: Vec<u32> = (0..len as u32).collect();
    if let Some((seed, epoch)) = shuffle {
        Rng::keyed(seed, &[SHUFFLE, epoch]).shuffle(&mut order);
    }
    order
}
