//! `velograd compare`, `sweep` and `ablate`: several runs from the same initial weights and data order, and their
//! comparison.

mod jobs;
mod known;
mod launch;
mod make;
mod queue;
mod shown;
mod slurm;

use std::{path::Path, process::ExitCode};

use super::{
    flags::{
        experiment::{AblateFlags, CompareFlags, ComparedFlags, ExperimentFlags, NoRules, SweepFlags},
        given,
        launch::Task,
        optimizer::chosen,
    },
    layers::Layers,
};
use crate::{
    error::{Error, Result},
    lab::{
        comparison::{Comparison, Pairs},
        experiment::{Variant, grid, paper::Base},
        report::Page,
        sweep::{self, Sweep},
    },
    optim::RuleChoice,
};

use known::known;
use shown::{Compared, Compares, Results, Shown};

/// Does with the runs of an experiment what its flags ask for.
pub(super) fn run<F: Compares>(flags: &F) -> Result<ExitCode> {
    let layers = Layers::given(flags)?;
    let task = flags.experiment().launch.task()?;
    let outcome = match task {
        Task::All => make::all::<F>(&layers),
        Task::One(number) => make::one::<F>(&layers, number),
        Task::Table => known::<F>(&layers, true).and_then(|known| launch::table(&known)),
        Task::Status => known::<F>(&layers, true).and_then(|known| launch::status(&known)),
        Task::Commands => known::<F>(&layers, false).and_then(|known| launch::commands(&known)),
        Task::Slurm(flags, at_once) => {
            known::<F>(&layers, false).and_then(|known| slurm::submit(&known, &flags, at_once))
        }
        Task::Jobs(jobs, devices) => known::<F>(&layers, false).and_then(|known| jobs::run(&known, jobs, &devices)),
    };
    outcome.map_err(|error| layers.locate(error))
}

/// The flags that switch VeloGrad's mechanisms.
const MECHANISMS: [&str; 6] = ["use_select", "use_loss", "use_norm", "use_sim", "use_adaptive_decay", "use_lookahead"];

fn owned(set: &[(&str, &str)]) -> Vec<(String, String)> {
    set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn variant(label: impl Into<String>, optimizer: impl Into<RuleChoice>, set: Vec<(String, String)>) -> Variant {
    Variant { label: label.into(), optimizer: optimizer.into(), set }
}

impl Compares for CompareFlags {
    type Rules = ComparedFlags;

    fn experiment(&self) -> &ExperimentFlags<ComparedFlags> {
        self
    }

    fn compared(&self, target: Option<f64>) -> Result<Compared> {
        let (variants, lines) = variants(&self.run.rules, self.out.as_deref(), None)?;
        let of_variants = variants.clone();
        let title = variants.iter().map(|v| v.label.as_str()).collect::<Vec<_>>().join(", ");
        let show = move |results: &Results<'_>| {
            let seeds = results.design.seeds;
            let comparison = Comparison::new(&of_variants, results.runs, seeds, results.score(), target, Pairs::All);
            show_comparison(&format!("Comparison: {title}"), &comparison, results)
        };
        Ok(Compared { variants, lines: Box::new(lines), show: Box::new(show) })
    }
}

/// The table, statistics and curves that `compare` shows, and `ablate` in part.
fn show_comparison(title: &str, comparison: &Comparison<'_>, results: &Results<'_>) -> Result<Shown> {
    let (table, lines) = (comparison.table(), comparison.lines());
    let mut shown = Shown::new(table.clone(), lines.clone(), results);
    shown.table(&table, &lines, comparison.csv(), &comparison.json());
    shown.figure("curves", &comparison.curves())?;
    let mut page = Page::new(title);
    page.lead(&lines[0]);
    page.table(&table);
    page.note("Mean ± sample standard deviation over seeds, at the end of the last epoch.");
    page.heading("Over the epochs");
    page.figure(&comparison.curves());
    page.note("Lines are means over seeds, bands one standard deviation to either side.");
    page.heading(results.score().measure().title);
    page.figure(&comparison.dots());
    page.heading("Statistics");
    page.list(&lines[1..]);
    page.note("Intervals are bootstrap percentiles of the mean; with few seeds they are too narrow.");
    results.end(&mut page);
    shown.file("report.html", page.html());
    Ok(shown)
}

impl Compares for SweepFlags {
    type Rules = ComparedFlags;

    fn experiment(&self) -> &ExperimentFlags<ComparedFlags> {
        &self.experiment
    }

    fn compared(&self, _: Option<f64>) -> Result<Compared> {
        let swept = given(self.lr.clone());
        let rates = grid(&swept)?;
        let (variants, lines) = variants(&self.experiment.run.rules, self.experiment.out.as_deref(), Some(swept))?;
        let optimizers: Vec<String> = variants.iter().map(|v| v.label.clone()).collect();
        let at = |v: &Variant, rate: &f64| {
            let mut set = v.set.clone();
            set.push(("lr".into(), rate.to_string()));
            variant(sweep::label(&v.label, *rate), &v.optimizer, set)
        };
        let variants = variants.iter().flat_map(|v| rates.iter().map(move |rate| at(v, rate))).collect();
        let show = move |results: &Results<'_>| {
            let Results { runs, design, .. } = *results;
            let sweep =
                Sweep { optimizers: &optimizers, rates: &rates, runs, seeds: design.seeds, score: results.score() };
            let (table, lines) = (sweep.table(), sweep.lines());
            let mut shown = Shown::new(table.clone(), lines.clone(), results);
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
            results.end(&mut page);
            shown.file("report.html", page.html());
            Ok(shown)
        };
        Ok(Compared { variants, lines: Box::new(lines), show: Box::new(show) })
    }
}

impl Compares for AblateFlags {
    type Rules = NoRules;

    fn experiment(&self) -> &ExperimentFlags<NoRules> {
        self
    }

    fn compared(&self, target: Option<f64>) -> Result<Compared> {
        let off = |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), "false".to_owned())).collect::<Vec<_>>();
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
        let (said, of_variants) = (variants.clone(), variants.clone());
        let lines = move || said.iter().map(line_of).collect();
        let show = move |results: &Results<'_>| {
            let seeds = results.design.seeds;
            let comparison =
                Comparison::new(&of_variants, results.runs, seeds, results.score(), target, Pairs::WithFirst);
            let mut shown = show_comparison("Ablation of VeloGrad", &comparison, results)?;
            shown.figure("ablation", &comparison.dots())?;
            Ok(shown)
        };
        Ok(Compared { variants, lines: Box::new(lines), show: Box::new(show) })
    }
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
