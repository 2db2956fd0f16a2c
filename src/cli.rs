//! The command line: the arguments of each command, and the function that runs it.

mod bench;
mod compare;
mod data;
mod devices;
mod eval;
mod export;
mod flags;
mod layers;
mod level;
mod live;
mod model;
mod models;
mod normalization;
mod of_run;
mod optimizers;
mod plan;
mod predict;
mod print;
mod probe;
mod profile;
mod progress;
mod recipe;
mod report;
mod resume;
mod runs;
mod schedule;
mod selftest;
mod settings;
mod shell;
mod speak;
mod toml_file;
mod train;
mod tune;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use print::say;

use crate::{
    device::Gpu,
    error::{Error, Result},
    host::{
        device::{open, open_of_rank},
        identity,
        ranks::Launched,
        run::Recipe,
        signals::survive_the_limit_on_files,
    },
};

pub use flags::{device::TuneFlags, values::key_value};
pub use model::{ModelFlags, Subject};
pub use print::error as print_error;

/// Train neural networks on any GPU, or none: every operation is a WGSL compute shader.
#[derive(Parser)]
#[command(name = "velograd", version = identity::TEXT, about, max_term_width = 110, args_override_self = true)]
struct Cli {
    /// Say nothing but results and errors
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = "Output")]
    quiet: bool,
    /// Say what was chosen, and why
    #[arg(long, short, global = true, help_heading = "Output")]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network
    Train(Box<flags::train::TrainFlags>),
    /// Evaluate weights on the test images
    ///
    /// The weights of a run are evaluated on the images that the run was made with, unless others are named.
    Eval(eval::Arguments),
    /// Say what a trained network sees in images, or continue a text
    ///
    /// A network of images gives the likeliest classes of each with their probabilities, a language model draws the tokens that
    /// follow a text.
    Predict(predict::Arguments),
    /// Write a trained network in a format that other programs run: ONNX
    Export(export::Arguments),
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
    ///
    /// Without --optimizers these are velograd, adam and sgd with the settings of the VeloGrad paper. --preset quick makes small
    /// runs to see how it works, in minutes on two cores: width 8, three epochs in batches of 64, two seeds.
    Compare(Box<flags::experiment::CompareFlags>),
    /// Compare learning rates
    ///
    /// Without --optimizers these are velograd, adam and sgd. --preset quick makes small runs to see how it works: width 8, three
    /// epochs in batches of 64, two seeds, four rates.
    Sweep(Box<flags::experiment::SweepFlags>),
    /// Compare VeloGrad with each of its mechanisms off
    ///
    /// --preset quick makes small runs to see how it works: width 8, three epochs in batches of 64, two seeds.
    Ablate(Box<flags::experiment::AblateFlags>),
    /// Drive the update rules alone: gradient spikes, noise
    Probe(probe::Arguments),
    /// Print and draw how a schedule moves the learning rate
    Schedule(schedule::Arguments),
    /// List the update rules: settings, defaults, ranges, state, source
    Optimizers(optimizers::Arguments),
    /// List the networks: settings, defaults, ranges, shapes of parameters
    Models(models::Arguments),
    /// Compare every kernel with its CPU value on this device
    Selftest(selftest::Arguments),
    /// List the runs of a folder
    Runs(runs::Arguments),
    /// Draw a run, or several in the same axes, as a page
    Report(report::Arguments),
    /// Print a script that completes commands and flags in a shell
    Completions(shell::CompletionsArguments),
    /// Print the manual's page, or write one per command
    Man(shell::ManArguments),
}

/// Parses the arguments and runs the command.
///
/// # Errors
/// The error of the command, in the words of the command line.
pub fn run() -> Result<ExitCode> {
    survive_the_limit_on_files();
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    print::choose(match (cli.quiet, cli.verbose) {
        (true, _) => print::Level::Quiet,
        (false, true) => print::Level::Verbose,
        (false, false) => print::Level::Usual,
    });
    let outcome = cli.command.run();
    live::clear();
    outcome.map_err(|error| speak::in_flags(error, &flags_of(matches.subcommand())))
}

impl Command {
    fn run(self) -> Result<ExitCode> {
        match self {
            Self::Train(flags) => return train::run(&flags),
            Self::Eval(arguments) => eval::run(&arguments)?,
            Self::Predict(arguments) => return predict::run(&arguments),
            Self::Export(arguments) => export::run(&arguments)?,
            Self::Devices(arguments) => devices::run(&arguments)?,
            Self::Plan(arguments) => plan::run(&arguments)?,
            Self::Bench(arguments) => bench::run(&arguments)?,
            Self::Profile(arguments) => profile::run(&arguments)?,
            Self::Tune(arguments) => tune::run(&arguments)?,
            Self::Data(arguments) => return data::run(&arguments),
            Self::Compare(flags) => return compare::run(flags.as_ref()),
            Self::Sweep(flags) => return compare::run(flags.as_ref()),
            Self::Ablate(flags) => return compare::run(flags.as_ref()),
            Self::Probe(arguments) => probe::run(&arguments)?,
            Self::Schedule(arguments) => schedule::run(&arguments)?,
            Self::Optimizers(arguments) => optimizers::run(&arguments)?,
            Self::Models(arguments) => models::run(&arguments)?,
            Self::Selftest(arguments) => return selftest::run(&arguments),
            Self::Runs(arguments) => runs::run(&arguments)?,
            Self::Report(arguments) => return report::run(&arguments),
            Self::Completions(arguments) => shell::completions(&arguments, Cli::command())?,
            Self::Man(arguments) => shell::man(&arguments, Cli::command())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The long flags of the command that was given, or of its subcommand.
fn flags_of(subcommand: Option<(&str, &clap::ArgMatches)>) -> Vec<String> {
    let mut command = Cli::command();
    let mut subcommand = subcommand;
    while let Some((name, matches)) = subcommand {
        command = command.find_subcommand(name).cloned().unwrap_or_default();
        subcommand = matches.subcommand();
    }
    long_flags(&command)
}

fn long_flags(command: &clap::Command) -> Vec<String> {
    command.get_arguments().filter_map(|flag| flag.get_long().map(str::to_owned)).collect()
}

/// Prints an error in the words of the command line, as [`run`]'s caller does for the errors that it is handed.
fn print_error_of(command: &str, error: Error) {
    let cli = Cli::command();
    let flags = cli.find_subcommand(command).map(long_flags).unwrap_or_default();
    live::clear();
    print_error(&speak::in_flags(error, &flags));
}

/// Whether a command has this long flag.
fn has_flag(command: &str, flag: &str) -> bool {
    let cli = Cli::command();
    cli.find_subcommand(command)
        .is_some_and(|command| command.get_arguments().any(|known| known.get_long() == Some(flag)))
}

/// The commands with their flags and the texts of `--help`.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The settings of the commands that take a recipe: the command, the defaults, and what `--preset quick` sets instead. A
/// setting without a value is null.
///
/// # Errors
/// [`Error::Config`] if a value cannot be written as JSON.
pub fn settings() -> Result<Vec<(&'static str, Recipe, Recipe)>> {
    fn of<F: flags::Flags>() -> Result<(&'static str, Recipe, Recipe)> {
        let quick = F::of_preset(flags::Preset::Quick);
        Ok((F::COMMAND, flags::recipe_of(&F::defaults())?, flags::recipe_of(&quick)?))
    }
    Ok(vec![
        of::<flags::train::TrainFlags>()?,
        of::<flags::experiment::CompareFlags>()?,
        of::<flags::experiment::SweepFlags>()?,
        of::<flags::experiment::AblateFlags>()?,
    ])
}

/// Checks whether [`run`] would accept these arguments, of which the first is the program's name, as far as that needs
/// neither device nor data.
///
/// # Errors
/// [`Error::Config`], or [`Error::Io`] and [`Error::Data`] for a recipe that cannot be read.
pub fn check(arguments: Vec<std::ffi::OsString>) -> Result<()> {
    let parsed = Cli::try_parse_from(arguments).map_err(|e| Error::config(e.to_string(), ""))?;
    if let Command::Train(flags) = parsed.command { train::check(&flags) } else { Ok(()) }
}

/// Opens the device; a terminal shows how many kernels have been compiled.
fn open_device(wanted: Option<&str>) -> Result<Gpu> {
    let gpu = live::during("opening the device", || open(wanted))?;
    gpu.on_compile(progress::compiling);
    Ok(gpu)
}

/// As [`open_device`], for one of several ranks.
fn open_ranks_device(wanted: Option<&str>, launched: &Launched) -> Result<Gpu> {
    let gpu = live::during("opening the device", || open_of_rank(wanted, launched))?;
    gpu.on_compile(progress::compiling);
    Ok(gpu)
}

fn json_line(value: &impl serde::Serialize) {
    say!("{}", serde_json::to_string(value).expect("plain data"));
}
