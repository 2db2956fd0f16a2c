//! All logs of a run: JSON lines, which everything else stands on, and their rows in other formats.

use std::{fmt, path::Path, str::FromStr};

use serde_json::Value;

use super::{
    log::{Log, Row},
    table::{self, Table},
    tensorboard::Events,
};
use crate::{
    error::{Error, Result, suggest},
    training::{EpochRow, Position, StepRow},
};

/// A format of logs.
///
/// ```
/// use velograd::host::run::LogFormat;
/// assert_eq!("csv".parse::<LogFormat>().unwrap(), LogFormat::Csv);
/// assert!("tsv".parse::<LogFormat>().unwrap_err().to_string().contains("csv"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `steps.jsonl` and `metrics.jsonl`, which every run has: resuming, `report` and the Python package read them.
    Jsonl,
    /// The same rows as `steps.csv` and `metrics.csv`.
    Csv,
    /// `events.out.tfevents.*`: the rows as scalars, histograms of update-to-weight ratios, images, settings.
    Tensorboard,
}

impl LogFormat {
    const ALL: [Self; 3] = [Self::Jsonl, Self::Csv, Self::Tensorboard];

    /// Its name on the command line and in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Tensorboard => "tensorboard",
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LogFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let names = Self::ALL.map(Self::name);
        let known = Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(text));
        known.ok_or_else(|| {
            Error::config(format!("there are no logs of the format `{text}`"), suggest::hint(text, &names))
        })
    }
}

/// The open logs of a run.
pub(super) struct Logs {
    steps: Log,
    metrics: Log,
    tables: Option<[Table; 2]>,
    events: Option<Events>,
}

impl Logs {
    /// Opens the logs of a run that starts, or that continues at `from`: rows behind that are cut off.
    pub(super) fn open(folder: &Path, formats: &[LogFormat], run: &Value, from: Option<&Position>) -> Result<Self> {
        let (updates, epochs) = from.map_or((0, 0), |position| (position.step, position.epochs.len() as u64));
        let [steps, metrics] = ["steps.jsonl", "metrics.jsonl"].map(|name| folder.join(name));
        let asked = |format| formats.contains(&format);
        Ok(Self {
            // These come first: the others are made from their rows.
            steps: Log::open(&steps, updates)?,
            metrics: Log::open(&metrics, epochs)?,
            tables: match asked(LogFormat::Csv) {
                true => Some([Table::of(&steps, table::OF_UPDATES)?, Table::of(&metrics, table::OF_EPOCHS)?]),
                false => None,
            },
            events: match asked(LogFormat::Tensorboard) {
                true => Some(Events::open(folder, run, from)?),
                false => None,
            },
        })
    }

    pub(super) fn update(&mut self, row: &StepRow) -> Result<()> {
        let line = self.steps.row(row)?;
        self.copy(&line, 0, Events::update)
    }

    pub(super) fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        let line = self.metrics.row(row)?;
        self.copy(&line, 1, Events::epoch)
    }

    /// Passes on a line that was written: so every format has the numbers that the line has.
    fn copy(&mut self, line: &str, table: usize, event: fn(&mut Events, &Row) -> Result<()>) -> Result<()> {
        if self.tables.is_none() && self.events.is_none() {
            return Ok(());
        }
        let row: Row = serde_json::from_str(line).expect("a line that was written");
        if let Some(tables) = &mut self.tables {
            tables[table].row(&row)?;
        }
        self.events.as_mut().map_or(Ok(()), |events| event(events, &row))
    }

    /// The events for TensorBoard, if they were asked for.
    pub(super) fn events(&mut self) -> Option<&mut Events> {
        self.events.as_mut()
    }

    /// Forces what was written to the disk.
    pub(super) fn sync(&self) -> Result<()> {
        self.steps.sync()?;
        self.metrics.sync()?;
        self.tables.iter().flatten().try_for_each(Table::sync)?;
        self.events.as_ref().map_or(Ok(()), Events::sync)
    }
}
