//! Runs side by side: the columns of the VeloGrad paper's table 1 over seeds, and statistics in words.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};

use crate::{
    error::Result,
    experiment::{Ended, Variant},
    files::write_atomically,
    stats,
    train::{EpochRow, loss_variance},
};

/// What is compared, one column each.
struct Column {
    key: &'static str,
    title: &'static str,
    digits: usize,
    of: fn(&[EpochRow]) -> Option<f64>,
}

/// A number of a run's last epoch, or over its epochs.
static COLUMNS: &[Column] = &[
    Column { key: "loss", title: "training loss", digits: 4, of: |e| e.last().map(|r| r.train_loss) },
    Column { key: "accuracy", title: "accuracy %", digits: 2, of: |e| e.last()?.val_acc },
    Column { key: "f1", title: "weighted F1", digits: 4, of: |e| e.last()?.val_f1 },
    Column { key: "precision", title: "precision", digits: 4, of: |e| e.last()?.val_precision },
    Column { key: "recall", title: "recall", digits: 4, of: |e| e.last()?.val_recall },
    Column {
        key: "loss_variance",
        title: "loss variance",
        digits: 4,
        of: |e| (!e.is_empty()).then(|| loss_variance(e)),
    },
    Column {
        key: "seconds",
        title: "seconds",
        digits: 1,
        of: |e| (!e.is_empty()).then(|| e.iter().map(|r| r.seconds).sum()),
    },
];

/// Runs of several optimizers over the same seeds.
pub struct Comparison<'a> {
    variants: &'a [Variant],
    runs: &'a [Ended],
    /// Accuracy on the validation images, percent, whose first epoch is of interest.
    target: Option<f64>,
}

impl<'a> Comparison<'a> {
    /// Of the runs that an experiment returned.
    pub fn new(variants: &'a [Variant], runs: &'a [Ended], target: Option<f64>) -> Self {
        Self { variants, runs, target }
    }

    fn of(&self, variant: &Variant) -> impl Iterator<Item = &'a Ended> {
        let label = variant.label.clone();
        self.runs.iter().filter(move |run| run.label == label)
    }

    /// One number of each run of a variant that did not diverge, in order of seeds.
    fn values(&self, variant: &Variant, of: fn(&[EpochRow]) -> Option<f64>) -> Vec<f64> {
        self.of(variant).filter(|run| run.diverged.is_none()).filter_map(|run| of(&run.epochs)).collect()
    }

    /// Epochs to the target accuracy, of the runs that reached it.
    fn epochs_to_target(&self, variant: &Variant) -> Option<(f64, Vec<f64>)> {
        let target = self.target?;
        let reached = |e: &EpochRow| e.val_acc.is_some_and(|a| a >= target);
        let first = |run: &Ended| run.epochs.iter().find(|e| reached(e)).map(|e| f64::from(e.epoch));
        Some((target, self.of(variant).filter_map(first).collect()))
    }

    fn header(&self) -> Vec<String> {
        let mut header = vec!["optimizer".to_owned(), "seeds".to_owned()];
        header.extend(COLUMNS.iter().map(|c| c.title.to_owned()));
        header.extend(self.target.map(|t| format!("epochs to {t} %")));
        header.push("MB on the device".into());
        header.push("remarks".into());
        header
    }

    fn cells(&self, variant: &Variant) -> Vec<String> {
        let count = self.of(variant).count();
        let mut cells = vec![variant.label.clone(), count.to_string()];
        cells.extend(COLUMNS.iter().map(|c| spread(&self.values(variant, c.of), c.digits)));
        if let Some((_, epochs)) = self.epochs_to_target(variant) {
            let reached = if epochs.len() < count { format!(" ({} of {count})", epochs.len()) } else { String::new() };
            cells.push(spread(&epochs, 1) + &reached);
        }
        let bytes = self.of(variant).map(|run| run.device_bytes).max().unwrap_or(0);
        cells.push(format!("{:.0}", bytes as f64 / 1e6));
        let diverged =
            self.of(variant).filter_map(|run| Some(format!("seed {} diverged at step {}", run.seed, run.diverged?)));
        cells.push(diverged.collect::<Vec<_>>().join("; "));
        cells
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.variants.iter().map(|v| self.cells(v)).collect()
    }

    /// The table for a terminal: mean and sample standard deviation over seeds.
    pub fn text(&self) -> String {
        let rows = [vec![self.header()], self.rows()].concat();
        let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        rows.iter().map(line).collect()
    }

    fn markdown(&self) -> String {
        let line = |row: &[String]| format!("| {} |\n", row.join(" | ").replace('\n', " "));
        let header = self.header();
        let rule = vec!["---".to_owned(); header.len()];
        line(&header)
            + &line(&rule)
            + &self.rows().iter().map(|r| line(r)).collect::<String>()
            + "\n"
            + &self.statistics()
    }

    /// One line per run, so that a spreadsheet can do its own sums.
    fn csv(&self) -> String {
        let mut text = String::from("optimizer,seed,diverged_at");
        text.extend(COLUMNS.iter().map(|c| format!(",{}", c.key)));
        text.push('\n');
        for run in self.runs {
            let label = run.label.replace('"', "\"\"");
            let diverged = run.diverged.map_or(String::new(), |step| step.to_string());
            let _ = write!(text, "\"{label}\",{},{diverged}", run.seed);
            for column in COLUMNS {
                let value = (column.of)(&run.epochs).filter(|v| v.is_finite());
                let _ = write!(text, ",{}", value.map_or(String::new(), |v| v.to_string()));
            }
            text.push('\n');
        }
        text
    }

    fn json(&self) -> Value {
        let summary = |values: &[f64]| json!({ "mean": stats::mean(values).ok(), "sd": stats::sample_sd(values).ok(), "values": values });
        let variant = |v: &Variant| {
            let columns = COLUMNS.iter().map(|c| (c.key.to_owned(), summary(&self.values(v, c.of))));
            json!({
                "label": v.label,
                "optimizer": v.optimizer,
                "set": v.set.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<serde_json::Map<_, _>>(),
                "columns": columns.collect::<serde_json::Map<_, _>>(),
                "diverged": self.of(v).filter_map(|r| r.diverged).collect::<Vec<_>>(),
            })
        };
        json!({ "target": self.target, "optimizers": self.variants.iter().map(variant).collect::<Vec<_>>() })
    }

    /// What the accuracies say of the optimizers, as section 2.6 of the AMVT paper asks: each test that has enough seeds,
    /// and of the others why not.
    pub fn statistics(&self) -> String {
        let accuracy: Vec<Vec<f64>> = self.variants.iter().map(|v| self.values(v, COLUMNS[1].of)).collect();
        let mut text = String::from("Accuracy on the validation images, percentage points:\n");
        for (variant, values) in self.variants.iter().zip(&accuracy) {
            let line = match stats::bootstrap_mean(values, stats::RESAMPLES, 0) {
                Ok(i) => format!("mean within {:.2} to {:.2} (95 %, {} resamples)", i.low, i.high, stats::RESAMPLES),
                Err(why) => format!("no interval: {why}"),
            };
            let _ = writeln!(text, "- {}: {line}", variant.label);
        }
        let pairs = self.variants.len() * self.variants.len().saturating_sub(1) / 2;
        for (i, a) in self.variants.iter().enumerate() {
            for (j, b) in self.variants.iter().enumerate().skip(i + 1) {
                let test = match stats::paired_t(&accuracy[i], &accuracy[j]) {
                    Ok(t) => format!(
                        "{:+.2}, paired t({:.0}) = {:.2}, p = {:.4} after Bonferroni over {pairs}",
                        t.mean_difference,
                        t.degrees,
                        t.t,
                        stats::bonferroni(t.p, pairs)
                    ),
                    Err(why) => format!("no paired t-test: {why}"),
                };
                let effect = match stats::cohens_d(&accuracy[i], &accuracy[j]) {
                    Ok(d) => format!("Cohen's d = {d:.2}"),
                    Err(why) => format!("no effect size: {why}"),
                };
                let _ = writeln!(text, "- {} against {}: {test}; {effect}", a.label, b.label);
            }
        }
        let groups: Vec<&[f64]> = accuracy.iter().map(Vec::as_slice).collect();
        let _ = match stats::anova(&groups) {
            Ok(a) => writeln!(
                text,
                "- all together: F({:.0}, {:.0}) = {:.2}, p = {:.4} (one-way analysis of variance)",
                a.degrees_between, a.degrees_within, a.f, a.p
            ),
            Err(why) => writeln!(text, "- no analysis of variance: {why}"),
        };
        text
    }

    /// Writes `table.md`, `table.csv` and `table.json`.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`].
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_atomically(&folder.join("table.md"), self.markdown().as_bytes())?;
        write_atomically(&folder.join("table.csv"), self.csv().as_bytes())?;
        let json = serde_json::to_string_pretty(&self.json()).unwrap_or_default() + "\n";
        write_atomically(&folder.join("table.json"), json.as_bytes())
    }
}

/// Mean and sample standard deviation, as far as there are values for them.
fn spread(values: &[f64], digits: usize) -> String {
    match (stats::mean(values), stats::sample_sd(values)) {
        (Ok(mean), Ok(sd)) => format!("{mean:.digits$} ± {sd:.digits$}"),
        (Ok(mean), Err(_)) => format!("{mean:.digits$}"),
        _ => "-".into(),
    }
}
