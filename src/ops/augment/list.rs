//! What is done to images before the network sees them: a list of steps, and its text.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Jitter, VIEWS};
use crate::{
    data::Image,
    error::{Error, Result, suggest},
};

/// What is done to images: steps, each of which may be there once. They are taken in the order of the fields, with the
/// normalization before the erasing, whatever their order in the text.
///
/// As text it is a list such as `crop:4,flip`, or one of the names `none`, `paper`, `airbench` and `imagenet`; a name may also
/// stand in a list, for its steps.
///
/// ```
/// use velograd::ops::{Augment, Crop, Flip, Padding};
/// let list: Augment = "flip,crop:4".parse().unwrap();
/// assert_eq!(list.crop, Some(Crop::Padded { pixels: 4, padding: Padding::Zero }));
/// assert_eq!((list.flip, list.to_string().as_str()), (Some(Flip::Random), "crop:4,flip"));
/// assert_eq!("rotate:15,crop:4,flip".parse::<Augment>().unwrap().to_string(), "paper");
/// assert_eq!("erase:0.25,imagenet".parse::<Augment>().unwrap().to_string(), "resized-crop,flip,erase:0.25");
/// assert!("crop:4,resized-crop".parse::<Augment>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Augment {
    /// Which part of an image is taken.
    pub crop: Option<Crop>,
    /// Which images are mirrored left to right.
    pub flip: Option<Flip>,
    /// Rotation about the centre by up to so many degrees either way, drawn uniformly; the nearest pixel is taken, and what lies
    /// outside of the image is black: torchvision's `RandomRotation` on PIL images.
    pub rotate: Option<f64>,
    /// What is done to the colours.
    pub jitter: Option<Jitter>,
    /// The probability with which a rectangle is set to zero after the normalization: torchvision's `RandomErasing` with its
    /// default scale, 0.02 to 0.33, and ratio, 0.3 to 3.3 (Zhong et al. 2017, arXiv 1708.04896).
    pub erase: Option<f64>,
    /// For evaluation, in place of the steps: the six views of [`average_views`](super::average_views), one after the other along
    /// the batch. It is asked for by `tta`, and has no text that could be read.
    pub views: bool,
}

/// Which part of an image is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Crop {
    /// A part of the image's size, out of the image with padding on each side: torchvision's `RandomCrop(size, padding)`.
    Padded {
        /// Pixels of padding on each side.
        pixels: u32,
        /// What they hold.
        padding: Padding,
    },
    /// A rectangle of a random area and shape, brought to the image's size by bilinear interpolation: torchvision's
    /// `RandomResizedCrop` with a ratio of 3/4 to 4/3 (Szegedy et al. 2014, arXiv 1409.4842).
    Resized {
        /// The smallest area, as a share of the image's; the largest is the whole image.
        least: f64,
    },
}

/// What padding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Black.
    Zero,
    /// The image, mirrored about its outermost pixels, which are not repeated: PyTorch's `reflect`.
    Reflect,
}

/// Which images are mirrored left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flip {
    /// Each with probability 1/2: torchvision's `RandomHorizontalFlip`.
    Random,
    /// Half of them in the first epoch, and from one epoch to the next the others (Jordan 2024, arXiv 2404.00498, 3.6).
    Alternating,
}

/// The smallest share of an image that a resized crop takes by default, as in torchvision.
const LEAST: f64 = 0.08;

/// Ranges of numbers in a list.
const PIXELS: RangeInclusive<u32> = 1..=1024;
const MOST_DEGREES: f64 = 180.0;

/// How each step is written.
const STEPS: [(&str, &str); 6] = [
    ("crop", "crop:PIXELS[:zero|reflect]"),
    ("resized-crop", "resized-crop[:LEAST]"),
    ("flip", "flip[:alternating]"),
    ("rotate", "rotate:DEGREES"),
    ("jitter", Jitter::FORM),
    ("erase", "erase:PROBABILITY"),
];

/// Lists that have a name.
const NAMES: [(&str, Augment); 4] = [
    ("none", Augment::NONE),
    ("paper", Augment::PAPER),
    ("airbench", Augment::AIRBENCH),
    ("imagenet", Augment::IMAGENET),
];

impl Augment {
    /// Nothing.
    pub const NONE: Self = Self { crop: None, flip: None, rotate: None, jitter: None, erase: None, views: false };

    /// A crop out of four black pixels of padding, a mirror image half of the time, a rotation of up to 15 degrees: the
    /// VeloGrad paper's.
    pub const PAPER: Self = Self {
        crop: Some(Crop::Padded { pixels: 4, padding: Padding::Zero }),
        flip: Some(Flip::Random),
        rotate: Some(15.0),
        ..Self::NONE
    };

    /// A shift of up to two pixels each way with reflect padding, and alternating flip: airbench's (Jordan 2024).
    pub const AIRBENCH: Self = Self {
        crop: Some(Crop::Padded { pixels: 2, padding: Padding::Reflect }),
        flip: Some(Flip::Alternating),
        ..Self::NONE
    };

    /// A resized crop and a mirror image half of the time: torchvision's usual training on ImageNet.
    pub const IMAGENET: Self =
        Self { crop: Some(Crop::Resized { least: LEAST }), flip: Some(Flip::Random), ..Self::NONE };

    /// For evaluation: the six views of [`average_views`](super::average_views).
    pub const VIEWS: Self = Self { views: true, ..Self::NONE };

    /// How many images each image becomes.
    pub fn views(&self) -> u32 {
        if self.views { VIEWS } else { 1 }
    }

    /// Refuses what images of this size cannot be given, and numbers out of their range.
    ///
    /// # Errors
    /// [`Error::Config`] if reflect padding is as wide as the image, which then has no pixels to mirror; as the text's.
    pub fn check(&self, image: Image) -> Result<()> {
        let read: Self = if self.views { *self } else { self.to_string().parse()? };
        debug_assert!(read == *self, "{self:?} is read as {read:?}");
        let shorter = image.height.min(image.width);
        match self.crop {
            Some(Crop::Padded { pixels, padding: Padding::Reflect }) if pixels >= shorter => {
                let message = format!("'augment' {self}: images of {image} cannot be mirrored over {pixels} pixels");
                Err(Error::about("augment", message, format!("reflect padding is at most {}", shorter - 1)))
            }
            _ => Ok(()),
        }
    }

    /// Adds the step that this word of a list states.
    fn add(&mut self, word: &str) -> Result<()> {
        if let Some((_, named)) = NAMES.iter().find(|(name, _)| *name == word) {
            let steps = named.steps();
            if steps.is_empty() {
                let hint = "give steps or `none`";
                return Err(Error::about(
                    "augment",
                    format!("`{word}` stands for no steps, and there are others"),
                    hint,
                ));
            }
            return steps.iter().try_for_each(|step| self.add(step));
        }
        let (name, values) = word.split_once(':').map_or((word, None), |(name, values)| (name, Some(values)));
        let values: Vec<&str> = values.map(|values| values.split(':').collect()).unwrap_or_default();
        let wrong = |why: &str| wrong(name, word, why);
        let above_zero = |text: &str, most: f64, why: &str| {
            text.parse().ok().filter(|&v: &f64| v > 0.0 && v <= most).ok_or_else(|| wrong(why))
        };
        match (name, &values[..]) {
            ("crop", [pixels, padding @ ..]) => {
                let padding = match padding {
                    [] | ["zero"] => Padding::Zero,
                    ["reflect"] => Padding::Reflect,
                    _ => return Err(wrong("the padding is zero or reflect")),
                };
                let pixels = pixels.parse().ok().filter(|pixels| PIXELS.contains(pixels));
                let pixels = pixels.ok_or_else(|| wrong("PIXELS is a whole number from 1 to 1024"))?;
                once(&mut self.crop, Crop::Padded { pixels, padding }, word)
            }
            ("resized-crop", values) => {
                let least = match values {
                    [] => LEAST,
                    [least] => above_zero(least, 1.0, "LEAST, a share of the image's area, is above 0 and at most 1")?,
                    _ => return Err(wrong("there is one number")),
                };
                once(&mut self.crop, Crop::Resized { least }, word)
            }
            ("flip", []) => once(&mut self.flip, Flip::Random, word),
            ("flip", ["alternating"]) => once(&mut self.flip, Flip::Alternating, word),
            ("flip", _) => Err(wrong("what may follow is `alternating`")),
            ("rotate", [degrees]) => {
                let degrees = above_zero(degrees, MOST_DEGREES, "DEGREES is above 0 and at most 180")?;
                once(&mut self.rotate, degrees, word)
            }
            ("jitter", strengths) => once(&mut self.jitter, Jitter::read(strengths).map_err(wrong)?, word),
            ("erase", [probability]) => {
                let probability = above_zero(probability, 1.0, "PROBABILITY is above 0 and at most 1")?;
                once(&mut self.erase, probability, word)
            }
            (name, _) if STEPS.iter().any(|(step, _)| *step == name) => Err(wrong("there are other numbers")),
            (name, _) => {
                let known = STEPS.iter().map(|(name, _)| *name).chain(NAMES.iter().map(|(name, _)| *name));
                let meant =
                    suggest::nearest(name, known).map_or(String::new(), |near| format!("did you mean `{near}`? "));
                let message = format!("`{word}` is no step of an augmentation");
                Err(Error::about("augment", message, format!("{meant}{}", allowed())))
            }
        }
    }

    /// The words of its steps, in their order.
    fn steps(&self) -> Vec<String> {
        let crop = self.crop.map(|crop| match crop {
            Crop::Padded { pixels, padding: Padding::Zero } => format!("crop:{pixels}"),
            Crop::Padded { pixels, padding: Padding::Reflect } => format!("crop:{pixels}:reflect"),
            Crop::Resized { least: LEAST } => "resized-crop".to_owned(),
            Crop::Resized { least } => format!("resized-crop:{least}"),
        });
        let flip = self.flip.map(|flip| match flip {
            Flip::Random => "flip".to_owned(),
            Flip::Alternating => "flip:alternating".to_owned(),
        });
        let rotate = self.rotate.map(|degrees| format!("rotate:{degrees}"));
        let erase = self.erase.map(|probability| format!("erase:{probability}"));
        let jitter = self.jitter.map(|jitter| jitter.to_string());
        [crop, flip, rotate, jitter, erase].into_iter().flatten().collect()
    }
}

/// Sets a step that must not be there yet.
fn once<T>(step: &mut Option<T>, value: T, word: &str) -> Result<()> {
    if step.replace(value).is_none() {
        return Ok(());
    }
    let message = format!("`{word}` is one step too many");
    Err(Error::about("augment", message, "each step may be there once, and `crop` and `resized-crop` are one step"))
}

/// The error for a word that names a step.
fn wrong(name: &str, word: &str, why: &str) -> Error {
    let form = STEPS.iter().find(|(step, _)| *step == name).map_or(name, |(_, form)| form);
    Error::about("augment", format!("`{word}` is no step of the form {form}"), why)
}

/// Everything that a list may have.
fn allowed() -> String {
    let [steps, names] = [STEPS.map(|(_, form)| form).join(", "), NAMES.map(|(name, _)| name).join(", ")];
    format!("a list, separated by commas, has {steps}; lists with a name are {names}")
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.views {
            return f.write_str("views");
        }
        match NAMES.iter().find(|(_, list)| list == self) {
            Some((name, _)) => f.write_str(name),
            None => f.write_str(&self.steps().join(",")),
        }
    }
}

impl FromStr for Augment {
    type Err = Error;

    /// Reads a list or a name, in any case.
    fn from_str(text: &str) -> Result<Self> {
        let lower = text.trim().to_lowercase();
        if lower == "none" {
            return Ok(Self::NONE);
        }
        if lower.is_empty() {
            return Err(Error::about("augment", "the list of an augmentation is empty", allowed()));
        }
        let mut list = Self::NONE;
        lower.split(',').try_for_each(|word| list.add(word.trim()))?;
        Ok(list)
    }
}

impl TryFrom<String> for Augment {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Augment> for String {
    fn from(augment: Augment) -> Self {
        augment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Augment {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Each text is printed in the one form that says the same, and that form is read back as the same list.
    #[test]
    fn a_list_has_one_form() {
        let pairs = [
            ("none", "none"),
            ("Paper", "paper"),
            ("crop:4:zero,flip,rotate:15.0", "paper"),
            ("AIRBENCH", "airbench"),
            ("flip:alternating,crop:2:reflect", "airbench"),
            ("crop:2:reflect,flip", "crop:2:reflect,flip"),
            ("flip,resized-crop", "imagenet"),
            ("resized-crop:0.08", "resized-crop"),
            ("resized-crop:1", "resized-crop:1"),
            (" erase:0.25 , rotate:7.50,flip ", "flip,rotate:7.5,erase:0.25"),
            ("erase:1,imagenet", "resized-crop,flip,erase:1"),
            ("rotate:1e-3", "rotate:0.001"),
            ("erase:0.5,jitter:0.40:0.4:0:0.0,flip", "flip,jitter:0.4:0.4,erase:0.5"),
            ("jitter:0:0:0:.5", "jitter:0:0:0:0.5"),
        ];
        for (text, form) in pairs {
            let list = read(text);
            assert_eq!(list.to_string(), form, "{text}");
            assert_eq!(read(form), list, "{text}");
            assert_eq!(serde_json::from_str::<Augment>(&serde_json::to_string(&list).unwrap()).unwrap(), list);
        }
    }

    /// What the two lists of earlier versions and torchvision's stand for.
    #[test]
    fn names_are_lists() {
        assert_eq!(Augment::PAPER.steps(), ["crop:4", "flip", "rotate:15"]);
        assert_eq!(Augment::AIRBENCH.steps(), ["crop:2:reflect", "flip:alternating"]);
        assert_eq!(Augment::IMAGENET.steps(), ["resized-crop", "flip"]);
        assert!(Augment::NONE.steps().is_empty());
    }

    #[test]
    fn a_wrong_list_is_refused() {
        let cases: [(&str, &[&str]); 34] = [
            ("", &["is empty", "crop:PIXELS[:zero|reflect], resized-crop[:LEAST]", "none, paper, airbench, imagenet"]),
            (",", &["`` is no step", "a list, separated by commas, has crop:PIXELS"]),
            ("flip,", &["`` is no step"]),
            ("blur:3", &["`blur:3` is no step of an augmentation", "erase:PROBABILITY; lists with a name"]),
            ("flop", &["`flop` is no step", "did you mean `flip`?"]),
            ("papier", &["did you mean `paper`?"]),
            ("views", &["`views` is no step"]),
            ("crop", &["`crop` is no step of the form crop:PIXELS[:zero|reflect]"]),
            ("crop:0", &["PIXELS is a whole number from 1 to 1024"]),
            ("crop:1025", &["PIXELS is a whole number from 1 to 1024"]),
            ("crop:-4", &["PIXELS is a whole number"]),
            ("crop:4.5", &["PIXELS is a whole number"]),
            ("crop:99999999999", &["PIXELS is a whole number"]),
            ("crop:4:mirror", &["the padding is zero or reflect"]),
            ("crop:4:zero:zero", &["the padding is zero or reflect"]),
            ("resized-crop:0", &["above 0 and at most 1"]),
            ("resized-crop:1.1", &["above 0 and at most 1"]),
            (
                "resized-crop:0.1:0.9",
                &["`resized-crop:0.1:0.9` is no step of the form resized-crop[:LEAST]", "one number"],
            ),
            ("flip:0.5", &["what may follow is `alternating`"]),
            ("rotate", &["no step of the form rotate:DEGREES", "there are other numbers"]),
            ("rotate:0", &["DEGREES is above 0 and at most 180"]),
            ("rotate:181", &["DEGREES is above 0 and at most 180"]),
            ("rotate:nan", &["DEGREES is above 0 and at most 180"]),
            ("jitter", &["no step of the form jitter:BRIGHTNESS[:CONTRAST[:SATURATION[:HUE]]]", "at most four"]),
            ("jitter:0:0", &["at least one strength is above 0"]),
            ("jitter:-0.1", &["BRIGHTNESS is from 0 to 10"]),
            ("jitter:1:1:1:0.6", &["HUE is from 0 to 0.5"]),
            ("jitter:1:1:1:0.1:1", &["at most four"]),
            ("erase:0", &["PROBABILITY is above 0 and at most 1"]),
            ("erase:2", &["PROBABILITY is above 0 and at most 1"]),
            ("flip,flip", &["`flip` is one step too many", "each step may be there once"]),
            ("crop:4,resized-crop", &["`resized-crop` is one step too many", "are one step"]),
            ("paper,flip", &["`flip` is one step too many"]),
            ("none,flip", &["`none` stands for no steps"]),
        ];
        for (text, parts) in cases {
            let said = text.parse::<Augment>().expect_err(text).to_string();
            parts.iter().for_each(|part| assert!(said.contains(part), "{text}: {said}"));
        }
    }

    /// Reflect padding needs as many pixels to mirror, and one.
    #[test]
    fn padding_fits_the_image() {
        let image = Image { channels: 1, height: 9, width: 5 };
        assert!(read("crop:4:reflect").check(image).is_ok() && read("crop:40").check(image).is_ok());
        let said = read("crop:5:reflect").check(image).unwrap_err().to_string();
        assert!(said.contains("'augment' crop:5:reflect") && said.contains("at most 4"), "{said}");
        assert!(Augment { rotate: Some(f64::NAN), ..Augment::NONE }.check(image).is_err());
        assert!(Augment::VIEWS.check(image).is_ok());
    }
}
