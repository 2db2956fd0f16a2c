//! A built-in set: handwritten digits from 0 to 9, drawn by the program in the size of MNIST's images.
//!
//! It stands in for MNIST where no files are at hand: one grey channel, 28x28 pixels, white on black. A digit is drawn
//! as a pen writes it, along strokes in one of two or three styles, which differ from image to image in slant, bend,
//! size, place, width, ink and noise. People read every digit. A softmax regression on the pixels reaches 84 %, clearly
//! less than a small network; a convolutional network reaches more than 97 %.
//!
//! Digits are not symmetric, and a mirrored 2 looks much like a 5. Augmentation that mirrors images costs accuracy here.

mod draw;
mod strokes;

use super::{
    Image,
    drawn::{Drawn, Kind},
};
use crate::random::Rng;

/// The name of the set.
pub const NAME: &str = "digits28";
/// The classes in the order of their labels.
pub const CLASS_NAMES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// What the images of [`Digits28`] show.
pub enum Digits {}

impl Kind for Digits {
    const NAME: &'static str = NAME;
    const IMAGE: Image = Image::MNIST;
    const CLASSES: &'static [&'static str] = &CLASS_NAMES;
    const KEY: u64 = 0x6472_6177_0000_0001;

    fn draw(label: usize, rng: &mut Rng, image: &mut [u8]) {
        draw::draw(label, rng, image);
    }
}

/// Handwritten digits, in the size of MNIST's images.
pub type Digits28 = Drawn<Digits>;
