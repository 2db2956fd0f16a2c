//! A built-in set: ten kinds of drawn shapes and textures, for when no files are at hand.
//!
//! It stands in for CIFAR-10 in a first run, in tests and in examples, so it has the same form and asks the same
//! question: what is in the picture, whatever its colours, place, size and tilt. Colours are drawn independently of the
//! class, the subject's always brighter than the background's; place and size vary, so that a linear model on the
//! pixels stays under 60 %, while a convolutional network learns the set in a few epochs. No class depends on left and
//! right, and none changes when an image is turned by 15 degrees or shifted by 4 pixels, so the usual augmentation
//! keeps the labels true.

mod draw;

use super::{
    Image,
    drawn::{Drawn, Kind},
};
use crate::random::Rng;

/// The name of the set.
pub const NAME: &str = "shapes10";
/// The classes in the order of their labels.
pub const CLASS_NAMES: [&str; 10] = [
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

/// What the images of [`Shapes10`] show.
pub enum Shapes {}

impl Kind for Shapes {
    const NAME: &'static str = NAME;
    const IMAGE: Image = Image::CIFAR;
    const CLASSES: &'static [&'static str] = &CLASS_NAMES;
    const KEY: u64 = 0x6472_6177_0000_0000;

    fn draw(label: usize, rng: &mut Rng, image: &mut [u8]) {
        draw::draw(label, rng, image);
    }
}

/// Ten kinds of shapes and textures, in the size of CIFAR-10's images.
pub type Shapes10 = Drawn<Shapes>;
