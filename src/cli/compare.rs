//! `velograd compare`, `sweep` and `ablate`: several runs from the same weights and data order, and their table.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{checkpoints::CheckpointFlags, print::say, progress::Progress, recipe::RecipeFlags};
use crate::{
    comparison::Comparison,
    data::Split,
    error::{Error, Result},
    experiment::{Experiment, Variant, grid},
    gpu::Gpu,
    signals::Stop,
};

/// What the three have in common.
#[derive(Args)]
struct Common {
    #[command(flatten)]
    recipe: RecipeFlags,
    #[command(flatten)]
    checkpoints: CheckpointFlags,
    /// Runs per optimizer, with seeds 0, 1, ...
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Accuracy on the validation images, percent, whose first epoch is of interest
    #[arg(long, value_name = "PERCENT")]
    target: Option<f64>,
    /// Folder for runs and tables; what has ended there is not run again, what was interrupted goes on
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Args)]
pub(super) struct CompareArguments {
    #[command(flatten)]
    common: Common,
    /// The update rules [default: velograd, adam and sgd with the settings of the VeloGrad paper]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    optimizers: Vec<String>,
    /// A setting of one optimizer, as often as needed
    #[arg(long = "set", value_name = "NAME:KEY=VALUE", value_parser = named)]
    set: Vec<(String, String, String)>,
}

#[derive(Args)]
pub(super) struct SweepArguments {
    #[command(flatten)]
    common: Common,
    /// The update rules
    #[arg(long, value_delimiter = ',', value_name = "NAME,...", default_value = "velograd,adam,sgd")]
    optimizers: Vec<String>,
    /// Learning rates: LOW:HIGH:logN, LOW:HIGH:linN or a list
    #[arg(long, value_name = "RATES", default_value = "1e-4:1e-1:log7")]
    lr: String,
    /// A setting of one optimizer, as often as needed
    #[arg(long = "set", value_name = "NAME:KEY=VALUE", value_parser = named)]
    set: Vec<(String, String, String)>,
}

#[derive(Args)]
pub(super) struct AblateArguments {
    #[command(flatten)]
    common: Common,
}

/// The settings of the VeloGrad paper's three optimizers; the decay of Adam and SGD is coupled.
const PAPER: [(&str, &[(&str, &str)]); 3] = [
    ("velograd", &[]), // its defaults are the paper's: lr 0.0015, betas 0.9 and 0.99, decay 1e-4
    ("adam", &[("lr", "0.001"), ("weight_decay", "1e-4")]),
    ("sgd", &[("lr", "0.01"), ("momentum", "0.9"), ("weight_decay", "1e-4")]),
];

/// VeloGrad's mechanisms, each a switch.
const MECHANISMS: [&str; 6] = ["use_select", "use_loss", "use_norm", "use_sim", "use_adaptive_decay", "use_lookahead"];

fn owned(set: &[(&str, &str)]) -> Vec<(String, String)> {
    set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn variant(label: impl Into<String>, optimizer: &str, set: Vec<(String, String)>) -> Variant {
    Variant { label: label.into(), optimizer: optimizer.into(), set }
}

pub(super) fn compare(arguments: &CompareArguments) -> Result<ExitCode> {
    let mut variants: Vec<Variant> = if arguments.optimizers.is_empty() {
        PAPER.iter().map(|(name, set)| variant(*name, name, owned(set))).collect()
    } else {
        arguments.optimizers.iter().map(|name| variant(name, name, vec![])).collect()
    };
    apply(&mut variants, &arguments.set)?;
    run(&arguments.common, variants)
}

pub(super) fn sweep(arguments: &SweepArguments) -> Result<ExitCode> {
    let rates = grid(&arguments.lr)?;
    let mut variants: Vec<Variant> = arguments.optimizers.iter().map(|name| variant(name, name, vec![])).collect();
    apply(&mut variants, &arguments.set)?;
    let at = |v: &Variant, rate: &f64| {
        let mut set = v.set.clone();
        set.push(("lr".into(), rate.to_string()));
        variant(format!("{} lr={rate}", v.label), &v.optimizer, set)
    };
    let variants = variants.iter().flat_map(|v| rates.iter().map(move |rate| at(v, rate))).collect();
    run(&arguments.common, variants)
}

pub(super) fn ablate(arguments: &AblateArguments) -> Result<ExitCode> {
    let off = |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), "false".to_owned())).collect();
    let mut variants = vec![variant("velograd", "velograd", vec![])];
    variants.extend(MECHANISMS.map(|key| variant(format!("without {}", &key[4..]), "velograd", off(&[key]))));
    variants.push(variant("without all", "velograd", off(&MECHANISMS)));
    // What is left without all of them, but for the decay: Adam at VeloGrad's rate and betas.
    variants.push(variant("adam, same rate and betas", "adam", owned(&[("lr", "0.0015"), ("beta2", "0.99")])));
    run(&arguments.common, variants)
}

/// Gives each optimizer its settings.
fn apply(variants: &mut [Variant], set: &[(String, String, String)]) -> Result<()> {
    for (name, key, value) in set {
        let Some(variant) = variants.iter_mut().find(|v| v.optimizer == *name) else {
            let known: Vec<_> = variants.iter().map(|v| v.optimizer.as_str()).collect();
            let message = format!("--set {name}:{key}={value}: `{name}` is not compared");
            return Err(Error::config(message, format!("there are {}", known.join(", "))));
        };
        variant.set.push((key.clone(), value.clone()));
    }
    Ok(())
}

fn run(common: &Common, variants: Vec<Variant>) -> Result<ExitCode> {
    let Common { recipe, checkpoints, seeds, target, out } = common;
    if *seeds == 0 {
        return Err(Error::config("--seeds 0", "--seeds is at least 1"));
    }
    if let Some(twice) = variants.iter().enumerate().find(|(i, v)| variants[..*i].iter().any(|w| w.label == v.label)) {
        return Err(Error::config(format!("`{}` is there twice", twice.1.label), "name each optimizer once"));
    }
    recipe.check()?;
    let gpu = Gpu::open(recipe.device.as_deref())?;
    let preset = recipe.preset(&gpu);
    let options = recipe.options(preset, None)?;
    // One set of images for all seeds: what differs is weights, order and augmentation.
    let dataset = recipe.open(0)?;
    let train = dataset.len(Split::Train);
    let table = recipe.to_toml(preset, &options);
    let (seeds, folder) = (*seeds, out.clone());
    let (policy, stop) = (checkpoints.policy(), Stop::on_signals()?);
    let experiment = Experiment {
        gpu: &gpu,
        dataset,
        options: options.clone(),
        variants,
        seeds,
        folder,
        recipe: table,
        policy,
        stop: stop.clone(),
    };
    let runs = experiment.run(&mut |variant, seed, starts| {
        say!("{}, seed {seed}{}", variant.label, if starts { "" } else { ": ended before" });
        Box::new(Progress::new(&options, train))
    })?;
    let Some(runs) = runs else {
        say!("stopped; the same command again goes on from here");
        return Ok(stop.exit_code().map_or(ExitCode::FAILURE, ExitCode::from));
    };
    let comparison = Comparison::new(&experiment.variants, &runs, *target);
    comparison.write(out)?;
    say!(
        "\n{}\n{}\nwrote table.md, table.csv and table.json to {}",
        comparison.text(),
        comparison.statistics(),
        out.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Splits `NAME:KEY=VALUE`.
fn named(text: &str) -> std::result::Result<(String, String, String), String> {
    let wrong = || format!("expected NAME:KEY=VALUE, found `{text}`");
    let (name, pair) = text.split_once(':').ok_or_else(wrong)?;
    let (key, value) = super::key_value(pair).map_err(|_| wrong())?;
    Ok((name.to_owned(), key, value))
}
