//! What a set looks like in numbers: how many images of each class, and the mean and standard deviation of each colour.
//!
//! The sums are of whole numbers, so the result is exact and the same in any order of reading.

use super::{Dataset, Split};
use crate::error::Result;

/// Numbers about one split of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Images.
    pub count: usize,
    /// Images of each class.
    pub per_class: Vec<u64>,
    /// Mean of each channel on a scale of 0 to 1; 0 if there are no images.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel over all pixels (divided by their number, not one less), on a scale of 0 to 1;
    /// 0 if there are no images.
    pub std: Vec<f64>,
}

/// Reads all of `split`, one image at a time.
///
/// # Errors
/// What [`Dataset::read`] returns.
pub fn summary(dataset: &dyn Dataset, split: Split) -> Result<Summary> {
    let (spec, count) = (dataset.spec(), dataset.len(split));
    let (channels, size) = (spec.image.channels as usize, spec.image.pixels());
    let mut per_class = vec![0; spec.classes.len()];
    let (mut sums, mut squares) = (vec![0u128; channels], vec![0u128; channels]);
    let mut image = vec![0; spec.image.bytes()];
    for index in 0..count {
        per_class[dataset.read(split, index, &mut image)? as usize] += 1;
        for (channel, plane) in image.chunks_exact(size).enumerate() {
            // A plane has at most 2^20 pixels, whose squares sum up to less than 2^36.
            sums[channel] += u128::from(plane.iter().map(|&value| u64::from(value)).sum::<u64>());
            squares[channel] += u128::from(plane.iter().map(|&value| u64::from(value) * u64::from(value)).sum::<u64>());
        }
    }
    let pixels = (count * size).max(1) as f64;
    let mean = sums.iter().map(|&sum| sum as f64 / pixels / 255.0).collect();
    let deviation = |(&sum, &squares): (&u128, &u128)| {
        // n * sum(x^2) - sum(x)^2 in whole numbers, which avoids the difference of nearly equal fractions.
        let spread = (count * size) as u128 * squares - sum * sum;
        (spread as f64).sqrt() / pixels / 255.0
    };
    let std = sums.iter().zip(&squares).map(deviation).collect();
    Ok(Summary { count, per_class, mean, std })
}
