//! What a sample is: an image, or a block of tokens.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Image, MOST_CLASSES};
use crate::error::{Error, Result};

/// The most tokens of a block.
pub const MOST_TOKENS: u32 = 1 << 16;

/// What every sample of a set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// An image of this size, with one class.
    Image(Image),
    /// A block of tokens, with a target for each: the token that follows, in a language model.
    Tokens(Tokens),
}

/// The size of every block of tokens of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tokens {
    /// Tokens of a block.
    pub length: u32,
    /// Kinds of tokens: each token is a number below this.
    pub vocabulary: u32,
}

impl Input {
    /// Bytes of a sample: those of an [image](Image::bytes), or a little-endian `u32` for each token.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Image(image) => image.bytes(),
            Self::Tokens(tokens) => 4 * tokens.length as usize,
        }
    }

    /// Targets of a sample: the class of an image, or one for each token.
    pub const fn targets(self) -> u32 {
        match self {
            Self::Image(_) => 1,
            Self::Tokens(tokens) => tokens.length,
        }
    }

    /// Refuses sizes that no network takes.
    ///
    /// # Errors
    /// [`Error::Config`] as [`Image::check`], or for blocks that do not have from 1 to [`MOST_TOKENS`] tokens of from 2 to
    /// [`MOST_CLASSES`] kinds.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Image(image) => image.check(),
            Self::Tokens(Tokens { length, vocabulary }) => {
                if (1..=MOST_TOKENS).contains(&length) && (2..=MOST_CLASSES as u32).contains(&vocabulary) {
                    return Ok(());
                }
                let hint = format!("from 1 to {MOST_TOKENS} tokens, of from 2 to {MOST_CLASSES} kinds");
                Err(Error::config(self.to_string(), hint))
            }
        }
    }

    /// The size of the images, if samples are images.
    pub const fn image(self) -> Option<Image> {
        match self {
            Self::Image(image) => Some(image),
            Self::Tokens(_) => None,
        }
    }

    /// The size of the blocks, if samples are blocks of tokens.
    pub const fn tokens(self) -> Option<Tokens> {
        match self {
            Self::Image(_) => None,
            Self::Tokens(tokens) => Some(tokens),
        }
    }

    /// In words that say which it is: `images of 32x32 pixels in 3 channels`, or `blocks of 64 tokens, of 65 kinds`.
    pub fn words(self) -> String {
        match self {
            Self::Image(image) => format!("images of {image}"),
            Self::Tokens(_) => self.to_string(),
        }
    }

    /// What several samples are called: images or blocks.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Image(_) => "images",
            Self::Tokens(_) => "blocks",
        }
    }

    /// What the targets of several samples are counted by: images or tokens.
    pub const fn target_unit(self) -> &'static str {
        match self {
            Self::Image(_) => "images",
            Self::Tokens(_) => "tokens",
        }
    }
}

impl fmt::Display for Input {
    /// `32x32 pixels in 3 channels`, or `blocks of 64 tokens, of 65 kinds`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => image.fmt(f),
            Self::Tokens(Tokens { length, vocabulary }) => {
                write!(f, "blocks of {length} tokens, of {vocabulary} kinds")
            }
        }
    }
}

impl From<Image> for Input {
    fn from(image: Image) -> Self {
        Self::Image(image)
    }
}

impl From<Tokens> for Input {
    fn from(tokens: Tokens) -> Self {
        Self::Tokens(tokens)
    }
}
