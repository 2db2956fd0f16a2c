//! Drawing and applying augmentation.

use super::{At, Case, Data, EPS, Expected, Port, jitter, random, single};
use crate::{
    check::reference::{
        Sum,
        augment::{self as reference, Area, Draw, Padding},
    },
    data::Image,
    ops::{Augment, Crop, Normalize, VIEWS, augment, average_views, draw},
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
        if self.augment == Augment::PAPER { Normalize::HALF } else { Normalize::CIFAR10 }
    }

    fn images(&self) -> Vec<u8> {
        let bytes = random((self.n as usize * self.image.bytes()).next_multiple_of(4), 1);
        bytes.into_iter().map(|x| ((x + 1.0) * 128.0) as u8).collect()
    }

    fn shape(&self) -> reference::Image {
        let Image { channels, height, width } = self.image;
        reference::Image { c: channels as usize, h: height as usize, w: width as usize }
    }

    /// The ends of the ranges come first: an image as it is, crops at the corners, the smallest parts, the largest rotations.
    fn draws(&self) -> Vec<Draw> {
        let most = self.augment.rotate.unwrap_or(15.0);
        let (reference::Image { h, w, .. }, n) = (self.shape(), self.n);
        let angles = [0.0, most, -most, most / 2.0, -0.001];
        let draw = |i: u32| {
            if self.augment.views {
                return reference::VIEWS[(i / n) as usize].0;
            }
            let random = reference::draw(&self.augment, &self.shape(), 1, 2, i);
            let angle = single(angles.get(i as usize).copied().unwrap_or(random.angle_degrees));
            let jitter = random.jitter.zip(self.augment.jitter).map(|(drawn, of)| jitter::end_of_range(drawn, of, i));
            Draw { angle_degrees: if self.rotate { angle } else { 0.0 }, jitter, ..random }
        };
        let mut draws: Vec<Draw> = (0..n * self.augment.views()).map(draw).collect();
        match self.augment.crop {
            Some(Crop::Padded { pixels, .. }) => {
                let most = i64::from(pixels);
                for (draw, at) in draws.iter_mut().zip([(0, 0), (-most, most), (most, -most), (-most, -most)]) {
                    (draw.top, draw.left) = at;
                }
            }
            Some(Crop::Resized { .. }) => {
                let parts = [(0, 0, h, w), (h - 1, w - 1, 1, 1), (0, w - 1, h, 1), (1, 0, 1, w)];
                for (draw, (top, left, height, width)) in draws.iter_mut().zip(parts) {
                    (draw.top, draw.left, draw.size) = (top as i64, left as i64, Some([height, width]));
                }
            }
            None => {}
        }
        draws
    }

    /// The channels' means and deviations.
    fn statistics(&self) -> [Vec<f64>; 2] {
        let (Normalize { mean, std }, c) = (self.normalize(), self.shape().c);
        [mean[..c].to_vec(), std[..c].to_vec()]
    }

    /// How far the interpolation of a resized part may put a value from 0 to 1 off: for each of both sides by roundings of the weight
    /// and of the mix.
    fn resized_bound(&self) -> f64 {
        if matches!(self.augment.crop, Some(Crop::Resized { .. })) { 2.0 * 4.0 * EPS } else { 0.0 }
    }

    /// Whether a mean is computed for the contrast.
    fn has_mean(&self) -> bool {
        self.augment.jitter.is_some_and(|jitter| jitter.contrast > 0.0)
    }

    fn padding(&self) -> Padding {
        let reflect = Some(crate::ops::Padding::Reflect);
        let own = match self.augment.crop {
            Some(Crop::Padded { padding, .. }) => Some(padding),
            _ => None,
        };
        if self.augment.views || own == reflect { Padding::Reflect } else { Padding::Black }
    }
}

/// Rows of draws as the kernels store them: those of all images one after the other.
fn words_of_draws(augment: &Augment, draws: &[Draw]) -> Vec<f64> {
    let number = |length: usize| length as f64;
    let place = |d: &Draw| [d.top as f64, d.left as f64, f64::from(u8::from(d.flip)), d.angle_degrees];
    let mut words: Vec<f64> = draws.iter().flat_map(place).collect();
    if let Some(Crop::Resized { .. }) = augment.crop {
        let sizes = draws.iter().map(|draw| draw.size.expect("a resized part has a size"));
        words.extend(sizes.flat_map(|[height, width]| [number(height), number(width), 0.0, 0.0]));
    }
    if augment.erase.is_some() {
        let none = Area { top: 0, left: 0, height: 0, width: 0 };
        let areas = draws.iter().map(|draw| draw.erase.unwrap_or(none));
        words.extend(areas.flat_map(|a| [a.top, a.left, a.height, a.width].map(number)));
    }
    if augment.jitter.is_some() {
        let jitters = || draws.iter().map(|draw| draw.jitter.expect("a jitter is drawn"));
        words.extend(jitters().flat_map(|jitter| jitter.factors));
        words.extend(jitters().flat_map(|jitter| [jitter::packed(jitter.order), 0.0, 0.0, 0.0]));
    }
    words
}

impl Case for AugmentCase {
    fn name(&self) -> String {
        let turned = if self.rotate { " and turned" } else { "" };
        format!("{} images of {}, cropped and mirrored{turned}, {}", self.n, self.image, self.augment)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let draws = t.scratch(words_of_draws(&self.augment, &self.draws()).len() as u32);
        let x = augment(t, self.n, self.image, draws, self.augment, self.normalize());
        let words = (self.n * self.image.bytes() as u32).div_ceil(4);
        let images = At::Buffer { kind: BufferKind::Input(Input::Samples), first: 0, words };
        vec![Port::integers("images", images), Port::new("draws", At::Tensor(draws)), Port::new("out", At::Tensor(x))]
    }

    fn data(&self) -> Data {
        let draws = words_of_draws(&self.augment, &self.draws());
        Data::from([("images", words_of_bytes(&self.images())), ("draws", draws)])
    }

    /// The result is a number in [-3, 3] with four roundings. If the device rounds sines differently, a source pixel on
    /// the border between two may be either: 0.1 % of all.
    fn expected(&self, _: &Data) -> Vec<Expected> {
        let (images, mut value, mut bound) = (self.images(), Vec::new(), Vec::new());
        let ([mean, std], smallest) = (self.statistics(), self.statistics()[1].iter().copied().fold(1.0, f64::min));
        // The views come one after the other, each with all images.
        let (size, shape, draws) = (self.image.bytes(), self.shape(), self.draws());
        let mut words = words_of_draws(&self.augment, &draws);
        let mut of_words = vec![0.0; words.len()];
        // The last row of the draws has the means.
        let means = words.len() - 4 * draws.len();
        let normalized = 4.0 * if self.normalize() == Normalize::HALF { 1.0 } else { 3.0 };
        for (i, (image, draw)) in images[..self.n as usize * size].chunks(size).cycle().zip(&draws).enumerate() {
            value.extend(reference::seen(&shape, image, draw, self.padding(), &mean, &std));
            let mut off = self.resized_bound();
            if let Some((drawn, changes)) = draw.jitter.as_ref().zip(self.augment.jitter) {
                // The division by 255 is rounded before.
                let bounds = jitter::Bounds { shape, changes, off: off + 3.0 * EPS };
                let before = reference::before_colours(&shape, image, draw, self.padding());
                let at = means + 4 * i + 1;
                (words[at], of_words[at]) = (reference::mean_for_contrast(&shape, &before, drawn), bounds.mean(drawn));
                off = bounds.pixel(drawn);
            }
            bound.extend(vec![EPS * normalized + off / smallest; size]);
        }
        let exempt = if self.rotate { 0.001 } else { 0.0 };
        let mut expected = vec![Expected { port: "out", value, bound, exempt }];
        if self.has_mean() {
            expected.push(Expected { port: "draws", value: words, bound: of_words, exempt: 0.0 });
        }
        expected
    }
}

/// The draws for `n` images.
#[derive(Clone, Copy, Debug)]
pub struct DrawCase {
    /// Images.
    pub n: u32,
    /// Their size.
    pub image: Image,
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
        format!("{} draws for {}, {}, epoch {}", self.n, self.image, self.augment, self.epoch)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let draws = draw(t, self.n, self.image, self.augment);
        let indices = At::Buffer { kind: BufferKind::Input(Input::Indices), first: 0, words: self.n };
        vec![Port::integers("indices", indices), Port::new("draws", At::Tensor(draws))]
    }

    fn step(&self) -> Step {
        Step { seed: 5, epoch: self.epoch, ..Step::default() }
    }

    fn data(&self) -> Data {
        Data::from([("indices", (0..self.n).map(|i| f64::from(Self::index(i))).collect())])
    }

    /// All but the angle are whole numbers; that, before its range is shifted to begin below zero, has three roundings.
    fn expected(&self, _: &Data) -> Vec<Expected> {
        let Step { seed, epoch, .. } = self.step();
        let Image { channels, height, width } = self.image;
        let shape = reference::Image { c: channels as usize, h: height as usize, w: width as usize };
        let draw = |i| match self.augment.views {
            true => reference::VIEWS[(i / self.n) as usize].0,
            false => reference::draw(&self.augment, &shape, seed, epoch, Self::index(i)),
        };
        let draws: Vec<Draw> = (0..self.n * self.augment.views()).map(draw).collect();
        let value = words_of_draws(&self.augment, &draws);
        let mut bound = vec![0.0; value.len()];
        let of_angle = self.augment.rotate.map_or(0.0, |degrees| 3.0 * EPS * 2.0 * degrees);
        bound[..4 * draws.len()].chunks_mut(4).for_each(|row| row[3] = of_angle);
        if let Some(jitter) = self.augment.jitter {
            // The factors are in the last row but one. Their range has one rounding more than that of the angle.
            let [brightness, contrast, saturation, hue] = jitter.strengths();
            let of = [brightness, contrast, saturation].map(|strength| 4.0 * EPS * (1.0 + strength));
            let first = bound.len() - 8 * draws.len();
            let of = [of[0], of[1], of[2], 3.0 * EPS * 2.0 * hue];
            bound[first..][..4 * draws.len()].chunks_mut(4).for_each(|row| row.copy_from_slice(&of));
        }
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
