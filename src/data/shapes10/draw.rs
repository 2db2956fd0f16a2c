//! One picture: a background, a subject on it, and noise over both.
//!
//! The subject is a region of the plane, given as a test of whether a point is inside; the test is made at four points
//! of each pixel, so that edges are smooth. Shapes are 14 to 26 pixels across, and no period of a texture is below 7: a
//! network that first reduces the picture to 8x8 can still see them.

use crate::random::Rng;

/// Rows and columns of a picture.
pub(super) const SIDE: usize = 32;
/// Pixels of one plane.
const PIXELS: usize = SIDE * SIDE;
/// Half the square root of 3: the cosine of 30 degrees.
const COS_30: f64 = 0.866_025_403_784_438_6;
/// Directions of the five sides of a regular pentagon (cosine and sine of 90 + 72k degrees).
const PENTAGON: [(f64, f64); 5] = [
    (0.0, 1.0),
    (-0.951_056_516_295_153_5, 0.309_016_994_374_947_45),
    (-0.587_785_252_292_473_1, -0.809_016_994_374_947_5),
    (0.587_785_252_292_473_1, -0.809_016_994_374_947_5),
    (0.951_056_516_295_153_5, 0.309_016_994_374_947_45),
];

/// A red, green and blue value, 0 to 255.
type Colour = [f64; 3];

/// What is drawn, in coordinates of its own, whose unit is the radius of a shape or the period of a texture.
enum Region {
    Disc,
    /// The number is the square of the hole's radius.
    Ring(f64),
    Square,
    Triangle,
    /// The number is half the width of its bars.
    Cross(f64),
    Star,
    /// Stripes across the first coordinate; the number is the share that they fill.
    Stripes(f64),
    Checkerboard,
    /// The number is the square of a dot's radius.
    Dots(f64),
}

impl Region {
    fn contains(&self, u: f64, v: f64) -> bool {
        match *self {
            Self::Disc => u * u + v * v < 0.85,
            Self::Ring(hole) => (hole..1.0).contains(&(u * u + v * v)),
            Self::Square => u.abs().max(v.abs()) < 0.8,
            // Inside all three sides; the corners are 1.15 from the centre.
            Self::Triangle => v < 0.575 && (COS_30 * u.abs() - 0.5 * v) < 0.575,
            Self::Cross(half) => u.abs().min(v.abs()) < half && u.abs().max(v.abs()) < 1.0,
            // The five lines of a pentagram: a point of the star lies beyond at most one of them.
            Self::Star => PENTAGON.iter().filter(|(x, y)| x * u + y * v > 0.36).count() <= 1,
            Self::Stripes(share) => fraction(u) < share,
            Self::Checkerboard => (fraction(u) < 0.5) == (fraction(v) < 0.5),
            // Every other row is moved by half a period.
            Self::Dots(radius) => {
                let shift = if fraction(0.5 * v) < 0.5 { 0.0 } else { 0.5 };
                let (x, y) = (fraction(u + shift) - 0.5, fraction(v) - 0.5);
                x * x + y * y < radius
            }
        }
    }
}

/// Where the region is: centre, rotation (cosine and sine) and size in pixels, and the factor by which it is squeezed.
struct Place {
    centre: (f64, f64),
    turn: (f64, f64),
    size: f64,
    stretch: f64,
}

impl Place {
    /// Converts pixel coordinates to those of the region.
    fn local(&self, x: f64, y: f64) -> (f64, f64) {
        let (dx, dy) = ((x - self.centre.0) / self.size, (y - self.centre.1) / self.size);
        let (cos, sin) = self.turn;
        ((cos * dx + sin * dy) * self.stretch, (cos * dy - sin * dx) / self.stretch)
    }
}

/// Draws a picture of class `label` over `image`, as planes of red, green and blue.
pub(super) fn draw(label: usize, rng: &mut Rng, image: &mut [u8]) {
    let (region, place) = subject(label, rng);
    let (ground, colour) = colours(rng);
    // The background changes along one direction, by up to a third of the scale from side to side.
    let slope: [Colour; 2] = std::array::from_fn(|_| std::array::from_fn(|_| rng.range(-40.0, 40.0) / SIDE as f64));
    let noise = rng.range(6.0, 24.0);
    for at in 0..PIXELS {
        let (x, y) = ((at % SIDE) as f64, (at / SIDE) as f64);
        let corners = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)];
        let inside = |&(dx, dy): &(f64, f64)| {
            let (u, v) = place.local(x + dx, y + dy);
            region.contains(u, v)
        };
        let cover = corners.iter().filter(|corner| inside(corner)).count() as f64 / 4.0;
        for channel in 0..3 {
            let middle = SIDE as f64 / 2.0;
            let behind = ground[channel] + slope[0][channel] * (x - middle) + slope[1][channel] * (y - middle);
            let value = behind + cover * (colour[channel] - behind) + noise * grain(rng);
            image[channel * PIXELS + at] = (value.clamp(0.0, 255.0) + 0.5) as u8;
        }
    }
}

/// What is drawn for `label`, and where.
fn subject(label: usize, rng: &mut Rng) -> (Region, Place) {
    let region = match label {
        0 => Region::Disc,
        1 => Region::Ring(rng.range(0.22, 0.40)),
        2 => Region::Square,
        3 => Region::Triangle,
        4 => Region::Cross(rng.range(0.24, 0.34)),
        5 => Region::Star,
        6 | 7 => Region::Stripes(rng.range(0.4, 0.6)),
        8 => Region::Checkerboard,
        _ => Region::Dots(rng.range(0.07, 0.11)),
    };
    let texture = label >= 6;
    let (size, stretch) = if texture {
        // A checkerboard's period is two fields.
        let size = if label == 8 { rng.range(9.0, 14.0) } else { rng.range(7.0, 11.0) };
        (size, 1.0)
    } else {
        (rng.range(9.0, 13.0), rng.range(0.92, 1.08))
    };
    // A texture covers the whole picture and is shifted by up to a period; a shape stays inside but for its rim.
    let room = if texture { size } else { (17.0 - size).min(7.0) };
    let middle = SIDE as f64 / 2.0;
    let centre = (middle + rng.range(-room, room), middle + rng.range(-room, room));
    // Stripes are tilted by at most 12 degrees: augmentation may add 15, and at 45 their class could not be told.
    let turn = match label {
        6 => quarter(slant(rng, 0.105)),
        7 => slant(rng, 0.105),
        // A shape is tilted by up to 25 degrees, so that with augmentation no square becomes a diamond.
        _ => slant(rng, 0.22),
    };
    (region, Place { centre, turn, size, stretch })
}

/// The background's colour and the subject's, which is clearly brighter.
fn colours(rng: &mut Rng) -> (Colour, Colour) {
    let mut colour = || -> Colour { std::array::from_fn(|_| rng.range(20.0, 235.0)) };
    let ground = colour();
    for _ in 0..16 {
        let other = colour();
        let (a, b) = (ground.iter().sum::<f64>(), other.iter().sum::<f64>());
        if (a - b).abs() > 3.0 * 50.0 {
            return if a < b { (ground, other) } else { (other, ground) };
        }
    }
    // The background is of medium brightness and sixteen colours were too close to it; white is bright enough.
    (ground, [255.0; 3])
}

/// Noise from -1 to 1 in which small values are likelier: the sum of two uniform numbers, from one draw.
fn grain(rng: &mut Rng) -> f64 {
    let bits = rng.u32();
    (f64::from(bits & 0xffff) + f64::from(bits >> 16)) / 65535.0 - 1.0
}

/// Cosine and sine of a random small angle: with t up to `limit`, the angle is 2 atan(t), and the rational formula
/// for the half angle needs neither sine nor cosine.
fn slant(rng: &mut Rng, limit: f64) -> (f64, f64) {
    let t = rng.range(-limit, limit);
    ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t))
}

/// A direction turned by 90 degrees.
fn quarter((cos, sin): (f64, f64)) -> (f64, f64) {
    (-sin, cos)
}

/// The fractional part, in [0, 1) for negative numbers too.
fn fraction(x: f64) -> f64 {
    x - x.floor()
}
