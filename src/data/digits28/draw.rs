//! One picture: a digit's strokes, bent by the hand that writes them, and drawn with a round, soft pen.

use super::strokes::{Point, STYLES, Style};
use crate::random::Rng;

/// Rows and columns of a picture.
pub(super) const SIDE: usize = 28;
/// Lines that a curve from one point to the next is drawn as.
const LINES: usize = 6;
/// How far the pen's grey edge reaches to either side of its outline, in pixels.
const EDGE: f64 = 0.8;
/// Pixels between the pen's edge and the middle of the picture's outermost pixels, which therefore stay black.
const RIM: f64 = 0.5;
/// Most pixels between the middle of the picture and that of the digit, to each side.
const MOST_SHIFT: f64 = 3.0;

/// A place in the picture that the pen passes, in pixels, and half the pen's width there.
#[derive(Clone, Copy)]
struct Dot {
    x: f64,
    y: f64,
    radius: f64,
}

/// Draws digit `label` over `image`, white on black.
pub(super) fn draw(label: usize, rng: &mut Rng, image: &mut [u8]) {
    let styles = STYLES[label];
    let style = styles[rng.below(styles.len() as u32) as usize];
    let strokes = written(style, rng);
    let mut cover = [0.0; SIDE * SIDE];
    for stroke in &strokes {
        stroke.windows(2).for_each(|ends| line(ends[0], ends[1], &mut cover));
    }
    let ink = rng.range(200.0, 255.0);
    let (grain, noise) = (rng.range(0.0, 0.25), rng.range(0.0, 20.0));
    for (pixel, cover) in image.iter_mut().zip(cover) {
        let value = cover * ink * (1.0 - grain * rng.uniform()) + noise * (rng.uniform() - 0.5);
        *pixel = (value.clamp(0.0, 255.0) + 0.5) as u8;
    }
}

/// The strokes of one hand: in its slant, size and width, at its place, with a pen of its own.
fn written(style: Style, rng: &mut Rng) -> Vec<Vec<Dot>> {
    let bent = bent(style, rng);
    let height = rng.range(15.0, 21.0);
    let width = height * rng.range(0.55, 0.95);
    // Most hands lean to the right; y points down.
    let slant = rng.range(-0.2, 0.45);
    let t = rng.range(-0.1, 0.1);
    // With t up to 0.1 the angle 2 atan(t) is up to 11 degrees.
    let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
    let radius = rng.range(0.7, 1.9);
    let mut strokes: Vec<Vec<Dot>> = Vec::with_capacity(bent.len());
    for points in bent {
        // The pen is pressed more at one end than at the other.
        let press = rng.range(0.8, 1.2);
        let last = (points.len() - 1).max(1) as f64;
        let dot = |(i, (u, v)): (usize, Point)| {
            let (x, y) = (width * (u - 0.5 - slant * (v - 0.5)), height * (v - 0.5));
            let share = i as f64 / last;
            Dot { x: cos * x - sin * y, y: sin * x + cos * y, radius: radius * (press + (2.0 - 2.0 * press) * share) }
        };
        strokes.push(points.into_iter().enumerate().map(dot).collect());
    }
    place(&mut strokes, rng);
    strokes
}

/// The curves of the strokes, as lines, after the hand has missed their points by a little.
fn bent(style: Style, rng: &mut Rng) -> Vec<Vec<Point>> {
    // The whole digit is bent as well: across, down, and from one corner to the other.
    let bow: [f64; 4] = std::array::from_fn(|_| rng.range(-0.3, 0.3));
    let jitter = rng.range(0.01, 0.06);
    // Points that are given twice, such as corners and joints, stay together.
    let mut moved: Vec<(Point, Point)> = Vec::new();
    let mut pass = |point: Point, rng: &mut Rng| {
        if let Some((_, to)) = moved.iter().find(|(from, _)| *from == point) {
            return *to;
        }
        let (u, v) = (point.0 - 0.5, point.1 - 0.5);
        let to = (
            point.0 + bow[0] * (v * v - 0.1) + bow[1] * u * v + jitter * rng.range(-1.0, 1.0),
            point.1 + bow[2] * (u * u - 0.1) + bow[3] * u * v + jitter * rng.range(-1.0, 1.0),
        );
        moved.push((point, to));
        to
    };
    style.iter().map(|stroke| curve(&stroke.iter().map(|point| pass(*point, rng)).collect::<Vec<_>>())).collect()
}

/// A smooth curve through the points (E. Catmull and R. Rom, "A class of local interpolating splines", 1974), as lines.
fn curve(points: &[Point]) -> Vec<Point> {
    let at = |i: isize| points[i.clamp(0, points.len() as isize - 1) as usize];
    let mut line = vec![points[0]];
    for i in 0..points.len() as isize - 1 {
        let [a, b, c, d] = std::array::from_fn(|k| at(i - 1 + k as isize));
        if b == c {
            continue;
        }
        for step in 1..=LINES {
            let t = step as f64 / LINES as f64;
            let mix = |a: f64, b: f64, c: f64, d: f64| {
                let (slope, far) = (c - a, d - b);
                b + t
                    * (0.5 * slope
                        + t * (3.0 * (c - b) - slope - 0.5 * far + t * (2.0 * (b - c) + 0.5 * (slope + far))))
            };
            line.push((mix(a.0, b.0, c.0, d.0), mix(a.1, b.1, c.1, d.1)));
        }
    }
    line
}

/// Moves the strokes to the middle of the picture and by a random way from there, so that the outermost pixels stay
/// black. A digit that is too large for that, as a wide and slanted one may be, is made smaller.
fn place(strokes: &mut [Vec<Dot>], rng: &mut Rng) {
    let side = SIDE as f64;
    let dots = || strokes.iter().flatten();
    let margin = dots().fold(0.0, |most: f64, dot| most.max(dot.radius)) + EDGE + RIM;
    let range = |at: fn(&Dot) -> f64| {
        dots().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), dot| (low.min(at(dot)), high.max(at(dot))))
    };
    let (across, down) = (range(|dot| dot.x), range(|dot| dot.y));
    let extent = (across.1 - across.0).max(down.1 - down.0);
    let free = side - 2.0 * margin;
    let scale = if extent > free { free / extent } else { 1.0 };
    let mut shift = |(low, high): (f64, f64)| {
        let room = (0.5 * (free - scale * (high - low))).clamp(0.0, MOST_SHIFT);
        0.5 * (side - scale * (low + high)) + rng.range(-room, room)
    };
    let (x, y) = (shift(across), shift(down));
    for dot in strokes.iter_mut().flatten() {
        (dot.x, dot.y) = (scale * dot.x + x, scale * dot.y + y);
    }
}

/// Draws the line between two dots: each pixel is covered the more, the nearer its middle is.
fn line(from: Dot, to: Dot, cover: &mut [f64; SIDE * SIDE]) {
    let reach = from.radius.max(to.radius) + EDGE;
    let range = |a: f64, b: f64| {
        let low = (a.min(b) - reach).max(0.0) as usize;
        let high = ((a.max(b) + reach).max(0.0) as usize + 1).min(SIDE);
        low..high
    };
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length = dx * dx + dy * dy;
    for row in range(from.y, to.y) {
        for column in range(from.x, to.x) {
            let (x, y) = (column as f64 + 0.5 - from.x, row as f64 + 0.5 - from.y);
            let along = if length > 0.0 { ((x * dx + y * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
            let (x, y) = (x - along * dx, y - along * dy);
            let distance = (x * x + y * y).sqrt();
            let radius = from.radius + along * (to.radius - from.radius);
            let covered = ((radius - distance) / (2.0 * EDGE) + 0.5).clamp(0.0, 1.0);
            let pixel = &mut cover[row * SIDE + column];
            *pixel = pixel.max(covered);
        }
    }
}
