//! Which data are used, and what is done to them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::values;
use crate::{data::TokensBy, host::data::Wanted, ops::Augment, training::Normalization};

/// Where the samples come from.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Data")]
pub struct DataFlags {
    /// The images: CIFAR-10 or CIFAR-100 in binary form (a folder or an archive), IDX files of MNIST and its relatives, or a folder
    /// of pictures with a folder for each class; or the text: a file, a folder with train.txt and valid.txt or WikiText's files, or
    /// files of tokens as nanoGPT and llm.c write them; which it is, is recognized [default: looked for in data/]
    #[arg(long, value_name = "DIR|FILE")]
    pub data: Option<PathBuf>,
    /// cifar10, cifar100, cifar100-coarse, mnist, fashion-mnist, kmnist, emnist, folder (of pictures), text, tokens (in files), or
    /// what needs no download: shapes10 (drawn shapes), digits28 (drawn digits), grammar (text of known entropy) [default: what --data holds; without it cifar10 if it is there]
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Side of the squares that pictures in folders are brought to: the shorter side is resized to 256/224 of it, and the centre
    /// cut out [default: the size that the weights were trained on, or 224]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<u32>,
    /// What text is cut into [default: as the weights, or char]
    #[arg(long, value_enum, ignore_case = true)]
    pub tokens: Option<TokensFlag>,
}

impl DataFlags {
    /// The set that these flags ask for; `seed` is that of drawn images and text.
    pub fn wanted(&self, seed: u64) -> Wanted<'_> {
        let (name, path) = (self.dataset.as_deref(), self.data.as_deref());
        let tokens = self.tokens.map(TokensBy::from);
        Wanted { name, path, image_size: self.image_size, tokens, seed, ..Wanted::default() }
    }
}

/// What text is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokensFlag {
    /// Characters; the vocabulary is sorted by code point
    Char,
    /// Bytes, of any file
    Byte,
    /// Words between white space, with <eos> at the end of each line; at most 65,536 different ones
    Word,
}

impl From<TokensFlag> for TokensBy {
    fn from(flag: TokensFlag) -> Self {
        match flag {
            TokensFlag::Char => Self::Char,
            TokensFlag::Byte => Self::Byte,
            TokensFlag::Word => Self::Word,
        }
    }
}

/// What is done to training images, and their order.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Data")]
pub struct ImageFlags {
    /// What is done to training images: a list, separated by commas, of crop:PIXELS[:zero|reflect] (a crop out of padding),
    /// resized-crop[:LEAST] (torchvision's, of at least this share of the area, 0.08 by default), flip[:alternating] (mirrored
    /// half of the time, or every other epoch), rotate:DEGREES (up to so many either way),
    /// jitter:BRIGHTNESS[:CONTRAST[:SATURATION[:HUE]]] (torchvision's ColorJitter with these strengths) and erase:PROBABILITY (a
    /// rectangle set to zero). Whatever their order in the list, steps are taken in this one, with the normalization before the
    /// erasing. Lists with a name are paper (crop:4,flip,rotate:15), airbench (crop:2:reflect,flip:alternating), imagenet
    /// (resized-crop,flip) and none [default: paper]
    #[arg(long, value_name = "LIST|paper|airbench|imagenet|none", value_parser = values::parsed::<Augment>)]
    #[serde(with = "values::text")]
    pub augment: Option<Augment>,
    /// What images are normalized by: half (to -1..1), dataset (mean and standard deviation of the training images), imagenet
    /// (torchvision's numbers), or means and deviations on a scale of 0 to 1 [default: that of --init's weights, otherwise the
    /// model's: half for resnet18, CIFAR-10's numbers for airbench94]
    #[arg(long, value_name = "half|dataset|imagenet|M,M,M/S,S,S", value_parser = values::parsed::<Normalization>)]
    #[serde(with = "values::text")]
    pub normalize: Option<Normalization>,
    /// Random order, or that of the files [default: on; for a network that carries its state off]
    #[arg(long, value_name = "on|off", value_parser = values::switch, action = clap::ArgAction::Set, hide_short_help = true)]
    #[serde(with = "values::on_off")]
    pub shuffle: Option<bool>,
    /// Seed of what is drawn (shapes10, digits28, grammar), and of which samples --val-split holds out [default: --seed; in experiments 0]
    #[arg(long, value_name = "N", hide_short_help = true)]
    #[serde(with = "values::whole")]
    pub data_seed: Option<u64>,
}

impl ImageFlags {
    pub fn defaults() -> Self {
        Self { augment: Some(Augment::PAPER), ..Self::default() }
    }
}
