//! What a set looks like in numbers: how many images of each class, and the mean and standard deviation of each colour.
//!
//! The sums are of whole numbers, so the result is exact and the same in any order of reading.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use serde::Serialize;

use super::{Dataset, Image, Split};
use crate::{
    error::Result,
    parallel::{Spread, alone},
};

/// Numbers about one split of a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
/// [`Error::Config`](crate::error::Error::Config) if the set has no images; what [`Dataset::read`] returns.
pub fn summary(dataset: &dyn Dataset, split: Split) -> Result<Summary> {
    summary_on(dataset, split, alone)
}

/// [`summary`] on as many processor cores as `spread` uses.
///
/// # Errors
/// As [`summary`].
pub fn summary_on(dataset: &dyn Dataset, split: Split, spread: Spread) -> Result<Summary> {
    let (image, count) = (dataset.spec().image()?, dataset.len(split));
    let total = Mutex::new(Ok(Sums::of(dataset, image)));
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut sums, mut pixels) = (Sums::of(dataset, image), vec![0; image.bytes()]);
        let mut read = || {
            loop {
                let first = next.fetch_add(PORTION, Ordering::Relaxed);
                if first >= count {
                    return Ok(());
                }
                for index in first..(first + PORTION).min(count) {
                    let mut label = [0];
                    dataset.read(split, index, &mut pixels, &mut label)?;
                    sums.add(label[0], &pixels, image.pixels());
                }
            }
        };
        let read = read();
        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *total, read) {
            (Ok(total), Ok(())) => total.merge(&sums),
            (Ok(_), Err(error)) => {
                *total = Err(error);
                // Nobody needs the rest.
                next.store(count, Ordering::Relaxed);
            }
            (Err(_), _) => {}
        }
    };
    spread(count.div_ceil(PORTION), &work);
    let Sums { per_class, sums, squares } = total.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    let pixels = (count * image.pixels()).max(1) as f64;
    let mean = sums.iter().map(|&sum| sum as f64 / pixels / 255.0).collect();
    let deviation = |(&sum, &squares): (&u128, &u128)| {
        // n * sum(x^2) - sum(x)^2 in whole numbers, which avoids the difference of nearly equal fractions.
        let spread = (count * image.pixels()) as u128 * squares - sum * sum;
        (spread as f64).sqrt() / pixels / 255.0
    };
    let std = sums.iter().zip(&squares).map(deviation).collect();
    Ok(Summary { count, per_class, mean, std })
}

/// The number of images that a thread takes at a time.
const PORTION: usize = 64;

/// Sums over images.
struct Sums {
    per_class: Vec<u64>,
    /// The sum of each channel's values.
    sums: Vec<u128>,
    /// The sum of the squares of each channel's values.
    squares: Vec<u128>,
}

impl Sums {
    fn of(dataset: &dyn Dataset, image: Image) -> Self {
        let zeros = vec![0u128; image.channels as usize];
        Self { per_class: vec![0; dataset.spec().classes.len()], sums: zeros.clone(), squares: zeros }
    }

    fn add(&mut self, label: u32, image: &[u8], pixels: usize) {
        self.per_class[label as usize] += 1;
        for (channel, plane) in image.chunks_exact(pixels).enumerate() {
            // A plane has at most 2^20 pixels, whose squares sum up to less than 2^36.
            self.sums[channel] += u128::from(plane.iter().map(|&value| u64::from(value)).sum::<u64>());
            let square = |&value: &u8| u64::from(value) * u64::from(value);
            self.squares[channel] += u128::from(plane.iter().map(square).sum::<u64>());
        }
    }

    fn merge(&mut self, other: &Self) {
        self.per_class.iter_mut().zip(&other.per_class).for_each(|(sum, more)| *sum += more);
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, more)| *sum += more);
        self.squares.iter_mut().zip(&other.squares).for_each(|(sum, more)| *sum += more);
    }
}
