//! Images that go through the network together, and the order in which they come.

mod read;

use super::{Image, MOST_IMAGES};
use crate::random::Rng;

/// The first word of the key for an epoch's order, which no other use of the run's seed has.
const SHUFFLE: u64 = 0x7368_7566_666c_6500;

/// Images that go through the network together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// One after the other, a plane for each channel; zeros at the end fill up a whole number of words of four bytes.
    pub images: Vec<u8>,
    /// The class of each image.
    pub labels: Vec<u32>,
    /// The index of each image in its split.
    pub indices: Vec<u32>,
}

impl Batch {
    /// `n` images of noise, always the same, with labels that go through all classes in turn: for benches and tests.
    pub fn noise(n: u32, image: Image, classes: u32) -> Self {
        let mut rng = Rng::new(5);
        let bytes = (n as usize * image.bytes()).next_multiple_of(4);
        let images = (0..bytes).map(|_| rng.u32() as u8).collect();
        Self { images, labels: (0..n).map(|i| i % classes).collect(), indices: (0..n).collect() }
    }
}

/// The indices of `len` images in the order of an epoch: shuffled from (seed, epoch), or in the order of the data set
/// for `None`. Each index comes exactly once.
///
/// # Panics
/// If `len` is more than [`MOST_IMAGES`], which no data set has.
pub fn order(len: usize, shuffle: Option<(u64, u64)>) -> Vec<u32> {
    assert!(len <= MOST_IMAGES, "order: {len} images are more than an index can count");
    let mut order: Vec<u32> = (0..len as u32).collect();
    if let Some((seed, epoch)) = shuffle {
        Rng::keyed(seed, &[SHUFFLE, epoch]).shuffle(&mut order);
    }
    order
}
