//! `velograd predict`: what a trained network says of pictures, or how it continues a text.

mod images;
mod text;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{
    flags::{device::DeviceFlags, values},
    of_run::{self, ModelSet},
};
use crate::{
    error::{Error, Result},
    models::Takes,
    training::Normalization,
};

#[derive(Args)]
#[command(
    override_usage = "velograd predict [OPTIONS] RUN IMAGE...\n       velograd predict [OPTIONS] RUN --prompt TEXT"
)]
pub(super) struct Arguments {
    /// The folder of a run (or one with several, or `latest`, or a checkpoint): its last weights; or a file of weights. With
    /// --weights it is the first image
    #[arg(value_name = "RUN", required_unless_present = "weights")]
    run: Option<PathBuf>,
    /// Pictures (PNG, JPEG, WebP, BMP), and folders, in which every picture is taken
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Take RUN's checkpoint with the best accuracy on validation, of text the least loss, instead of its last weights
    #[arg(long)]
    best: bool,
    /// A file of weights, or a run as RUN names it; all that is named without a flag are then images
    #[arg(long, value_name = "FILE.safetensors|RUN", help_heading = "Network")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    told: ModelSet,
    #[command(flatten)]
    of_images: OfImages,
    #[command(flatten)]
    of_text: OfText,
    #[command(flatten)]
    device: DeviceFlags,
    /// One JSON object on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Flags that have a meaning for images alone.
#[derive(Args)]
#[command(next_help_heading = "Images")]
struct OfImages {
    /// How many of the likeliest classes are shown [default: 5]
    #[arg(long, value_name = "N", conflicts_with = "csv")]
    top: Option<usize>,
    /// Write a table in place of showing one: for each image its file, the likeliest class, its probability, and the probabilities
    /// of all classes. Cells of a picture that cannot be read are empty. A file that exists is replaced
    #[arg(long, value_name = "FILE.csv", conflicts_with = "json")]
    csv: Option<PathBuf>,
    /// Side of the squares that pictures are brought to: the shorter side is resized to 256/224 of it, and the centre cut out
    /// [default: the size that the weights were trained on, or 224]
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<u32>,
    /// What images are normalized by: half (to -1..1), imagenet (torchvision's numbers), or means and deviations on a scale of 0 to
    /// 1 [default: as the weights were trained, if the file says so, else the model's]
    #[arg(long, value_name = "half|imagenet|M,M,M/S,S,S", value_parser = values::parsed::<Normalization>)]
    normalize: Option<Normalization>,
    /// Test-time augmentation: the weighted mean of the logits of six views of each image [default: as RUN was validated]
    #[arg(long)]
    tta: bool,
}

/// Flags that have a meaning for language models alone.
#[derive(Args)]
#[command(next_help_heading = "Text")]
struct OfText {
    /// The text that is continued; an empty one begins behind a line end [default: empty]
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_file", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// A file with the text that is continued; - is standard input
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// How many tokens are drawn [default: 200]
    #[arg(long, value_name = "N")]
    length: Option<u64>,
    /// What logits are divided by: below 1 likely tokens become likelier; at 0 the likeliest is always taken [default: 1]
    #[arg(long, value_name = "T", value_parser = values::number, allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Draw from the K likeliest tokens alone [default: all]
    #[arg(long, value_name = "K")]
    top_k: Option<u32>,
    /// Seed of what is drawn; the same seed gives the same text on the same device [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl OfImages {
    /// The flag of these that is given.
    fn given(&self) -> Option<&'static str> {
        let Self { top, csv, image_size, normalize, tta } = self;
        let all = [
            ("top", top.is_some()),
            ("csv", csv.is_some()),
            ("image_size", image_size.is_some()),
            ("normalize", normalize.is_some()),
            ("tta", *tta),
        ];
        first(&all)
    }
}

impl OfText {
    /// The flag of these that is given.
    fn given(&self) -> Option<&'static str> {
        let Self { prompt, prompt_file, length, temperature, top_k, seed } = self;
        let all = [
            ("prompt", prompt.is_some()),
            ("prompt_file", prompt_file.is_some()),
            ("length", length.is_some()),
            ("temperature", temperature.is_some()),
            ("top_k", top_k.is_some()),
            ("seed", seed.is_some()),
        ];
        first(&all)
    }
}

fn first(all: &[(&'static str, bool)]) -> Option<&'static str> {
    all.iter().find(|(_, given)| *given).map(|(name, _)| *name)
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    // Beside --weights, what comes first is an image too.
    let (named, first_image) = match (&arguments.weights, &arguments.run) {
        (Some(weights), first) => (weights, first.as_ref()),
        (None, run) => (run.as_ref().expect("clap asks for one of them"), None),
    };
    let images: Vec<PathBuf> = first_image.into_iter().chain(&arguments.images).cloned().collect();
    let (of_run, path, weights) = of_run::open(named, arguments.best, arguments.weights.is_some(), &arguments.told)?;
    let name = weights.model.name;
    match weights.model.takes {
        Takes::Images => {
            if let Some(flag) = arguments.of_text.given() {
                let message = format!("'{flag}' is for language models, and {name} takes images");
                return Err(Error::about(flag, message, "name pictures, or folders with some, behind the run"));
            }
            if images.is_empty() {
                let hint = "name pictures, or folders with some, behind the run";
                return Err(Error::config(format!("there is no image to predict, and {name} takes images"), hint));
            }
            images::run(arguments, &images, &path, of_run.is_some_and(|run| run.tta), &weights)
        }
        Takes::Tokens if weights.model.masked => {
            let message = format!("{name} fills in hidden tokens, and neither continues text nor classifies images");
            let hint = "`velograd eval` says how well it does; `velograd export` writes a graph of its logits";
            Err(match arguments.of_text.given() {
                Some(flag) => Error::about(flag, message, hint),
                None => Error::config(message, hint),
            })
        }
        Takes::Tokens => {
            let hint = "'prompt' says how the text begins";
            if let Some(image) = images.first() {
                let message = format!("{} is no use to {name}, which continues text", image.display());
                return Err(Error::config(message, hint));
            }
            if let Some(flag) = arguments.of_images.given() {
                let message = format!("'{flag}' is for images, and {name} continues text");
                return Err(Error::about(flag, message, hint));
            }
            text::run(arguments, &path, &weights)
        }
    }
}
