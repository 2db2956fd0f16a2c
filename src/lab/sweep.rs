//! Accuracy against the learning rate: how good each optimizer gets, and how much that depends on the rate.

use serde_json::{Value, json};

use crate::{
    lab::{
        comparison::spread,
        experiment::Ended,
        figure::{Axis, Content, Figure, Line, Panel, Point},
        stats,
        table::{Table, csv_number},
    },
    training::EpochRow,
};

/// How many percentage points below the best accuracy still count as good.
const NEAR: f64 = 2.0;

/// Runs of several optimizers at several rates.
pub struct Sweep<'a> {
    /// Names of the optimizers.
    pub optimizers: &'a [String],
    /// Learning rates, in any order.
    pub rates: &'a [f64],
    /// The runs that have ended, under the labels of [`label`].
    pub runs: &'a [Ended],
    /// The number of runs that each rate of each optimizer has when the sweep is complete.
    pub seeds: u64,
}

/// The label of the runs of an optimizer at one rate.
pub fn label(optimizer: &str, rate: f64) -> String {
    format!("{optimizer} lr={}", number(rate))
}

/// A rate in its usual form.
fn number(rate: f64) -> String {
    if (1e-4..1e4).contains(&rate) { rate.to_string() } else { format!("{rate:e}") }
}

/// The runs of one optimizer at one rate.
struct Cell {
    accuracies: Vec<f64>,
    losses: Vec<f64>,
    diverged: usize,
    runs: usize,
}

/// An optimizer's best rate.
struct Best {
    rate: f64,
    accuracy: f64,
    /// The number of rates whose mean accuracy is at most [`NEAR`] points below the best.
    near: usize,
}

impl Sweep<'_> {
    fn cell(&self, optimizer: &str, rate: f64) -> Cell {
        let label = label(optimizer, rate);
        let runs: Vec<&Ended> = self.runs.iter().filter(|run| run.label == label).collect();
        let ends = |of: fn(&EpochRow) -> Option<f64>| {
            let whole = runs.iter().filter(|run| run.diverged.is_none());
            whole.filter_map(|run| of(run.epochs.last()?)).filter(|v| v.is_finite()).collect()
        };
        Cell {
            accuracies: ends(|e| e.val_acc),
            losses: ends(|e| Some(e.train_loss)),
            diverged: runs.iter().filter(|run| run.diverged.is_some()).count(),
            runs: runs.len(),
        }
    }

    fn best(&self, optimizer: &str) -> Option<Best> {
        let mean = |rate: &f64| stats::mean(&self.cell(optimizer, *rate).accuracies).ok().map(|a| (*rate, a));
        let means: Vec<(f64, f64)> = self.rates.iter().filter_map(mean).collect();
        let (rate, accuracy) = means.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Best { rate, accuracy, near: means.iter().filter(|(_, a)| *a >= accuracy - NEAR).count() })
    }

    /// Mean and standard deviation of the accuracy, with a row per optimizer and a column per rate.
    pub fn table(&self) -> Table {
        let mut header = vec!["optimizer".to_owned()];
        header.extend(self.rates.iter().map(|rate| format!("lr {}", number(*rate))));
        header.extend(["best lr".to_owned(), format!("rates within {NEAR} points")]);
        let row = |optimizer: &String| {
            let mut row = vec![optimizer.clone()];
            row.extend(self.rates.iter().map(|rate| self.cell(optimizer, *rate).to_string()));
            row.extend(match self.best(optimizer) {
                Some(best) => [number(best.rate), format!("{} of {}", best.near, self.rates.len())],
                None => ["-".to_owned(), "-".to_owned()],
            });
            row
        };
        Table { header, rows: self.optimizers.iter().map(row).collect() }
    }

    /// A sentence per optimizer.
    pub fn lines(&self) -> Vec<String> {
        let line = |optimizer: &String| match self.best(optimizer) {
            Some(Best { rate, accuracy, near }) => format!(
                "{optimizer}: best at lr {} with {accuracy:.2} %; {near} of {} rates come within {NEAR} points of it",
                number(rate),
                self.rates.len()
            ),
            None => format!("{optimizer}: no run ended with an accuracy"),
        };
        self.unfinished().into_iter().chain(self.optimizers.iter().map(line)).collect()
    }

    /// A sentence about the runs that are still missing; `None` when every run has ended.
    fn unfinished(&self) -> Option<String> {
        let all = (self.optimizers.len() * self.rates.len()) as u64 * self.seeds;
        let ended = self.runs.len() as u64;
        (ended < all).then(|| format!("Unfinished: {ended} of {all} runs have ended; what follows is of those alone."))
    }

    /// Accuracy and training loss over the rate, with a line per optimizer, a band of one standard deviation over
    /// seeds, and crosses where runs diverged.
    pub fn figure(&self) -> Figure {
        let line = |optimizer: &String, of: fn(&Cell) -> &Vec<f64>| {
            let mut line = Line { label: optimizer.clone(), ..Line::default() };
            for &rate in self.rates {
                let cell = self.cell(optimizer, rate);
                if let Ok(mean) = stats::mean(of(&cell)) {
                    let sd = stats::sample_sd(of(&cell)).unwrap_or(0.0);
                    line.points.push(Point { x: rate, y: mean, band: (mean - sd, mean + sd) });
                }
                if cell.diverged > 0 {
                    line.crosses.push(rate);
                }
            }
            line.points.sort_by(|a, b| a.x.total_cmp(&b.x));
            line
        };
        let panel = |title: &str, y, of| Panel {
            title: title.into(),
            x: Axis::log("learning rate"),
            y,
            content: Content::Lines(self.optimizers.iter().map(|o| line(o, of)).collect()),
        };
        let accuracy = panel("Validation accuracy", Axis::linear("percent"), |cell| &cell.accuracies);
        let loss = panel("Training loss", Axis::log("mean over the last epoch"), |cell| &cell.losses);
        Figure { title: String::new(), panels: vec![accuracy, loss], columns: 2 }
    }

    /// A row per run.
    pub fn csv(&self) -> String {
        let mut rows = vec![];
        for optimizer in self.optimizers {
            for &rate in self.rates {
                for run in self.runs.iter().filter(|run| run.label == label(optimizer, rate)) {
                    let last = run.epochs.last();
                    rows.push(vec![
                        optimizer.clone(),
                        rate.to_string(),
                        run.seed.to_string(),
                        run.diverged.map_or(String::new(), |step| step.to_string()),
                        csv_number(last.and_then(|e| e.val_acc)),
                        csv_number(last.map(|e| e.train_loss)),
                    ]);
                }
            }
        }
        let header = ["optimizer", "lr", "seed", "diverged_at", "accuracy", "loss"].map(str::to_owned).to_vec();
        Table { header, rows }.csv()
    }

    /// The table's numbers.
    pub fn json(&self) -> Value {
        let cell = |optimizer: &str, rate: f64| {
            let Cell { accuracies, losses, diverged, .. } = self.cell(optimizer, rate);
            json!({ "lr": rate, "accuracy": accuracies, "loss": losses, "diverged": diverged })
        };
        let row = |optimizer: &String| {
            let best = self.best(optimizer);
            json!({
                "optimizer": optimizer,
                "best_lr": best.as_ref().map(|b| b.rate),
                "best_accuracy": best.as_ref().map(|b| b.accuracy),
                "rates": self.rates.iter().map(|&rate| cell(optimizer, rate)).collect::<Vec<_>>(),
            })
        };
        json!({ "unfinished": self.unfinished(), "optimizers": self.optimizers.iter().map(row).collect::<Vec<_>>() })
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.diverged, self.accuracies.is_empty()) {
            (0, _) => f.write_str(&spread(&self.accuracies, 2)),
            (_, true) => f.write_str("diverged"),
            (some, false) => write!(f, "{} ({some} of {} diverged)", spread(&self.accuracies, 2), self.runs),
        }
    }
}
