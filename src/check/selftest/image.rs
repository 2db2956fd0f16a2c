//! Drawing and applying augmentation.

use super::{At, Case, Data, EPS, Expected, Port, random, single};
use crate::{
    check::reference::{
        Sum,
        augment::{self as reference, Draw, Padding},
    },
    data::Image,
    ops::{Augment, Normalize, VIEWS, augment, average_views, draw},
    program::{BufferKind, Input, Tape, step::Step},
};

/// Augmentation of `n` images.
#[derive(Clone, Copy, Debug)]
pub struct AugmentCase {
    /// Images.
    pub n: u32,
    /// Their size.
    pub image: Image,
    /// Whether images are rotated as well as cropped and mirrored.
    pub rotate: bool,
    /// Which augmentation.
    pub augment: Augment,
}

/// Bytes as words of a buffer, four in each.
pub(super) fn words_of_bytes(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks(4).map(|b| f64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
}

impl AugmentCase {
    fn normalize(&self) -> Normalize {
        if self.augment == Augment::Paper { Normalize::HALF } else { Normalize::CIFAR10 }
    }

    fn images(&self) -> Vec<u8> {
        let bytes = random((self.n as usize * self.image.bytes()).next_multiple_of(4), 1);
        bytes.into_iter().map(|x| ((x + 1.0) * 128.0) as u8).collect()
    }

    /// The ends of the ranges come first: an image as it is, crops at the corners, the largest rotations.
    fn draws(&self) -> Vec<Draw> {
        let angles = [0.0, 15.0, -15.0, 7.5, -0.001];
        let draw = |i: u32| {
            let random = reference::draw(1, 2, i);
            let angle = single(angles.get(i as usize).copied().unwrap_or(random.angle_degrees));
            Draw { angle_degrees: if self.rotate { angle } else { 0.0 }, ..random }
        };
        let mut draws: Vec<Draw> = (0..self.n * self.augment.views()).map(draw).collect();
        for (draw, (top, left)) in draws.iter_mut().zip([(4, 4), (0, 8), (8, 0), (0, 0)]) {
            (draw.top, draw.left) = (top, left);
        }
        draws
    }
}

fn words_of_draw(draw: &Draw) -> [f64; 4] {
    [draw.top as f64, draw.left as f64, f64::from(u8::from(draw.flip)), draw.angle_degrees]
}

impl Case for AugmentCase {
    fn name(&self) -> String {
        let turned = if self.rotate { " and turned" } else { "" };
        format!("{} images of {}, cropped and mirrored{turned}, {}", self.n, self.image, self.augment.name())
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let draws = t.scratch(4 * self.n * self.augment.views());
        let x = augment(t, self.n, self.image, draws, self.augment, self.normalize());
        let words = (self.n * self.image.bytes() as u32).div_ceil(4);
        let images = At::Buffer { kind: BufferKind::Input(Input::Samples), first: 0, words };
        vec![Port::integers("images", images), Port::new("draws", At::Tensor(draws)), Port::new("out", At::Tensor(x))]
    }

    fn data(&self) -> Data {
        let draws = self.draws().iter().flat_map(words_of_draw).collect();
        Data::from([("images", words_of_bytes(&self.images())), ("draws", draws)])
    }

    /// The result is a number in [-3, 3] with four roundings. If the device rounds sines differently, a source pixel on
    /// the border between two may be either: 0.1 % of all.
    fn expected(&self, _: &Data) -> Vec<Expected> {
        let (images, mut value) = (self.images(), Vec::new());
        let Normalize { mean, std } = self.normalize();
        let padding = if self.augment == Augment::Paper { Padding::Black } else { Padding::Reflect };
        // The views come one after the other, each with all images.
        let (size, Image { channels, height, width }) = (self.image.bytes(), self.image);
        let shape = reference::Image { c: channels as usize, h: height as usize, w: width as usize };
        let (mean, std) = (&mean[..shape.c], &std[..shape.c]);
        for (image, draw) in images[..self.n as usize * size].chunks(size).cycle().zip(self.draws()) {
            value.extend(reference::normalize(&reference::augment(&shape, image, &draw, padding), mean, std));
        }
        let bound = vec![4.0 * EPS * if self.augment == Augment::Paper { 1.0 } else { 3.0 }; value.len()];
        vec![Expected { port: "out", value, bound, exempt: if self.rotate { 0.001 } else { 0.0 } }]
    }
}

/// The draws for `n` images.
#[derive(Clone, Copy, Debug)]
pub struct DrawCase {
    /// Images.
    pub n: u32,
    /// Which augmentation.
    pub augment: Augment,
    /// The epoch of the run, counted from 1.
    pub epoch: u32,
}

impl DrawCase {
    fn index(i: u32) -> u32 {
        i.wrapping_mul(2_654_435_761) % 50_000
    }
}

impl Case for DrawCase {
    fn name(&self) -> String {
        format!("{} draws, {}, epoch {}", self.n, self.augment.name(), self.epoch)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let draws = draw(t, self.n, self.augment);
        let indices = At::Buffer { kind: BufferKind::Input(Input::Indices), first: 0, words: self.n };
        vec![Port::integers("indices", indices), Port::new("draws", At::Tensor(draws))]
    }

    fn step(&self) -> Step {
        Step { seed: 5, epoch: self.epoch, ..Step::default() }
    }

    fn data(&self) -> Data {
        Data::from([("indices", (0..self.n).map(|i| f64::from(Self::index(i))).collect())])
    }

    /// Offsets and mirroring are exact; the angle, below 30 degrees, has three roundings.
    fn expected(&self, _: &Data) -> Vec<Expected> {
        let Step { seed, epoch, .. } = self.step();
        let draw = |i| match self.augment {
            Augment::None => Draw::NONE,
            Augment::Paper => reference::draw(seed, epoch, Self::index(i)),
            Augment::Airbench => reference::draw_airbench(seed, epoch, Self::index(i)),
            Augment::Views => reference::VIEWS[(i / self.n) as usize].0,
        };
        let all = self.n * self.augment.views();
        let value = (0..all).flat_map(|i| words_of_draw(&draw(i))).collect();
        let of_angle = if self.augment == Augment::Paper { 3.0 * EPS * 30.0 } else { 0.0 };
        let bound = [0.0, 0.0, 0.0, of_angle].repeat(all as usize);
        vec![Expected { port: "draws", value, bound, exempt: 0.0 }]
    }
}

/// The mean of the logits over an image's views.
#[derive(Clone, Copy, Debug)]
pub struct AverageViewsCase {
    /// Images.
    pub n: u32,
    /// Classes.
    pub classes: u32,
}

impl Case for AverageViewsCase {
    fn name(&self) -> String {
        format!("{} images' views, {} classes", self.n, self.classes)
    }

    fn training(&self) -> bool {
        false
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = t.tensor([VIEWS * self.n, 1, 1, self.classes]);
        let y = average_views(t, x);
        vec![Port::new("x", At::Tensor(x)), Port::new("out", At::Tensor(y))]
    }

    fn data(&self) -> Data {
        Data::from([("x", random((VIEWS * self.n * self.classes) as usize, 1))])
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let len = (self.n * self.classes) as usize;
        let mut sum = Sum { value: vec![0.0; len], magnitude: vec![0.0; len], terms: VIEWS as usize };
        for (view, (_, weight)) in reference::VIEWS.iter().enumerate() {
            for i in 0..len {
                let term = weight * data["x"][view * len + i];
                sum.value[i] += term;
                sum.magnitude[i] += term.abs();
            }
        }
        vec![Expected::sum("out", &sum)]
    }
}
