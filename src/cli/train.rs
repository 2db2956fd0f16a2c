//! `velograd train`

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    checkpoints::CheckpointFlags, key_value, open_device, print::say, progress::Progress, recipe::RecipeFlags,
};
use crate::{
    check::selftest,
    data::{Dataset, Split},
    device::Gpu,
    error::{Error, Result},
    host::{
        files::{TENSORS_LIMIT, read},
        loader::ReadAhead,
        pretrained::{Head, Pretrained},
        rule_file,
        run::{Lock, Record, Recorder, default_folder, read_run, run_json, same_run},
        signals::Stop,
    },
    models::Config,
    optim::{RuleChoice, Settings},
    program::{
        params::Layout,
        target::{Precision, Target},
    },
    training::{
        EpochRow, OnNan, Options, Position, Trainer, Watch as _, loss_variance, weights::Weights, whiten::first_weights,
    },
};
use pollster::block_on;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    recipe: RecipeFlags,
    #[command(flatten)]
    checkpoints: CheckpointFlags,
    /// The update rule: a name of `velograd optimizers`, or a file with a rule of one's own (docs/RULES.md)
    #[arg(long, value_name = "NAME|FILE.wgsl", default_value = "velograd")]
    optimizer: String,
    /// A setting of the optimizer, as often as needed
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Of first weights, order and augmentation (and of the images of shapes10)
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// First weights: what `train` wrote, checkpoints included, or a state dict of PyTorch as safetensors; stem, width and
    /// classes come from their shapes
    #[arg(long, value_name = "FILE.safetensors")]
    init: Option<PathBuf>,
    /// What becomes of the last layer of --init, whose rows are its classes: it is read like the others, or left out, and one
    /// is drawn from the seed
    #[arg(long, value_enum, default_value = "load", requires = "init")]
    init_head: InitHead,
    /// Compares the device's kernels with CPU values before the run, each at a size or two, and refuses a device that is wrong
    #[arg(long, value_enum, default_value = "short")]
    selftest: Selftest,
    /// Ends the run at the first update that is not finite, and names the kernel and layer where it began; slower
    #[arg(long)]
    debug_nan: bool,
    /// Folder for logs, checkpoints and weights [default: runs/<date-time>-<optimizer>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue the run of this folder where its newest whole checkpoint was taken; no other flag is needed
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    resume: Option<PathBuf>,
    /// With --resume: train so many epochs more than the run was to have, or has had if it has ended
    #[arg(long, value_name = "EPOCHS", value_parser = clap::value_parser!(u32).range(1..))]
    extend: Option<u32>,
    /// What to do when the device is lost, as by a reset of its driver: stop, or open a device once more and go on from the
    /// newest checkpoint
    #[arg(long, value_enum, default_value = "stop")]
    on_device_lost: OnDeviceLost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnDeviceLost {
    Stop,
    Resume,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InitHead {
    Load,
    Skip,
}

impl From<InitHead> for Head {
    fn from(flag: InitHead) -> Self {
        match flag {
            InitHead::Load => Self::Load,
            InitHead::Skip => Self::Skip,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Selftest {
    Off,
    Short,
}

/// Refuses what can be refused without a device or data.
pub(super) fn check(arguments: &Arguments) -> Result<()> {
    arguments.rule(arguments.resume.as_deref())?.build(&arguments.set)?;
    arguments.recipe.check()
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    // What can be refused without a device is refused before one is asked for.
    check(arguments)?;
    let folder = match (&arguments.resume, &arguments.out) {
        (Some(folder), _) | (None, Some(folder)) => folder.clone(),
        (None, None) => default_folder(rule_file::choose(&arguments.optimizer)?.name()),
    };
    let outcome = match (&arguments.resume, arguments.extend) {
        (Some(_), extend) => arguments.go_on(&folder, extend),
        (None, None) => arguments.begin(&folder),
        (None, Some(_)) => Err(Error::config("--extend without a run", "add --resume DIR")),
    };
    // The longer run of --extend is in run.json by now.
    once_more(arguments.on_device_lost, outcome, || arguments.go_on(&folder, None))
}

/// The outcome, or what comes of going on where the device was lost: once, as a device that is lost again would be lost for
/// ever.
fn once_more<T>(policy: OnDeviceLost, outcome: Result<T>, go_on: impl FnOnce() -> Result<T>) -> Result<T> {
    match outcome {
        Err(error @ Error::Lost { .. }) if policy == OnDeviceLost::Resume => {
            say!("{error}\nonce more, on a device opened anew");
            go_on()
        }
        outcome => outcome,
    }
}

/// What the flags ask for, on a device.
struct Setup {
    gpu: Gpu,
    target: Target,
    dataset: Arc<dyn Dataset>,
    options: Options,
    settings: Settings,
    /// The recipe but for optimizer, settings and seed, for `run.json`.
    table: toml::Table,
}

impl Setup {
    fn run_json(&self) -> Value {
        run_json(&self.gpu, &self.target, self.dataset.as_ref(), &self.options, &self.settings, &self.table)
    }

    fn trainer(&self, weights: impl FnOnce(&Layout) -> Result<Weights>) -> Result<Trainer> {
        let source = Arc::new(ReadAhead(self.dataset.clone()));
        block_on(Trainer::new(&self.gpu, &self.target, source, self.options.clone(), weights))
    }
}

impl Arguments {
    /// The update rule; of the run in `folder`, which goes on, as it was begun.
    fn rule(&self, folder: Option<&Path>) -> Result<RuleChoice> {
        match folder {
            Some(folder) => rule_file::resumed(&read_run(folder)?, &self.optimizer),
            None => rule_file::choose(&self.optimizer),
        }
    }

    /// `init` is what the run begins from, if that is not new weights; `folder` is that of a run that goes on.
    fn setup(&self, init: Option<&Pretrained>, folder: Option<&Path>) -> Result<Setup> {
        let Self { recipe, checkpoints, set, seed, .. } = self;
        let optimizer = self.rule(folder)?;
        let gpu = open_device(recipe.device.as_deref())?;
        let preset = recipe.preset(&gpu);
        let config = init.map(|init| self.config(init));
        let (precision, target) = recipe.precision(&gpu)?;
        let options = recipe.options(preset, precision, config)?;
        let mut options = Options { optimizer: optimizer.clone(), set: set.clone(), seed: *seed, ..options };
        let dataset = recipe.open(*seed)?;
        recipe.normalize(&mut options, dataset.as_ref(), init)?;
        let mut plans = options.plans(dataset.as_ref(), &target)?;
        plans.target = recipe.tune.apply(&gpu, &plans)?;
        let chosen = plans.products();
        if self.selftest == Selftest::Short {
            let choices = chosen.iter().map(|(_, choice)| *choice);
            block_on(selftest::assure(&gpu, &plans.target(), choices, optimizer.name()))?;
        }
        let (_, settings) = optimizer.build(set)?;
        let mut table = recipe.to_toml(preset, &options);
        checkpoints.to_toml(&mut table);
        recipe.tune.to_toml(&plans.target, &chosen, &mut table);
        if let Some(path) = &self.init {
            table.insert("init".into(), path.display().to_string().into());
            if self.init_head == InitHead::Skip {
                table.insert("init-head".into(), "skip".into());
            }
        }
        let target = plans.target;
        Ok(Setup { gpu, target, dataset, options, settings, table })
    }

    /// The size of the network that begins from these weights.
    fn config(&self, init: &Pretrained) -> Config {
        match self.init_head {
            InitHead::Load => init.config,
            InitHead::Skip => Config { classes: Options::default().config.classes, ..init.config },
        }
    }

    fn begin(&self, folder: &Path) -> Result<ExitCode> {
        let init = self.init.as_deref().map(|path| Ok((path, Pretrained::open(path)?, crc32(path)?))).transpose()?;
        if let Some((path, weights, _)) = init.as_ref().filter(|(_, w, _)| w.model.name != self.recipe.model()) {
            let found = format!("those of {}", weights.model.name);
            let hint = format!("--model {}", weights.model.name);
            return Err(Error::data(path, format!("weights of {}", self.recipe.model()), found, hint));
        }
        let weights = init.as_ref().map(|(_, weights, _)| weights);
        let setup = self.setup(weights, None)?;
        if let Some(weights) = weights {
            self.say_of(weights, setup.dataset.as_ref());
        }
        let trainer = setup.trainer(|layout| match weights {
            Some(weights) => weights.weights(layout, self.init_head.into(), self.seed),
            None => self.first_weights(&setup, layout),
        })?;
        let mut run = setup.run_json();
        if let Some((.., checksum)) = init {
            run["init"] = json!(checksum);
        }
        let record = Record::create(folder, &run, self.checkpoints.policy())?;
        self.train(&setup, trainer, run, record, folder)
    }

    /// What there is to know of the weights that a run begins from.
    fn say_of(&self, weights: &Pretrained, dataset: &dyn Dataset) {
        weights.remarks.iter().for_each(|remark| say!("{remark}"));
        if self.init_head == InitHead::Skip {
            let (head, classes) = (weights.model.head(), weights.config.classes);
            say!("the last layer ({head}*, of {classes} classes) is left out and drawn from seed {}", self.seed);
        } else if let Some(remark) = weights.provenance.as_ref().and_then(|p| p.other_images(dataset)) {
            say!("{remark}");
        }
    }

    fn first_weights(&self, setup: &Setup, layout: &Layout) -> Result<Weights> {
        first_weights(layout, self.seed, setup.dataset.as_ref(), setup.options.normalize()?)
    }

    /// Continues a run, with `extend` epochs more.
    fn go_on(&self, folder: &Path, extend: Option<u32>) -> Result<ExitCode> {
        let lock = Lock::take(folder)?;
        let before = read_run(folder)?;
        let ended = !before["result"].is_null();
        if ended && extend.is_none() {
            say!("{} has ended; --extend EPOCHS trains on. Its result: {}", folder.display(), before["result"]);
            return Ok(ExitCode::SUCCESS);
        }
        // Sizes are in the recipe: the first weights need not be there any more.
        let mut setup = self.setup(None, Some(folder))?;
        let mut run = setup.run_json();
        same_run(&folder.join("run.json"), &before, &run, &[])?;
        for key in ["device", "driver"].into_iter().filter(|&key| before[key] != run[key]) {
            let (there, here) = (&before[key], &run[key]);
            say!("begun with {key} {there}, continued with {here}: results agree to rounding, not to the bit");
        }
        if let Some(epochs) = extend {
            setup.options.epochs = extended(&setup.options, &before, epochs)?;
            setup.table.insert("epochs".into(), i64::from(setup.options.epochs).into());
            run = setup.run_json();
        }
        run["init"] = before["init"].clone();

        let told = &mut |remark: String| say!("{remark}");
        let (mut record, loaded) = Record::resume(folder, lock, &run, self.checkpoints.policy(), ended, told)?;
        let mut trainer = setup.trainer(|layout| match &self.init {
            Some(path) if loaded.is_none() => {
                let (found, expected) = (json!(crc32(path)?), &run["init"]);
                if found != *expected {
                    return Err(Error::data(path, format!("checksum {expected}"), found.to_string(), ""));
                }
                Pretrained::open(path)?.weights(layout, self.init_head.into(), self.seed)
            }
            // They will be the checkpoint's.
            _ if loaded.is_some() => Ok(Weights::init(layout, self.seed)),
            _ => self.first_weights(&setup, layout),
        })?;
        let anew = loaded.is_none();
        match loaded {
            None => say!("no checkpoint in {}: the run begins anew", folder.display()),
            Some(loaded) => {
                trainer.restore(loaded.checkpoint)?;
                let Position { step, epochs, .. } = trainer.position();
                say!("continued from {}: {step} updates, {} whole epochs", loaded.path.display(), epochs.len());
                record.goes_on(&before, &mut run, *step)?.iter().for_each(|remark| say!("{remark}"));
            }
        }
        if anew || extend.is_some() {
            record.run(&run)?;
        }
        self.train(&setup, trainer, run, record, folder)
    }

    /// From where the trainer stands to the end, or to a signal.
    fn train(
        &self,
        setup: &Setup,
        mut trainer: Trainer,
        mut run: Value,
        record: Record,
        folder: &Path,
    ) -> Result<ExitCode> {
        let Setup { gpu, dataset, options, .. } = setup;
        say!(
            "{} on {}: {}, width {}, batch {} x {}, {} parameters, {:.0} MB on the device; writing {}",
            options.model,
            gpu.info.name,
            options.recipe.precision.name(),
            options.config.width,
            options.batch,
            options.accumulate,
            trainer.network.layout.elements(),
            trainer.network.runtime.planned_bytes as f64 / 1e6,
            folder.display()
        );
        let train = dataset.len(Split::Train);
        let mut progress = Progress::new(options, train);
        progress.resumed(trainer.position());
        let mut recorder = Recorder { record, watch: &mut progress, stop: Stop::on_signals()? };
        trainer.debug_nan = self.debug_nan;
        let rows = block_on(trainer.run(&mut recorder))?;
        let Recorder { mut record, stop, .. } = recorder;
        let remark = record.wait()?;
        progress.finish();
        remark.iter().for_each(|remark| say!("{remark}"));
        if let (true, Some(code)) = (trainer.stopped(), stop.exit_code()) {
            let Position { step, epochs, .. } = trainer.position();
            say!("stopped after update {step} in epoch {}; it goes on with", epochs.len() + 1);
            say!("    velograd train --resume {}", folder.display());
            return Ok(ExitCode::from(code));
        }

        block_on(record.end(&trainer, &rows, &mut run))?;
        if let Some(last) = rows.last() {
            print_table(options.optimizer.name(), &rows, last);
        }
        let (skipped, first) = (trainer.network.updates().skipped, trainer.position().first_skip);
        if let Some(step) = trainer.diverged() {
            say!(
                "the run diverged at step {step}: loss or gradient was no longer finite; a smaller --set lr=... may help"
            );
            let last = trainer.position().step;
            if let Some(found) = block_on(trainer.find_not_finite())? {
                say!("update {last}, the last, once more: {found}");
            }
        } else if let Some(first) = first {
            let more = match options.recipe.precision {
                Precision::Mixed => ", and the loss's scale was halved",
                Precision::F32 => "; --debug-nan ends a run there, and names kernel and layer",
            };
            say!("{skipped} updates were skipped, the first at step {first}: loss or gradient was not finite{more}");
        }
        if trainer.clips() {
            let (clipped, all) = (trainer.position().clipped, trainer.position().step - u64::from(skipped));
            say!("the gradient was clipped in {clipped} of {all} updates");
        }
        if let Some((path, best)) = record.best() {
            say!("best on validation: {:.2} %, {}", best.accuracy, path.display());
        }
        say!("weights: {}", record.weights().display());
        // Whoever asks for --on-nan stop wants to know.
        let failed = options.on_nan == OnNan::Stop && trainer.diverged().is_some();
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// The epochs of a run that gets `more`.
fn extended(options: &Options, before: &Value, more: u32) -> Result<u32> {
    let refuse = |why: &str| {
        let hint = "another run can start from its weights: --init model.safetensors";
        Err(Error::config(format!("--extend {more}: {why}"), hint))
    };
    let result = &before["result"];
    if options.max_steps.is_some() {
        return refuse("the run ends by --max-steps");
    }
    if !result["diverged"].is_null() {
        return refuse("the run has diverged");
    }
    let epochs = result["epochs"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(options.epochs);
    if epochs < options.epochs {
        return refuse("the run was ended by --early-stop");
    }
    epochs.checked_add(more).map_or_else(|| refuse("too many epochs"), Ok)
}

fn crc32(path: &Path) -> Result<String> {
    Ok(format!("{:08x}", crc32fast::hash(&read(path, TENSORS_LIMIT)?)))
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

#[cfg(test)]
mod tests {
    use super::{OnDeviceLost, once_more};
    use crate::error::{Error, Result};

    #[test]
    fn only_a_lost_device_is_opened_anew_and_only_once() {
        let lost = || Err(Error::Lost { message: "gone".into(), hint: String::new() });
        let never = || -> Result<u32> { panic!("nothing to go on from") };
        assert_eq!(once_more(OnDeviceLost::Resume, lost(), || Ok(2)).unwrap(), 2);
        assert!(matches!(once_more::<u32>(OnDeviceLost::Resume, lost(), lost), Err(Error::Lost { .. })));
        assert!(matches!(once_more(OnDeviceLost::Stop, lost(), never), Err(Error::Lost { .. })));
        assert!(matches!(
            once_more(OnDeviceLost::Resume, Err(Error::device("x", "")), never),
            Err(Error::Device { .. })
        ));
        assert_eq!(once_more(OnDeviceLost::Resume, Ok(1), never).unwrap(), 1);
    }
}
