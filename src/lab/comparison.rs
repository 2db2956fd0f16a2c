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
    training::{EpochRow, loss_variance, metrics::perplexity},
};

/// A quantity that is compared; it has a column in the table.
struct Column {
    key: &'static str,
    title: &'static str,
    digits: usize,
    of: fn(&[EpochRow]) -> Option<f64>,
    about: About,
}

/// What a quantity is about.
#[derive(Clone, Copy, PartialEq)]
enum About {
    Any,
    /// Classes of images, of which there are few.
    Classes,
    /// The next token of a text.
    Text,
}

/// The quantities: of a run's last epoch, or over its epochs.
static COLUMNS: &[Column] = &[
    Column {
        key: "loss",
        title: "training loss",
        digits: 4,
        of: |e| e.last().map(|r| r.train_loss),
        about: About::Any,
    },
    Column { key: "val_loss", title: "validation loss", digits: 4, of: |e| e.last()?.val_loss, about: About::Text },
    Column {
        key: "perplexity",
        title: "perplexity",
        digits: 2,
        of: |e| e.last()?.val_loss.map(perplexity),
        about: About::Text,
    },
    Column { key: "accuracy", title: "accuracy %", digits: 2, of: accuracy, about: About::Any },
    Column { key: "f1", title: "weighted F1", digits: 4, of: |e| e.last()?.val_f1, about: About::Classes },
    Column { key: "precision", title: "precision", digits: 4, of: |e| e.last()?.val_precision, about: About::Classes },
    Column { key: "recall", title: "recall", digits: 4, of: |e| e.last()?.val_recall, about: About::Classes },
    Column { key: "loss_variance", title: "loss variance", digits: 4, of: loss_variance, about: About::Any },
    Column {
        key: "seconds",
        title: "seconds",
        digits: 1,
        of: |e| (!e.is_empty()).then(|| e.iter().map(|r| r.seconds).sum()),
        about: About::Any,
    },
];

/// Runs of several optimizers over the same seeds.
pub struct Comparison<'a> {
    variants: &'a [Variant],
    runs: &'a [Ended],
    /// The number of runs that each optimizer has when the comparison is complete.
    seeds: u64,
    /// An accuracy on the validation images, in percent; the table says in which epoch each optimizer first reached it.
    target: Option<f64>,
    pairs: Pairs,
}

impl<'a> Comparison<'a> {
    /// Compares the runs that have ended so far, of an experiment in which each of `variants` is to have `seeds` runs.
    pub fn new(variants: &'a [Variant], runs: &'a [Ended], seeds: u64, target: Option<f64>, pairs: Pairs) -> Self {
        Self { variants, runs, seeds, target, pairs }
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
    fn values(&self, variant: &Variant, of: fn(&[EpochRow]) -> Option<f64>) -> Vec<f64> {
        self.of(variant).filter(|run| run.diverged.is_none()).filter_map(|run| of(&run.epochs)).collect()
    }

    /// The numbers of epochs to the target accuracy, of the runs that reached it.
    fn epochs_to_target(&self, variant: &Variant) -> Option<(f64, Vec<f64>)> {
        let target = self.target?;
        let reached = |e: &EpochRow| e.val_acc.is_some_and(|a| a >= target);
        let first = |run: &Ended| run.epochs.iter().find(|e| reached(e)).map(|e| f64::from(e.epoch));
        Some((target, self.of(variant).filter_map(first).collect()))
    }

    fn header(&self) -> Vec<String> {
        let mut header = vec!["optimizer".to_owned(), "seeds".to_owned()];
        header.extend(self.columns().map(|c| c.title.to_owned()));
        header.extend(self.target.map(|t| format!("epochs to {t} %")));
        header.push("MB on the device".into());
        if self.runs.iter().any(|run| run.diverged.is_some()) {
            header.push("remarks".into());
        }
        header
    }

    /// Whether the runs are of text: they are evaluated, and there is no F1 over tens of thousands of tokens.
    fn of_text(&self) -> bool {
        let mut last = self.runs.iter().filter_map(|run| run.epochs.last()).peekable();
        last.peek().is_some() && last.all(|row| row.val_loss.is_some() && row.val_f1.is_none())
    }

    /// The columns that say something about these runs.
    fn columns(&self) -> impl Iterator<Item = &'static Column> {
        let other = if self.of_text() { About::Classes } else { About::Text };
        COLUMNS.iter().filter(move |column| column.about != other)
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
            let columns = self.columns().map(|column| csv_number((column.of)(&run.epochs)));
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

    fn accuracies(&self) -> Vec<(String, Vec<f64>)> {
        self.variants.iter().map(|v| (v.label.clone(), self.values(v, accuracy))).collect()
    }

    /// The statistics of the accuracies.
    pub fn statistics(&self) -> Statistics {
        Statistics::new(&self.accuracies(), self.pairs)
    }

    /// Loss, accuracy, rolling variance and F1 over epochs.
    pub fn curves(&self) -> Figure {
        curves::figure(self)
    }

    /// The accuracy of each optimizer at the end: each seed, the mean, and the bootstrap interval of the mean.
    pub fn dots(&self) -> Figure {
        let row = |(label, each): (String, Vec<f64>)| Row {
            label,
            value: stats::mean(&each).unwrap_or(f64::NAN),
            interval: stats::bootstrap_mean(&each, stats::RESAMPLES, 0).ok().map(|i| (i.low, i.high)),
            each,
        };
        let content = Content::Rows(self.accuracies().into_iter().map(row).collect());
        let title = "Validation accuracy after the last epoch".into();
        let x = Axis::linear("percent: seeds, mean, 95 % interval of the mean");
        Figure { title: String::new(), panels: vec![Panel { title, x, y: Axis::default(), content }], columns: 1 }
    }
}

fn accuracy(epochs: &[EpochRow]) -> Option<f64> {
    epochs.last()?.val_acc
}

/// Mean and sample standard deviation as text, if there are values for them.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    match (stats::mean(values), stats::sample_sd(values)) {
        (Ok(mean), Ok(sd)) => format!("{mean:.digits$} ± {sd:.digits$}"),
        (Ok(mean), Err(_)) => format!("{mean:.digits$}"),
        _ => "-".into(),
    }
}
