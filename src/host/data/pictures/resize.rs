//! Brings a picture to a square of a given side, to the bit as torchvision's `Resize` and `CenterCrop` with Pillow do.
//!
//! The resize is Pillow's with `BILINEAR` (`src/libImaging/Resample.c`): a triangle filter that is widened where a picture
//! gets smaller, first along rows, then along columns, with weights of 22 bits and a rounding to bytes after each. (Pillow
//! 13 goes along columns first where that is less work, which changes some values by one.) Only what the crop keeps is
//! computed.

use super::decode::Rgb;
use crate::data::Part;

/// Bits of a weight behind the point.
const PRECISION: u32 = 32 - 8 - 2;

/// The pixels that an output pixel is made of, and their weights.
struct Tap {
    first: usize,
    weights: Vec<i32>,
}

/// Writes the picture as three planes of `side` x `side` pixels. A picture of this size is copied; of any other, the
/// shorter side is resized to `side` * 256 / 224, and the centre is cut out.
pub(super) fn fit(picture: &Rgb, side: usize, planes: &mut [u8]) {
    let Rgb { width, height, pixels } = picture;
    let (width, height) = (*width, *height);
    if (width, height) == (side, side) {
        to_planes(pixels, planes);
        return;
    }
    let [wide, tall] = resized(width, height, side);
    let columns = taps(width, wide, centre(wide, side), side);
    let rows = taps(height, tall, centre(tall, side), side);
    resample(picture, &columns, &rows, planes);
}

/// Writes a part of the picture, brought to `side` x `side` pixels, as three planes: torchvision's `resized_crop` with Pillow.
pub(super) fn fit_part(picture: &Rgb, part: Part, side: usize, planes: &mut [u8]) {
    let within = |length: usize, first: usize| -> Vec<Tap> {
        let moved = |tap: Tap| Tap { first: first + tap.first, ..tap };
        taps(length, side, 0, side).into_iter().map(moved).collect()
    };
    resample(picture, &within(part.width, part.left), &within(part.height, part.top), planes);
}

/// Writes as three planes the pixels that are made of these columns and rows.
fn resample(picture: &Rgb, columns: &[Tap], rows: &[Tap], planes: &mut [u8]) {
    let Rgb { width, pixels, .. } = picture;
    let (width, side) = (*width, columns.len());
    // The rows of the picture that any row of the result is made of.
    let top = rows.iter().map(|tap| tap.first).min().unwrap_or(0);
    let bottom = rows.iter().map(|tap| tap.first + tap.weights.len()).max().unwrap_or(0);
    let mut narrow = Vec::with_capacity((bottom - top) * side * 3);
    for row in pixels.chunks_exact(width * 3).take(bottom).skip(top) {
        for Tap { first, weights } in columns {
            let mut sums = [ROUND; 3];
            for (pixel, weight) in row[first * 3..].chunks_exact(3).zip(weights) {
                sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += weight * i32::from(value));
            }
            narrow.extend(sums.map(to_byte));
        }
    }
    let mut square = Vec::with_capacity(rows.len() * side * 3);
    let mut sums = vec![ROUND; side * 3];
    for Tap { first, weights } in rows {
        sums.fill(ROUND);
        for (row, weight) in narrow.chunks_exact(side * 3).skip(first - top).zip(weights) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += weight * i32::from(value));
        }
        square.extend(sums.iter().map(|&sum| to_byte(sum)));
    }
    to_planes(&square, planes);
}

/// A half, so that cutting off the bits behind the point rounds.
const ROUND: i32 = 1 << (PRECISION - 1);

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// Writes pixels as three planes.
pub(super) fn to_planes(pixels: &[u8], planes: &mut [u8]) {
    let size = planes.len() / 3;
    for (channel, plane) in planes.chunks_exact_mut(size).enumerate() {
        plane.iter_mut().zip(pixels.chunks_exact(3)).for_each(|(to, pixel)| *to = pixel[channel]);
    }
}

/// Width and height after the resize: the shorter side is `side` * 256 / 224, rounded, and the longer one in proportion,
/// rounded down.
fn resized(width: usize, height: usize, side: usize) -> [usize; 2] {
    let shorter = (side * 16 + 7) / 14;
    let longer = |long: usize, short: usize| (shorter as u64 * long as u64 / short as u64) as usize;
    if width <= height { [shorter, longer(height, width)] } else { [longer(width, height), shorter] }
}

/// Where the centre begins: half of what is left over, and of two equally near numbers the even one, as Python rounds.
fn centre(length: usize, side: usize) -> usize {
    let over = length - side;
    if over % 4 == 3 { over / 2 + 1 } else { over / 2 }
}

/// The taps of `count` outputs from `from` on, of a resize from `input` to `output` pixels.
fn taps(input: usize, output: usize, from: usize, count: usize) -> Vec<Tap> {
    if input == output {
        return (from..from + count).map(|first| Tap { first, weights: vec![1 << PRECISION] }).collect();
    }
    let scale = input as f64 / output as f64;
    let widened = scale.max(1.0);
    let tap = |at: usize| {
        let centre = (at as f64 + 0.5) * scale;
        let first = (centre - widened + 0.5).max(0.0) as usize;
        let end = ((centre + widened + 0.5) as usize).min(input);
        let triangle = |x: usize| (1.0 - ((x as f64 - centre + 0.5) * (1.0 / widened)).abs()).max(0.0);
        let weights: Vec<f64> = (first..end).map(triangle).collect();
        let sum: f64 = weights.iter().sum();
        let whole = |weight: f64| (0.5 + weight / sum * f64::from(1 << PRECISION)) as i32;
        Tap { first, weights: weights.into_iter().map(whole).collect() }
    };
    (from..from + count).map(tap).collect()
}
