//! What a set looks like in numbers: how many images of each class, and the mean and standard deviation of each colour.
//!
//! The sums are of whole numbers, so the result is exact and the same in any order of reading.

use super::{CHANNELS, CLASSES, Dataset, IMAGE_BYTES, SIDE, Split};
use crate::error::Result;

/// Numbers about one split of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Images.
    pub count: usize,
    /// Images of each class.
    pub per_class: [u64; CLASSES],
    /// Mean of red, green and blue on a scale of 0 to 1; 0 if there are no images.
    pub mean: [f64; CHANNELS],
    /// Standard deviation of red, green and blue over all pixels (divided by their number, not one less), on a scale
    /// of 0 to 1; 0 if there are no images.
    pub std: [f64; CHANNELS],
}

/// Reads all of `split`, one image at a time.
///
/// # Errors
/// What [`Dataset::read`] returns.
pub fn summary(dataset: &dyn Dataset, split: Split) -> Result<Summary> {
    let count = dataset.len(split);
    let mut per_class = [0; CLASSES];
    // Even 2^32 images of 1,024 pixels of 255^2 sum up to less than 2^58.
    let mut sums = [0u64; CHANNELS];
    let mut squares = [0u64; CHANNELS];
    let mut image = [0; IMAGE_BYTES];
    for index in 0..count {
        per_class[usize::from(dataset.read(split, index, &mut image)?)] += 1;
        for (channel, plane) in image.chunks_exact(SIDE * SIDE).enumerate() {
            sums[channel] += plane.iter().map(|&value| u64::from(value)).sum::<u64>();
            squares[channel] += plane.iter().map(|&value| u64::from(value) * u64::from(value)).sum::<u64>();
        }
    }
    let pixels = (count * SIDE * SIDE).max(1) as f64;
    let mean = sums.map(|sum| sum as f64 / pixels / 255.0);
    let std = std::array::from_fn(|channel| {
        // n * sum(x^2) - sum(x)^2 in whole numbers, which avoids the difference of nearly equal fractions.
        let n = (count * SIDE * SIDE) as u128;
        let spread = n * u128::from(squares[channel]) - u128::from(sums[channel]) * u128::from(sums[channel]);
        (spread as f64).sqrt() / pixels / 255.0
    });
    Ok(Summary { count, per_class, mean, std })
}
