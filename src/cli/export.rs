//! `velograd export`: writes a trained network in a format that other programs run.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    flags::values,
    normalization::{stated, without_images},
    of_run::WeightsFlags,
    print::{remark, say},
};
use crate::{
    error::{Error, Result},
    host::{
        huggingface,
        onnx::{self, Export, Input, OPSET, proto::ValueInfoProto},
        pretrained::{Head, Pretrained},
    },
    training::Normalization,
};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    weights: WeightsFlags,
    #[command(flatten)]
    format: Format,
    /// Leave normalization to the caller: `images` are normalized already. The file's metadata have the numbers
    #[arg(long, conflicts_with = "huggingface", help_heading = "Output")]
    normalized_input: bool,
    /// What images are normalized by: half (to -1..1), imagenet (torchvision's numbers), or means and deviations on a scale of 0 to
    /// 1 [default: as the weights were trained, if the file says so, else the model's]
    #[arg(long, conflicts_with = "huggingface", value_name = "half|imagenet|M,M,M/S,S,S", value_parser = values::parsed::<Normalization>, help_heading = "Data")]
    normalize: Option<Normalization>,
}

/// What is written.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Format {
    /// The file: an ONNX model that takes `images`, f32 of shape [batch, channels, rows, columns] with values from 0 to 1, or `tokens`,
    /// i64 of shape [batch, block], and returns `logits`. One that exists is replaced
    #[arg(long, value_name = "FILE.onnx", help_heading = "Output")]
    onnx: Option<PathBuf>,
    /// A new folder: the network of `gpt` or `bert` as Hugging Face's transformers has it, model.safetensors and config.json, which
    /// from_pretrained of GPT2LMHeadModel or BertForMaskedLM loads
    #[arg(long, value_name = "FOLDER", help_heading = "Output")]
    huggingface: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.format {
        Format { huggingface: Some(folder), .. } => arguments.huggingface(folder),
        Format { onnx, .. } => arguments.onnx(onnx.as_ref().expect("clap asks for one of them")),
    }
}

impl Arguments {
    fn onnx(&self, file: &Path) -> Result<()> {
        // A mistyped name shall not replace a file of weights.
        if file.extension().is_none_or(|extension| extension != "onnx") {
            return Err(Error::about("onnx", format!("'onnx' {}", file.display()), "the file's name ends in .onnx"));
        }
        let (of_run, path, weights) = self.weights.open()?;
        let of_images = weights.config.input.image().is_some();
        if !of_images && (self.normalized_input || self.normalize.is_some()) {
            let asked = if self.normalized_input { "normalized_input" } else { "normalize" };
            let message =
                format!("'{asked}' is about images, and {} takes {}", weights.model.name, weights.model.takes);
            return Err(Error::about(asked, message, format!("leave '{asked}' out")));
        }
        let (normalize, origin) = without_images(self.normalize, &weights)?;
        let input = if self.normalized_input { Input::Normalized } else { Input::Images };
        let Pretrained { model, config, provenance, .. } = &weights;
        let export = Export { model, config: config.clone(), normalize, input, provenance: provenance.as_ref() };
        let network = export.to_onnx(|layout| weights.weights(layout, Head::Load, 0))?;
        if of_images {
            stated(normalize, origin, Some(&weights)).iter().for_each(|line| remark(line));
        }
        onnx::save(&network, file)?;
        if of_run.is_some_and(|run| run.tta) {
            remark("the run was validated with six views of each image; the file's network sees one");
        }
        say!("{}: {}, of {}", file.display(), model.words(model.name, config), path.display());
        let range = match of_images {
            true if self.normalized_input => ", normalized",
            true => ", 0 to 1",
            false => "",
        };
        let graph = network.graph.unwrap_or_default();
        let shapes = |values: &[ValueInfoProto]| {
            let shape = |value: &ValueInfoProto| format!("{} [{}]", value.name(), value.dims().join(", "));
            values.iter().map(shape).collect::<Vec<_>>().join(", ")
        };
        say!("ONNX, opset {OPSET}: {}{range} -> {}", shapes(&graph.input), shapes(&graph.output));
        Ok(())
    }

    fn huggingface(&self, folder: &Path) -> Result<()> {
        let (_, path, weights) = self.weights.open()?;
        let Pretrained { model, config, .. } = &weights;
        huggingface::save(folder, model, config, |layout| weights.weights(layout, Head::Load, 0))?;
        say!("{}: {}, of {}", folder.display(), model.words(model.name, config), path.display());
        let class = huggingface::class(model).expect("it was written");
        say!("transformers: model.safetensors and config.json, for {class}.from_pretrained");
        Ok(())
    }
}
