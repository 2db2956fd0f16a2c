//! The images a network learns from.
//!
//! A [`Dataset`] hands out one image at a time by its index, from files, memory or a formula, and is shared between
//! threads; [`order`] decides the order of the images, and whoever reads batches decides their size. Bytes stay bytes
//! up to the device: an image is 3,072 of them, one plane each of red, green and blue, 32 rows of 32, which is how
//! CIFAR-10 is stored. The device does the normalization and the augmentation.

mod batch;
pub mod holdout;
pub mod shapes10;
mod source;
pub mod summary;

pub use batch::{Batch, order};
pub use holdout::Holdout;
pub use shapes10::{Shapes10, Sizes};
pub use source::{Batches, Inline, Next, Source, in_batches};
pub use summary::{Summary, summary};

use std::path::Path;

use crate::error::Result;

/// Classes of every set.
pub const CLASSES: usize = 10;
/// Colour planes of every image.
pub const CHANNELS: usize = 3;
/// Height and width of every image, in pixels.
pub const SIDE: usize = 32;
/// Bytes of an image: [`CHANNELS`] planes of [`SIDE`] rows of [`SIDE`].
pub const IMAGE_BYTES: usize = CHANNELS * SIDE * SIDE;
/// The most images that a set may have in all, since an index must fit a `u32`.
pub const MOST_IMAGES: usize = u32::MAX as usize;
/// Which part of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The images to learn from.
    Train,
    /// The images to evaluate on.
    Test,
}

/// The name of a set and its classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The name of the set.
    pub name: &'static str,
    /// What each label means: [`CLASSES`] names.
    pub classes: Vec<String>,
}

impl Spec {
    /// A set's name and what its labels mean.
    pub fn new(name: &'static str, classes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let classes = classes.into_iter().map(Into::into).collect();
        Self { name, classes }
    }
}

/// Labelled images that any thread may read in any order.
pub trait Dataset: Send + Sync {
    /// Name and classes.
    fn spec(&self) -> &Spec;

    /// Images in `split`; 0 for [`Split::Test`] when there is nothing to validate on.
    fn len(&self, split: Split) -> usize;

    /// CRC-32 of all records (label byte, then the image), train before test: equal means the same data.
    fn checksum(&self) -> u32;

    /// The seed that the images were drawn from, if they are drawn.
    fn seed(&self) -> Option<u64> {
        None
    }

    /// Remarks the user should see, a line each.
    fn notes(&self) -> &[String];

    /// The folder or archive that the images are read from; `None` where they are drawn.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// Copies image `index` of `split` to `image`, as planes of red, green and blue, and returns its label, which is
    /// below [`CLASSES`].
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) or [`Error::Data`](crate::error::Error::Data) if the file behind the set
    /// can no longer be read or was changed.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len) or `image` is not [`IMAGE_BYTES`] long.
    fn read(&self, split: Split, index: usize, image: &mut [u8]) -> Result<u8>;
}
