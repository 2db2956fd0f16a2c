//! The size of images.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The longest side of an image, in pixels.
pub const MOST_SIDE: u32 = 1024;

/// The size of every image of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Image {
    /// Colour planes: 1 for grey, 3 for red, green and blue.
    pub channels: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

impl Image {
    /// Images of CIFAR-10.
    pub const CIFAR: Self = Self { channels: 3, height: 32, width: 32 };

    /// Images of MNIST.
    pub const MNIST: Self = Self { channels: 1, height: 28, width: 28 };

    /// Pixels of an image.
    pub const fn pixels(self) -> usize {
        self.height as usize * self.width as usize
    }

    /// Bytes of an image: a plane of [`pixels`](Self::pixels) for each channel.
    pub const fn bytes(self) -> usize {
        self.channels as usize * self.pixels()
    }

    /// Refuses images with a side of fewer pixels.
    ///
    /// # Errors
    /// [`Error::Config`] with the number.
    pub fn at_least(self, side: u32) -> Result<()> {
        if self.height.min(self.width) >= side {
            return Ok(());
        }
        let message = format!("images of {self} are too small for this network");
        Err(Error::config(message, format!("a side has at least {side} pixels")))
    }

    /// Refuses sizes that no network takes.
    ///
    /// # Errors
    /// [`Error::Config`] for other channels than 1 or 3, or a side that is not from 1 to [`MOST_SIDE`].
    pub fn check(self) -> Result<()> {
        let side = 1..=MOST_SIDE;
        if matches!(self.channels, 1 | 3) && side.contains(&self.height) && side.contains(&self.width) {
            return Ok(());
        }
        let hint = format!("1 or 3 channels, and sides from 1 to {MOST_SIDE} pixels");
        Err(Error::config(format!("images of {self}"), hint))
    }
}

impl fmt::Display for Image {
    /// `32x32 pixels in 3 channels`: columns by rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channels, height, width } = self;
        write!(f, "{width}x{height} pixels in {channels} channel{}", if *channels == 1 { "" } else { "s" })
    }
}
