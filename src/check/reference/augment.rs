//! Augmentation: padding, cropping, flipping, rotating, normalizing.
//!
//! Source: torchvision's `pad`, `crop`, `hflip` and `rotate` (nearest, fill 0) on PIL images, whose rotation is
//! Pillow's `Image.rotate` and `affine_fixed` (16.16 fixed-point arithmetic).

use super::random::pcg4d;

use super::expect_len;

/// Zeros around an image before it is cropped, on every side.
pub const PADDING: usize = 4;

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
    /// First row of the crop in the padded image, 0 to `2 PADDING`.
    pub top: usize,
    /// First column of the crop in the padded image, 0 to `2 PADDING`.
    pub left: usize,
    /// Whether the crop is mirrored left to right.
    pub flip: bool,
    /// Counter-clockwise rotation about the centre.
    pub angle_degrees: f64,
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
    pub const NONE: Self = Self { top: PADDING, left: PADDING, flip: false, angle_degrees: 0.0 };
}

/// Draws and weights of the views of an evaluation: the image, shifted a pixel up and left, and shifted a pixel down
/// and right, each as it is and mirrored (Jordan 2024).
pub const VIEWS: [(Draw, f64); 6] = {
    const fn view(at: usize, flip: bool) -> Draw {
        Draw { top: at, left: at, flip, angle_degrees: 0.0 }
    }
    [
        (view(PADDING, false), 0.25),
        (view(PADDING, true), 0.25),
        (view(PADDING - 1, false), 0.125),
        (view(PADDING - 1, true), 0.125),
        (view(PADDING + 1, false), 0.125),
        (view(PADDING + 1, true), 0.125),
    ]
};

/// Airbench's draw of image `index` in an epoch, counted from 1: a shift of at most 2 pixels each way, and alternating
/// flip: a fair coin that depends on the image alone says whether it is mirrored in epoch 1, and this changes from one
/// epoch to the next (Jordan 2024).
pub fn draw_airbench(seed: u32, epoch: u32, index: u32) -> Draw {
    let v = pcg4d([seed, epoch, index, 0x61_75_67]);
    let coin = pcg4d([seed, 0, index, 0x66_6c_69_70])[0] >> 31 == 1;
    Draw {
        top: PADDING - 2 + ((v[0] >> 8) % 5) as usize,
        left: PADDING - 2 + ((v[1] >> 8) % 5) as usize,
        flip: coin != (epoch % 2 == 1),
        angle_degrees: 0.0,
    }
}

/// The draw of image `index` in an epoch: crop offsets from 0 to 8, a fair coin, and degrees in [-15, 15).
///
/// The generator is pcg4d of Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 9(3), 2020, on the counter
/// (seed, epoch, index, "aug"); each quantity takes the high bits of its own word of the result.
pub fn draw(seed: u32, epoch: u32, index: u32) -> Draw {
    let v = pcg4d([seed, epoch, index, 0x61_75_67]);
    let unit = f64::from(v[3] >> 8) / 16_777_216.0;
    Draw {
        top: ((v[0] >> 8) % 9) as usize,
        left: ((v[1] >> 8) % 9) as usize,
        flip: v[2] >> 31 == 1,
        angle_degrees: 30.0 * unit - 15.0,
    }
}

/// `y[c][h][w] = (x[c][h][w] / 255 - mean[c]) / std[c]`, with a mean and a deviation for each channel.
pub fn normalize(x: &[u8], mean: &[f64], std: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for i in 0..x.len() {
        let c = mean.len() * i / x.len();
        y[i] = (f64::from(x[i]) / 255.0 - mean[c]) / std[c];
    }
    y
}

/// [`crop`], then [`flip`] if that was drawn, then [`rotate`]: an image of the same shape.
pub fn augment(shape: &Image, x: &[u8], draw: &Draw, padding: Padding) -> Vec<u8> {
    let cropped = crop(shape, x, draw.top, draw.left, padding);
    let flipped = if draw.flip { flip(shape, &cropped) } else { cropped };
    rotate(shape, &flipped, draw.angle_degrees)
}

/// `y[c][h][w] = x[c][top + h - PADDING][left + w - PADDING]`; outside of x, the value of the padding.
pub fn crop(shape: &Image, x: &[u8], top: usize, left: usize, padding: Padding) -> Vec<u8> {
    expect_len("x", x.len(), shape.c * shape.h * shape.w);
    assert!(top <= 2 * PADDING && left <= 2 * PADDING, "reference: crop at ({top}, {left}) leaves the padded image");
    let mut y = vec![0; x.len()];
    for c in 0..shape.c {
        for h in 0..shape.h {
            for w in 0..shape.w {
                let (mut row, mut column) = (top + h, left + w);
                if padding == Padding::Reflect {
                    (row, column) = (reflect(row, shape.h), reflect(column, shape.w));
                }
                if row < PADDING || row >= shape.h + PADDING || column < PADDING || column >= shape.w + PADDING {
                    continue;
                }
                let x_index = (c * shape.h + row - PADDING) * shape.w + column - PADDING;
                y[(c * shape.h + h) * shape.w + w] = x[x_index];
            }
        }
    }
    y
}

/// The row of the padded image whose content `row` has: itself, or its mirror image if it lies in the padding.
fn reflect(row: usize, size: usize) -> usize {
    let (first, last) = (PADDING, PADDING + size - 1);
    if row < first {
        2 * first - row
    } else if row > last {
        2 * last - row
    } else {
        row
    }
}

/// `y[c][h][w] = x[c][h][width - 1 - w]`.
pub fn flip(shape: &Image, x: &[u8]) -> Vec<u8> {
    expect_len("x", x.len(), shape.c * shape.h * shape.w);
    let mut y = vec![0; x.len()];
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
pub fn rotate(shape: &Image, x: &[u8], angle_degrees: f64) -> Vec<u8> {
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
    let mut y = vec![0; x.len()];
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

    /// Over 9,000 images, each offset has a share near a ninth, half are mirrored, angles are uniform, and no quantity
    /// correlates with the next.
    #[test]
    fn draws_are_uniform_and_independent() {
        let draws: Vec<Draw> = (0..9000).map(|i| draw(7, 3, i)).collect();
        let share = |of: &dyn Fn(&Draw) -> bool| draws.iter().filter(|d| of(d)).count() as f64 / 9000.0;
        for offset in 0..=2 * PADDING {
            assert!((share(&|d| d.top == offset) - 1.0 / 9.0).abs() < 0.015, "top {offset}");
            assert!((share(&|d| d.left == offset) - 1.0 / 9.0).abs() < 0.015, "left {offset}");
            assert!((share(&|d| d.top == offset && d.flip) - 1.0 / 18.0).abs() < 0.011, "top {offset}, mirrored");
        }
        assert!((share(&|d| d.flip) - 0.5).abs() < 0.025);
        assert!(draws.iter().all(|d| (-15.0..15.0).contains(&d.angle_degrees)));
        for quarter in 0..4 {
            let from = -15.0 + 7.5 * f64::from(quarter);
            assert!((share(&|d| (from..from + 7.5).contains(&d.angle_degrees)) - 0.25).abs() < 0.02, "from {from}");
        }
        assert_ne!(draw(7, 3, 5), draw(7, 4, 5), "the epoch matters");
        assert_ne!(draw(7, 3, 5), draw(8, 3, 5), "the seed matters");
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
        assert_eq!(crop(&shape, &x, PADDING, PADDING, Padding::Black), x);
        assert_eq!(crop(&shape, &x, PADDING + 1, PADDING, Padding::Black), [3, 4, 0, 0]);
        assert_eq!(crop(&shape, &x, PADDING, PADDING - 1, Padding::Black), [0, 1, 0, 3]);
        assert_eq!(flip(&shape, &x), [2, 1, 4, 3]);
        assert_eq!(normalize(&[0, 255, 255], &[0.5; 3], &[0.5; 3]), [-1.0, 1.0, 1.0]);
        assert_eq!(normalize(&[0, 255, 0], &[0.5, 0.25, 0.5], &[0.5, 0.5, 0.25]), [-1.0, 1.5, -2.0]);
    }

    /// `torch.nn.functional.pad(x, (2, 2, 2, 2), "reflect")` of the digits 1 to 9, cut at its corner, and mirrored.
    #[test]
    fn reflect_padding_mirrors_the_image() {
        let (shape, x) = (Image { c: 1, h: 3, w: 3 }, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let corner = [9, 8, 7, 6, 5, 4, 3, 2, 1];
        assert_eq!(crop(&shape, &x, PADDING - 2, PADDING - 2, Padding::Reflect), corner);
        let below = [5, 6, 5, 8, 9, 8, 5, 6, 5];
        assert_eq!(crop(&shape, &x, PADDING + 1, PADDING + 1, Padding::Reflect), below);
        let draw = Draw { top: PADDING + 1, flip: true, ..Draw::NONE };
        assert_eq!(augment(&shape, &x, &draw, Padding::Reflect), [6, 5, 4, 9, 8, 7, 6, 5, 4]);
    }

    /// Each image is mirrored in every other epoch, and half of them in the first; shifts from -2 to 2 are equally
    /// likely.
    #[test]
    fn flips_alternate() {
        let draws = |epoch| (0..5000).map(move |i| draw_airbench(7, epoch, i));
        let mirrored = draws(1).filter(|d| d.flip).count();
        assert!((mirrored as f64 / 5000.0 - 0.5).abs() < 0.03, "{mirrored} of 5000");
        for epoch in 1..5 {
            assert!(draws(epoch).zip(draws(epoch + 1)).all(|(now, next)| now.flip != next.flip), "epoch {epoch}");
        }
        for shift in 0..5 {
            let share = |of: &dyn Fn(&Draw) -> usize| draws(2).filter(|d| of(d) == PADDING - 2 + shift).count();
            for count in [share(&|d| d.top), share(&|d| d.left)] {
                assert!((count as f64 / 5000.0 - 0.2).abs() < 0.025, "shift {shift}: {count} of 5000");
            }
        }
    }
}
