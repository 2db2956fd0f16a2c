//! Contact sheets: many small images in one picture, which show what a network is given.

use crate::data::Image;
use crate::error::{Error, Result};
use crate::lab::png::Png;

/// Empty pixels around each image.
const GAP: usize = 2;
/// The grey level between the images.
const PAPER: u8 = 40;
/// The largest width and height of a sheet, in pixels.
const LARGEST: usize = 16_384;

/// Draws images of this size in rows of `columns`, each pixel as `scale` x `scale`. `images` holds them one after the other,
/// as pixels of grey or of red, green and blue on a scale of 0 to 1; values beyond that are clipped.
///
/// # Errors
/// [`Error::Config`] if the sheet would have no pixels or be wider or higher than 16,384.
///
/// # Panics
/// If `images` is not a whole number of images.
pub fn contact_sheet(images: &[f32], size: Image, columns: usize, scale: usize) -> Result<Png> {
    let [channels, height, width] = [size.channels, size.height, size.width].map(|length| length as usize);
    let length = size.bytes();
    if images.is_empty() || length == 0 || columns == 0 || scale == 0 {
        return Err(Error::config("a contact sheet without pixels", "give at least one image, column and scale"));
    }
    assert!(images.len().is_multiple_of(length), "contact_sheet: {} values are no whole images", images.len());
    let count = images.len() / length;
    let columns = columns.min(count);
    let side = |pixels: usize, images: usize| {
        pixels.checked_mul(scale).and_then(|p| p.checked_add(GAP)?.checked_mul(images)?.checked_add(GAP))
    };
    let sides = side(width, columns).zip(side(height, count.div_ceil(columns)));
    let Some((across, down)) = sides.filter(|&(across, down)| across <= LARGEST && down <= LARGEST) else {
        let message = format!("a contact sheet of {count} images at scale {scale} is larger than {LARGEST} pixels");
        return Err(Error::config(message, "show fewer images or a smaller scale"));
    };

    let mut sheet = vec![PAPER; across * down * 3];
    for (index, image) in images.chunks_exact(length).enumerate() {
        let left = GAP + index % columns * (width * scale + GAP);
        let top = GAP + index / columns * (height * scale + GAP);
        for y in 0..height * scale {
            for x in 0..width * scale {
                let from = (y / scale * width + x / scale) * channels;
                let to = ((top + y) * across + left + x) * 3;
                for colour in 0..3 {
                    // A conversion to u8 saturates, and turns NaN into 0.
                    sheet[to + colour] = (image[from + colour.min(channels - 1)] * 255.0 + 0.5) as u8;
                }
            }
        }
    }
    Ok(Png::rgb(&sheet, [down as u32, across as u32]))
}
