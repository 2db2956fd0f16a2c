//! The flags of a run that `train`, `compare`, `sweep` and `ablate` share, and recipes as TOML files.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    sync::Arc,
};

use clap::{Args, ValueEnum};

use super::{
    DataFlags, PrecisionFlag, StemFlag, TuneFlags,
    normalization::{choose_and_say, normalization},
    print::say,
};
use crate::{
    data::{CLASSES, Dataset, Holdout, Split},
    device::{self, Gpu},
    error::{Error, Result},
    host::{
        data as host_data,
        files::{TEXT_LIMIT, read_text},
        pretrained::Pretrained,
        rule_file,
        run::{read_run, recipe_of},
    },
    models::{self, Config, Stem},
    ops::Augment,
    optim::{Clip, Lookahead},
    program::{
        params::NoDecay,
        target::{Precision, Target},
    },
    training::{Normalization, OnNan, Options, Remainder, network::Recipe, schedule::Schedule},
};

#[derive(Args, Clone, Debug)]
pub(super) struct RecipeFlags {
    #[command(flatten)]
    pub data: DataFlags,
    /// A TOML file with any of these flags; flags given here override it
    #[arg(long, value_name = "FILE.toml")]
    config: Option<std::path::PathBuf>,
    /// Where every other flag starts: the published experiment, or a first look [default: paper on a GPU, quick on a
    /// software adapter]
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// The network: resnet18 or airbench94 [default: resnet18]
    #[arg(long)]
    model: Option<String>,
    /// First layers of resnet18 [default: imagenet]
    #[arg(long, value_enum)]
    stem: Option<StemFlag>,
    /// Channels of the first stage [default: paper 64, quick 16]
    #[arg(long)]
    width: Option<u32>,
    /// Passes over the data [default: paper 20, quick 8]
    #[arg(long)]
    epochs: Option<u32>,
    /// End after this many updates
    #[arg(long, value_name = "N")]
    max_steps: Option<u64>,
    /// Images of a batch [default: 128]
    #[arg(long)]
    batch_size: Option<u32>,
    /// Batches whose gradients are averaged into one update [default: paper 2, quick 1]
    #[arg(long)]
    accumulate: Option<u32>,
    /// What becomes of an epoch's images that do not fill an update: step makes a smaller update of them, drop leaves them out,
    /// carry adds their gradient to that of the next epoch's first update [default: step]
    #[arg(long, value_name = "step|drop|carry", value_parser = remainder)]
    remainder: Option<Remainder>,
    /// What activations and their gradients are stored as
    #[arg(long, value_enum, default_value = "f32")]
    precision: PrecisionFlag,
    /// What is done to training images [default: paper]
    #[arg(long, value_enum)]
    augment: Option<AugmentFlag>,
    /// What images are normalized by: half (to -1..1), dataset (mean and standard deviation of the training images), imagenet
    /// (torchvision's numbers), or means and deviations on a scale of 0 to 1 [default: that of --init's weights, else the
    /// model's: half for resnet18, CIFAR-10's numbers for airbench94]
    #[arg(long, value_name = "half|dataset|imagenet|M,M,M/S,S,S", value_parser = normalization)]
    normalize: Option<Normalization>,
    /// Test-time augmentation: validation takes the weighted mean of the logits of six views of each image, as it is, a pixel
    /// up and left and a pixel down and right, each also mirrored
    #[arg(long)]
    tta: bool,
    /// Random order, or that of the files
    #[arg(long, value_enum, default_value = "on")]
    shuffle: Switch,
    /// How the learning rate moves, per update: constant, step, cosine, cosine-restarts, linear or triangle, with choices
    /// as in step:every=1950,gamma=0.1
    #[arg(long, default_value = "constant", value_name = "NAME[:KEY=VALUE,...]")]
    schedule: String,
    /// Updates over which the learning rate rises in a straight line
    #[arg(long, value_name = "UPDATES", default_value_t = 0)]
    warmup: u64,
    /// Zhang's Lookahead around the optimizer: every K updates the weights go ALPHA of the way from the slow ones
    #[arg(long, value_name = "K,ALPHA", value_parser = lookahead)]
    lookahead: Option<Lookahead>,
    /// Bound of the gradient's norm over all parameters
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f32>,
    /// Bound of each element of the gradient
    #[arg(long, value_name = "VALUE")]
    clip_value: Option<f32>,
    /// Parameters that weight decay leaves out: norm (weights and biases of batch norms), bias (of convolutions and linear
    /// layers), both with a comma, or none [default: none]
    #[arg(long, value_name = "norm,bias", value_parser = no_decay)]
    no_decay: Option<NoDecay>,
    /// Share of the target spread over all classes
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    label_smoothing: f32,
    /// Probability of dropout before the classifier
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    dropout: f32,
    /// Epochs from one validation to the next; the last epoch has one anyway
    #[arg(long, value_name = "EPOCHS", default_value_t = 1)]
    validate_every: u32,
    /// End when the validation loss has not improved for this many validations
    #[arg(long, value_name = "EPOCHS")]
    early_stop: Option<u32>,
    /// At an update whose loss or gradient is not finite: skip it (twenty in a row end the run), or stop
    #[arg(long, value_enum, default_value = "skip")]
    on_nan: OnNanFlag,
    /// Hold this many training images out for validation and leave the test images alone
    #[arg(long, value_name = "IMAGES")]
    val_split: Option<usize>,
    /// Adapter by index or part of its name
    #[arg(long, value_name = "NAME|INDEX")]
    pub device: Option<String>,
    #[command(flatten)]
    pub tune: TuneFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// The experiment of the VeloGrad paper
    Paper,
    /// A first look: under two minutes of shapes10 on two cores
    Quick,
}

impl Preset {
    fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Quick => "quick",
        }
    }
}

/// What may be done to training images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AugmentFlag {
    /// Random crop out of four black pixels of padding, mirror, and rotation of up to 15 degrees
    Paper,
    /// A shift of up to 2 pixels with reflect padding, and alternating flip: mirrored every other epoch
    Airbench,
    /// Nothing
    None,
}

impl From<AugmentFlag> for Augment {
    fn from(flag: AugmentFlag) -> Self {
        match flag {
            AugmentFlag::Paper => Self::Paper,
            AugmentFlag::Airbench => Self::Airbench,
            AugmentFlag::None => Self::None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnNanFlag {
    Skip,
    Stop,
}

impl RecipeFlags {
    /// Refuses what can be refused without a device or data.
    pub(super) fn check(&self) -> Result<()> {
        self.options(Preset::Quick, Precision::F32, None)?.check()
    }

    /// The name of the network.
    pub(super) fn model(&self) -> &str {
        self.model.as_deref().unwrap_or("resnet18")
    }

    /// The preset asked for, or the one that suits the device, which a line then says.
    pub(super) fn preset(&self, gpu: &Gpu) -> Preset {
        if gpu.info.backend == "gl" {
            say!(
                "no Vulkan driver was found; OpenGL on {} is many times slower: {}",
                gpu.info.name,
                device::NO_ADAPTER
            );
        }
        if let Some(preset) = self.preset {
            return preset;
        }
        let (preset, device, other) = if gpu.info.is_software() {
            (Preset::Quick, "a software adapter", "paper for the published experiment")
        } else {
            (Preset::Paper, "a GPU", "quick for a first look")
        };
        say!("preset {} ({} is {device}); --preset {other}", preset.name(), gpu.info.name);
        preset
    }

    /// The precision asked for, or the best that the device has.
    pub(super) fn precision(&self, gpu: &Gpu) -> Result<(Precision, Target)> {
        self.precision.on(gpu)
    }

    /// A run of these flags, its optimizer and seed aside; `init` is the size of weights to start from.
    pub(super) fn options(&self, preset: Preset, precision: Precision, init: Option<Config>) -> Result<Options> {
        let paper = Options::default();
        let (width, epochs, accumulate) = match preset {
            Preset::Paper => (paper.config.width, paper.epochs, paper.accumulate),
            Preset::Quick => (16, 8, 1),
        };
        let model = models::find(self.model())?;
        let stem = model.stem(self.stem.map(Stem::from))?;
        let config = match init {
            None => Config { stem, width: self.width.unwrap_or(width), ..paper.config },
            Some(config) => {
                self.fits_weights(config)?;
                config
            }
        };
        Ok(Options {
            model: model.name.into(),
            config,
            lookahead: self.lookahead,
            epochs: self.epochs.unwrap_or(epochs),
            max_steps: self.max_steps,
            batch: self.batch_size.unwrap_or(paper.batch),
            accumulate: self.accumulate.unwrap_or(accumulate),
            remainder: self.remainder.unwrap_or_default(),
            recipe: Recipe {
                precision,
                augment: self.augment.unwrap_or(AugmentFlag::Paper).into(),
                normalize: None, // it may need the images: `normalize` below
                tta: self.tta,
                smoothing: self.label_smoothing,
                dropout: self.dropout,
                clip: Clip { value: self.clip_value, norm: self.clip_norm },
                no_decay: self.no_decay.unwrap_or_default(),
            },
            schedule: Schedule::parse(&self.schedule, self.warmup)?,
            validate_every: self.validate_every,
            early_stop: self.early_stop,
            on_nan: if self.on_nan == OnNanFlag::Stop { OnNan::Stop } else { OnNan::Skip },
            shuffle: self.shuffle == Switch::On,
            ..Options::default()
        })
    }

    fn fits_weights(&self, config: Config) -> Result<()> {
        let clash = |flag: &str, asked: String, file: String| {
            let message = format!("{flag} {asked} does not fit the weights, which have {file}");
            Err(Error::config(message, format!("{flag} {file}, or drop {flag}, from the recipe too if it is there")))
        };
        if let Some(width) = self.width.filter(|&width| width != config.width) {
            return clash("--width", width.to_string(), config.width.to_string());
        }
        if let Some(stem) = self.stem.map(Stem::from).filter(|&stem| stem != config.stem) {
            return clash("--stem", stem.name().into(), config.stem.name().into());
        }
        if config.classes != CLASSES as u32 {
            let message = format!("the weights tell apart {} classes, the data set has {CLASSES}", config.classes);
            return Err(Error::config(message, "--init-head skip leaves their last layer out, and draws a new one"));
        }
        Ok(())
    }

    /// The data set, with its remarks printed.
    pub(super) fn open(&self, seed: u64) -> Result<Arc<dyn Dataset>> {
        let opened = host_data::open(self.data.dataset.as_deref(), self.data.data.as_deref(), seed)?;
        // With images held out there is validation, whatever the set says of its own.
        let kept = |note: &&String| self.val_split.is_none() || !note.contains("no validation");
        opened.notes.iter().filter(kept).for_each(|note| say!("{note}"));
        let Some(count) = self.val_split else {
            if opened.dataset.len(Split::Test) == 0 && !opened.notes.iter().any(|n| n.contains("no validation")) {
                say!("there are no test images: there will be no validation");
            }
            return Ok(opened.dataset);
        };
        say!("validation on {count} images held out of the training set; the test images are left alone");
        Ok(Arc::new(Holdout::new(opened.dataset, count, seed)?))
    }

    /// Settles what images are normalized by, and says it; `weights` are those that the run begins from.
    pub(super) fn normalize(
        &self,
        options: &mut Options,
        dataset: &dyn Dataset,
        weights: Option<&Pretrained>,
    ) -> Result<()> {
        let model = models::find(&options.model)?;
        options.recipe.normalize = Some(choose_and_say(self.normalize, weights, model, dataset)?);
        Ok(())
    }

    /// The flags that make `options` again, as TOML for `--config`.
    pub(super) fn to_toml(&self, preset: Preset, options: &Options) -> toml::Table {
        let mut table = toml::Table::new();
        let mut put = |key: &str, value: toml::Value| drop(table.insert(key.into(), value));
        put("preset", preset.name().into());
        if let Some(path) = &self.data.data {
            put("data", path.display().to_string().into());
        }
        if let Some(name) = &self.data.dataset {
            put("dataset", name.clone().into());
        }
        put("model", options.model.clone().into());
        if models::find(&options.model).is_ok_and(|model| model.stems) {
            put("stem", options.config.stem.name().into());
        }
        put("width", i64::from(options.config.width).into());
        put("epochs", i64::from(options.epochs).into());
        put("batch-size", i64::from(options.batch).into());
        put("accumulate", i64::from(options.accumulate).into());
        put("augment", options.recipe.augment.name().into());
        put("shuffle", if options.shuffle { "on" } else { "off" }.into());
        put("schedule", self.schedule.clone().into());
        // What is off by default is named only where it is on.
        let whole = |v: u64| toml::Value::Integer(i64::try_from(v).unwrap_or(i64::MAX));
        let digits = |v: f32| toml::Value::Float(v.to_string().parse().unwrap_or(f64::from(v)));
        let mixed = options.recipe.precision == Precision::Mixed;
        // As numbers: they hold whatever becomes of the images or the weights they came from.
        let default = models::find(&options.model).map(|model| model.normalize).ok();
        let normalize = options.recipe.normalize.filter(|by| Some(*by) != default);
        let optional = [
            ("normalize", normalize.map(|by| by.to_string().into())),
            ("tta", options.recipe.tta.then(|| true.into())),
            ("precision", mixed.then(|| options.recipe.precision.name().into())),
            ("remainder", self.remainder.filter(|r| *r != Remainder::Step).map(|r| r.name().into())),
            ("max-steps", options.max_steps.map(whole)),
            ("warmup", (self.warmup > 0).then(|| whole(self.warmup))),
            ("lookahead", self.lookahead.map(|l| format!("{},{}", l.k, l.alpha).into())),
            ("clip-norm", self.clip_norm.map(digits)),
            ("clip-value", self.clip_value.map(digits)),
            ("no-decay", self.no_decay.filter(|n| *n != NoDecay::default()).map(|n| n.to_string().into())),
            ("label-smoothing", (self.label_smoothing > 0.0).then(|| digits(self.label_smoothing))),
            ("dropout", (self.dropout > 0.0).then(|| digits(self.dropout))),
            ("on-nan", (options.on_nan == OnNan::Stop).then(|| "stop".into())),
            ("validate-every", (self.validate_every > 1).then(|| whole(self.validate_every.into()))),
            ("early-stop", self.early_stop.map(|v| whole(v.into()))),
            ("val-split", self.val_split.map(|v| whole(v as u64))),
        ];
        optional.into_iter().for_each(|(key, value)| value.into_iter().for_each(|value| put(key, value)));
        table
    }
}

/// Puts in front of the flags on the command line, so that the latter override: those of the run that `train --resume DIR`
/// continues, those that `--quick` stands for, and those of `--config FILE`.
///
/// # Errors
/// [`Error::Io`] or [`Error::Data`] if a file cannot be read or is not a table of flags.
pub(super) fn expand(arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    let words: Vec<&str> = arguments.iter().map(|a| a.to_str().unwrap_or_default()).collect();
    let mut expanded: Vec<_> = arguments.iter().take(2).cloned().collect();
    if words.get(1) == Some(&"train")
        && let Some(folder) = value_of(&arguments, "--resume")
    {
        let path = Path::new(&folder).join("run.json");
        expanded.extend(flags(&path, &recipe_of(&read_run(Path::new(&folder))?, &path)?, None)?);
    }
    if words.contains(&"--quick") {
        expanded.extend(quick(words[1]).iter().map(OsString::from));
    }
    // A missing file name is clap's to report; so is a command that has no --config.
    if let Some(file) = value_of(&arguments, "--config") {
        let path = Path::new(&file);
        let text = read_text(path, TEXT_LIMIT)?;
        let wrong = |e: toml::de::Error| Error::data(path, TABLE, e.message(), "");
        let optimizers = value_of(&arguments, "--optimizers");
        let table: toml::Table = text.parse().map_err(wrong)?;
        expanded.extend(flags(path, &beside(path, table), optimizers.as_deref())?);
    }
    expanded.extend(arguments.into_iter().skip(2));
    Ok(expanded)
}

/// A recipe whose rules that are files lie where they do as seen from the recipe's folder.
fn beside(path: &Path, mut table: toml::Table) -> toml::Table {
    let of = |word: &str| word.split(',').map(|word| rule_file::beside(path, word)).collect::<Vec<_>>().join(",");
    for (key, value) in &mut table {
        match value {
            toml::Value::String(word) if key == "optimizer" || key == "optimizers" => *word = of(word),
            toml::Value::Array(list) if key == "optimizers" => {
                for value in list {
                    if let toml::Value::String(word) = value {
                        *word = of(word);
                    }
                }
            }
            _ => {}
        }
    }
    table
}

/// The flags that `--quick` stands for.
fn quick(command: &str) -> Vec<&'static str> {
    let mut flags =
        vec!["--preset=quick", "--dataset=shapes10", "--width=8", "--epochs=3", "--batch-size=64", "--seeds=2"];
    match command {
        "compare" | "ablate" => flags,
        "sweep" => {
            flags.push("--lr=1e-4:1e-1:log4");
            flags
        }
        _ => vec![],
    }
}

const TABLE: &str = "a TOML table of flags, as `width = 16`";

/// What stands behind `flag` or `flag=`, after the command.
fn value_of(arguments: &[OsString], flag: &str) -> Option<OsString> {
    let at = arguments.iter().skip(2).position(|a| {
        let text = a.to_str().unwrap_or_default();
        text.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })?;
    match arguments[at + 2].to_str()?.split_once('=') {
        Some((_, value)) => Some(value.into()),
        None => arguments.get(at + 3).cloned(),
    }
}

/// A table as flags. Where the command line names the `optimizers`, they replace those of the table, and so its settings of
/// others.
fn flags(path: &Path, table: &toml::Table, optimizers: Option<&OsStr>) -> Result<Vec<OsString>> {
    let wrong = |found: String| Error::data(path, TABLE, found, "");
    let named: Option<Vec<&str>> = optimizers.map(|list| list.to_str().unwrap_or_default().split(',').collect());
    let replaced = |setting: &str| match (&named, setting.split_once(':')) {
        (Some(named), Some((name, _))) => !named.contains(&name),
        _ => false,
    };
    let mut flags = Vec::new();
    for (key, value) in table {
        let mut push = |value: String| flags.extend([format!("--{key}").into(), value.into()]);
        match value {
            _ if key == "optimizers" && named.is_some() => {}
            // [set] lr = 0.001, or set = ["adam:lr=0.001", ...]
            toml::Value::Table(inner) => {
                for (inner_key, value) in inner {
                    let value = word(value).ok_or_else(|| wrong(format!("{key}.{inner_key} = {value}")))?;
                    push(format!("{inner_key}={value}"));
                }
            }
            // ... and no-decay = ["norm", "bias"], which is one value with commas.
            toml::Value::Array(list) => {
                let words = list.iter().map(|value| word(value).ok_or_else(|| wrong(format!("{key} = [{value}]"))));
                let words: Vec<_> = words.collect::<Result<_>>()?;
                if key == "set" {
                    words.into_iter().filter(|word| !replaced(word)).for_each(push);
                } else {
                    push(words.join(","));
                }
            }
            toml::Value::Boolean(true) => flags.push(format!("--{key}").into()),
            toml::Value::Boolean(false) => {}
            other => push(word(other).ok_or_else(|| wrong(format!("{key} = {other}")))?),
        }
    }
    Ok(flags)
}

fn lookahead(text: &str) -> std::result::Result<Lookahead, String> {
    text.parse().map_err(|e: Error| e.to_string())
}

fn remainder(text: &str) -> std::result::Result<Remainder, String> {
    text.parse().map_err(|e: Error| e.to_string())
}

fn no_decay(text: &str) -> std::result::Result<NoDecay, String> {
    text.parse().map_err(|e: Error| e.to_string())
}

fn word(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(v) => Some(v.to_string()),
        toml::Value::Float(v) => Some(v.to_string()),
        toml::Value::Boolean(v) => Some(v.to_string()),
        _ => None,
    }
}
