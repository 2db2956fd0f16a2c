//! The command line: what each command takes, and which function does it.

mod bench;
mod checkpoints;
mod compare;
mod data;
mod devices;
mod eval;
mod normalization;
mod optimizers;
mod plan;
mod print;
mod probe;
mod profile;
mod progress;
mod recipe;
mod schedule;
mod selftest;
mod train;
mod tune;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};
use print::{remark, say};
pub use tune::{TuneFlag, TuneFlags};

use crate::{
    check::cooperative::{self, Verdict},
    device::Gpu,
    error::{Error, Result},
    host::{device::open, identity, rule_file},
    models::{self, Config, Model, Stem, check_width},
    ops::Augment,
    optim::Optimizer,
    program::target::{Precision, Target},
    training::network::{LARGEST_BATCH, Plans, Recipe},
};
use pollster::block_on;

/// Train convolutional networks on any GPU, or none: every operation is a WGSL compute shader.
#[derive(Parser)]
#[command(name = "velograd", version = identity::TEXT, about, max_term_width = 110, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network
    Train(Box<train::Arguments>),
    /// Evaluate weights on the test images
    Eval(eval::Arguments),
    /// List the adapters of this machine
    Devices(devices::Arguments),
    /// Print the recorded program of an update: dispatches, bytes, FLOP, planned memory
    Plan(plan::Arguments),
    /// Time one update of one batch
    Bench(bench::Arguments),
    /// Time every dispatch of an update against what the device can do; draw timeline and memory
    Profile(profile::Arguments),
    /// Measure every form of every matrix product of a network, and keep which is fastest on this device
    Tune(tune::Arguments),
    /// Say what a data set holds, and show its images as the network sees them
    Data(data::Arguments),
    /// Train several optimizers from the same weights and data order, and compare them
    Compare(Box<compare::CompareArguments>),
    /// Compare learning rates
    Sweep(Box<compare::SweepArguments>),
    /// Compare VeloGrad with each of its mechanisms off
    Ablate(Box<compare::AblateArguments>),
    /// Drive the update rules alone: gradient spikes, noise
    Probe(probe::Arguments),
    /// Print and draw how a schedule moves the learning rate
    Schedule(schedule::Arguments),
    /// List the update rules: settings, defaults, ranges, state, source
    Optimizers(optimizers::Arguments),
    /// Compare every kernel with its CPU value on this device
    Selftest(selftest::Arguments),
}

/// Parses the arguments and runs the command.
///
/// # Errors
/// Whatever the command ran into.
pub fn run() -> Result<ExitCode> {
    match Cli::parse_from(recipe::expand(std::env::args_os().collect())?).command {
        Command::Train(arguments) => return train::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments)?,
        Command::Devices(arguments) => devices::run(&arguments)?,
        Command::Plan(arguments) => plan::run(&arguments)?,
        Command::Bench(arguments) => bench::run(&arguments)?,
        Command::Profile(arguments) => profile::run(&arguments)?,
        Command::Tune(arguments) => tune::run(&arguments)?,
        Command::Data(arguments) => data::run(&arguments)?,
        Command::Compare(arguments) => return compare::compare(&arguments),
        Command::Sweep(arguments) => return compare::sweep(&arguments),
        Command::Ablate(arguments) => return compare::ablate(&arguments),
        Command::Probe(arguments) => probe::run(&arguments)?,
        Command::Schedule(arguments) => schedule::run(&arguments)?,
        Command::Optimizers(arguments) => optimizers::run(&arguments)?,
        Command::Selftest(arguments) => return selftest::run(&arguments),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether [`run`] would take these arguments, the program's name first, as far as that needs neither device nor data.
///
/// # Errors
/// [`Error::Config`], or [`Error::Io`] and [`Error::Data`] for a recipe that cannot be read.
pub fn check(arguments: Vec<std::ffi::OsString>) -> Result<()> {
    let parsed = Cli::try_parse_from(recipe::expand(arguments)?).map_err(|e| Error::config(e.to_string(), ""))?;
    if let Command::Train(arguments) = parsed.command { train::check(&arguments) } else { Ok(()) }
}

/// `--stem`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StemFlag {
    /// 7x7 convolution of stride 2 and max-pool
    Imagenet,
    /// 3x3 convolution of stride 1
    Cifar,
}

impl From<StemFlag> for Stem {
    fn from(flag: StemFlag) -> Self {
        match flag {
            StemFlag::Imagenet => Self::Imagenet,
            StemFlag::Cifar => Self::Cifar,
        }
    }
}

/// `--precision`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionFlag {
    /// Activations and their gradients as f32
    F32,
    /// As f16, with a dynamic loss scale; sums, weights and the optimizer stay f32
    Mixed,
    /// mixed where the device's shaders have f16, else f32
    Auto,
}

impl PrecisionFlag {
    /// What it means on this device, and the target that computes in it; of `auto`, and of cooperative matrices where they were
    /// asked for, a line says it.
    ///
    /// # Errors
    /// [`Error::Device`] if the device has not what was asked for.
    pub fn on(self, gpu: &Gpu) -> Result<(Precision, Target)> {
        let precision = match self {
            Self::F32 => Precision::F32,
            Self::Mixed => Precision::Mixed,
            Self::Auto => {
                let precision = if gpu.features.f16 { Precision::Mixed } else { Precision::F32 };
                let why = if gpu.features.f16 { "have f16" } else { "have no f16" };
                remark(&format!("precision {} (the shaders of {} {why})", precision.name(), gpu.info.name));
                precision
            }
        };
        gpu.supports(precision)?;
        let mut target = gpu.target.clone();
        if precision == Precision::Mixed && gpu.matrix.is_some() {
            let verdict = match block_on(cooperative::judge(gpu, gpu.matrix))? {
                Verdict::Absent => return Ok((precision, target)),
                Verdict::Wrong => "compute wrongly: not used",
                Verdict::Slow => "are no faster: not used",
                Verdict::Taken => {
                    target.matrix = gpu.matrix;
                    "are used for products"
                }
            };
            remark(&format!("cooperative matrices of {} {verdict}", gpu.info.name));
        }
        Ok((precision, target))
    }
}

/// Where the images come from.
#[derive(Args, Clone, Debug)]
struct DataFlags {
    /// CIFAR-10 in its binary form: a folder, an archive (.tar.gz, .tgz, .tar), or a file data_batch_*.bin for its folder
    /// [default: looked for in data/]
    #[arg(long, value_name = "DIR|FILE")]
    data: Option<PathBuf>,
    /// cifar10, or shapes10: drawn shapes that need no download [default: cifar10 if it is there]
    #[arg(long)]
    dataset: Option<String>,
}

/// The network of `plan` and `bench`, the published one by default.
#[derive(Args, Clone, Debug)]
pub struct ModelFlags {
    /// The network: resnet18 or airbench94
    #[arg(long, default_value = "resnet18")]
    pub model: String,
    /// First layers of resnet18 [default: imagenet]
    #[arg(long, value_enum)]
    pub stem: Option<StemFlag>,
    /// Channels of the first stage
    #[arg(long, default_value_t = 64)]
    pub width: u32,
    /// Images of a batch
    #[arg(long, default_value_t = 128)]
    pub batch_size: u32,
    /// What activations are stored as
    #[arg(long, value_enum, default_value = "f32")]
    pub precision: PrecisionFlag,
    /// The update rule: a name of `velograd optimizers`, or a file with a rule of one's own (docs/RULES.md)
    #[arg(long, value_name = "NAME|FILE.wgsl", default_value = "velograd")]
    pub optimizer: String,
    /// A setting of the optimizer, as often as needed
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Adapter by index or part of its name
    #[arg(long, value_name = "NAME|INDEX")]
    pub device: Option<String>,
}

impl ModelFlags {
    /// The update rule with its settings.
    ///
    /// # Errors
    /// As [`rule_file::choose`] and [`RuleChoice::build`](crate::optim::RuleChoice::build).
    pub fn optimizer(&self) -> Result<Box<dyn Optimizer>> {
        Ok(rule_file::choose(&self.optimizer)?.build(&self.set)?.0)
    }

    /// The device, and one training program of this batch size, no evaluation.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown model or a size out of its range, before the device is opened; as [`open`] and
    /// [`PrecisionFlag::on`].
    pub fn open(&self, tune: &TuneFlags) -> Result<(Gpu, Plans<'static>)> {
        let gpu = self.open_gpu()?;
        let plans = self.on(&gpu, tune)?;
        Ok((gpu, plans))
    }

    /// The device, once model and sizes are known to be right.
    fn open_gpu(&self) -> Result<Gpu> {
        self.network()?;
        open_device(self.device.as_deref())
    }

    /// That program for a device that is open.
    fn on(&self, gpu: &Gpu, tune: &TuneFlags) -> Result<Plans<'static>> {
        let (model, config) = self.network()?;
        let (precision, target) = self.precision.on(gpu)?;
        let recipe = Recipe { augment: Augment::Paper, precision, ..Recipe::default() };
        let mut plans = Plans { model, config, recipe, target, train: vec![self.batch_size], evaluate: vec![] };
        plans.target = tune.apply(gpu, &plans)?;
        Ok(plans)
    }

    /// The model and its size.
    fn network(&self) -> Result<(&'static Model, Config)> {
        let model = models::find(&self.model)?;
        check_width(self.width)?;
        if !(1..=LARGEST_BATCH).contains(&self.batch_size) {
            let message = format!("--batch-size {}", self.batch_size);
            return Err(Error::config(message, format!("--batch-size is from 1 to {LARGEST_BATCH}")));
        }
        let stem = model.stem(self.stem.map(Stem::from))?;
        Ok((model, Config { stem, width: self.width, classes: crate::data::CLASSES as u32 }))
    }
}

/// Splits `KEY=VALUE`.
///
/// # Errors
/// If there is no `=` or nothing before it.
pub fn key_value(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("expected KEY=VALUE, found `{text}`")),
    }
}

/// Opens the device; a terminal sees how many kernels have been compiled.
fn open_device(wanted: Option<&str>) -> Result<Gpu> {
    let gpu = open(wanted)?;
    gpu.on_compile(progress::compiling);
    Ok(gpu)
}

fn json_line(value: &impl serde::Serialize) {
    say!("{}", serde_json::to_string(value).expect("plain data"));
}
