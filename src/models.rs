//! Networks: one function each, from a tensor of images to a tensor of logits.

pub mod airbench;
pub mod resnet;

use crate::{
    error::{Error, Result, suggest},
    ops::Normalize,
    program::{Tape, Tensor},
};

/// The first layers of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stem {
    /// 7x7 convolution of stride 2 and max-pool: torchvision's, made for images of 224 pixels.
    Imagenet,
    /// 3x3 convolution of stride 1: keeps a 32x32 map.
    Cifar,
}

impl Stem {
    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Imagenet => "imagenet",
            Self::Cifar => "cifar",
        }
    }
}

/// The size of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// First layers.
    pub stem: Stem,
    /// Channels of the first stage; torchvision's is 64.
    pub width: u32,
    /// Classes.
    pub classes: u32,
}

/// A network that can be trained.
pub struct Model {
    /// Its name on the command line.
    pub name: &'static str,
    /// Records the network: takes images and a size, returns logits.
    pub record: fn(&mut Tape, Tensor, Config) -> Tensor,
    /// What its images are normalized by, unless the user says otherwise.
    pub normalize: Normalize,
    /// Whether there is a choice of [`Stem`].
    pub stems: bool,
    /// The names of its first and last weight, by which a file of weights is recognized.
    pub known_by: [&'static str; 2],
    /// The size of the network from the shapes of these two weights; `None` if they do not fit it.
    pub config_of: fn(&[u32], &[u32]) -> Option<Config>,
    /// These shapes in words, for messages.
    pub shapes: &'static str,
    /// For a file whose first and last weights have the same names as this network's: which other network of the same
    /// family it belongs to, in words. `None` if it is this network's, or of another family. The argument gives the
    /// shape of a tensor by its name.
    pub relative: fn(&ShapeOf<'_>) -> Option<String>,
}

/// The shape of a file's tensor by its name, `None` if there is no such tensor.
pub type ShapeOf<'a> = dyn Fn(&str) -> Option<Vec<u32>> + 'a;

impl Model {
    /// A model that takes images normalized to -1 to 1, has no choice of [`Stem`], and whose files of weights are not
    /// recognized.
    pub const fn new(name: &'static str, record: fn(&mut Tape, Tensor, Config) -> Tensor) -> Self {
        Self {
            name,
            record,
            normalize: Normalize::HALF,
            stems: false,
            known_by: [""; 2],
            config_of: |_, _| None,
            shapes: "",
            relative: |_| None,
        }
    }

    /// The prefix of the names of its last layer's tensors: the head, which has a row for each class.
    pub fn head(&self) -> &'static str {
        self.known_by[1].trim_end_matches("weight")
    }

    /// The stem asked for, or else the model's default.
    ///
    /// # Errors
    /// [`Error::Config`] if a stem is asked for and the model has no choice of them.
    pub fn stem(&self, wanted: Option<Stem>) -> Result<Stem> {
        match wanted {
            Some(_) if !self.stems => {
                let message = format!("'stem': {} has no choice of first layers", self.name);
                Err(Error::about("stem", message, "drop 'stem', from the recipe too if it is there"))
            }
            Some(stem) => Ok(stem),
            None if self.stems => Ok(Stem::Imagenet),
            None => Ok(Stem::Cifar), // a network without a choice takes 32x32 images
        }
    }
}

/// Every model.
pub static ALL: &[Model] = &[resnet::MODEL, airbench::MODEL];

/// The model with this name.
///
/// # Errors
/// [`Error::Config`] with the nearest name and the list of all.
pub fn find(name: &str) -> Result<&'static Model> {
    let names: Vec<_> = ALL.iter().map(|m| m.name).collect();
    ALL.iter()
        .find(|m| m.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| Error::config(format!("no model is called `{name}`"), suggest::hint(name, &names)))
}

/// The most classes of a network whose weights are read from a file: a file with more is not one of ours, and would only take memory.
pub const MOST_CLASSES: u32 = 65_536;

/// Checks that a width is in the range that can be asked for.
///
/// # Errors
/// [`Error::Config`] with the range.
pub fn check_width(width: u32) -> Result<()> {
    match width {
        1..=1024 => Ok(()),
        _ => Err(Error::setting("width", width, "from 1 to 1024; the published network has 64")),
    }
}
