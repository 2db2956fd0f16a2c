//! `velograd eval`: evaluates weights on the test images.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{
    flags::{data::DataFlags, device::DeviceFlags, values},
    json_line, live,
    normalization::choose,
    of_run::WeightsFlags,
    open_device,
    print::{self, remark, say},
};
use crate::{
    data::{Input, Split, Vocabulary, vocabulary},
    error::{Error, Result, suggest::shell_word},
    host::{
        data::{self as host_data, Opened, Wanted},
        loader::ReadAhead,
        pretrained::{Head, Pretrained},
    },
    lab::{confusion, logits::LogitsFile},
    models,
    ops::Normalize,
    training::{
        Normalization,
        evaluate::{Each, Evaluation, Logits, TOP, evaluate_each, evaluator},
        metrics::{bits, perplexity},
        network::Recipe,
    },
};
use pollster::block_on;

/// The most classes of a confusion matrix that is printed.
const MOST_SHOWN: usize = 20;

/// The most images in a batch; the results do not depend on it.
const BATCH: u32 = 128;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    weights: WeightsFlags,
    #[command(flatten)]
    data: DataFlags,
    /// The network [default: the one that the weights are of]
    #[arg(long, value_name = "NAME", help_heading = "Network")]
    model: Option<String>,
    /// What images are normalized by: half (to -1..1), dataset (mean and standard deviation of the training images), imagenet
    /// (torchvision's numbers), or means and deviations on a scale of 0 to 1 [default: as the weights were trained, if the file
    /// says so, else the model's]
    #[arg(long, value_name = "half|dataset|imagenet|M,M,M/S,S,S", value_parser = values::parsed::<Normalization>, help_heading = "Data")]
    normalize: Option<Normalization>,
    /// Test-time augmentation: the weighted mean of the logits of six views of each image, as it is, a pixel up and left and a
    /// pixel down and right, each also mirrored [default: as RUN was validated]
    #[arg(long, help_heading = "Validation")]
    tta: bool,
    /// Seed of drawn images [default: that of RUN, or of what the weights say they were trained on, otherwise 0]
    #[arg(long, value_name = "N", help_heading = "Data")]
    seed: Option<u64>,
    #[command(flatten)]
    device: DeviceFlags,
    /// One JSON object on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Write the logits of every test image, in the order of the data set, and its label: a table, or the tensors `logits` and
    /// `labels`
    #[arg(long, value_name = "FILE.csv|FILE.safetensors", help_heading = "Output")]
    logits: Option<PathBuf>,
}

/// The object that `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    model: &'a str,
    dataset: &'a str,
    normalize: Option<Normalize>,
    /// The exponential of the loss, which only a language model has.
    #[serde(skip_serializing_if = "Option::is_none")]
    perplexity: Option<f64>,
    /// The loss in bits, which only a language model has.
    #[serde(skip_serializing_if = "Option::is_none")]
    bits_per_token: Option<f64>,
    /// The loss in bits per character, where a token is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    bits_per_character: Option<f64>,
    /// The loss in bits per byte, where a token is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    bits_per_byte: Option<f64>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let wanted = arguments.model.as_deref().map(models::find).transpose()?;
    let logits_file = arguments.logits.as_deref().map(LogitsFile::new).transpose()?;
    // With --json, standard output has the object alone; remarks go to standard error.
    let (of_run, path, weights) = arguments.weights.open()?;
    let of_run = of_run.as_ref();
    let model = weights.model;
    if let Some(wanted) = wanted.filter(|wanted| wanted.name != model.name) {
        let (expected, found) = (format!("weights of {}", wanted.name), format!("those of {}", model.name));
        return Err(Error::data(&path, expected, found, format!("'model' {}, or no 'model'", model.name)));
    }
    let vocabulary = weights.vocabulary();
    let elsewhere = arguments.data.data.is_some() || arguments.data.dataset.is_some();
    let Opened { dataset, notes, .. } = match of_run.filter(|_| !elsewhere) {
        Some(run) => {
            let seed = arguments.seed.unwrap_or(run.data_seed);
            let (length, vocabulary) = (weights.length(), vocabulary.as_ref());
            let (asked, own) = (arguments.data.wanted(seed), run.data.wanted(seed));
            let (tokens, image_size) = (asked.tokens.or(own.tokens), asked.image_size.or(own.image_size));
            host_data::open(Wanted { length, vocabulary, tokens, image_size, masked: model.masked, ..own })?
        }
        None => arguments.open(&weights, vocabulary.as_ref())?,
    };
    notes.iter().for_each(|note| remark(note));
    let spec = dataset.spec();
    if arguments.tta {
        spec.image()?;
    }
    let other = match of_run {
        Some(run) => run.other_images(dataset.as_ref()),
        None => weights.provenance.as_ref().and_then(|provenance| provenance.other_images(dataset.as_ref())),
    };
    if let (Some(run), Some(other), false) = (of_run, &other, elsewhere) {
        let hint = "say where its images are, or which others to use, with 'data'";
        return Err(Error::data(&run.folder, "the images of the run", other, hint));
    }
    let config = weights.config_on(spec.input)?;
    if config.classes as usize != spec.classes.len() {
        let expected = format!("a network of {} classes, as {} has", spec.classes.len(), spec.name);
        let file = shell_word(&path);
        let hint = format!("velograd train --init {file} --init-head skip trains a last layer for other classes");
        return Err(Error::data(&path, expected, format!("{} classes", config.classes), hint));
    }
    if let Some(other) = other {
        remark(&other);
    }
    if dataset.len(Split::Test) == 0 {
        let message = format!("the data set has no test {}", spec.input.unit());
        return Err(Error::config(message, "give a set that has some by 'data'"));
    }
    let (by, lines) = choose(arguments.normalize, Some(&weights), model, dataset.as_ref())?;
    lines.iter().for_each(|line| remark(line));
    let gpu = open_device(arguments.device.device.as_deref())?;
    let tta = arguments.tta || of_run.is_some_and(|run| run.tta);
    let recipe = Recipe { tta, normalize: by, ..Recipe::default() };
    let load = |layout: &_| weights.weights(layout, Head::Load, 0);
    let ready = || block_on(evaluator(&gpu, dataset.as_ref(), (model, &config), BATCH, recipe, load));
    let mut network = live::during("preparing the network", ready)?;
    let source = ReadAhead(dataset.clone());
    let mut progress = |done, total| live::show(format!("evaluating: {done} of {total} {}", spec.input.unit()));
    let mut logits = Logits::default();
    let mut each = |values: &[f32], targets: &[u32]| logits.add(values, targets);
    let each = logits_file.is_some().then_some::<Each<'_>>(&mut each);
    let evaluation = block_on(evaluate_each(&mut network, &source, &mut progress, each))?;
    let evaluation = evaluation.expect("there are test images");
    live::clear();
    if let Some(file) = logits_file {
        file.write(&logits, &spec.classes)?;
        remark(&format!(
            "wrote the logits of {} {} to {}",
            logits.targets.len(),
            spec.input.target_unit(),
            file.path().display()
        ));
    }
    if arguments.json {
        let of_tokens = spec.input.tokens().map(|_| evaluation.loss);
        let unit = vocabulary::unit(&spec.classes);
        let bits_per = |name: &str| of_tokens.filter(|_| unit == name).map(bits);
        json_line(&Report {
            evaluation: &evaluation,
            model: model.name,
            dataset: &spec.name,
            normalize: by,
            perplexity: of_tokens.map(perplexity),
            bits_per_token: of_tokens.map(bits),
            bits_per_character: bits_per("character"),
            bits_per_byte: bits_per("byte"),
        });
    } else {
        if of_run.is_some() {
            say!("{}", path.display());
        }
        say!(
            "{}{}, on {} test {} of {}, {}",
            model.words(model.name, &config),
            if tta { ", six views" } else { "" },
            dataset.len(Split::Test),
            spec.input.unit(),
            spec.name,
            gpu.info.name
        );
        match spec.input {
            Input::Image(_) => show(&evaluation, &spec.classes),
            Input::Tokens(_) => {
                show_text(&evaluation, dataset.least_loss(), vocabulary::unit(&spec.classes));
            }
        }
    }
    Ok(())
}

impl Arguments {
    /// Opens the data set that was asked for, or else the one that the weights were trained on, if they say so. Text is encoded by
    /// the vocabulary of the weights.
    fn open(&self, weights: &Pretrained, vocabulary: Option<&Vocabulary>) -> Result<Opened> {
        let trained_on = weights.provenance.as_ref().map(|provenance| &provenance.dataset);
        let seed = self.seed.or(trained_on.and_then(|set| set.seed)).unwrap_or(0);
        let wanted = self.data.wanted(seed);
        let known = trained_on.map(|set| set.name.as_str()).filter(|name| host_data::NAMES.contains(name));
        let name = wanted.name.or(known.filter(|_| wanted.path.is_none()));
        let (usual_size, length) = (weights.side(), weights.length());
        let masked = weights.model.masked;
        host_data::open(Wanted { name, vocabulary, usual_size, length, masked, ..wanted })
    }
}

/// `least` is the least possible loss, where it is known, and `unit` what a token is.
fn show_text(evaluation: &Evaluation, least: Option<f64>, unit: &str) {
    let Evaluation { accuracy, loss, .. } = evaluation;
    let least = least.map_or(String::new(), |least| format!(" (the least possible is {least:.4})"));
    let (perplexity, bits) = (perplexity(*loss), bits(*loss));
    say!("loss {loss:.4}{least}  perplexity {perplexity:.2}  {bits:.4} bits per {unit}  accuracy {accuracy:.2} %");
}

fn show(evaluation: &Evaluation, classes: &[String]) {
    let Evaluation { accuracy, top5_accuracy, loss, f1, precision, recall, confusion } = evaluation;
    let number = |value: &Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let (f1, precision, recall) = (number(f1), number(precision), number(recall));
    say!("accuracy {accuracy:.2} %  loss {loss:.4}  F1 {f1}  precision {precision}  recall {recall}");
    if let Some(top) = top5_accuracy {
        say!("top-{TOP} accuracy {top:.2} %");
    }
    match confusion {
        Some(confusion) if classes.len() <= MOST_SHOWN => {
            say!("\nconfusion matrix, a row per true class, a column per predicted class:");
            print::table(&confusion::table(confusion, classes));
        }
        Some(_) => say!("--json has the confusion matrix of {} classes", classes.len()),
        None => {}
    }
}
