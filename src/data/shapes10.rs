//! A built-in set: ten kinds of drawn shapes and textures, for when no files are at hand.
//!
//! It stands in for CIFAR-10 in a first run, in tests and in examples, so it has the same form and asks the same
//! question: what is in the picture, whatever its colours, place, size and tilt. Colours are drawn independently of the
//! class, the subject's always brighter than the background's; place and size vary, so that a linear model on the
//! pixels stays under 60 %, while a convolutional network learns the set in a few epochs. No class depends on left and
//! right, and none changes when an image is turned by 15 degrees or shifted by 4 pixels, so the usual augmentation
//! keeps the labels true.
//!
//! An image depends on (seed, split, index) alone, so any number of threads may draw, in any order. Only additions,
//! multiplications, divisions and comparisons of `f64` are used, which IEEE 754 rounds alike everywhere, and no sine or
//! cosine, which each platform's library rounds in its own way. So a seed gives the same bytes on every machine.

mod draw;

use super::{Dataset, Image, Spec, Split};
use crate::error::{Error, Result};
use crate::parallel::{Spread, alone};
use crate::random::Rng;
use std::sync::{Mutex, PoisonError};

/// The name of the set.
pub const NAME: &str = "shapes10";
/// The most images that can be drawn: 3 GB, which are held in memory.
pub const LARGEST_SET: usize = 1_000_000;
/// The number of classes.
const CLASSES: usize = 10;
/// Bytes of an image.
const IMAGE_BYTES: usize = 3 * draw::SIDE * draw::SIDE;
/// The classes in the order of their labels.
pub const CLASS_NAMES: [&str; CLASSES] = [
    "disc",
    "ring",
    "square",
    "triangle",
    "cross",
    "star",
    "horizontal stripes",
    "vertical stripes",
    "checkerboard",
    "dots",
];
/// The first word of the key for an image, which no other use of the run's seed has.
const DRAW: u64 = 0x6472_6177_0000_0000;
/// The number of images that a thread takes at a time.
const PORTION: usize = 64;

/// How many images to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Images to learn from.
    pub train: usize,
    /// Images to evaluate on; may be 0.
    pub test: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { train: 10_000, test: 2_000 }
    }
}

/// The drawn images, in memory. The label of image `index` is `index % 10`.
pub struct Shapes10 {
    spec: Spec,
    seed: u64,
    train: Vec<u8>,
    test: Vec<u8>,
    checksum: u32,
}

impl Shapes10 {
    /// Draws the images (about a second for the default sizes).
    ///
    /// # Errors
    /// [`Error::Config`] without training images or with more than [`LARGEST_SET`].
    pub fn new(seed: u64, sizes: Sizes) -> Result<Self> {
        Self::spread(seed, sizes, alone)
    }

    /// As [`Self::new`], on as many processor cores as `spread` uses.
    ///
    /// # Errors
    /// [`Error::Config`] without training images or with more than [`LARGEST_SET`].
    pub fn spread(seed: u64, sizes: Sizes, spread: Spread) -> Result<Self> {
        let Sizes { train, test } = sizes;
        if train == 0 || train.saturating_add(test) > LARGEST_SET {
            let message = format!("{NAME} with {train} + {test} images");
            return Err(Error::config(
                message,
                format!("give 1 or more for training, and at most {LARGEST_SET} in all"),
            ));
        }
        let (train, test) = (draw_all(seed, Split::Train, train, spread), draw_all(seed, Split::Test, test, spread));
        let mut checksum = crc32fast::Hasher::new();
        for images in [&train, &test] {
            for (index, image) in images.chunks_exact(IMAGE_BYTES).enumerate() {
                checksum.update(&[label(index)]);
                checksum.update(image);
            }
        }
        Ok(Self { spec: Spec::new(NAME, Image::CIFAR, CLASS_NAMES), seed, train, test, checksum: checksum.finalize() })
    }

    fn images(&self, split: Split) -> &[u8] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

impl Dataset for Shapes10 {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self, split: Split) -> usize {
        self.images(split).len() / IMAGE_BYTES
    }

    fn checksum(&self) -> u32 {
        self.checksum
    }

    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }

    fn notes(&self) -> &[String] {
        &[]
    }

    fn read(&self, split: Split, index: usize, image: &mut [u8]) -> Result<u32> {
        let count = self.len(split);
        assert!(index < count, "Shapes10::read: index {index} of {count} images in {split:?}");
        assert_eq!(image.len(), IMAGE_BYTES, "Shapes10::read: an image has {IMAGE_BYTES} bytes");
        image.copy_from_slice(&self.images(split)[index * IMAGE_BYTES..][..IMAGE_BYTES]);
        Ok(u32::from(label(index)))
    }
}

fn label(index: usize) -> u8 {
    (index % CLASSES) as u8
}

/// Draws `count` images of `split`.
fn draw_all(seed: u64, split: Split, count: usize, spread: Spread) -> Vec<u8> {
    let mut images = vec![0; count * IMAGE_BYTES];
    let portions = Mutex::new(images.chunks_mut(PORTION * IMAGE_BYTES).enumerate());
    let work = || {
        loop {
            let portion = portions.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((number, portion)) = portion else { return };
            for (offset, image) in portion.chunks_exact_mut(IMAGE_BYTES).enumerate() {
                let index = number * PORTION + offset;
                let mut rng = Rng::keyed(seed, &[DRAW, split as u64, index as u64]);
                draw::draw(usize::from(label(index)), &mut rng, image);
            }
        }
    };
    spread(count.div_ceil(PORTION), &work);
    images
}
