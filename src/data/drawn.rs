//! Sets that the program draws itself, for when no files are at hand.
//!
//! A [`Kind`] says what one image is; [`Drawn`] draws as many as are asked for and holds them. An image depends on
//! (seed, split, index) alone, so any number of threads may draw, in any order. A kind uses only additions,
//! multiplications, divisions, comparisons and square roots of `f64`, which IEEE 754 rounds alike everywhere, and no
//! sine or cosine, which each platform's library rounds in its own way. So a seed gives the same bytes on every machine.

use std::{
    marker::PhantomData,
    sync::{Mutex, PoisonError},
};

use super::{Dataset, Image, Spec, Split};
use crate::{
    error::{Error, Result},
    parallel::{Spread, alone},
    random::Rng,
};

/// The most images that can be drawn. They are held in memory: 3 GB of 32x32 pixels in three colours.
pub const LARGEST_SET: usize = 1_000_000;
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

/// What the images of a set show.
pub trait Kind: Send + Sync {
    /// The name of the set.
    const NAME: &'static str;
    /// The size of each image.
    const IMAGE: Image;
    /// The classes in the order of their labels.
    const CLASSES: &'static [&'static str];
    /// The first word of the key for an image, which no other use of the run's seed has.
    const KEY: u64;

    /// Draws an image of class `label` over `image`, a plane for each channel.
    fn draw(label: usize, rng: &mut Rng, image: &mut [u8]);
}

/// Drawn images, in memory. The label of image `index` is `index` modulo the number of classes, so that classes are
/// balanced.
pub struct Drawn<K: Kind> {
    spec: Spec,
    seed: u64,
    train: Vec<u8>,
    test: Vec<u8>,
    checksum: u32,
    kind: PhantomData<K>,
}

impl<K: Kind> Drawn<K> {
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
            let message = format!("{} with {train} + {test} images", K::NAME);
            return Err(Error::config(
                message,
                format!("give 1 or more for training, and at most {LARGEST_SET} in all"),
            ));
        }
        let train = draw_all::<K>(seed, Split::Train, train, spread);
        let test = draw_all::<K>(seed, Split::Test, test, spread);
        let mut checksum = crc32fast::Hasher::new();
        for images in [&train, &test] {
            for (index, image) in images.chunks_exact(K::IMAGE.bytes()).enumerate() {
                checksum.update(&[label::<K>(index) as u8]);
                checksum.update(image);
            }
        }
        let spec = Spec::new(K::NAME, K::IMAGE, K::CLASSES.iter().copied());
        Ok(Self { spec, seed, train, test, checksum: checksum.finalize(), kind: PhantomData })
    }

    fn images(&self, split: Split) -> &[u8] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

impl<K: Kind> Dataset for Drawn<K> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self, split: Split) -> usize {
        self.images(split).len() / K::IMAGE.bytes()
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

    fn read(&self, split: Split, index: usize, image: &mut [u8], targets: &mut [u32]) -> Result<()> {
        let (count, size) = (self.len(split), K::IMAGE.bytes());
        assert!(index < count, "{}: index {index} of {count} images in {split:?}", K::NAME);
        assert_eq!(image.len(), size, "{}: an image has {size} bytes", K::NAME);
        image.copy_from_slice(&self.images(split)[index * size..][..size]);
        targets.copy_from_slice(&[label::<K>(index) as u32]);
        Ok(())
    }
}

/// The label of image `index`.
pub fn label<K: Kind>(index: usize) -> usize {
    index % K::CLASSES.len()
}

/// Draws one image of a split over `image`, which has the bytes of one.
pub fn draw<K: Kind>(seed: u64, split: Split, index: usize, image: &mut [u8]) {
    let mut rng = Rng::keyed(seed, &[K::KEY, split as u64, index as u64]);
    K::draw(label::<K>(index), &mut rng, image);
}

/// Draws `count` images of `split`.
fn draw_all<K: Kind>(seed: u64, split: Split, count: usize, spread: Spread) -> Vec<u8> {
    let size = K::IMAGE.bytes();
    let mut images = vec![0; count * size];
    let portions = Mutex::new(images.chunks_mut(PORTION * size).enumerate());
    let work = || {
        loop {
            let portion = portions.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((number, portion)) = portion else { return };
            for (offset, image) in portion.chunks_exact_mut(size).enumerate() {
                draw::<K>(seed, split, number * PORTION + offset, image);
            }
        }
    };
    spread(count.div_ceil(PORTION), &work);
    images
}
