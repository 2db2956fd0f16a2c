//! Accuracy or validation loss against the learning rate: how good each optimizer gets, and how much that depends on the rate.

use serde_json::{Value, json};

use crate::{
    lab::{
        comparison::spread,
        experiment::Ended,
        figure::{Axis, Content, Figure, Line, Panel, Point},
        stats,
        table::{Table, csv_number},
    },
    training::{EpochRow, Measure, Score},
};

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
    /// What the rates are ranked by.
    pub score: Score,
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
    score: Score,
    scores: Vec<f64>,
    losses: Vec<f64>,
    diverged: usize,
    runs: usize,
}

/// An optimizer's best rate.
struct Best {
    rate: f64,
    /// The mean over its seeds of what the rates are ranked by.
    score: f64,
    /// The number of rates whose mean is at most [`Score::near`] worse than the best.
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
            score: self.score,
            scores: ends(self.score.measure().of),
            losses: ends(|e| Some(e.train_loss)),
            diverged: runs.iter().filter(|run| run.diverged.is_some()).count(),
            runs: runs.len(),
        }
    }

    fn best(&self, optimizer: &str) -> Option<Best> {
        let mean = |rate: &f64| stats::mean(&self.cell(optimizer, *rate).scores).ok().map(|mean| (*rate, mean));
        let means: Vec<(f64, f64)> = self.rates.iter().filter_map(mean).collect();
        let better = |a: (f64, f64), b: (f64, f64)| if self.score.is_better(a.1, b.1) { a } else { b };
        let (rate, score) = means.iter().copied().reduce(better)?;
        let near = |(_, mean): &&(f64, f64)| self.score.gain(score, *mean) <= self.score.near();
        Some(Best { rate, score, near: means.iter().filter(near).count() })
    }

    /// Mean and standard deviation of what the rates are ranked by, with a row per optimizer and a column per rate.
    pub fn table(&self) -> Table {
        let mut header = vec!["optimizer".to_owned()];
        header.extend(self.rates.iter().map(|rate| format!("lr {}", number(*rate))));
        header.extend(["best lr".to_owned(), format!("rates within {}", self.near())]);
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

    /// How much worse than the best rate still counts as good.
    fn near(&self) -> String {
        format!("{} {}", self.score.near(), self.score.step())
    }

    /// A sentence per optimizer.
    pub fn lines(&self) -> Vec<String> {
        // A loss could also be that of training.
        let on = if self.score == Score::Accuracy { "" } else { " on validation" };
        let line = |optimizer: &String| match self.best(optimizer) {
            Some(Best { rate, score, near }) => format!(
                "{optimizer}: best at lr {} with {}{on}; {near} of {} rates come within {} of it",
                number(rate),
                self.score.words(score),
                self.rates.len(),
                self.near()
            ),
            None => format!("{optimizer}: no run ended with {}", self.score.one()),
        };
        self.unfinished().into_iter().chain(self.optimizers.iter().map(line)).collect()
    }

    /// A sentence about the runs that are still missing; `None` when every run has ended.
    fn unfinished(&self) -> Option<String> {
        let all = (self.optimizers.len() * self.rates.len()) as u64 * self.seeds;
        let ended = self.runs.len() as u64;
        (ended < all).then(|| format!("Unfinished: {ended} of {all} runs have ended; what follows is of those alone."))
    }

    /// What the rates are ranked by and the training loss over the rate, with a line per optimizer, a band of one standard deviation over
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
        let Measure { title, unit, .. } = self.score.measure();
        let axis = match self.score {
            Score::Accuracy => Axis::linear(unit),
            Score::Loss(_) => Axis::log(unit),
        };
        let score = panel(title, axis, |cell| &cell.scores);
        let loss = panel("Training loss", Axis::log("mean over the last epoch"), |cell| &cell.losses);
        Figure { title: String::new(), panels: vec![score, loss], columns: 2 }
    }

    /// A row per run.
    pub fn csv(&self) -> String {
        let (mut rows, columns) = (vec![], self.score.columns());
        for optimizer in self.optimizers {
            for &rate in self.rates {
                for run in self.runs.iter().filter(|run| run.label == label(optimizer, rate)) {
                    let last = run.epochs.last();
                    let diverged = run.diverged.map_or(String::new(), |step| step.to_string());
                    let mut row = vec![optimizer.clone(), rate.to_string(), run.seed.to_string(), diverged];
                    row.extend(columns.iter().map(|column| csv_number(last.and_then(column.of))));
                    row.push(csv_number(last.map(|e| e.train_loss)));
                    rows.push(row);
                }
            }
        }
        let header = ["optimizer", "lr", "seed", "diverged_at"].into_iter().chain(columns.iter().map(|c| c.key));
        Table { header: header.chain(["loss"]).map(str::to_owned).collect(), rows }.csv()
    }

    /// The table's numbers.
    pub fn json(&self) -> Value {
        let key = self.score.measure().key;
        let cell = |optimizer: &str, rate: f64| {
            let Cell { scores, losses, diverged, .. } = self.cell(optimizer, rate);
            json!({ "lr": rate, (key): scores, "loss": losses, "diverged": diverged })
        };
        let row = |optimizer: &String| {
            let best = self.best(optimizer);
            json!({
                "optimizer": optimizer,
                "best_lr": best.as_ref().map(|b| b.rate),
                (format!("best_{key}")): best.as_ref().map(|b| b.score),
                "rates": self.rates.iter().map(|&rate| cell(optimizer, rate)).collect::<Vec<_>>(),
            })
        };
        json!({ "unfinished": self.unfinished(), "optimizers": self.optimizers.iter().map(row).collect::<Vec<_>>() })
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scores = spread(&self.scores, self.score.measure().digits);
        match (self.diverged, self.scores.is_empty()) {
            (0, _) => f.write_str(&scores),
            (_, true) => f.write_str("diverged"),
            (some, false) => write!(f, "{scores} ({some} of {} diverged)", self.runs),
        }
    }
}
