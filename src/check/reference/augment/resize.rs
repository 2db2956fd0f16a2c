//! A part of an image, brought to the image's size.

use super::{Area, Image};
use crate::check::reference::expect_len;

/// The part, resized to the whole image's size as by PyTorch's `interpolate(mode="bilinear", antialias=True)`, and so by
/// torchvision's `resized_crop` of float tensors: along each side an output pixel is the mean of the input pixels, weighted by a
/// triangle about the place of its centre, which is as wide as the distance of two pixels of the input or of the output, whichever
/// is larger.
pub fn resized(shape: &Image, x: &[f64], area: &Area) -> Vec<f64> {
    expect_len("x", x.len(), shape.c * shape.h * shape.w);
    let Area { top, left, height, width } = *area;
    assert!(top + height <= shape.h && left + width <= shape.w, "reference: {area:?} lies outside of the image");
    let (rows, columns) = (weights(height, shape.h), weights(width, shape.w));
    let mut y = vec![0.0; x.len()];
    for c in 0..shape.c {
        for h in 0..shape.h {
            for w in 0..shape.w {
                let value = &mut y[(c * shape.h + h) * shape.w + w];
                for i in 0..height {
                    for j in 0..width {
                        *value += rows[h][i] * columns[w][j] * x[(c * shape.h + top + i) * shape.w + left + j];
                    }
                }
            }
        }
    }
    y
}

/// The weight of each of `input` pixels in each of `output` ones.
fn weights(input: usize, output: usize) -> Vec<Vec<f64>> {
    let scale = input as f64 / output as f64;
    let wide = scale.max(1.0);
    let of_output = |o: usize| {
        let centre = (o as f64 + 0.5) * scale;
        let triangle = |i: usize| (1.0 - ((i as f64 + 0.5 - centre) / wide).abs()).max(0.0);
        let all: Vec<f64> = (0..input).map(triangle).collect();
        let sum: f64 = all.iter().sum();
        all.into_iter().map(|weight| weight / sum).collect()
    };
    (0..output).map(of_output).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels of a part that is enlarged to twice its size lie a quarter of a pixel beside those of the part; beyond the outermost
    /// ones there is nothing to mix.
    #[test]
    fn two_pixels_become_four() {
        let shape = Image { c: 1, h: 1, w: 4 };
        let part = Area { top: 0, left: 1, height: 1, width: 2 };
        assert_eq!(resized(&shape, &[9.0, 0.0, 4.0, 9.0], &part), [0.0, 1.0, 3.0, 4.0]);
        let whole = Area { top: 0, left: 0, height: 1, width: 4 };
        assert_eq!(resized(&shape, &[9.0, 0.0, 4.0, 7.0], &whole), [9.0, 0.0, 4.0, 7.0]);
    }
}
