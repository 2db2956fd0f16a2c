//! Changes of an image's colours.
//!
//! Source: torchvision's `ColorJitter.forward`, and `adjust_brightness`, `adjust_contrast`, `adjust_saturation` and `adjust_hue` on float
//! tensors (`torchvision/transforms/_functional_tensor.py`).

use super::Image;

/// What is done to the colours of one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    /// The order: 0 is brightness, 1 contrast, 2 saturation and 3 hue.
    pub order: [usize; 4],
    /// The factors of brightness, contrast and saturation, and the shift of the hue in parts of the circle. Factors of 1 and a shift
    /// of 0 change nothing.
    pub factors: [f64; 4],
}

/// An image `[c][h][w]` of values from 0 to 1 after all four.
pub fn jittered(shape: &Image, x: &[f64], jitter: &Jitter) -> Vec<f64> {
    let mut x = x.to_vec();
    for kind in jitter.order {
        x = changed(shape, &x, kind, jitter.factors[kind]);
    }
    x
}

/// The mean that contrast blends with: that of the grey image, after what comes before contrast in the order.
pub fn mean_for_contrast(shape: &Image, x: &[f64], jitter: &Jitter) -> f64 {
    let mut x = x.to_vec();
    for kind in jitter.order {
        if kind == 1 {
            break;
        }
        x = changed(shape, &x, kind, jitter.factors[kind]);
    }
    mean(&grey(shape, &x))
}

fn changed(shape: &Image, x: &[f64], kind: usize, factor: f64) -> Vec<f64> {
    match kind {
        0 => brightness(x, factor),
        1 => contrast(shape, x, factor),
        2 => saturation(shape, x, factor),
        _ => hue(shape, x, factor),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// `_blend`: `factor a + (1 - factor) b`, from 0 to 1.
fn blend(a: f64, b: f64, factor: f64) -> f64 {
    (factor * a + (1.0 - factor) * b).clamp(0.0, 1.0)
}

/// `rgb_to_grayscale`, `[h][w]`; an image of one channel as it is.
fn grey(shape: &Image, x: &[f64]) -> Vec<f64> {
    if shape.c == 1 {
        return x.to_vec();
    }
    let plane = shape.h * shape.w;
    let mut y = vec![0.0; plane];
    for i in 0..plane {
        y[i] = 0.2989 * x[i] + 0.587 * x[plane + i] + 0.114 * x[2 * plane + i];
    }
    y
}

fn brightness(x: &[f64], factor: f64) -> Vec<f64> {
    x.iter().map(|&v| blend(v, 0.0, factor)).collect()
}

fn contrast(shape: &Image, x: &[f64], factor: f64) -> Vec<f64> {
    let mean = mean(&grey(shape, x));
    x.iter().map(|&v| blend(v, mean, factor)).collect()
}

fn saturation(shape: &Image, x: &[f64], factor: f64) -> Vec<f64> {
    if shape.c == 1 {
        return x.to_vec();
    }
    let (grey, plane) = (grey(shape, x), shape.h * shape.w);
    let mut y = vec![0.0; x.len()];
    for c in 0..shape.c {
        for i in 0..plane {
            y[c * plane + i] = blend(x[c * plane + i], grey[i], factor);
        }
    }
    y
}

fn hue(shape: &Image, x: &[f64], shift: f64) -> Vec<f64> {
    if shape.c == 1 {
        return x.to_vec();
    }
    let plane = shape.h * shape.w;
    let mut y = vec![0.0; x.len()];
    for i in 0..plane {
        let [h, s, v] = rgb_to_hsv([x[i], x[plane + i], x[2 * plane + i]]);
        let rgb = hsv_to_rgb([(h + shift).rem_euclid(1.0), s, v]);
        for c in 0..3 {
            y[c * plane + i] = rgb[c];
        }
    }
    y
}

/// `_rgb2hsv`.
fn rgb_to_hsv([r, g, b]: [f64; 3]) -> [f64; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    if max == min {
        return [0.0, 0.0, max];
    }
    let chroma = max - min;
    let [rc, gc, bc] = [r, g, b].map(|v| (max - v) / chroma);
    let h = if max == r {
        bc - gc
    } else if max == g {
        2.0 + rc - bc
    } else {
        4.0 + gc - rc
    };
    [(h / 6.0 + 1.0) % 1.0, chroma / max, max]
}

/// `_hsv2rgb`.
fn hsv_to_rgb([h, s, v]: [f64; 3]) -> [f64; 3] {
    let sixth = (h * 6.0).floor();
    let f = h * 6.0 - sixth;
    let p = (v * (1.0 - s)).clamp(0.0, 1.0);
    let q = (v * (1.0 - s * f)).clamp(0.0, 1.0);
    let t = (v * (1.0 - s * (1.0 - f))).clamp(0.0, 1.0);
    match sixth as usize % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Image = Image { c: 3, h: 1, w: 2 };

    /// A third of the circle takes red to green and green to blue; half of it takes a colour to its complement.
    #[test]
    fn hues_turn() {
        let red_and_orange = [1.0, 1.0, 0.0, 0.5, 0.0, 0.0];
        let near = |found: Vec<f64>, expected: [f64; 6]| {
            found
                .iter()
                .zip(expected)
                .for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{found:?} is not {expected:?}"));
        };
        near(hue(&SHAPE, &red_and_orange, 1.0 / 3.0), [0.0, 0.0, 1.0, 1.0, 0.0, 0.5]);
        near(hue(&SHAPE, &red_and_orange, -1.0 / 3.0), [0.0, 0.5, 0.0, 0.0, 1.0, 1.0]);
        near(hue(&SHAPE, &red_and_orange, 0.5), [0.0, 0.0, 1.0, 0.5, 1.0, 1.0]);
        near(hue(&SHAPE, &[0.3, 0.0, 0.3, 0.0, 0.3, 0.0], 0.2), [0.3, 0.0, 0.3, 0.0, 0.3, 0.0]);
    }

    /// Without colour, or without contrast, what is left is grey.
    #[test]
    fn factors_of_zero_leave_grey() {
        let x = [0.2, 0.9, 0.4, 0.1, 0.6, 0.5];
        let of = |i: usize| 0.2989 * x[i] + 0.587 * x[2 + i] + 0.114 * x[4 + i];
        assert_eq!(saturation(&SHAPE, &x, 0.0), [of(0), of(1), of(0), of(1), of(0), of(1)]);
        assert_eq!(contrast(&SHAPE, &x, 0.0), [(of(0) + of(1)) / 2.0; 6]);
        assert_eq!(brightness(&x, 2.0), [0.4, 1.0, 0.8, 0.2, 1.0, 1.0]);
        let none = Jitter { order: [3, 1, 0, 2], factors: [1.0, 1.0, 1.0, 0.0] };
        jittered(&SHAPE, &x, &none).iter().zip(x).for_each(|(a, b)| assert!((a - b).abs() < 1e-12));
    }
}
