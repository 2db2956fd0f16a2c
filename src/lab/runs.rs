//! Runs as their folders describe them: what `velograd runs` lists and `velograd report` draws.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::Result,
    host::{
        identity,
        run::{EPOCHS_LIMIT, read_rows, read_run},
    },
    lab::{
        figure::{Axis, Content, Figure, Line, Panel, Point},
        report::Page,
        table::Table,
    },
    training::{EpochRow, Measure, Score},
};

/// The largest `steps.jsonl` that is read, in bytes: some eight million updates.
const UPDATES_LIMIT: u64 = 1 << 30;

/// Points of a curve over updates; if there are more updates, each point is the mean of several consecutive ones.
const POINTS: usize = 400;

/// The fields of an update that curves need. Numbers that were not finite are null in the file.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Update {
    step: u64,
    loss: Option<f64>,
    lr: Option<f64>,
    grad_norm: Option<f64>,
}

/// A run, ended or not, as read from its folder.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name in tables and curves.
    pub label: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its `run.json`.
    pub run: Value,
    /// The epochs that have ended.
    pub epochs: Vec<EpochRow>,
    updates: Vec<Update>,
}

impl Run {
    /// Reads a run's folder: its settings and epochs, without its updates.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) or [`Error::Data`](crate::error::Error::Data) if there is no `run.json`, or a file is not
    /// what it should be.
    pub fn read(folder: &Path) -> Result<Self> {
        let run = read_run(folder)?;
        let epochs = log(folder, "metrics.jsonl", EPOCHS_LIMIT)?;
        let label = folder.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned());
        Ok(Self { label, folder: folder.to_owned(), run, epochs, updates: vec![] })
    }

    /// Reads several runs with their updates and gives each a label of its own: the optimizer if that distinguishes
    /// them, or else the folder.
    ///
    /// # Errors
    /// As [`Run::read`].
    pub fn read_all(folders: &[PathBuf]) -> Result<Vec<Self>> {
        let mut all = folders.iter().map(|folder| Self::read(folder)).collect::<Result<Vec<_>>>()?;
        for run in &mut all {
            run.updates = log(&run.folder, "steps.jsonl", UPDATES_LIMIT)?;
        }
        let distinct = |labels: &[String]| labels.iter().enumerate().all(|(i, label)| !labels[..i].contains(label));
        let optimizers: Vec<String> = all.iter().map(|run| run.text("optimizer")).collect();
        let names: Vec<String> = all.iter().map(|run| run.label.clone()).collect();
        let labels = if distinct(&optimizers) {
            optimizers
        } else if distinct(&names) {
            names
        } else {
            folders.iter().map(|folder| folder.display().to_string()).collect()
        };
        for (run, label) in all.iter_mut().zip(labels) {
            run.label = label;
        }
        Ok(all)
    }

    /// A text in `run.json`; empty if it is missing.
    fn text(&self, key: &str) -> String {
        self.run[key].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the run has ended, and how; or else how far it has come.
    pub fn state(&self) -> String {
        let of = self.run["epochs"].as_u64().unwrap_or(0);
        match &self.run["result"] {
            Value::Null => format!("{} of {of} epochs", self.epochs.len()),
            result => match result["diverged"].as_u64() {
                Some(step) => format!("diverged at step {step}"),
                None => "ended".into(),
            },
        }
    }

    /// What the run is judged by.
    pub fn score(&self) -> Score {
        Score::of_run(&self.run)
    }

    /// A number of the last epoch that has it.
    pub fn last(&self, of: fn(&EpochRow) -> Option<f64>) -> Option<f64> {
        self.epochs.iter().rev().find_map(of)
    }

    /// The best value of what the run is judged by.
    pub fn best(&self) -> Option<f64> {
        self.score().best(&self.epochs)
    }

    /// What several samples of its data set are called.
    fn unit(&self) -> &'static str {
        if self.score() == Score::Accuracy { "images" } else { "blocks" }
    }

    /// Seconds of training and evaluation.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|row| row.seconds).fold(0.0, |all, seconds| all + seconds) // a sum of nothing is -0.0
    }
}

/// The rows of a log. A run that was killed at its very beginning has none, nor has one whose log was deleted to save room.
fn log<T: DeserializeOwned>(folder: &Path, name: &str, limit: u64) -> Result<Vec<T>> {
    let path = folder.join(name);
    if path.exists() { read_rows(&path, limit) } else { Ok(vec![]) }
}

/// How deep folders are searched for runs: those of an experiment are three deep. The limit also stops at circular
/// links.
const DEPTH: u32 = 4;

/// The folders of runs, which have a `run.json`, sorted by name: `folder` itself, or those in it. Unreadable folders
/// are left out.
pub fn find(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    search(folder, DEPTH, &mut found);
    found.sort();
    found
}

fn search(folder: &Path, depth: u32, found: &mut Vec<PathBuf>) {
    if folder.join("run.json").is_file() {
        found.push(folder.to_owned());
    } else if depth > 0 {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
        folders.for_each(|folder| search(&folder, depth - 1, found));
    }
}

/// What the runs are judged by, each once, in the order in which they come up.
fn scores(runs: &[Run]) -> Vec<Score> {
    let mut scores = vec![];
    for score in runs.iter().map(Run::score) {
        if !scores.contains(&score) {
            scores.push(score);
        }
    }
    scores
}

/// A row per run. Runs of images have their accuracy; runs of text have their validation loss, in nats and as bits or perplexity.
pub fn table(runs: &[Run]) -> Table {
    let of = |score: Score| std::iter::once(score.measure()).chain(score.reading()).collect::<Vec<_>>();
    let scores = scores(runs);
    let mut columns: Vec<Measure> = vec![];
    for measure in scores.iter().flat_map(|score| of(*score)) {
        if !columns.iter().any(|column| column.key == measure.key) {
            columns.push(measure);
        }
    }
    let [images, text] = [true, false].map(|images| scores.iter().any(|s| (*s == Score::Accuracy) == images));
    let best = match (images, text) {
        (true, true) => "best",
        (false, true) => "best loss",
        (_, false) => "best %",
    };
    let mut header = vec!["run", "optimizer", "network", "state", "training loss"];
    header.extend(columns.iter().map(|column| column.column));
    header.extend([best, "seconds"]);
    let row = |run: &Run| {
        // Older runs name the width apart from the network's other settings.
        let width = [&run.run["network"]["width"], &run.run["width"]].into_iter().find_map(|width| width.as_u64());
        let network = run.text("model") + &width.map_or(String::new(), |width| format!(", width {width}"));
        let loss = run.epochs.last().map_or("-".into(), |row| format!("{:.4}", row.train_loss));
        let score = run.score();
        let own = of(score);
        let mut row = vec![run.label.clone(), run.text("optimizer"), network, run.state(), loss];
        row.extend(columns.iter().map(|column| match run.last(column.of) {
            Some(value) if own.iter().any(|measure| measure.key == column.key) => format!("{value:.*}", column.digits),
            _ => "-".into(),
        }));
        let unit = if images && text { Score::text } else { Score::number };
        row.push(run.best().map_or("-".into(), |best| unit(score, best)));
        row.push(format!("{:.1}", run.seconds()));
        row
    };
    Table { header: header.into_iter().map(str::to_owned).collect(), rows: runs.iter().map(row).collect() }
}

/// The mean of each group of consecutive updates, for at most [`POINTS`] groups; numbers that are not finite are left
/// out.
fn over_updates(run: &Run, of: fn(&Update) -> Option<f64>) -> Line {
    let group = run.updates.len().div_ceil(POINTS).max(1);
    let point = |updates: &[Update]| {
        let values: Vec<f64> = updates.iter().filter_map(of).collect();
        let at = updates.iter().map(|u| u.step as f64).sum::<f64>() / updates.len() as f64;
        (!values.is_empty()).then(|| Point::new(at, values.iter().sum::<f64>() / values.len() as f64))
    };
    Line { label: run.label.clone(), points: run.updates.chunks(group).filter_map(point).collect(), crosses: vec![] }
}

/// A quantity of each epoch, over the number of the epoch or the minutes until its end.
fn over_epochs(run: &Run, minutes: bool, of: fn(&EpochRow) -> Option<f64>) -> Line {
    let mut seconds = 0.0;
    let points = run.epochs.iter().filter_map(|row| {
        seconds += row.seconds;
        let at = if minutes { seconds / 60.0 } else { f64::from(row.epoch) };
        Some(Point::new(at, of(row)?))
    });
    Line { label: run.label.clone(), points: points.collect(), crosses: vec![] }
}

/// Loss, learning rate and norm of the gradient over updates; loss and what runs are judged by over epochs and over time. Runs that
/// are judged by other numbers have axes of their own.
pub fn curves(runs: &[Run]) -> Figure {
    let panel = |title: &str, x: Axis, y: Axis, lines: Vec<Line>| Panel {
        title: title.into(),
        x,
        y,
        content: Content::Lines(lines),
    };
    let updates = |title: &str, y: Axis, of: fn(&Update) -> Option<f64>| {
        panel(title, Axis::whole("update"), y, runs.iter().map(|run| over_updates(run, of)).collect())
    };
    let losses = runs.iter().map(|run| over_epochs(run, false, |row| Some(row.train_loss))).collect();
    let mut panels = vec![
        updates("Training loss over updates", Axis::linear("mean over an update"), |u| u.loss),
        updates("Learning rate", Axis::linear(""), |u| u.lr),
        updates("Norm of the gradient", Axis::log("2-norm"), |u| u.grad_norm),
        panel("Training loss over epochs", Axis::whole("epoch"), Axis::linear("mean over an epoch"), losses),
    ];
    // A line without points keeps the colour of its run from panel to panel.
    let judged = |score: Score, over: &str, minutes: bool| {
        let Measure { title, unit, of, .. } = score.measure();
        let line = |run: &Run| match run.score() == score {
            true => over_epochs(run, minutes, of),
            false => Line::default(),
        };
        let x = if minutes { Axis::linear("minutes") } else { Axis::whole("epoch") };
        panel(&format!("{title} over {over}"), x, Axis::linear(unit), runs.iter().map(line).collect())
    };
    for score in scores(runs) {
        panels.extend([judged(score, "epochs", false), judged(score, "time", true)]);
    }
    Figure { title: String::new(), panels, columns: 2 }
}

/// A page about one run or several.
pub fn page(runs: &[Run]) -> Page {
    let labels: Vec<&str> = runs.iter().map(|run| run.label.as_str()).collect();
    let title = if runs.len() == 1 { "Run" } else { "Runs" };
    let mut page = Page::new(&format!("{title}: {}", labels.join(", ")));
    page.table(&table(runs));
    page.figure(&curves(runs));
    page.note("Where a run has many updates, each point over updates is the mean of several in a row.");
    for run in runs {
        page.heading(&if runs.len() == 1 { "Settings".to_owned() } else { format!("Settings of {}", run.label) });
        let settings = run.run["settings"].as_object().into_iter().flatten();
        let settings: Vec<String> = settings.map(|(key, value)| format!("{key}={}", plain(value))).collect();
        page.note(&format!("{}: {}", run.text("optimizer"), settings.join(", ")));
        page.list(&facts(run));
    }
    page
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// When, where, with which command and on which device a run was made.
fn facts(run: &Run) -> Vec<String> {
    let begun = &run.run["begun"];
    let mut facts = vec![format!("folder {}", run.folder.display())];
    for (key, name) in [("time", "begun"), ("host", "on host"), ("command", "by the command")] {
        facts.extend(begun[key].as_str().map(|text| format!("{name} {text}")));
    }
    facts.push(format!("{}, {}, driver {}", run.text("device"), run.text("backend"), run.text("driver")));
    facts.push(identity::in_words(&run.run));
    let (data, unit) = (&run.run["dataset"], run.unit());
    let count = |key: &str| data[key].as_u64().unwrap_or(0);
    facts.push(format!(
        "{}: {} training {unit}, {} validation {unit}, checksum {}",
        plain(&data["name"]),
        count("train"),
        count("test"),
        plain(&data["crc32"])
    ));
    for key in ["epochs", "batch_size", "accumulate", "precision", "augment", "seed"] {
        if !run.run[key].is_null() {
            facts.push(format!("{key} {}", plain(&run.run[key])));
        }
    }
    facts
}
