//! `velograd eval`

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{
    DataFlags, json_line,
    normalization::{choose, normalization},
    open_device,
    print::{remark, say},
};
use crate::{
    data::Split,
    error::{Error, Result, suggest::shell_word},
    host::{
        data as host_data,
        data::Opened,
        loader::ReadAhead,
        pretrained::{Head, Pretrained},
    },
    models,
    ops::Normalize,
    training::{
        Normalization,
        evaluate::{Evaluation, evaluate, evaluator},
        network::Recipe,
    },
};
use pollster::block_on;

/// Images of a batch; the numbers do not depend on it.
const BATCH: u32 = 128;

#[derive(Args)]
pub(super) struct Arguments {
    /// What `train` wrote, checkpoints included, or torchvision's state dict as safetensors; stem, width and classes come from
    /// there
    #[arg(long, value_name = "FILE.safetensors")]
    weights: PathBuf,
    #[command(flatten)]
    data: DataFlags,
    /// The network [default: the one that the weights are of]
    #[arg(long)]
    model: Option<String>,
    /// What images are normalized by: half (to -1..1), dataset (mean and standard deviation of the training images), imagenet
    /// (torchvision's numbers), or means and deviations on a scale of 0 to 1 [default: as the weights were trained, if the file
    /// says so, else the model's]
    #[arg(long, value_name = "half|dataset|imagenet|M,M,M/S,S,S", value_parser = normalization)]
    normalize: Option<Normalization>,
    /// Test-time augmentation: the weighted mean of the logits of six views of each image, as it is, a pixel up and left and a
    /// pixel down and right, each also mirrored
    #[arg(long)]
    tta: bool,
    /// Of the images of shapes10 [default: those that the weights were trained on, if the file says so, else 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Adapter by index or part of its name
    #[arg(long, value_name = "NAME|INDEX")]
    device: Option<String>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    model: &'a str,
    dataset: &'a str,
    normalize: Normalize,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let wanted = arguments.model.as_deref().map(models::find).transpose()?;
    let weights = Pretrained::open(&arguments.weights)?;
    let (model, config) = (weights.model, weights.config);
    if let Some(wanted) = wanted.filter(|wanted| wanted.name != model.name) {
        let (expected, found) = (format!("weights of {}", wanted.name), format!("those of {}", model.name));
        return Err(Error::data(&arguments.weights, expected, found, format!("--model {}, or no --model", model.name)));
    }
    // With --json, standard output is the object alone.
    weights.remarks.iter().for_each(|line| remark(line));
    let Opened { dataset, notes, .. } = arguments.open(&weights)?;
    notes.iter().for_each(|note| remark(note));
    let spec = dataset.spec();
    if config.classes as usize != spec.classes.len() {
        let expected = format!("a network of {} classes, as {} has", spec.classes.len(), spec.name);
        let file = shell_word(&arguments.weights);
        let hint = format!("velograd train --init {file} --init-head skip trains a last layer for other classes");
        return Err(Error::data(&arguments.weights, expected, format!("{} classes", config.classes), hint));
    }
    if let Some(other) = weights.provenance.as_ref().and_then(|provenance| provenance.other_images(dataset.as_ref())) {
        remark(&other);
    }
    if dataset.len(Split::Test) == 0 {
        return Err(Error::config("the data set has no test images", "they are read from test_batch.bin"));
    }
    let (by, lines) = choose(arguments.normalize, Some(&weights), model, dataset.as_ref())?;
    lines.iter().for_each(|line| remark(line));
    let gpu = open_device(arguments.device.as_deref())?;
    let recipe = Recipe { tta: arguments.tta, normalize: Some(by), ..Recipe::default() };
    let load = |layout: &_| weights.weights(layout, Head::Load, 0);
    let mut network = block_on(evaluator(&gpu, dataset.as_ref(), (model, config), BATCH, recipe, load))?;
    let evaluation =
        block_on(evaluate(&mut network, &ReadAhead(dataset.clone()), BATCH))?.expect("there are test images");
    if arguments.json {
        json_line(&Report { evaluation: &evaluation, model: model.name, dataset: spec.name, normalize: by });
    } else {
        say!(
            "{}{}, width {}{}, on {} test images of {}, {}",
            model.name,
            if model.stems { format!(", {} stem", config.stem.name()) } else { String::new() },
            config.width,
            if arguments.tta { ", six views" } else { "" },
            dataset.len(Split::Test),
            spec.name,
            gpu.info.name
        );
        print(&evaluation, &spec.classes);
    }
    Ok(())
}

impl Arguments {
    /// The data set asked for, or where none is, the one that the weights say they were trained on.
    fn open(&self, weights: &Pretrained) -> Result<Opened> {
        let trained_on = weights.provenance.as_ref().map(|provenance| &provenance.dataset);
        let seed = self.seed.or(trained_on.and_then(|set| set.seed)).unwrap_or(0);
        let DataFlags { data, dataset } = &self.data;
        let known = trained_on.map(|set| set.name.as_str()).filter(|name| host_data::NAMES.contains(name));
        let name = dataset.as_deref().or(known.filter(|_| data.is_none()));
        host_data::open(name, data.as_deref(), seed)
    }
}

fn print(evaluation: &Evaluation, classes: &[String]) {
    let Evaluation { accuracy, loss, f1, precision, recall, confusion } = evaluation;
    say!("accuracy {accuracy:.2} %  loss {loss:.4}  F1 {f1:.4}  precision {precision:.4}  recall {recall:.4}");
    say!("\nconfusion matrix, a row per true class, a column per prediction:");
    let widest = classes.iter().map(String::len).max().unwrap_or(0);
    for (class, row) in classes.iter().zip(confusion) {
        let cells: String = row.iter().map(|count| format!("{count:>7}")).collect();
        say!("{class:>widest$} {cells}");
    }
}
