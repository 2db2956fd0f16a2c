//! `velograd compare`, `sweep` and `ablate`: several runs from the same initial weights and data order, and their
//! comparison.

mod make;

use std::{path::Path, process::ExitCode};

use super::flags::{
    experiment::{AblateFlags, CompareFlags, ComparedFlags, SweepFlags},
    given,
    optimizer::chosen,
};
use crate::{
    error::{Error, Result},
    lab::{
        comparison::{Comparison, Pairs},
        experiment::{Ended, Experiment, Variant, grid, paper::Base},
        figure::Figure,
        report::Page,
        sweep::{self, Sweep},
        table::Table,
    },
    optim::RuleChoice,
    training::Score,
};

use make::run;

/// What an experiment shows: a table and lines for the terminal, and files beside the runs.
struct Shown {
    table: Table,
    lines: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
}

impl Shown {
    fn new(table: Table, lines: Vec<String>) -> Self {
        Self { table, lines, files: vec![] }
    }

    fn file(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        self.files.push((name.to_owned(), content.into()));
    }

    /// Adds `table.md`, `table.csv` and `table.json`.
    fn table(&mut self, table: &Table, remarks: &[String], csv: String, json: &serde_json::Value) {
        let remarks: String = remarks.iter().map(|line| format!("- {line}\n")).collect();
        self.file("table.md", format!("{}\n{remarks}", table.markdown()));
        self.file("table.csv", csv);
        self.file("table.json", serde_json::to_string_pretty(json).unwrap_or_default() + "\n");
    }

    /// Adds `NAME.svg` and `NAME.png`.
    fn figure(&mut self, name: &str, figure: &Figure) -> Result<()> {
        let drawing = figure.drawing();
        self.file(&format!("{name}.png"), drawing.png()?);
        self.file(&format!("{name}.svg"), drawing.svg());
        Ok(())
    }
}

/// The flags that switch VeloGrad's mechanisms.
const MECHANISMS: [&str; 6] = ["use_select", "use_loss", "use_norm", "use_sim", "use_adaptive_decay", "use_lookahead"];

fn owned(set: &[(&str, &str)]) -> Vec<(String, String)> {
    set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn variant(label: impl Into<String>, optimizer: impl Into<RuleChoice>, set: Vec<(String, String)>) -> Variant {
    Variant { label: label.into(), optimizer: optimizer.into(), set }
}

pub(super) fn compare(flags: &CompareFlags) -> Result<ExitCode> {
    run(
        flags,
        |flags| flags,
        |flags, target| {
            let (variants, lines) = variants(&flags.run.rules, flags.out.as_deref(), None)?;
            let of_variants = variants.clone();
            let title = variants.iter().map(|v| v.label.as_str()).collect::<Vec<_>>().join(", ");
            let show = move |runs: &[Ended], of: &Experiment<'_>| {
                let comparison = Comparison::new(&of_variants, runs, of.seeds, score(of), target, Pairs::All);
                compared(&format!("Comparison: {title}"), &comparison, runs, of)
            };
            Ok(Compared { variants, lines: Box::new(lines), show: Box::new(show) })
        },
    )
}

/// What the runs of an experiment are judged by.
fn score(of: &Experiment<'_>) -> Score {
    Score::of(of.dataset.as_ref())
}

/// The table, statistics and curves that `compare` shows, and `ablate` in part.
fn compared(title: &str, comparison: &Comparison<'_>, runs: &[Ended], of: &Experiment<'_>) -> Result<Shown> {
    let (table, lines) = (comparison.table(), comparison.lines());
    let mut shown = Shown::new(table.clone(), lines.clone());
    shown.table(&table, &lines, comparison.csv(), &comparison.json());
    shown.figure("curves", &comparison.curves())?;
    let mut page = Page::new(title);
    page.lead(&lines[0]);
    page.table(&table);
    page.note("Mean ± sample standard deviation over seeds, at the end of the last epoch.");
    page.heading("Over the epochs");
    page.figure(&comparison.curves());
    page.note("Lines are means over seeds, bands one standard deviation to either side.");
    page.heading(score(of).measure().title);
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
            let swept = given(flags.lr.clone());
            let rates = grid(&swept)?;
            let (variants, lines) =
                variants(&flags.experiment.run.rules, flags.experiment.out.as_deref(), Some(swept))?;
            let optimizers: Vec<String> = variants.iter().map(|v| v.label.clone()).collect();
            let at = |v: &Variant, rate: &f64| {
                let mut set = v.set.clone();
                set.push(("lr".into(), rate.to_string()));
                variant(sweep::label(&v.label, *rate), &v.optimizer, set)
            };
            let variants = variants.iter().flat_map(|v| rates.iter().map(move |rate| at(v, rate))).collect();
            let show = move |runs: &[Ended], of: &Experiment<'_>| {
                let sweep = Sweep { optimizers: &optimizers, rates: &rates, runs, seeds: of.seeds, score: score(of) };
                let (table, lines) = (sweep.table(), sweep.lines());
                let mut shown = Shown::new(table.clone(), lines.clone());
                shown.table(&table, &lines, sweep.csv(), &sweep.json());
                shown.figure("sweep", &sweep.figure())?;
                let mut page = Page::new(&format!("Learning rates: {}", optimizers.join(", ")));
                page.list(&lines);
                page.figure(&sweep.figure());
                page.note(
                "Means over seeds, bands one standard deviation to either side; a cross is a rate at which runs diverged.",
            );
                page.heading(sweep.score.measure().title);
                page.table(&table);
                page.provenance(of.dataset.as_ref(), &of.variants, runs, &of.recipe);
                shown.file("report.html", page.html());
                Ok(shown)
            };
            Ok(Compared { variants, lines: Box::new(lines), show: Box::new(show) })
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
            // VeloGrad's settings are those of `compare`, and what is switched off is added.
            let velograd = |label: String, more: Vec<(String, String)>| {
                variant(label, "velograd", [Base::Paper.settings(&"velograd".into()), more].concat())
            };
            let mut variants = vec![velograd("velograd".into(), vec![])];
            variants.extend(MECHANISMS.map(|key| velograd(format!("without {}", &key[4..]), off(&[key]))));
            // Without any mechanism and without decay the rule is Adam, which runs beside it at the same learning rate
            // and betas.
            let mut nothing = off(&MECHANISMS);
            nothing.push(("weight_decay".into(), "0".into()));
            variants.push(velograd("without all, no decay".into(), nothing));
            let adam = owned(&[("lr", "0.0015"), ("beta2", "0.99")]);
            variants.push(variant("adam, same rate and betas, no decay", "adam", adam));
            let said = variants.clone();
            let lines = move || said.iter().map(line_of).collect();
            let of_variants = variants.clone();
            let show = move |runs: &[Ended], of: &Experiment<'_>| {
                let comparison = Comparison::new(&of_variants, runs, of.seeds, score(of), target, Pairs::WithFirst);
                let mut shown = compared("Ablation of VeloGrad", &comparison, runs, of)?;
                shown.figure("ablation", &comparison.dots())?;
                Ok(shown)
            };
            Ok(Compared { variants, lines: Box::new(lines), show: Box::new(show) })
        },
    )
}

/// The line that states a variant's settings before the runs.
fn line_of(v: &Variant) -> Result<String> {
    let line = Base::Paper.line(&v.optimizer, &v.set, None)?;
    Ok(if v.label == v.optimizer.name() { line } else { format!("{}, {line}", v.label) })
}

/// The optimizers as they are compared in this folder, and the lines that state their settings. `rates` are the
/// learning rates if those are swept.
fn variants(
    flags: &ComparedFlags,
    out: Option<&Path>,
    rates: Option<String>,
) -> Result<(Vec<Variant>, impl Fn() -> Result<Vec<String>> + use<>)> {
    let base = given(flags.settings);
    let of = |argument: &String| {
        let rule = chosen(argument, out)?;
        Ok(variant(rule.name(), &rule, base.settings(&rule)))
    };
    let mut variants: Vec<Variant> = flags.rules.optimizers.iter().map(of).collect::<Result<_>>()?;
    apply(&mut variants, &flags.rules.set)?;
    let said = variants.clone();
    let lines = move || {
        let of = |v: &Variant| base.line(&v.optimizer, &v.set, rates.as_deref());
        let mut lines: Vec<_> = said.iter().map(of).collect::<Result<_>>()?;
        if said.iter().any(|v| !base.settings(&v.optimizer).is_empty()) {
            lines.push("--settings default compares every rule at its own defaults".into());
        }
        Ok(lines)
    };
    Ok((variants, lines))
}

/// Adds each `NAME:KEY=VALUE` to the settings of the variant of that name.
fn apply(variants: &mut [Variant], set: &[(String, String)]) -> Result<()> {
    for (key, value) in set {
        let (name, setting) = key.rsplit_once(':').unwrap_or(("", key));
        let Some(variant) = variants.iter_mut().find(|v| v.label.eq_ignore_ascii_case(name)) else {
            let known: Vec<_> = variants.iter().map(|v| v.label.as_str()).collect();
            let message = format!("'set' {key}={value}: `{name}` is not compared");
            return Err(Error::about("set", message, format!("there are {}", known.join(", "))));
        };
        variant.set.push((setting.to_owned(), value.clone()));
    }
    Ok(())
}

/// What an experiment runs, and what it shows.
struct Compared {
    variants: Vec<Variant>,
    /// The lines that state the settings of the variants.
    lines: Box<dyn Fn() -> Result<Vec<String>>>,
    show: Show,
}

/// Builds what is shown from the runs that have ended.
type Show = Box<dyn Fn(&[Ended], &Experiment<'_>) -> Result<Shown>>;
