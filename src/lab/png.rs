//! Pictures as PNG.

use image::{
    ExtendedColorType, ImageEncoder as _,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};

/// A picture as a PNG.
pub struct Png {
    /// The content of the file.
    pub bytes: Vec<u8>,
    /// Height and width in pixels.
    pub size: [u32; 2],
}

impl Png {
    /// A picture of `size` = \[height, width\] pixels, row by row from the top, each a byte of red, green and blue.
    ///
    /// # Panics
    /// If there are not as many bytes as the size says, or no pixels.
    pub fn rgb(pixels: &[u8], size: [u32; 2]) -> Self {
        let [height, width] = size;
        let mut bytes = Vec::new();
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive)
            .write_image(pixels, width, height, ExtendedColorType::Rgb8)
            .expect("memory takes every picture");
        Self { bytes, size }
    }
}
