//! Random parts of pictures, which are cut out before the pictures are brought to one size.

use crate::random::pcg4d;

/// Which part of each picture is taken in an epoch: that of torchvision's `RandomResizedCrop` with a ratio of 3/4 to 4/3, drawn from
/// (seed, epoch, index) as `shaders/augment/draw` draws it for images that have one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts {
    /// The smallest area, as a share of the picture's; the largest is the whole picture.
    pub least: f64,
    /// The run's seed as kernels take it.
    pub seed: u32,
    /// The epoch, counted from 1.
    pub epoch: u32,
}

/// A rectangle of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows; at least one.
    pub height: usize,
    /// Columns; at least one.
    pub width: usize,
}

/// Distinguishes these draws from others of an image; tries are counted up from it.
const PURPOSE: u32 = 0x72_72_63_00;
const TRIES: u32 = 10;
/// Width to height.
const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];

impl Parts {
    /// The part of picture `index`, which has this height and width: the first of ten tries that lies inside, or else the largest part in
    /// the middle that has an allowed ratio.
    pub fn of(&self, index: u32, [height, width]: [usize; 2]) -> Part {
        let unit = |word: u32| f64::from(word >> 8) / f64::from(1 << 24);
        let from = |low: f64, high: f64, word: u32| low + (high - low) * unit(word);
        let [low, high] = RATIO;
        for attempt in 0..TRIES {
            let words = pcg4d([self.seed, self.epoch, index, PURPOSE + attempt]);
            let area = (height * width) as f64 * from(self.least, 1.0, words[0]);
            let ratio = from(low.ln(), high.ln(), words[1]).exp();
            let [h, w] = [area / ratio, area * ratio].map(|square| square.sqrt().round() as usize);
            if (1..=height).contains(&h) && (1..=width).contains(&w) {
                let place = |word: u32, over: usize| (word >> 8) as usize % (over + 1);
                return Part {
                    top: place(words[2], height - h),
                    left: place(words[3], width - w),
                    height: h,
                    width: w,
                };
            }
        }
        // Thirds and quarters, of which none is a half.
        let h = ((width as f64 / low).round() as usize).clamp(1, height);
        let w = ((height as f64 * high).round() as usize).clamp(1, width);
        Part { top: (height - h) / 2, left: (width - w) / 2, height: h, width: w }
    }
}
