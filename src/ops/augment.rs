//! From the data set's bytes to the network's input, on the device.

mod jitter;
mod list;

use std::{fmt, str::FromStr};

pub use jitter::Jitter;
pub use list::{Augment, Crop, Flip, Padding};
use serde::{Deserialize, Serialize};

use crate::{
    data::{Dataset, Image, Parts},
    error::{Error, Result},
    program::{BufferKind, CallBuilder, Input, Op, Tape, Tensor, params::padded, step::Step},
};

/// The number of views of an image in [`average_views`].
pub const VIEWS: u32 = 6;

/// `(x / 255 - mean) / std` of red, green and blue: torchvision's `Normalize` after `ToTensor`. As text it is
/// `0.4914,0.4822,0.4465/0.247,0.2435,0.2616`: the means, a slash, the standard deviations. Of images in grey the first
/// numbers are taken; `0.1307/0.3081` is short for three equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalize {
    /// Means of values from 0 to 1.
    pub mean: [f64; 3],
    /// Standard deviations of values from 0 to 1.
    pub std: [f64; 3],
}

impl Normalize {
    /// To the range from -1 to 1, as in VeloGrad's notebook.
    pub const HALF: Self = Self { mean: [0.5; 3], std: [0.5; 3] };

    /// Statistics of CIFAR-10's training images, as airbench rounds them.
    pub const CIFAR10: Self = Self { mean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616] };

    /// Statistics of ImageNet's training images, as torchvision's models and transforms have them.
    pub const IMAGENET: Self = Self { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

    /// From the numbers of one channel or of three.
    ///
    /// # Panics
    /// If there is no number.
    pub fn of_channels(mean: &[f64], std: &[f64]) -> Self {
        let three = |of: &[f64]| std::array::from_fn(|channel| of[channel.min(of.len() - 1)]);
        Self { mean: three(mean), std: three(std) }
    }

    /// Refuses numbers that cannot be meant for images on a scale of 0 to 1: a mean outside of that scale (it may be
    /// meant for 0 to 255), and a standard deviation below a thousandth or above 1.
    ///
    /// # Errors
    /// [`Error::Config`] with the ranges.
    pub fn check(&self) -> Result<()> {
        let sound = self.mean.iter().all(|m| (0.0..=1.0).contains(m)) && self.std.iter().all(|s| STD_RANGE.contains(s));
        if sound {
            return Ok(());
        }
        let hint = "means are from 0 to 1, deviations from 0.001 to 1, on a scale where 1 is the brightest; divide by 255 what \
                    is on a scale of 0 to 255";
        Err(Error::config(format!("images cannot be normalized by {self}"), hint))
    }
}

/// Standard deviations that [`Normalize::check`] takes; one step of a byte is 0.004.
const STD_RANGE: std::ops::RangeInclusive<f64> = 0.001..=1.0;

impl fmt::Display for Normalize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: [f64; 3]| values.map(|v| v.to_string()).join(",");
        write!(f, "{}/{}", list(self.mean), list(self.std))
    }
}

impl FromStr for Normalize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let triple = |list: &str| -> Option<[f64; 3]> {
            let numbers: Option<Vec<f64>> = list.split(',').map(|number| number.trim().parse().ok()).collect();
            match numbers?[..] {
                [all] => Some([all; 3]),
                [red, green, blue] => Some([red, green, blue]),
                _ => None,
            }
        };
        let parsed = text.split_once('/').and_then(|(mean, std)| Some(Self { mean: triple(mean)?, std: triple(std)? }));
        let normalize = parsed.ok_or_else(|| {
            let message = format!("`{text}` is not means and standard deviations, one or three of each");
            Error::config(message, "as in 0.4914,0.4822,0.4465/0.247,0.2435,0.2616: red, green and blue")
        })?;
        normalize.check()?;
        Ok(normalize)
    }
}

impl Augment {
    /// What is left to do on the device, and which parts of its pictures the data set gives in an epoch: those of a resized crop, if it
    /// can take them before it brings pictures to one size, as torchvision does.
    pub fn divide(self, dataset: &dyn Dataset, seed: u64, epoch: u32) -> (Self, Option<Parts>) {
        match self.crop {
            Some(Crop::Resized { least }) if dataset.cuts_parts() => {
                (Self { crop: None, ..self }, Some(Parts { least, seed: Step::seed_of(seed), epoch }))
            }
            _ => (self, None),
        }
    }
}

/// What one list of steps draws for an image: rows of four numbers, of which the first is always there.
#[derive(Clone, Copy)]
struct Rows {
    /// The step of a resized crop: height and width.
    area: Option<u32>,
    /// What is erased: top, left, height and width.
    erase: Option<u32>,
    /// The jitter's brightness, contrast, saturation and hue; a second row has its order and the mean of the grey image.
    jitter: Option<u32>,
    /// How many there are.
    all: u32,
}

impl Rows {
    fn of(augment: &Augment) -> Self {
        let mut all = 1;
        let mut take = |there: bool, rows: u32| {
            let row = there.then_some(all);
            all += if there { rows } else { 0 };
            row
        };
        let area = take(matches!(augment.crop, Some(Crop::Resized { .. })), 1);
        let erase = take(augment.erase.is_some(), 1);
        let jitter = take(augment.jitter.is_some(), 2);
        Self { area, erase, jitter, all }
    }
}

/// Draws what is done to each of `n` images ([`Augment`]) from (seed, epoch, index). Returns rows of four numbers for each of
/// the `n * views` results, one row of all images after the other: top, left, mirrored, degrees; with a resized crop its
/// height and width; with an erasing top, left, height and width; with a jitter brightness, contrast, saturation and hue, and then
/// its order and three zeros, the first of which becomes a mean in [`augment`]. The indices come with the batch.
pub fn draw(t: &mut Tape, n: u32, image: Image, augment: Augment) -> Tensor {
    let (all, rows) = (n * augment.views(), Rows::of(&augment));
    let draws = t.scratch(4 * rows.all * all);
    let indices = t.buffer(BufferKind::Input(Input::Indices), 4 * u64::from(n));
    let mut call = t.call("augment/draw").constant("VIEWS", augment.views);
    call = call.constant("ALTERNATING", augment.flip == Some(Flip::Alternating));
    for (name, there) in [
        ("SHIFT", matches!(augment.crop, Some(Crop::Padded { .. }))),
        ("FLIP", augment.flip.is_some()),
        ("ROTATE", augment.rotate.is_some()),
    ] {
        call = call.constant(name, there);
    }
    for (name, row) in [("AREA", rows.area), ("ERASE", rows.erase)] {
        call = call.constant(name, row.unwrap_or(0));
    }
    let (padding, least) = match augment.crop {
        None => (0, 1.0),
        Some(Crop::Padded { pixels, .. }) => (pixels, 1.0),
        Some(Crop::Resized { least }) => (0, least),
    };
    call = call.sizes([("n", all), ("images", n), ("height", image.height), ("width", image.width)]);
    call = call.size("padding", padding).size("least", least as f32);
    call = call.size("degrees", augment.rotate.unwrap_or(0.0) as f32);
    call.size("erased", augment.erase.unwrap_or(0.0) as f32).read(indices).write(draws).over(all);
    if let (Some(row), Some(jitter)) = (rows.jitter, augment.jitter) {
        let mut call = t.call("augment/draw_jitter").sizes([("n", all), ("images", n), ("row", row)]);
        for (name, strength) in ["brightness", "contrast", "saturation", "hue"].into_iter().zip(jitter.strengths()) {
            call = call.size(name, strength as f32);
        }
        call.read(indices).write(draws).over(all);
    }
    draws
}

/// Does to the bytes of the batch's `n` images of this size what `draws` ([`draw`]) says, and normalizes them. Returns
/// `[n * views, height, width, channels]`.
pub fn augment(t: &mut Tape, n: u32, image: Image, draws: Tensor, augment: Augment, normalize: Normalize) -> Tensor {
    let Image { channels, height, width } = image;
    let bytes = (u64::from(n) * image.bytes() as u64).next_multiple_of(4);
    let images = t.buffer(BufferKind::Input(Input::Samples), bytes);
    let (all, erase) = (n * augment.views(), Rows::of(&augment).erase);
    let x = t.tensor([all, height, width, channels]);
    t.no_gradient(x);
    if augment.jitter.is_some_and(|jitter| jitter.contrast > 0.0) {
        let call = before_normalization(t.call_reduce("augment/grey_mean"), image, &augment);
        call.sizes([("n", all), ("images", n)]).read(images).write(draws).groups(all);
    }
    let mut call = before_normalization(t.call("augment/apply"), image, &augment);
    call = call.constant("ERASE", erase.unwrap_or(0)).sizes([("n", all), ("images", n)]);
    let [mean, scale] = [["mean_r", "mean_g", "mean_b"], ["scale_r", "scale_g", "scale_b"]];
    for colour in 0..3 {
        call = call.size(mean[colour], normalize.mean[colour] as f32);
        call = call.size(scale[colour], (1.0 / normalize.std[colour]) as f32);
    }
    call.read(images).read(draws).write(x).grid(all.div_ceil(64), width, height);
    if augment == Augment::NONE {
        let Normalize { mean, std } = normalize;
        t.note(None::<Tensor>, [Op::Images { channels, mean, std }], x);
    }
    x
}

/// Adds the constants of what moves pixels (`shared/moved`) and changes their colours (`shared/jittered`).
fn before_normalization<'a>(call: CallBuilder<'a>, image: Image, augment: &Augment) -> CallBuilder<'a> {
    let Image { channels, height, width } = image;
    let reflect = matches!(augment.crop, Some(Crop::Padded { padding: Padding::Reflect, .. }));
    let rows = Rows::of(augment);
    let call = call.constant("REFLECT", reflect || augment.views).constant("CHANNELS", channels);
    let call = call.constant("HEIGHT", height).constant("WIDTH", width);
    // Angles of up to 45 degrees need no quarter turns.
    let call = call.constant("QUARTERS", augment.rotate.is_some_and(|degrees| degrees > 45.0));
    let call = call.constant("AREA", rows.area.unwrap_or(0));
    let changes = augment.jitter.map_or([false; 4], |jitter| jitter.changes(channels));
    let names = ["BRIGHTNESS", "CONTRAST", "SATURATION", "HUE"].into_iter().zip(changes);
    let call = names.fold(call, |call, (name, there)| call.constant(name, there));
    call.constant("JITTER", rows.jitter.filter(|_| changes.contains(&true)).unwrap_or(0))
}

/// Test-time augmentation: from the logits `[6 n, 1, 1, classes]` of [`Augment::VIEWS`], the weighted mean over the
/// views, `[n, 1, 1, classes]`. The image and its mirror image have the weight 1/4 each, and both of them shifted by a
/// pixel along the diagonal, either way, 1/8 each (Jordan 2024).
///
/// # Panics
/// In training, or if the number of rows is not a multiple of six.
pub fn average_views(t: &mut Tape, logits: Tensor) -> Tensor {
    let [rows, h, w, classes] = t.shape(logits);
    assert!(
        !t.training && h * w == 1 && rows.is_multiple_of(VIEWS),
        "average_views: logits of shape {:?}",
        [rows, h, w, classes]
    );
    let n = rows / VIEWS;
    let y = t.tensor_of(t.dtype(logits), [n, 1, 1, classes]);
    let len4 = n * padded(classes) / 4;
    t.call("views/average").size("len4", len4).read(logits).write(y).over(len4);
    y
}
