//! Colours of any kind as bytes of red, green and blue, as Pillow's `convert("RGB")` has them.

use image::ColorType;

/// Converts pixels as a decoder gives them; words of 16 bits are in the machine's order. `None` for colours that no format
/// that is read has.
///
/// Grey is repeated, alpha dropped. Of 16 bits the upper eight are kept, except in grey without alpha: Pillow cuts off what
/// is above 255 there (`I;16` in `src/libImaging/Convert.c`), which leaves little but white.
pub(super) fn to_rgb(colours: ColorType, pixels: Vec<u8>) -> Option<Vec<u8>> {
    let words = |pixels: Vec<u8>, to_byte: fn(u16) -> u8| -> Vec<u8> {
        pixels.chunks_exact(2).map(|word| to_byte(u16::from_ne_bytes([word[0], word[1]]))).collect()
    };
    let high = |pixels| words(pixels, |word| (word >> 8) as u8);
    let cut_off = |pixels| words(pixels, |word| word.min(255) as u8);
    let (channels, bytes) = match colours {
        ColorType::L8 => (1, pixels),
        ColorType::La8 => (2, pixels),
        ColorType::Rgb8 => (3, pixels),
        ColorType::Rgba8 => (4, pixels),
        ColorType::L16 => (1, cut_off(pixels)),
        ColorType::La16 => (2, high(pixels)),
        ColorType::Rgb16 => (3, high(pixels)),
        ColorType::Rgba16 => (4, high(pixels)),
        _ => return None,
    };
    Some(match channels {
        3 => bytes,
        4 => bytes.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
        // Grey, with or without alpha.
        channels => bytes.chunks_exact(channels).flat_map(|pixel| [pixel[0]; 3]).collect(),
    })
}
