//! `velograd compare`, `sweep` and `ablate`: several runs from the same weights and data order, and their table.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{
    flags::{
        Flags, Preset,
        experiment::{AblateFlags, CompareFlags, ExperimentFlags, SweepFlags},
        given,
        optimizer::{RulesFlags, canonical},
    },
    layers::{Layer, Layers, Origin, present, recipe_of},
    open_device,
    print::{explain, note, remark, say},
    progress::Progress,
    recipe::{self, names_in, preset_of},
    resume,
};
use crate::{
    comparison::{Comparison, Pairs},
    data::Split,
    error::{Error, Result},
    experiment::{self, Ended, Experiment, Variant, grid},
    figure::{Figure, to_png},
    files::write_atomically,
    optim,
    record::{Recipe, config_toml},
    report::Page,
    signals::Stop,
    sweep::{self, Sweep},
    table::Table,
};

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

pub(super) fn compare(flags: &CompareFlags) -> Result<ExitCode> {
    run(
        flags,
        |flags| flags,
        |flags, target| {
            let rules = &flags.run.rules;
            let mut variants: Vec<Variant> = if rules.optimizers.is_empty() {
                PAPER.iter().map(|(name, set)| variant(*name, name, owned(set))).collect()
            } else {
                let names = rules.optimizers.iter().map(|name| canonical(name));
                names.map(|name| variant(name.as_str(), &name, vec![])).collect()
            };
            apply(&mut variants, &rules.set)?;
            let of_variants = variants.clone();
            let title = variants.iter().map(|v| v.label.as_str()).collect::<Vec<_>>().join(", ");
            let show = move |runs: &[Ended], of: &Experiment<'_>| {
                let comparison = Comparison::new(&of_variants, runs, target, Pairs::All);
                compared(&format!("Comparison: {title}"), &comparison, runs, of)
            };
            Ok((variants, Box::new(show) as Show))
        },
    )
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

pub(super) fn sweep(flags: &SweepFlags) -> Result<ExitCode> {
    run(
        flags,
        |flags| &flags.experiment,
        |flags, _| {
            let rules = &flags.experiment.run.rules;
            let rates = grid(&given(flags.lr.clone()))?;
            let optimizers: Vec<String> = rules.optimizers.iter().map(|name| canonical(name)).collect();
            let mut variants: Vec<Variant> = optimizers.iter().map(|name| variant(name, name, vec![])).collect();
            apply(&mut variants, &rules.set)?;
            let at = |v: &Variant, rate: &f64| {
                let mut set = v.set.clone();
                set.push(("lr".into(), rate.to_string()));
                variant(sweep::label(&v.label, *rate), &v.optimizer, set)
            };
            let variants = variants.iter().flat_map(|v| rates.iter().map(move |rate| at(v, rate))).collect();
            let show = move |runs: &[Ended], of: &Experiment<'_>| {
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
            };
            Ok((variants, Box::new(show) as Show))
        },
    )
}

pub(super) fn ablate(flags: &AblateFlags) -> Result<ExitCode> {
    run(
        flags,
        |flags| flags,
        |_, target| {
            let off =
                |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), "false".to_owned())).collect::<Vec<_>>();
            let mut variants = vec![variant("velograd", "velograd", vec![])];
            variants.extend(MECHANISMS.map(|key| variant(format!("without {}", &key[4..]), "velograd", off(&[key]))));
            // Without all of them and without decay the rule is Adam, which runs beside it at the same rate and betas.
            let mut nothing = off(&MECHANISMS);
            nothing.push(("weight_decay".into(), "0".into()));
            variants.push(variant("without all, no decay", "velograd", nothing));
            variants.push(variant("adam, same rate and betas", "adam", owned(&[("lr", "0.0015"), ("beta2", "0.99")])));
            let of_variants = variants.clone();
            let show = move |runs: &[Ended], of: &Experiment<'_>| {
                let comparison = Comparison::new(&of_variants, runs, target, Pairs::WithFirst);
                let mut shown = compared("Ablation of VeloGrad", &comparison, runs, of)?;
                shown.figure("ablation", &comparison.dots())?;
                Ok(shown)
            };
            Ok((variants, Box::new(show) as Show))
        },
    )
}

/// Gives each optimizer its settings.
fn apply(variants: &mut [Variant], set: &[(String, String)]) -> Result<()> {
    for (key, value) in set {
        let (name, setting) = key.rsplit_once(':').unwrap_or(("", key));
        let Some(variant) = variants.iter_mut().find(|v| v.optimizer == canonical(name)) else {
            let known: Vec<_> = variants.iter().map(|v| v.optimizer.as_str()).collect();
            let message = format!("'set' {key}={value}: `{name}` is not compared");
            return Err(Error::about("set", message, format!("there are {}", known.join(", "))));
        };
        variant.set.push((setting.to_owned(), value.clone()));
    }
    Ok(())
}

/// What is made of the runs so far.
type Show = Box<dyn Fn(&[Ended], &Experiment<'_>) -> Result<Shown>>;

/// Makes the runs of the variants that `variants` makes of the flags and of the accuracy whose first epoch is of interest; whenever
/// one has ended, writes what is to be shown of those so far.
fn run<F: Flags, R: Args + Default + Clone + Serialize>(
    flags: &F,
    experiment: impl Fn(&F) -> &ExperimentFlags<R>,
    variants: impl Fn(&F, Option<f64>) -> Result<(Vec<Variant>, Show)>,
) -> Result<ExitCode> {
    let layers = Layers::given(flags)?;
    let mut all = layers.clone();
    // The same command again goes on, from any folder and whatever lies in `data` by now.
    if let Some(out) = &experiment(&layers.flags::<F>()?.0).out
        && let Some((path, begun)) = experiment::begun(out)?
    {
        let kept = ["preset", "dataset", "data"];
        let recipe = begun.into_iter().filter(|(key, _)| kept.contains(&key.as_str())).collect();
        all.push(Layer { origin: Origin::Begun(path), recipe: present(recipe) });
    }
    make(&all, experiment, variants).map_err(|error| layers.locate(error))
}

fn make<F: Flags, R: Args + Default + Clone + Serialize>(
    layers: &Layers,
    experiment: impl Fn(&F) -> &ExperimentFlags<R>,
    variants_of: impl Fn(&F, Option<f64>) -> Result<(Vec<Variant>, Show)>,
) -> Result<ExitCode> {
    // What can be found out before the device and the data are opened.
    let (early, remarks) = layers.complete::<F>(layers.preset().unwrap_or(Preset::Quick))?.flags::<F>()?;
    let ExperimentFlags { out, seeds, .. } = experiment(&early);
    let Some(out) = out.as_deref() else {
        return Err(Error::about("out", "'out' is missing", "'out' names the folder for runs, tables and figures"));
    };
    if given(*seeds) == 0 {
        return Err(Error::setting("seeds", 0, "at least 1"));
    }
    let (variants, _) = variants_of(&early, None)?;
    if let Some(twice) = variants.iter().enumerate().find(|(i, v)| variants[..*i].iter().any(|w| w.label == v.label)) {
        return Err(Error::config(format!("`{}` is there twice", twice.1.label), "name each optimizer once"));
    }
    variants.iter().try_for_each(|variant| optim::build(&variant.optimizer, &variant.set).map(drop))?;
    experiment(&early).run.check(None)?;
    remarks.iter().for_each(|text| remark(text));

    let mut gpu = open_device(experiment(&early).run.device.device.as_deref())?;
    let preset = layers.preset().unwrap_or_else(|| preset_of(&gpu));
    let complete = layers.complete::<F>(preset)?;
    explain(complete.explained());
    let (flags, _) = complete.flags::<F>()?;
    let ExperimentFlags { run, seeds, target, .. } = experiment(&flags);
    let (variants, show) = variants_of(&flags, *target)?;
    let options = run.options(given(run.precision.precision).on(&mut gpu)?, None)?;
    let begun = experiment::begun(out)?;
    if let Some((path, recipe)) = &begun {
        let begun = Layer { origin: Origin::Begun(path.clone()), recipe: recipe.clone() };
        // Choices are added to those that were made; the rest is not part of what all runs have in common.
        let but = ["choice", "seeds", "target", "optimizers", "lr"];
        experiment::refuse_differences(out, &resume::differences(&begun, &flags, &but)?)?;
    }
    // One set of images for all seeds: what differs is weights, order and augmentation.
    let data_seed = run.images.data_seed.unwrap_or(0);
    let dataset = run.open(data_seed)?;
    options.remarks(dataset.as_ref()).iter().for_each(|text| note!("{text}"));
    let train = dataset.len(Split::Train);
    let plans = options.plans(dataset.as_ref())?;
    // An experiment that goes on computes as it was begun.
    let tune = begun.map_or_else(|| run.tune.clone(), |(_, recipe)| run.tune.begun(&recipe));
    tune.apply(&mut gpu, &plans, &names_in(layers.on_command_line("choice")))?;
    let products = plans.products(&gpu.target);
    let resolved = |recipe: Recipe, without: &[&str]| {
        let mut recipe: Recipe = recipe.into_iter().filter(|(key, _)| !without.contains(&key.as_str())).collect();
        recipe::resolve(&mut recipe, preset, &options, dataset.as_ref(), data_seed);
        tune.keep(&gpu, &products, &mut recipe);
        recipe
    };
    let common = resolved(recipe_of(run)?, &["optimizers", "set"]);
    let mut whole = resolved(recipe_of(&flags)?, &[]);
    if F::COMMAND == CompareFlags::COMMAND {
        // Also those that were not named, and their settings.
        let of =
            |v: &Variant| v.set.iter().map(|(key, value)| (format!("{}:{key}", v.optimizer), value.clone())).collect();
        let set: Vec<Vec<(String, String)>> = variants.iter().map(of).collect();
        let optimizers = variants.iter().map(|v| v.optimizer.clone()).collect();
        whole.extend(recipe_of(&RulesFlags { optimizers, set: set.concat() })?);
    }
    let (policy, stop) = (run.reliability.policy()?, Stop::on_signals()?);
    let all = Experiment {
        gpu: &gpu,
        dataset: dataset.clone(),
        data_seed,
        options: options.clone(),
        variants,
        seeds: given(*seeds),
        folder: out.to_owned(),
        recipe: common,
        config: config_toml(F::COMMAND, &whole, out, " --out DIR"),
        policy,
        stop: stop.clone(),
    };
    let write = |runs: &[Ended]| -> Result<Shown> {
        let shown = show(runs, &all)?;
        shown.files.iter().try_for_each(|(name, bytes)| write_atomically(&out.join(name), bytes))?;
        Ok(shown)
    };
    let runs = all.run(
        &mut |variant, seed, starts| {
            note!("{}, seed {seed}{}", variant.label, if starts { "" } else { ": ended before" });
            Box::new(Progress::new(&options, train))
        },
        &mut |runs| write(runs).map(drop),
    )?;
    let Some(runs) = runs else {
        note!("stopped; the same command again goes on from here");
        return Ok(stop.exit_code().map_or(ExitCode::FAILURE, ExitCode::from));
    };
    let shown = write(&runs)?;
    let names: Vec<&str> = shown.files.iter().map(|(name, _)| name.as_str()).collect();
    say!("\n{}\nwrote {} to {}", shown.text, names.join(", "), out.display());
    Ok(ExitCode::SUCCESS)
}
