//! From the data set's bytes to the network's input, on the device.

use crate::tape::{Tape, Tensor};

/// Bytes of an image: three planes of 32 by 32.
pub const IMAGE_BYTES: u32 = crate::data::IMAGE_BYTES as u32;

/// Draws crop, mirror and angle of `n` images from (seed, epoch, index) where `random`, else leaves each image as it is.
/// Returns `[n]` of (top, left, mirrored, degrees); the indices come from the buffer `indices`.
pub fn draw(t: &mut Tape, n: u32, random: bool) -> Tensor {
    let draws = t.scratch(4 * n);
    let indices = t.buffer("indices", 4 * u64::from(n));
    t.call("augment/draw").constant("RANDOM", random).size("n", n).read(indices).write(draws).over(n);
    draws
}

/// Crops (out of zero padding of 4), mirrors and rotates the bytes in the buffer `images` as `draws` says, and normalizes:
/// `(x/255 - 0.5) / 0.5`. Returns `[n, 32, 32, 3]`.
pub fn augment(t: &mut Tape, n: u32, draws: Tensor) -> Tensor {
    let images = t.buffer("images", u64::from(n) * u64::from(IMAGE_BYTES));
    let x = t.tensor([n, 32, 32, 3]);
    t.no_gradient(x);
    t.call("augment/apply").size("n", n).read(images).read(draws).write(x).grid(n.div_ceil(64), 1024, 1);
    x
}
