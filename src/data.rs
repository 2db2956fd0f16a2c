//! The samples a network learns from: images with a class each, or blocks of tokens with a target for each token.
//!
//! A [`Dataset`] hands out one sample at a time by its index, from files, memory or a formula, and is shared between
//! threads; [`order`] decides the order of the samples, and whoever reads batches decides their size. All samples of a set
//! are of the same [kind and size](Input). Bytes stay bytes up to the device: an image is a plane for each colour, row by
//! row, which is how CIFAR-10 is stored, and a block has four bytes for each token. The device does the normalization and
//! the augmentation.

mod batch;
pub mod digits28;
pub mod drawn;
pub mod excerpt;
pub mod grammar;
pub mod holdout;
mod image;
mod input;
mod masking;
mod part;
pub mod shapes10;
mod source;
pub mod summary;
pub mod text;
pub mod vocabulary;

pub use batch::{Batch, columns, order};
pub use digits28::Digits28;
pub use drawn::Sizes;
pub use excerpt::{Excerpt, excerpt};
pub use holdout::Holdout;
pub use image::{Image, MOST_SIDE};
pub use input::{Input, MOST_TOKENS, Tokens};
pub use masking::{MASK, Masked, Masking};
pub use part::{Part, Parts};
pub use shapes10::Shapes10;
pub use source::{Batches, Inline, Next, Source, in_batches};
pub use summary::{Summary, summary, summary_on};
pub use text::Text;
pub use vocabulary::{Decoder, EOS, TokensBy, Vocabulary};

use std::path::Path;

use crate::error::{Error, Result};

/// The most samples that a set may have in all, since an index must fit a `u32`.
pub const MOST_IMAGES: usize = u32::MAX as usize;
/// The most classes that a set may have.
pub const MOST_CLASSES: usize = 1 << 16;
/// A target that no loss is computed of, as that of a token that is not hidden in masked language modelling.
pub const IGNORED: u32 = u32::MAX;
/// The names of the sets that the program draws.
pub const DRAWN: [&str; 3] = [shapes10::NAME, digits28::NAME, grammar::NAME];

/// Which part of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The samples to learn from.
    Train,
    /// The samples to evaluate on.
    Test,
}

/// The name of a set, what its samples are, and their classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The name of the set.
    pub name: String,
    /// What each sample is.
    pub input: Input,
    /// What each label means, in the order of the labels; for tokens, the entries of the vocabulary.
    pub classes: Vec<String>,
}

impl Spec {
    /// A set's name, what its samples are, and what its labels mean.
    pub fn new(
        name: impl Into<String>,
        input: impl Into<Input>,
        classes: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self { name: name.into(), input: input.into(), classes: classes.into_iter().map(Into::into).collect() }
    }

    /// The size of the images, for what can be done with pictures alone.
    ///
    /// # Errors
    /// [`Error::Config`] if the set has text.
    pub fn image(&self) -> Result<Image> {
        self.input.image().ok_or_else(|| {
            let message = format!("{} has text, {}, and pictures are needed", self.name, self.input);
            Error::config(message, "give a set of images by 'data' or 'dataset'")
        })
    }
}

/// Samples with their targets, which any thread may read in any order.
pub trait Dataset: Send + Sync {
    /// Name, kind of sample and classes.
    fn spec(&self) -> &Spec;

    /// Samples in `split`; 0 for [`Split::Test`] when there is nothing to validate on.
    fn len(&self, split: Split) -> usize;

    /// Tokens in `split`, with those behind the last whole block where they are known; 0 for images.
    fn tokens(&self, split: Split) -> u64 {
        self.spec().input.tokens().map_or(0, |tokens| self.len(split) as u64 * u64::from(tokens.length))
    }

    /// The loss, in nats for each target, that no model can have less of on average; `None` if it is not known, as of all data
    /// that were not drawn from a known source.
    fn least_loss(&self) -> Option<f64> {
        None
    }

    /// How tokens are hidden in each batch before a network sees it; `None` if its targets are those that [`read`](Self::read)
    /// gives.
    fn masking(&self) -> Option<Masking> {
        None
    }

    /// A checksum of the set, training samples before test samples: equal means the same data. For sets that are read whole
    /// it is the CRC-32 of all records, each its labels' bytes and then the sample's; for text, that of the vocabulary and the
    /// tokens.
    fn checksum(&self) -> u32;

    /// The seed that the samples were drawn from, if they are drawn.
    fn seed(&self) -> Option<u64> {
        None
    }

    /// Remarks the user should see, a line each.
    fn notes(&self) -> &[String];

    /// The folder or archive that the samples are read from; `None` where they are drawn.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// Whether reading a sample takes far longer than copying its bytes, as decoding does, so that several threads should
    /// read at once.
    fn decodes(&self) -> bool {
        false
    }

    /// Whether a part of a sample can be taken before it is brought to the size of the others.
    fn cuts_parts(&self) -> bool {
        false
    }

    /// As [`read`](Self::read), of a part of the sample that is drawn for it; without parts of its own a set gives the whole sample.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_part(
        &self,
        split: Split,
        index: usize,
        parts: &Parts,
        input: &mut [u8],
        targets: &mut [u32],
    ) -> Result<()> {
        let _ = parts;
        self.read(split, index, input, targets)
    }

    /// Copies sample `index` of `split` to `input`, and its targets, which are below the number of classes, to `targets`. An
    /// image is a plane for each channel, and its one target its label; a block of tokens is a little-endian `u32` for each
    /// token, and has as many targets.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Data`] if the file behind the set
    /// can no longer be read or was changed.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len) or `input` and `targets` do not have the
    /// [bytes](Input::bytes) and [targets](Input::targets) of one.
    fn read(&self, split: Split, index: usize, input: &mut [u8], targets: &mut [u32]) -> Result<()>;
}
