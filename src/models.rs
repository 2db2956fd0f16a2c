//! Networks: one function each, from a tensor of images to a tensor of logits.

pub mod resnet;

use crate::{
    error::{Error, Result},
    suggest,
    tape::{Tape, Tensor},
};

/// What the first layers of a network look like.
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
    /// Records it.
    pub record: fn(&mut Tape, Tensor, Config) -> Tensor,
}

/// Every model.
pub static ALL: &[Model] = &[Model { name: "resnet18", record: resnet::resnet18 }];

/// The model of a name.
///
/// # Errors
/// [`Error::Config`] with the nearest name and the list.
pub fn find(name: &str) -> Result<&'static Model> {
    let names: Vec<_> = ALL.iter().map(|m| m.name).collect();
    ALL.iter()
        .find(|m| m.name == name)
        .ok_or_else(|| Error::config(format!("no model is called `{name}`"), suggest::hint(name, &names)))
}
