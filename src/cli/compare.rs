//! `velograd compare`, `sweep` and `ablate`: several runs from the same weights and data order, and their table.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{checkpoints::CheckpointFlags, open_device, print::say, progress::Progress, recipe::RecipeFlags};
use crate::{
    data::Split,
    error::{Error, Result},
    host::{files::write_atomically, rule_file, signals::Stop},
    lab::{
        comparison::{Comparison, Pairs},
        experiment::{self, Ended, Experiment, Variant, grid, paper::Base},
        figure::{Figure, to_png},
        report::Page,
        sweep::{self, Sweep},
        table::Table,
    },
    optim::RuleChoice,
};
use pollster::block_on;

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
    /// Folder for runs, tables, figures and report.html; what has ended there is not run again, what was interrupted goes on
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Small runs to see how it works, in minutes on two cores: shapes10, width 8, three epochs, two seeds; other flags override
    #[arg(long)]
    quick: bool, // read before the flags are parsed: `recipe::expand` puts what it stands for in its place
}

/// What an experiment shows: a text for the terminal and files beside the runs.
struct Shown {
    text: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Shown {
    fn new(text: String) -> Self {
        Self { text, files: vec![] }
    }

    fn file(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        self.files.push((name.to_owned(), content.into()));
    }

    /// `table.md`, `table.csv`, `table.json`.
    fn table(&mut self, table: &Table, remarks: &[String], csv: String, json: &serde_json::Value) {
        let remarks: String = remarks.iter().map(|line| format!("- {line}\n")).collect();
        self.file("table.md", format!("{}\n{remarks}", table.markdown()));
        self.file("table.csv", csv);
        self.file("table.json", serde_json::to_string_pretty(json).unwrap_or_default() + "\n");
    }

    /// `NAME.svg` and `NAME.png`.
    fn figure(&mut self, name: &str, figure: &Figure) -> Result<()> {
        let svg = figure.svg();
        self.file(&format!("{name}.png"), to_png(&svg)?);
        self.file(&format!("{name}.svg"), svg);
        Ok(())
    }
}

#[derive(Args)]
pub(super) struct CompareArguments {
    #[command(flatten)]
    common: Common,
    /// The update rules, names and files with rules of one's own
    #[arg(long, value_delimiter = ',', value_name = "NAME|FILE.wgsl,...", default_value = "velograd,adam,sgd")]
    optimizers: Vec<String>,
    #[command(flatten)]
    settings: SettingsFlag,
    /// A setting of one optimizer, as often as needed
    #[arg(long = "set", value_name = "NAME:KEY=VALUE", value_parser = named)]
    set: Vec<(String, String, String)>,
}

#[derive(Args)]
pub(super) struct SweepArguments {
    #[command(flatten)]
    common: Common,
    /// The update rules, names and files with rules of one's own
    #[arg(long, value_delimiter = ',', value_name = "NAME|FILE.wgsl,...", default_value = "velograd,adam,sgd")]
    optimizers: Vec<String>,
    #[command(flatten)]
    settings: SettingsFlag,
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

/// `--settings` of `compare` and `sweep`.
#[derive(Args)]
struct SettingsFlag {
    /// Where the settings of each optimizer start: paper, those of the VeloGrad paper's experiment for velograd, adam and sgd and
    /// the rule's defaults for others; or default, the rule's defaults for all. --set overrides either
    #[arg(long, value_name = "paper|default", default_value = "paper", value_parser = base)]
    settings: Base,
}

fn base(text: &str) -> std::result::Result<Base, String> {
    text.parse().map_err(|e: Error| e.to_string())
}

/// VeloGrad's mechanisms, each a switch.
const MECHANISMS: [&str; 6] = ["use_select", "use_loss", "use_norm", "use_sim", "use_adaptive_decay", "use_lookahead"];

fn owned(set: &[(&str, &str)]) -> Vec<(String, String)> {
    set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn variant(label: impl Into<String>, optimizer: impl Into<RuleChoice>, set: Vec<(String, String)>) -> Variant {
    Variant { label: label.into(), optimizer: optimizer.into(), set }
}

pub(super) fn compare(arguments: &CompareArguments) -> Result<ExitCode> {
    let (variants, lines) =
        variants(&arguments.common, &arguments.optimizers, &arguments.settings, &arguments.set, None)?;
    let target = arguments.common.target;
    let title = variants.iter().map(|v| v.label.as_str()).collect::<Vec<_>>().join(", ");
    let of_variants = variants.clone();
    run(&arguments.common, variants, &lines, &|runs, experiment| {
        let comparison = Comparison::new(&of_variants, runs, target, Pairs::All);
        compared(&format!("Comparison: {title}"), &comparison, runs, experiment)
    })
}

/// Table, statistics and curves; what `compare` shows, and `ablate` in part.
fn compared(title: &str, comparison: &Comparison<'_>, runs: &[Ended], of: &Experiment<'_>) -> Result<Shown> {
    let (table, lines) = (comparison.table(), comparison.statistics().lines());
    let mut shown = Shown::new(format!("{}\n{}", table.text(), lines.join("\n")));
    shown.table(&table, &lines, comparison.csv(), &comparison.json());
    shown.figure("curves", &comparison.curves())?;
    let mut page = Page::new(title);
    page.lead(&lines[0]);
    page.table(&table);
    page.note("Mean ± sample standard deviation over seeds, at the end of the last epoch.");
    page.heading("Over the epochs");
    page.figure(&comparison.curves());
    page.note("Lines are means over seeds, bands one standard deviation to either side.");
    page.heading("Accuracy");
    page.figure(&comparison.dots());
    page.heading("Statistics");
    page.list(&lines[1..]);
    page.note("Intervals are bootstrap percentiles of the mean; with few seeds they are too narrow.");
    page.provenance(of.dataset.as_ref(), &of.variants, runs, &of.recipe);
    shown.file("report.html", page.html());
    Ok(shown)
}

pub(super) fn sweep(arguments: &SweepArguments) -> Result<ExitCode> {
    let rates = grid(&arguments.lr)?;
    let rated = Some(arguments.lr.as_str());
    let (variants, lines) =
        variants(&arguments.common, &arguments.optimizers, &arguments.settings, &arguments.set, rated)?;
    let optimizers: Vec<String> = variants.iter().map(|v| v.label.clone()).collect();
    let at = |v: &Variant, rate: &f64| {
        let mut set = v.set.clone();
        set.push(("lr".into(), rate.to_string()));
        variant(sweep::label(&v.label, *rate), &v.optimizer, set)
    };
    let variants = variants.iter().flat_map(|v| rates.iter().map(move |rate| at(v, rate))).collect();
    run(&arguments.common, variants, &lines, &|runs, of| {
        let sweep = Sweep { optimizers: &optimizers, rates: &rates, runs };
        let (table, lines) = (sweep.table(), sweep.lines());
        let mut shown = Shown::new(format!("{}\n{}", table.text(), lines.join("\n")));
        shown.table(&table, &lines, sweep.csv(), &sweep.json());
        shown.figure("sweep", &sweep.figure())?;
        let mut page = Page::new(&format!("Learning rates: {}", optimizers.join(", ")));
        page.list(&lines);
        page.figure(&sweep.figure());
        page.note(
            "Means over seeds, bands one standard deviation to either side; a cross is a rate at which runs diverged.",
        );
        page.heading("Accuracy");
        page.table(&table);
        page.provenance(of.dataset.as_ref(), &of.variants, runs, &of.recipe);
        shown.file("report.html", page.html());
        Ok(shown)
    })
}

pub(super) fn ablate(arguments: &AblateArguments) -> Result<ExitCode> {
    let off = |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), "false".to_owned())).collect::<Vec<_>>();
    // VeloGrad is that of `compare`; what is switched off comes on top.
    let velograd = |label: String, more: Vec<(String, String)>| {
        variant(label, "velograd", [Base::Paper.settings(&"velograd".into()), more].concat())
    };
    let mut variants = vec![velograd("velograd".into(), vec![])];
    variants.extend(MECHANISMS.map(|key| velograd(format!("without {}", &key[4..]), off(&[key]))));
    // Without all of them and without decay the rule is Adam, which runs beside it at the same rate and betas.
    let mut nothing = off(&MECHANISMS);
    nothing.push(("weight_decay".into(), "0".into()));
    variants.push(velograd("without all, no decay".into(), nothing));
    let adam = owned(&[("lr", "0.0015"), ("beta2", "0.99")]);
    variants.push(variant("adam, same rate and betas, no decay", "adam", adam));
    let line = |v: &Variant| {
        let line = Base::Paper.line(&v.optimizer, &v.set, None)?;
        Ok(if v.label == v.optimizer.name() { line } else { format!("{}, {line}", v.label) })
    };
    let lines: Vec<String> = variants.iter().map(line).collect::<Result<_>>()?;
    let of_variants = variants.clone();
    run(&arguments.common, variants, &lines, &|runs, experiment| {
        let comparison = Comparison::new(&of_variants, runs, arguments.common.target, Pairs::WithFirst);
        let mut shown = compared("Ablation of VeloGrad", &comparison, runs, experiment)?;
        shown.figure("ablation", &comparison.dots())?;
        Ok(shown)
    })
}

/// The optimizers as they are compared, asked for by name or by file, and a line for each that says with which settings; `rates` are the
/// learning rates where those are swept.
fn variants(
    common: &Common,
    optimizers: &[String],
    SettingsFlag { settings: base }: &SettingsFlag,
    set: &[(String, String, String)],
    rates: Option<&str>,
) -> Result<(Vec<Variant>, Vec<String>)> {
    let one = |argument: &String| {
        let rule = rule_file::choose_in(&common.out, argument)?;
        Ok(variant(rule.name(), &rule, base.settings(&rule)))
    };
    let mut variants: Vec<Variant> = optimizers.iter().map(one).collect::<Result<_>>()?;
    let of_paper = variants.iter().any(|v| !v.set.is_empty());
    apply(&mut variants, set)?;
    let mut lines: Vec<_> = variants.iter().map(|v| base.line(&v.optimizer, &v.set, rates)).collect::<Result<_>>()?;
    if of_paper {
        lines.push("--settings default compares every rule at its own defaults".into());
    }
    Ok((variants, lines))
}

/// Gives each optimizer its settings.
fn apply(variants: &mut [Variant], set: &[(String, String, String)]) -> Result<()> {
    for (name, key, value) in set {
        let Some(variant) = variants.iter_mut().find(|v| v.label.eq_ignore_ascii_case(name)) else {
            let known: Vec<_> = variants.iter().map(|v| v.label.as_str()).collect();
            let message = format!("--set {name}:{key}={value}: `{name}` is not compared");
            return Err(Error::config(message, format!("there are {}", known.join(", "))));
        };
        variant.set.push((key.clone(), value.clone()));
    }
    Ok(())
}

/// Makes the runs, after `lines` about their settings; whenever one has ended, writes what `show` makes of those so far.
fn run(
    common: &Common,
    variants: Vec<Variant>,
    lines: &[String],
    show: &dyn Fn(&[Ended], &Experiment<'_>) -> Result<Shown>,
) -> Result<ExitCode> {
    let Common { recipe, checkpoints, seeds, out, .. } = common;
    if *seeds == 0 {
        return Err(Error::config("--seeds 0", "--seeds is at least 1"));
    }
    if let Some(twice) = variants.iter().enumerate().find(|(i, v)| variants[..*i].iter().any(|w| w.label == v.label)) {
        let hint = "name each optimizer once; a rule is called by its file's name";
        return Err(Error::config(format!("`{}` is there twice", twice.1.label), hint));
    }
    recipe.check()?;
    let gpu = open_device(recipe.device.as_deref())?;
    let preset = recipe.preset(&gpu);
    let (precision, target) = recipe.precision(&gpu)?;
    let mut options = recipe.options(preset, precision, None)?;
    // One set of images for all seeds: what differs is weights, order and augmentation.
    let dataset = recipe.open(0)?;
    recipe.normalize(&mut options, dataset.as_ref(), None)?;
    let train = dataset.len(Split::Train);
    let mut plans = options.plans(dataset.as_ref(), &target)?;
    // An experiment that goes on computes as it was begun.
    let tune = experiment::begun(out)?.map_or_else(|| recipe.tune.clone(), |begun| recipe.tune.begun(&begun));
    plans.target = tune.apply(&gpu, &plans)?;
    let mut table = recipe.to_toml(preset, &options);
    tune.to_toml(&plans.target, &plans.products(), &mut table);
    let (seeds, folder) = (*seeds, out.clone());
    let (policy, stop) = (checkpoints.policy(), Stop::on_signals()?);
    let experiment = Experiment {
        gpu: &gpu,
        target: plans.target,
        dataset,
        options: options.clone(),
        variants,
        seeds,
        folder,
        recipe: table,
        policy,
        stop: stop.clone(),
    };
    let write = |runs: &[Ended]| -> Result<Shown> {
        let shown = show(runs, &experiment)?;
        shown.files.iter().try_for_each(|(name, bytes)| write_atomically(&out.join(name), bytes))?;
        Ok(shown)
    };
    lines.iter().for_each(|line| say!("{line}"));
    let runs = block_on(experiment.run(
        &mut |variant, seed, starts| {
            say!("{}, seed {seed}{}", variant.label, if starts { "" } else { ": ended before" });
            Box::new(Progress::new(&options, train))
        },
        &mut |runs| write(runs).map(drop),
    ))?;
    let Some(runs) = runs else {
        say!("stopped; the same command again goes on from here");
        return Ok(stop.exit_code().map_or(ExitCode::FAILURE, ExitCode::from));
    };
    let shown = write(&runs)?;
    let names: Vec<&str> = shown.files.iter().map(|(name, _)| name.as_str()).collect();
    say!("\n{}\nwrote {} to {}", shown.text, names.join(", "), out.display());
    Ok(ExitCode::SUCCESS)
}

/// Splits `NAME:KEY=VALUE`.
pub(super) fn named(text: &str) -> std::result::Result<(String, String, String), String> {
    let wrong = || format!("expected NAME:KEY=VALUE, found `{text}`");
    let (name, pair) = text.split_once(':').ok_or_else(wrong)?;
    let (key, value) = super::key_value(pair).map_err(|_| wrong())?;
    Ok((name.to_owned(), key, value))
}
