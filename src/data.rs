//! The images a network learns from.
//!
//! A [`Dataset`] hands out one image at a time by its index, from files, memory or a formula, and is shared between
//! threads; [`order`] decides the order of the images, and whoever reads batches decides their size. Bytes stay bytes
//! up to the device: an image is a plane for each colour, row by row, which is how CIFAR-10 is stored. All images of a
//! set have the same [size](Image). The device does the normalization and the augmentation.

mod batch;
pub mod digits28;
pub mod drawn;
pub mod holdout;
mod image;
pub mod shapes10;
mod source;
pub mod summary;

pub use batch::{Batch, order};
pub use digits28::Digits28;
pub use drawn::Sizes;
pub use holdout::Holdout;
pub use image::{Image, MOST_SIDE};
pub use shapes10::Shapes10;
pub use source::{Batches, Inline, Next, Source, in_batches};
pub use summary::{Summary, summary, summary_on};

use std::path::Path;

use crate::error::Result;

/// The most images that a set may have in all, since an index must fit a `u32`.
pub const MOST_IMAGES: usize = u32::MAX as usize;
/// The most classes that a set may have.
pub const MOST_CLASSES: usize = 1 << 16;
/// The names of the sets that the program draws.
pub const DRAWN: [&str; 2] = [shapes10::NAME, digits28::NAME];

/// Which part of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The images to learn from.
    Train,
    /// The images to evaluate on.
    Test,
}

/// The name of a set, the size of its images and their classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The name of the set.
    pub name: String,
    /// The size of each image.
    pub image: Image,
    /// What each label means, in the order of the labels.
    pub classes: Vec<String>,
}

impl Spec {
    /// A set's name, the size of its images, and what its labels mean.
    pub fn new(name: impl Into<String>, image: Image, classes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { name: name.into(), image, classes: classes.into_iter().map(Into::into).collect() }
    }
}

/// Labelled images that any thread may read in any order.
pub trait Dataset: Send + Sync {
    /// Name, size and classes.
    fn spec(&self) -> &Spec;

    /// Images in `split`; 0 for [`Split::Test`] when there is nothing to validate on.
    fn len(&self, split: Split) -> usize;

    /// A checksum of the set, training images before test images: equal means the same data. For sets that are read whole
    /// it is the CRC-32 of all records, each its labels' bytes and then the image.
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

    /// Whether reading an image takes far longer than copying its bytes, as decoding does, so that several threads should
    /// read at once.
    fn decodes(&self) -> bool {
        false
    }

    /// Copies image `index` of `split` to `image`, a plane for each channel, and returns its label, which is below the
    /// number of classes.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) or [`Error::Data`](crate::error::Error::Data) if the file behind the set
    /// can no longer be read or was changed.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len) or `image` does not have the [bytes](Image::bytes) of one.
    fn read(&self, split: Split, index: usize, image: &mut [u8]) -> Result<u32>;
}
