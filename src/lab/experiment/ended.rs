//! A run of an experiment that has ended, as its folder describes it.

use std::path::Path;

use serde_json::{Value, json};

use super::design::{Design, Planned, Variant};
use crate::{
    error::{Error, Result},
    host::run::{EPOCHS_LIMIT, difference, read_json, read_rows, table_differences},
    training::EpochRow,
};

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The variant's label.
    pub label: String,
    /// Seed of the initial weights, the order, augmentation and dropout.
    pub seed: u64,
    /// Its epochs, including the one in which it diverged.
    pub epochs: Vec<EpochRow>,
    /// The first of the updates in a row that were not finite, if the run ended because of them.
    pub diverged: Option<u64>,
    /// Bytes of the device's buffers.
    pub device_bytes: u64,
    /// Its `run.json`.
    pub run: Value,
}

/// The run of `variant` in `folder`, if it has ended.
///
/// # Errors
/// [`Error::Config`] if it has other settings; [`Error::Io`] or [`Error::Data`] if a file is not what it should be.
pub fn read_ended(folder: &Path, variant: &Variant, seed: u64) -> Result<Option<Ended>> {
    let path = folder.join("run.json");
    if !path.exists() {
        return Ok(None);
    }
    let run = read_json(&path)?;
    let (_, settings) = variant.optimizer.build(&variant.set)?;
    let (shown, label) = (folder.display(), &variant.label);
    if run["rule"]["text"].as_str() != variant.optimizer.text() {
        let message = format!("{shown} holds a run of another text of the rule `{label}`");
        return Err(Error::about("out", message, "choose another 'out'"));
    }
    let name = variant.optimizer.name();
    if run["optimizer"] != name || run["settings"] != settings.to_json() {
        let mut lines = Vec::from_iter(difference("'optimizer'", &run["optimizer"], &json!(name)));
        if lines.is_empty() {
            lines = table_differences("", &run["settings"], &settings.to_json());
        }
        let message = format!("{shown} holds a run of other settings than `{label}`:\n  {}", lines.join("\n  "));
        return Err(Error::about("out", message, "choose another 'out'"));
    }
    if run["result"].is_null() {
        return Ok(None);
    }
    let metrics = folder.join("metrics.jsonl");
    let epochs: Vec<EpochRow> = read_rows(&metrics, EPOCHS_LIMIT)?;
    if let Some(had) = run["result"]["epochs"].as_u64().filter(|had| *had != epochs.len() as u64) {
        return Err(Error::data(
            &metrics,
            format!("the {had} epochs of the run"),
            format!("{} rows", epochs.len()),
            "",
        ));
    }
    Ok(Some(Ended {
        label: variant.label.clone(),
        seed,
        epochs,
        diverged: run["result"]["diverged"].as_u64(),
        device_bytes: run["result"]["device_bytes"].as_u64().unwrap_or(0),
        run,
    }))
}

impl Design {
    /// The runs that have ended, in the order of their numbers. One whose files cannot be read has not: its
    /// [`Status`](super::status::Status) says why.
    ///
    /// # Errors
    /// [`Error::Config`] if a run has other settings.
    pub fn ended(&self) -> Result<Vec<Ended>> {
        let of = |run: Planned<'_>| match read_ended(&run.folder, run.variant, run.seed) {
            Err(error @ Error::Config { .. }) => Some(Err(error)),
            read => read.ok().flatten().map(Ok),
        };
        self.runs().filter_map(of).collect()
    }
}
