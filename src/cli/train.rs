//! `velograd train`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{DataFlags, StemFlag, key_value, print::say, progress::Progress, stem_name};
use crate::{
    data::{self, CLASSES, Split},
    error::{Error, Result},
    gpu::{self, Gpu},
    models::{Config, Stem},
    optim,
    record::{Record, default_folder},
    train::{EpochRow, Options, StepRow, Trainer, Watch, check_width, find_model, loss_variance},
    weights::{self, Weights},
};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    data: DataFlags,
    /// Where every other flag starts: the published experiment, or a first look [default: paper on a GPU, quick on a
    /// software adapter]
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// The network [default: resnet18]
    #[arg(long)]
    model: Option<String>,
    /// First layers [default: imagenet]
    #[arg(long, value_enum)]
    stem: Option<StemFlag>,
    /// Channels of the first stage [default: paper 64, quick 16]
    #[arg(long)]
    width: Option<u32>,
    /// The update rule
    #[arg(long, default_value = "velograd")]
    optimizer: String,
    /// A setting of the optimizer, as often as needed
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
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
    /// Random crop, mirror and rotation of up to 15 degrees, or none [default: paper]
    #[arg(long, value_enum)]
    augment: Option<Augment>,
    /// Random order, or that of the files
    #[arg(long, value_enum, default_value = "on")]
    shuffle: Switch,
    /// Of first weights, order and augmentation (and of the images of shapes10)
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// First weights; stem, width and classes come from their shapes
    #[arg(long, value_name = "FILE.safetensors")]
    init: Option<PathBuf>,
    /// Folder for logs and weights [default: runs/<date-time>-<optimizer>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Adapter by index or part of its name
    #[arg(long, value_name = "NAME|INDEX")]
    device: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// The experiment of the VeloGrad paper
    Paper,
    /// Two minutes on two cores
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Augment {
    Paper,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    // What can be refused without a device is refused before one is asked for.
    optim::build(&arguments.optimizer, &arguments.set)?;
    find_model(arguments.model.as_deref().unwrap_or("resnet18"))?;
    check_width(arguments.width.unwrap_or(1))?;
    let init = arguments.init.as_deref().map(|path| Ok((path, weights::config_of(path)?))).transpose()?;

    let gpu = Gpu::open(arguments.device.as_deref())?;
    let preset = arguments.preset.unwrap_or_else(|| choose_preset(&gpu));
    let options = options(arguments, preset, init.map(|(_, config)| config))?;
    let opened = data::open(arguments.data.dataset.as_deref(), arguments.data.data.as_deref(), options.seed)?;
    for note in &opened.notes {
        say!("{note}");
    }
    let dataset = opened.dataset;
    if dataset.len(Split::Test) == 0 && !opened.notes.iter().any(|n| n.contains("valid")) {
        say!("there are no test images: no validation");
    }

    let seed = options.seed;
    let mut trainer = Trainer::new(&gpu, dataset.clone(), options.clone(), |layout| match init {
        Some((path, _)) => Weights::load(path, layout),
        None => Ok(Weights::init(layout, seed)),
    })?;
    let folder = arguments.out.clone().unwrap_or_else(|| default_folder(&options.optimizer));
    let mut run = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "device": gpu.info.name,
        "backend": format!("{:?}", gpu.info.backend).to_lowercase(),
        "driver": format!("{} {}", gpu.info.driver, gpu.info.driver_info).trim(),
        "preset": preset.name(),
        "model": options.model,
        "stem": stem_name(options.config.stem),
        "width": options.config.width,
        "classes": options.config.classes,
        "precision": "f32",
        "optimizer": options.optimizer,
        "settings": trainer.settings.to_json(),
        "epochs": options.epochs,
        "max_steps": options.max_steps,
        "batch_size": options.batch,
        "accumulate": options.accumulate,
        "augment": if options.augment { "paper" } else { "none" },
        "shuffle": if options.shuffle { "on" } else { "off" },
        "seed": options.seed,
        "init": init.map(|(path, _)| path.display().to_string()),
        "dataset": {
            "name": dataset.spec().name,
            "path": arguments.data.data.as_ref().map(|p| p.display().to_string()),
            "train": dataset.len(Split::Train),
            "test": dataset.len(Split::Test),
            "crc32": format!("{:08x}", dataset.checksum()),
        },
    });
    let record = Record::create(&folder, &run)?;
    say!(
        "{} on {}: width {}, batch {} x {}, {} parameters, {:.0} MB on the device; writing {}",
        options.model,
        gpu.info.name,
        options.config.width,
        options.batch,
        options.accumulate,
        trainer.network.layout.elements(),
        trainer.network.runtime.planned_bytes as f64 / 1e6,
        folder.display()
    );

    let mut watcher = Watcher { record, progress: Progress::new(&options, dataset.len(Split::Train)) };
    let rows = trainer.run(&mut watcher)?;
    let Watcher { record, progress } = watcher;
    progress.finish();
    trainer.network.weights()?.save(&record.weights(), &trainer.network.layout)?;
    let skipped = trainer.network.updates().skipped;
    if let Some(last) = rows.last() {
        run["result"] = json!({
            "updates": trainer.network.updates().issued,
            "skipped": skipped,
            "train_loss": last.train_loss,
            "val_acc": last.val_acc,
            "loss_variance": loss_variance(&rows),
            "seconds": rows.iter().map(|r| r.seconds).sum::<f64>(),
        });
        record.run(&run)?;
        table(&options.optimizer, &rows, last);
    }
    if skipped > 0 {
        say!("{skipped} updates were skipped: their loss or gradient was not finite");
    }
    say!("weights: {}", record.weights().display());
    Ok(())
}

fn choose_preset(gpu: &Gpu) -> Preset {
    let (preset, device, other) = if gpu::is_software(&gpu.info) {
        (Preset::Quick, "a software adapter", "paper for the published experiment")
    } else {
        (Preset::Paper, "a GPU", "quick for a first look")
    };
    say!("preset {} ({} is {device}); --preset {other}", preset.name(), gpu.info.name);
    preset
}

fn options(arguments: &Arguments, preset: Preset, init: Option<Config>) -> Result<Options> {
    let (width, epochs, accumulate) = match preset {
        Preset::Paper => (64, 20, 2),
        Preset::Quick => (16, 8, 1),
    };
    let stem = arguments.stem.map(Stem::from);
    let config = match init {
        None => Config {
            stem: stem.unwrap_or(Stem::Imagenet),
            width: arguments.width.unwrap_or(width),
            classes: CLASSES as u32,
        },
        Some(config) => {
            let clash = |flag: &str, file: String| {
                Err(Error::config(
                    format!("{flag} does not fit the weights, which have {file}"),
                    format!("leave {flag} away"),
                ))
            };
            if arguments.width.is_some_and(|w| w != config.width) {
                return clash("--width", format!("width {}", config.width));
            }
            if stem.is_some_and(|s| s != config.stem) {
                return clash("--stem", format!("the {} stem", stem_name(config.stem)));
            }
            if config.classes != CLASSES as u32 {
                return clash("the data set", format!("{} classes", config.classes));
            }
            config
        }
    };
    Ok(Options {
        model: arguments.model.clone().unwrap_or_else(|| "resnet18".into()),
        config,
        optimizer: arguments.optimizer.clone(),
        set: arguments.set.clone(),
        epochs: arguments.epochs.unwrap_or(epochs),
        max_steps: arguments.max_steps,
        batch: arguments.batch_size.unwrap_or(128),
        accumulate: arguments.accumulate.unwrap_or(accumulate),
        augment: arguments.augment.unwrap_or(Augment::Paper) == Augment::Paper,
        shuffle: arguments.shuffle == Switch::On,
        seed: arguments.seed,
    })
}

struct Watcher {
    record: Record,
    progress: Progress,
}

impl Watch for Watcher {
    fn step(&mut self, row: &StepRow, images: u64, total: u64, hits: u64) -> Result<()> {
        self.progress.step(row, images, total, hits);
        self.record.step(row)
    }

    fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        self.progress.epoch(row);
        self.record.epoch(row)
    }
}

/// The columns of the paper's table 1.
fn table(optimizer: &str, rows: &[EpochRow], last: &EpochRow) {
    let seconds: f64 = rows.iter().map(|r| r.seconds).sum();
    let number = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.4}"));
    say!("");
    say!(
        "{:<12} {:>13} {:>10} {:>11} {:>10} {:>8} {:>14} {:>9}",
        "optimizer",
        "training loss",
        "accuracy",
        "weighted F1",
        "precision",
        "recall",
        "loss variance",
        "seconds"
    );
    say!(
        "{:<12} {:>13.4} {:>10} {:>11} {:>10} {:>8} {:>14.4} {:>9.1}",
        optimizer,
        last.train_loss,
        last.val_acc.map_or("-".to_owned(), |v| format!("{v:.2} %")),
        number(last.val_f1),
        number(last.val_precision),
        number(last.val_recall),
        loss_variance(rows),
        seconds
    );
}
