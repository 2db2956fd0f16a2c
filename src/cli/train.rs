//! `velograd train`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{key_value, print::say, progress::Progress, recipe::RecipeFlags};
use crate::{
    data::Split,
    error::Result,
    gpu::Gpu,
    optim,
    record::{self, Record, default_folder},
    selftest,
    train::{EpochRow, Options, StepRow, Trainer, Watch, loss_variance},
    weights::{self, Weights},
};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    recipe: RecipeFlags,
    /// The update rule
    #[arg(long, default_value = "velograd")]
    optimizer: String,
    /// A setting of the optimizer, as often as needed
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Of first weights, order and augmentation (and of the images of shapes10)
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// First weights; stem, width and classes come from their shapes
    #[arg(long, value_name = "FILE.safetensors")]
    init: Option<PathBuf>,
    /// Compares the device's kernels with CPU values before the run, each at a size or two, and refuses a device that is wrong
    #[arg(long, value_enum, default_value = "short")]
    selftest: Selftest,
    /// Ends the run at the first update that is not finite, and names the kernel and layer where it began; slower
    #[arg(long)]
    debug_nan: bool,
    /// Folder for logs and weights [default: runs/<date-time>-<optimizer>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Selftest {
    Off,
    Short,
}

/// Refuses what can be refused without a device or data.
pub(super) fn check(arguments: &Arguments) -> Result<()> {
    optim::build(&arguments.optimizer, &arguments.set)?;
    arguments.recipe.check()
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { recipe, optimizer, set, seed, init, out, selftest, debug_nan } = arguments;
    check(arguments)?;
    let init = init.as_deref().map(|path| Ok((path, weights::config_of(path)?))).transpose()?;

    let gpu = Gpu::open(recipe.device.as_deref())?;
    if *selftest == Selftest::Short {
        selftest::assure(&gpu, optimizer)?;
    }
    let preset = recipe.preset(&gpu);
    let options = recipe.options(preset, init.map(|(_, config)| config))?;
    let options = Options { optimizer: optimizer.clone(), set: set.clone(), seed: *seed, ..options };
    let dataset = recipe.open(*seed)?;

    let mut trainer = Trainer::new(&gpu, dataset.clone(), options.clone(), |layout| match init {
        Some((path, _)) => Weights::load(path, layout),
        None => Ok(Weights::init(layout, *seed)),
    })?;
    let folder = out.clone().unwrap_or_else(|| default_folder(&options.optimizer));
    let mut table = recipe.to_toml(preset, &options);
    let mut settings = toml::Table::new();
    set.iter().for_each(|(key, value)| drop(settings.insert(key.clone(), value.clone().into())));
    table.insert("optimizer".into(), options.optimizer.clone().into());
    // TOML's integers are signed; a larger seed is written as text, which a flag takes as well.
    table.insert("seed".into(), i64::try_from(*seed).map_or_else(|_| seed.to_string().into(), toml::Value::from));
    if let Some((path, _)) = init {
        table.insert("init".into(), path.display().to_string().into());
    }
    if !settings.is_empty() {
        table.insert("set".into(), settings.into());
    }
    let mut run = record::run_json(&gpu, dataset.as_ref(), &options, &trainer.settings, &table);
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

    trainer.debug_nan = *debug_nan;
    let mut watcher = Watcher { record, progress: Progress::new(&options, dataset.len(Split::Train)) };
    let rows = trainer.run(&mut watcher)?;
    let Watcher { record, progress } = watcher;
    progress.finish();
    trainer.network.weights()?.save(&record.weights(), &trainer.network.layout)?;
    if let Some(last) = rows.last() {
        run["result"] = record::result_json(&trainer, &rows);
        record.run(&run)?;
        print_table(&options.optimizer, &rows, last);
    }
    let skipped = trainer.network.updates().skipped;
    if let Some(step) = trainer.diverged() {
        say!("the run diverged at step {step}: loss or gradient was no longer finite; a smaller --set lr=... may help");
    } else if skipped > 0 {
        say!("{skipped} updates were skipped: their loss or gradient was not finite");
    }
    say!("weights: {}", record.weights().display());
    Ok(())
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
fn print_table(optimizer: &str, rows: &[EpochRow], last: &EpochRow) {
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
