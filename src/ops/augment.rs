//! From the data set's bytes to the network's input, on the device.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    data::Image,
    error::{Error, Result},
    program::{BufferKind, Input, Op, Tape, Tensor, params::padded},
};

/// What is done to images before they are normalized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Augment {
    /// Nothing.
    #[default]
    None,
    /// A random crop after padding by four black pixels, a random mirror, a rotation of up to 15 degrees: the VeloGrad
    /// paper's.
    Paper,
    /// A shift of up to two pixels each way with reflect padding, and alternating flip: which images are mirrored is
    /// drawn once and inverted after each epoch. Airbench's (Jordan 2024).
    Airbench,
    /// For evaluation: the six views of [`average_views`], one after the other along the batch.
    Views,
}

impl Augment {
    /// Its name on the command line and in files; [`Augment::Views`] is `--tta`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Paper => "paper",
            Self::Airbench => "airbench",
            Self::Views => "views",
        }
    }

    /// How many images each image becomes.
    pub fn views(self) -> u32 {
        if self == Self::Views { VIEWS } else { 1 }
    }
}

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

/// Draws what is done to each of `n` images ([`Augment`]) from (seed, epoch, index). Returns four numbers for each of
/// the `n * views` results: top, left, mirrored, degrees. The indices come with the batch.
pub fn draw(t: &mut Tape, n: u32, augment: Augment) -> Tensor {
    let all = n * augment.views();
    let draws = t.scratch(4 * all);
    let indices = t.buffer(BufferKind::Input(Input::Indices), 4 * u64::from(n));
    let call = t.call("augment/draw").constant("WAY", augment as u32).sizes([("n", all), ("images", n)]);
    call.read(indices).write(draws).over(all);
    draws
}

/// Crops, mirrors and rotates the bytes of the batch's `n` images of this size as `draws` says, and normalizes them. Returns
/// `[n * views, height, width, channels]`.
pub fn augment(t: &mut Tape, n: u32, image: Image, draws: Tensor, augment: Augment, normalize: Normalize) -> Tensor {
    let Image { channels, height, width } = image;
    let bytes = (u64::from(n) * image.bytes() as u64).next_multiple_of(4);
    let images = t.buffer(BufferKind::Input(Input::Samples), bytes);
    let all = n * augment.views();
    let x = t.tensor([all, height, width, channels]);
    t.no_gradient(x);
    let reflect = matches!(augment, Augment::Airbench | Augment::Views);
    let mut call = t.call("augment/apply").constant("REFLECT", reflect).constant("CHANNELS", channels);
    call = call.constant("HEIGHT", height).constant("WIDTH", width).sizes([("n", all), ("images", n)]);
    let [mean, scale] = [["mean_r", "mean_g", "mean_b"], ["scale_r", "scale_g", "scale_b"]];
    for colour in 0..3 {
        call = call.size(mean[colour], normalize.mean[colour] as f32);
        call = call.size(scale[colour], (1.0 / normalize.std[colour]) as f32);
    }
    call.read(images).read(draws).write(x).grid(all.div_ceil(64), width, height);
    if augment == Augment::None {
        let Normalize { mean, std } = normalize;
        t.note(None::<Tensor>, [Op::Images { channels, mean, std }], x);
    }
    x
}

/// Test-time augmentation: from the logits `[6 n, 1, 1, classes]` of [`Augment::Views`], the weighted mean over the
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
