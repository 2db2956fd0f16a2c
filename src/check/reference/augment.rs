//! Augmentation: padding, cropping, flipping, rotating, normalizing; resized crops in `resize.rs`, changes of colours in `colours.rs`,
//! and what is drawn in `draws.rs`.
//!
//! Source: torchvision's `pad`, `crop`, `hflip` and `rotate` (nearest, fill 0) on PIL images, whose rotation is
//! Pillow's `Image.rotate` and `affine_fixed` (16.16 fixed-point arithmetic).

mod colours;
mod draws;
mod resize;

pub use colours::{Jitter, jittered, mean_for_contrast};
pub use draws::draw;
pub use resize::resized;

use super::expect_len;

/// The shape of one image of bytes, `[c][h][w]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

/// What is drawn at random for one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// First row of the part that is taken; above the image it is negative.
    pub top: i64,
    /// First column of the part that is taken; left of the image it is negative.
    pub left: i64,
    /// Height and width of the part, which is brought to the image's size; `None` for a part of that size.
    pub size: Option<[usize; 2]>,
    /// Whether the part is mirrored left to right.
    pub flip: bool,
    /// Counter-clockwise rotation about the centre.
    pub angle_degrees: f64,
    /// What is done to the colours.
    pub jitter: Option<Jitter>,
    /// The rectangle that is set to zero after the normalization.
    pub erase: Option<Area>,
}

/// A rectangle of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// What the padding of an image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Zeros: torchvision's `pad`.
    Black,
    /// The image, mirrored about its outermost pixels: PyTorch's `pad(mode="reflect")`.
    Reflect,
}

impl Draw {
    /// The draw that leaves the image as it is.
    pub const NONE: Self =
        Self { top: 0, left: 0, size: None, flip: false, angle_degrees: 0.0, jitter: None, erase: None };
}

/// Draws and weights of the views of an evaluation: the image, shifted a pixel up and left, and shifted a pixel down
/// and right, each as it is and mirrored (Jordan 2024).
pub const VIEWS: [(Draw, f64); 6] = {
    const fn view(at: i64, flip: bool) -> Draw {
        Draw { top: at, left: at, flip, ..Draw::NONE }
    }
    [
        (view(0, false), 0.25),
        (view(0, true), 0.25),
        (view(-1, false), 0.125),
        (view(-1, true), 0.125),
        (view(1, false), 0.125),
        (view(1, true), 0.125),
    ]
};

/// `y[c][h][w] = (x[c][h][w] / 255 - mean[c]) / std[c]`, with a mean and a deviation for each channel.
pub fn normalize(x: &[f64], mean: &[f64], std: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for i in 0..x.len() {
        let c = mean.len() * i / x.len();
        y[i] = (x[i] / 255.0 - mean[c]) / std[c];
    }
    y
}

/// What a network sees of an image: the drawn part, mirrored if that was drawn, rotated, with its colours changed, normalized, and
/// with zeros where it is erased.
pub fn seen(shape: &Image, x: &[u8], draw: &Draw, padding: Padding, mean: &[f64], std: &[f64]) -> Vec<f64> {
    let mut x = before_colours(shape, x, draw, padding);
    if let Some(jitter) = &draw.jitter {
        x = jittered(shape, &x, jitter);
    }
    let bytes: Vec<f64> = x.iter().map(|part| 255.0 * part).collect();
    let mut y = normalize(&bytes, mean, std);
    if let Some(Area { top, left, height, width }) = draw.erase {
        for c in 0..shape.c {
            for h in top..top + height {
                for w in left..left + width {
                    y[(c * shape.h + h) * shape.w + w] = 0.0;
                }
            }
        }
    }
    y
}

/// The values from 0 to 1 of an image after all that moves its pixels.
pub fn before_colours(shape: &Image, x: &[u8], draw: &Draw, padding: Padding) -> Vec<f64> {
    let x: Vec<f64> = x.iter().map(|&byte| f64::from(byte)).collect();
    augment(shape, &x, draw, padding, resized).into_iter().map(|value| value / 255.0).collect()
}

/// The bytes of an image after [`crop`], [`flip`] if that was drawn, and [`rotate`]: an image of the same shape.
///
/// # Panics
/// If the part has another size than the image: its pixels are no bytes.
pub fn moved(shape: &Image, x: &[u8], draw: &Draw, padding: Padding) -> Vec<u8> {
    augment(shape, x, draw, padding, |_, _, _| panic!("reference: pixels of a resized part are no bytes"))
}

fn augment<T: Copy + Default>(
    shape: &Image,
    x: &[T],
    draw: &Draw,
    padding: Padding,
    resized: impl Fn(&Image, &[T], &Area) -> Vec<T>,
) -> Vec<T> {
    let part = match draw.size {
        None => crop(shape, x, draw.top, draw.left, padding),
        Some([height, width]) => {
            resized(shape, x, &Area { top: draw.top as usize, left: draw.left as usize, height, width })
        }
    };
    let flipped = if draw.flip { flip(shape, &part) } else { part };
    rotate(shape, &flipped, draw.angle_degrees)
}

/// `y[c][h][w] = x[c][top + h][left + w]`; outside of x, the value of the padding.
pub fn crop<T: Copy + Default>(shape: &Image, x: &[T], top: i64, left: i64, padding: Padding) -> Vec<T> {
    expect_len("x", x.len(), shape.c * shape.h * shape.w);
    let mut y = vec![T::default(); x.len()];
    for c in 0..shape.c {
        for h in 0..shape.h {
            for w in 0..shape.w {
                let (mut row, mut column) = (top + h as i64, left + w as i64);
                if padding == Padding::Reflect {
                    (row, column) = (reflect(row, shape.h as i64), reflect(column, shape.w as i64));
                }
                if row < 0 || row >= shape.h as i64 || column < 0 || column >= shape.w as i64 {
                    continue;
                }
                let x_index = (c * shape.h + row as usize) * shape.w + column as usize;
                y[(c * shape.h + h) * shape.w + w] = x[x_index];
            }
        }
    }
    y
}

/// The row of the image whose content `row` has: itself, or its mirror image if it lies outside.
fn reflect(row: i64, size: i64) -> i64 {
    if row < 0 {
        -row
    } else if row > size - 1 {
        2 * (size - 1) - row
    } else {
        row
    }
}

/// `y[c][h][w] = x[c][h][width - 1 - w]`.
pub fn flip<T: Copy + Default>(shape: &Image, x: &[T]) -> Vec<T> {
    expect_len("x", x.len(), shape.c * shape.h * shape.w);
    let mut y = vec![T::default(); x.len()];
    for c in 0..shape.c {
        for h in 0..shape.h {
            for w in 0..shape.w {
                y[(c * shape.h + h) * shape.w + w] = x[(c * shape.h + h) * shape.w + shape.w - 1 - w];
            }
        }
    }
    y
}

/// Rotation about the centre, counter-clockwise, nearest pixel, 0 where the source lies outside the image.
///
/// With `t = -radians(angle mod 360)` and the centre `(w / 2, h / 2)` the output pixel (x, y) reads the source at
/// `a (x + 0.5) + b (y + 0.5) + e`, `d (x + 0.5) + a (y + 0.5) + f`, where `a = cos t`, `b = sin t`, `d = -sin t`,
/// rounded to 15 decimal digits, and e, f keep the centre in place. Coefficients and starting point are rounded to
/// multiples of 1/65536 and added up pixel by pixel; the integer part is the source pixel.
///
/// An angle of 0 copies. Pillow transposes for 90, 180 and 270; on a square image that is the same map as here.
pub fn rotate<T: Copy + Default>(shape: &Image, x: &[T], angle_degrees: f64) -> Vec<T> {
    expect_len("x", x.len(), shape.c * shape.h * shape.w);
    let angle = angle_degrees.rem_euclid(360.0);
    if angle == 0.0 {
        return x.to_vec();
    }
    let radians = -angle.to_radians();
    let (a, b) = (round_15_digits(radians.cos()), round_15_digits(radians.sin()));
    let (d, e) = (round_15_digits(-radians.sin()), round_15_digits(radians.cos()));
    let (centre_x, centre_y) = (shape.w as f64 / 2.0, shape.h as f64 / 2.0);
    let offset_x = a * -centre_x + b * -centre_y + centre_x;
    let offset_y = d * -centre_x + e * -centre_y + centre_y;

    let mut row_x = fixed(offset_x + a * 0.5 + b * 0.5);
    let mut row_y = fixed(offset_y + d * 0.5 + e * 0.5);
    let mut y = vec![T::default(); x.len()];
    for h in 0..shape.h {
        let (mut source_x, mut source_y) = (row_x, row_y);
        for w in 0..shape.w {
            let (column, row) = (source_x >> 16, source_y >> 16);
            if (0..shape.w as i64).contains(&column) && (0..shape.h as i64).contains(&row) {
                for c in 0..shape.c {
                    y[(c * shape.h + h) * shape.w + w] = x[(c * shape.h + row as usize) * shape.w + column as usize];
                }
            }
            source_x += fixed(a);
            source_y += fixed(d);
        }
        row_x += fixed(b);
        row_y += fixed(e);
    }
    y
}

/// `floor(65536 value + 0.5)`: 16.16 fixed point, rounded to nearest.
fn fixed(value: f64) -> i64 {
    (value * 65536.0 + 0.5).floor() as i64
}

/// The decimal number of 15 digits after the point that is nearest to `value`, as Python's `round(value, 15)`.
fn round_15_digits(value: f64) -> f64 {
    format!("{value:.15}").parse().expect("a printed number parses")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_pillows() {
        let unit = 1.0 / 65536.0;
        let cases = [(0.49, 0), (0.5, 1), (1.4, 1), (-0.5, 0), (-0.51, -1), (-1.5, -1), (65536.0, 65536)];
        for (units, expected) in cases {
            assert_eq!(fixed(units * unit), expected, "{units} / 65536");
        }
        assert_eq!(round_15_digits(std::f64::consts::FRAC_PI_2.cos()), 0.0);
        assert_eq!(round_15_digits(0.123_456_789_012_345_67), 0.123_456_789_012_346);
    }

    /// The rotation is counter-clockwise: after 90 degrees the right column is the top row.
    #[test]
    fn quarter_turns_are_permutations() {
        let (shape, x) = (Image { c: 1, h: 3, w: 3 }, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(rotate(&shape, &x, 0.0), x);
        assert_eq!(rotate(&shape, &x, 90.0), [3, 6, 9, 2, 5, 8, 1, 4, 7]);
        assert_eq!(rotate(&shape, &x, -180.0), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(rotate(&shape, &x, -90.0), [7, 4, 1, 8, 5, 2, 9, 6, 3]);
    }

    #[test]
    fn crop_and_flip_move_pixels_and_fill_with_zero() {
        let (shape, x) = (Image { c: 1, h: 2, w: 2 }, [1, 2, 3, 4]);
        assert_eq!(crop(&shape, &x, 0, 0, Padding::Black), x);
        assert_eq!(crop(&shape, &x, 1, 0, Padding::Black), [3, 4, 0, 0]);
        assert_eq!(crop(&shape, &x, 0, -1, Padding::Black), [0, 1, 0, 3]);
        assert_eq!(flip(&shape, &x), [2, 1, 4, 3]);
        assert_eq!(normalize(&[0.0, 255.0, 255.0], &[0.5; 3], &[0.5; 3]), [-1.0, 1.0, 1.0]);
        assert_eq!(normalize(&[0.0, 255.0, 0.0], &[0.5, 0.25, 0.5], &[0.5, 0.5, 0.25]), [-1.0, 1.5, -2.0]);
    }

    /// `torch.nn.functional.pad(x, (2, 2, 2, 2), "reflect")` of the digits 1 to 9, cut at its corner, and mirrored.
    #[test]
    fn reflect_padding_mirrors_the_image() {
        let (shape, x) = (Image { c: 1, h: 3, w: 3 }, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let corner = [9, 8, 7, 6, 5, 4, 3, 2, 1];
        assert_eq!(crop(&shape, &x, -2, -2, Padding::Reflect), corner);
        let below = [5, 6, 5, 8, 9, 8, 5, 6, 5];
        assert_eq!(crop(&shape, &x, 1, 1, Padding::Reflect), below);
        let draw = Draw { top: 1, flip: true, ..Draw::NONE };
        assert_eq!(moved(&shape, &x, &draw, Padding::Reflect), [6, 5, 4, 9, 8, 7, 6, 5, 4]);
    }
}
