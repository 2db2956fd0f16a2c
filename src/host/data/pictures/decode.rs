//! Decodes a picture to bytes of red, green and blue.
//!
//! The format is recognized by the file's first bytes, whatever its name. The size that a header states is checked before
//! memory is taken for the pixels. Orientation and colour profiles that a file may state are ignored, as torchvision
//! ignores them.

use std::io::Cursor;
use std::path::Path;

use image::{ImageDecoder, ImageFormat, ImageReader, Limits};

use super::colours::to_rgb;
use crate::error::{Error, Result};
use crate::host::file_type::FileType;
use crate::host::files;

/// Most bytes of the file of a picture.
pub const FILE_LIMIT: u64 = 256 << 20;
/// Most pixels of a picture.
pub const MOST_PIXELS: u64 = 64_000_000;
/// Most bytes that a decoder may take: [`MOST_PIXELS`] of four channels of 16 bits.
const MEMORY_LIMIT: u64 = 8 * MOST_PIXELS;

/// A picture: rows from the top, and for each pixel a byte of red, of green and of blue.
pub(super) struct Rgb {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<u8>,
}

impl Rgb {
    /// Makes it grey, in all three colours, as Pillow's `convert("L")` (`L24` in `src/libImaging/Convert.c`).
    pub(super) fn make_grey(&mut self) {
        for pixel in self.pixels.chunks_exact_mut(3) {
            let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
            pixel.fill(((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8);
        }
    }
}

/// Decodes the picture at `path`, whose file had `size` bytes when it was listed, if it was.
///
/// # Errors
/// [`Error::Data`] with the path if the file is damaged, is no picture, has more than [`MOST_PIXELS`] or another size
/// than before; [`Error::Io`] if it cannot be read.
pub(super) fn decode(path: &Path, size: Option<u64>) -> Result<Rgb> {
    let bytes = files::read(path, FILE_LIMIT)?;
    if let Some(size) = size.filter(|size| bytes.len() as u64 != *size) {
        let expected = format!("{size} bytes, as when the pictures were listed");
        return Err(Error::data(path, expected, bytes.len().to_string(), "the set was changed while it was in use"));
    }
    decode_bytes(path, bytes)
}

const EXPECTED: &str = "a PNG, JPEG, WebP or BMP picture";

fn decode_bytes(path: &Path, bytes: Vec<u8>) -> Result<Rgb> {
    let damaged = |what: String| Error::data(path, EXPECTED, what, "replace the picture, or remove it");
    let format = image::guess_format(&bytes).ok();
    let read = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp];
    let Some(format) = format.filter(|format| read.contains(format)) else {
        let what = FileType::of(&bytes[..bytes.len().min(512)]).map(|kind| kind.name().to_owned());
        let other = format.map(|format| format!("one of another kind, {}", format.extensions_str().join("/")));
        let found = if bytes.is_empty() { "an empty file" } else { "something else" };
        return Err(damaged(what.or(other).unwrap_or_else(|| found.to_owned())));
    };
    if format == ImageFormat::Jpeg && !has_end(&bytes) {
        return Err(damaged("a JPEG without its end: the file is cut short".to_owned()));
    }
    let fault = |error: image::ImageError| damaged(printable(&format!("damage ({error})")));
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(fault)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        let found = format!("one of {width}x{height}");
        return Err(Error::data(path, format!("a picture of at most {MOST_PIXELS} pixels"), found, "make it smaller"));
    }
    if width == 0 || height == 0 {
        return Err(damaged("one without pixels".to_owned()));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MEMORY_LIMIT);
    decoder.set_limits(limits).map_err(fault)?;
    let colours = decoder.color_type();
    let mut pixels = vec![0; usize::try_from(decoder.total_bytes()).map_err(|e| damaged(e.to_string()))?];
    decoder.read_image(&mut pixels).map_err(fault)?;
    let pixels = to_rgb(colours, pixels).ok_or_else(|| damaged(format!("colours of the kind {colours:?}")))?;
    Ok(Rgb { width: width as usize, height: height as usize, pixels })
}

/// Whether a JPEG has its end marker behind the start of its data. The decoder fills in what is missing, so that a file
/// that is cut short would pass.
fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    // Segments before the data, which may hold a small picture of their own: a marker and a length that counts itself.
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        let length = usize::from(u16::from_be_bytes([high, low]));
        match marker {
            0xff => at += 1,
            // The start of the data.
            0xda => return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            _ => at += 2 + length.max(2),
        }
    }
    // Damage in the segments is for the decoder to name.
    true
}

/// The text without control characters: a decoder may quote the file.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
