//! Runs side by side: the columns of the VeloGrad paper's table 1 over seeds, the notebook's curves, and statistics.

mod curves;
mod statistics;

use serde_json::{Value, json};

pub use statistics::{Pairs, Statistics};

use crate::{
    lab::{
        experiment::{Ended, Variant},
        figure::{Axis, Content, Figure, Panel, Row},
        stats,
        table::{Table, csv_number},
    },
    training::{EpochRow, Measure, Score, loss_variance},
};

/// A quantity that is compared; it has a column in the table.
#[derive(Clone, Copy)]
struct Column {
    key: &'static str,
    title: &'static str,
    digits: usize,
    of: Of,
}

/// Where a quantity comes from.
#[derive(Clone, Copy)]
enum Of {
    /// The last epoch.
    Last(fn(&EpochRow) -> Option<f64>),
    /// All epochs.
    All(fn(&[EpochRow]) -> Option<f64>),
}

impl Of {
    fn value(self, epochs: &[EpochRow]) -> Option<f64> {
        match self {
            Self::Last(of) => of(epochs.last()?),
            Self::All(of) => of(epochs),
        }
    }
}

static TRAINING_LOSS: Column =
    Column { key: "loss", title: "training loss", digits: 4, of: Of::Last(|row| Some(row.train_loss)) };

/// Quantities of the classes of images.
static OF_CLASSES: [Column; 3] = [
    Column { key: "f1", title: "weighted F1", digits: 4, of: Of::Last(|row| row.val_f1) },
    Column { key: "precision", title: "precision", digits: 4, of: Of::Last(|row| row.val_precision) },
    Column { key: "recall", title: "recall", digits: 4, of: Of::Last(|row| row.val_recall) },
];

static LOSS_VARIANCE: Column =
    Column { key: "loss_variance", title: "loss variance", digits: 4, of: Of::All(loss_variance) };

static SECONDS: Column = Column {
    key: "seconds",
    title: "seconds",
    digits: 1,
    of: Of::All(|e| (!e.is_empty()).then(|| e.iter().map(|r| r.seconds).sum())),
};

impl From<Measure> for Column {
    fn from(Measure { key, column, digits, of, .. }: Measure) -> Self {
        Self { key, title: column, digits, of: Of::Last(of) }
    }
}

/// Runs of several optimizers over the same seeds.
pub struct Comparison<'a> {
    variants: &'a [Variant],
    runs: &'a [Ended],
    /// The number of runs that each optimizer has when the comparison is complete.
    seeds: u64,
    /// What the optimizers are ranked by.
    score: Score,
    /// A value of the score; the table says in which epoch each optimizer first reached it.
    target: Option<f64>,
    pairs: Pairs,
}

impl<'a> Comparison<'a> {
    /// Compares by `score` the runs that have ended so far, of an experiment in which each of `variants` is to have `seeds` runs.
    pub fn new(
        variants: &'a [Variant],
        runs: &'a [Ended],
        seeds: u64,
        score: Score,
        target: Option<f64>,
        pairs: Pairs,
    ) -> Self {
        Self { variants, runs, seeds, score, target, pairs }
    }

    /// A sentence about the runs that are still missing; `None` when every run has ended.
    pub fn unfinished(&self) -> Option<String> {
        let missing = |v: &&Variant| (self.of(v).count() as u64) < self.seeds;
        let missing: Vec<String> = self
            .variants
            .iter()
            .filter(missing)
            .map(|v| format!("{} has {} of {}", v.label, self.of(v).count(), self.seeds))
            .collect();
        let all = self.variants.len() as u64 * self.seeds;
        (!missing.is_empty())
            .then(|| format!("Unfinished: {} of {all} runs have ended ({}).", self.runs.len(), missing.join(", ")))
    }

    /// The results in sentences: first that the comparison is unfinished, if it is, and which optimizer is best; then a
    /// line per interval, pair and test.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.statistics().lines();
        if let Some(unfinished) = self.unfinished() {
            lines[0] = format!("{unfinished} So far: {}", lines[0]);
        }
        lines
    }

    fn of(&self, variant: &Variant) -> impl Iterator<Item = &'a Ended> {
        let label = variant.label.clone();
        self.runs.iter().filter(move |run| run.label == label)
    }

    /// One quantity of each run of a variant that did not diverge, in order of seeds.
    fn values(&self, variant: &Variant, of: Of) -> Vec<f64> {
        self.of(variant).filter(|run| run.diverged.is_none()).filter_map(|run| of.value(&run.epochs)).collect()
    }

    /// The numbers of epochs to the target, of the runs that reached it.
    fn epochs_to_target(&self, variant: &Variant) -> Option<(f64, Vec<f64>)> {
        let target = self.target?;
        let reached = |e: &EpochRow| self.score.value(e).is_some_and(|value| self.score.gain(value, target) >= 0.0);
        let first = |run: &Ended| run.epochs.iter().find(|e| reached(e)).map(|e| f64::from(e.epoch));
        Some((target, self.of(variant).filter_map(first).collect()))
    }

    fn header(&self) -> Vec<String> {
        let mut header = vec!["optimizer".to_owned(), "seeds".to_owned()];
        header.extend(self.columns().map(|c| c.title.to_owned()));
        header.extend(self.target.map(|t| format!("epochs to {}", self.score.goal(t))));
        header.push("MB on the device".into());
        if self.runs.iter().any(|run| run.diverged.is_some()) {
            header.push("remarks".into());
        }
        header
    }

    /// The columns that say something about these runs.
    fn columns(&self) -> impl Iterator<Item = Column> {
        let of_classes: &[Column] = if self.score == Score::Accuracy { &OF_CLASSES } else { &[] };
        let validation = self.score.columns().into_iter().map(Column::from).chain(of_classes.iter().copied());
        [TRAINING_LOSS].into_iter().chain(validation).chain([LOSS_VARIANCE, SECONDS])
    }

    fn cells(&self, variant: &Variant) -> Vec<String> {
        let count = self.of(variant).count();
        let seeds = if count as u64 == self.seeds { count.to_string() } else { format!("{count} of {}", self.seeds) };
        let mut cells = vec![variant.label.clone(), seeds];
        cells.extend(self.columns().map(|c| spread(&self.values(variant, c.of), c.digits)));
        if let Some((_, epochs)) = self.epochs_to_target(variant) {
            let reached = if epochs.len() < count { format!(" ({} of {count})", epochs.len()) } else { String::new() };
            cells.push(spread(&epochs, 1) + &reached);
        }
        let bytes = self.of(variant).map(|run| run.device_bytes).max();
        cells.push(bytes.map_or("-".into(), |bytes| format!("{:.0}", bytes as f64 / 1e6)));
        let diverged =
            self.of(variant).filter_map(|run| Some(format!("seed {} diverged at step {}", run.seed, run.diverged?)));
        if self.runs.iter().any(|run| run.diverged.is_some()) {
            cells.push(diverged.collect::<Vec<_>>().join("; "));
        }
        cells
    }

    /// Mean and sample standard deviation over seeds, a row per optimizer.
    pub fn table(&self) -> Table {
        Table { header: self.header(), rows: self.variants.iter().map(|v| self.cells(v)).collect() }
    }

    /// A row per run, so that a spreadsheet can compute further numbers.
    pub fn csv(&self) -> String {
        let row = |run: &Ended| {
            let diverged = run.diverged.map_or(String::new(), |step| step.to_string());
            let columns = self.columns().map(|column| csv_number(column.of.value(&run.epochs)));
            [run.label.clone(), run.seed.to_string(), diverged].into_iter().chain(columns).collect()
        };
        let header = ["optimizer", "seed", "diverged_at"].into_iter().chain(self.columns().map(|column| column.key));
        Table { header: header.map(str::to_owned).collect(), rows: self.runs.iter().map(row).collect() }.csv()
    }

    /// The numbers of the table, and the statistics.
    pub fn json(&self) -> Value {
        let summary = |values: &[f64]| json!({ "mean": stats::mean(values).ok(), "sd": stats::sample_sd(values).ok(), "values": values });
        let variant = |v: &Variant| {
            let columns = self.columns().map(|c| (c.key.to_owned(), summary(&self.values(v, c.of))));
            json!({
                "label": v.label,
                "optimizer": v.optimizer.name(),
                "set": v.set.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<serde_json::Map<_, _>>(),
                "columns": columns.collect::<serde_json::Map<_, _>>(),
                "ended": self.of(v).count(),
                "diverged": self.of(v).filter_map(|r| r.diverged).collect::<Vec<_>>(),
            })
        };
        json!({
            "target": self.target,
            "seeds": self.seeds,
            "unfinished": self.unfinished(),
            "optimizers": self.variants.iter().map(variant).collect::<Vec<_>>(),
            "statistics": self.statistics().to_json(),
        })
    }

    fn scores(&self) -> Vec<(String, Vec<f64>)> {
        let of = Of::Last(self.score.measure().of);
        self.variants.iter().map(|v| (v.label.clone(), self.values(v, of))).collect()
    }

    /// The statistics of what the optimizers are ranked by.
    pub fn statistics(&self) -> Statistics {
        Statistics::new(&self.scores(), self.score, self.pairs)
    }

    /// Training loss, what the optimizers are ranked by, rolling variance of the loss, and F1 or another reading of the
    /// validation loss, over epochs.
    pub fn curves(&self) -> Figure {
        curves::figure(self)
    }

    /// What the optimizers are ranked by, at the end: each seed, the mean, and the bootstrap interval of the mean.
    pub fn dots(&self) -> Figure {
        let row = |(label, each): (String, Vec<f64>)| Row {
            label,
            value: stats::mean(&each).unwrap_or(f64::NAN),
            interval: stats::bootstrap_mean(&each, stats::RESAMPLES, 0).ok().map(|i| (i.low, i.high)),
            each,
        };
        let content = Content::Rows(self.scores().into_iter().map(row).collect());
        let Measure { title, unit, .. } = self.score.measure();
        let title = format!("{title} after the last epoch");
        let x = Axis::linear(format!("{unit}: seeds, mean, 95 % interval of the mean"));
        Figure { title: String::new(), panels: vec![Panel { title, x, y: Axis::default(), content }], columns: 1 }
    }
}

/// Mean and sample standard deviation as text, if there are values for them.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    match (stats::mean(values), stats::sample_sd(values)) {
        (Ok(mean), Ok(sd)) => format!("{mean:.digits$} ± {sd:.digits$}"),
        (Ok(mean), Err(_)) => format!("{mean:.digits$}"),
        _ => "-".into(),
    }
}
