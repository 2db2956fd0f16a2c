//! `events.out.tfevents.*`: a run's rows, images and settings as TensorBoard reads them.
//!
//! Everything is at the step of an update, so that curves over updates and over epochs share an axis, and what TensorBoard
//! is to forget when a run is resumed is what lies behind one step.

mod message;
mod record;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use prost::Message as _;
use serde_json::Value as Json;

use super::{
    appended::Appended,
    begun::host_name,
    log::{EPOCHS_LIMIT, Row, for_each_row, read_rows},
    recipe::FREE,
};
use crate::{
    error::Result,
    host::files::write_atomically,
    training::{EpochRow, Position, Score},
};

use message::{
    Content, Event, FILE_VERSION, Histogram, Hparam, Hparams, Image, Kind, Metadata, PluginData, Session, SessionEnd,
    SessionLog, SessionStart, SessionStatus, Status, Summary, Value, What,
};

/// The tags of an update's values.
const OF_UPDATES: [(&str, &str); 4] =
    [("loss", "train/loss"), ("lr", "train/lr"), ("grad_norm", "train/grad_norm"), ("scale", "train/loss_scale")];

/// The tags of an epoch's values.
const OF_EPOCHS: [(&str, &str); 11] = [
    ("epoch", "epoch"),
    ("train_loss", "train/epoch_loss"),
    ("train_acc", "train/accuracy"),
    ("val_loss", "val/loss"),
    ("val_acc", "val/accuracy"),
    ("val_top5", "val/top5_accuracy"),
    ("val_f1", "val/f1"),
    ("val_precision", "val/precision"),
    ("val_recall", "val/recall"),
    ("seconds", "time/epoch_seconds"),
    ("images_per_second", "time/images_per_second"),
];

/// Buckets of a histogram per power of ten.
const BUCKETS: f64 = 10.0;

/// What the names of TensorBoard's files begin with.
const PREFIX: &str = "events.out.tfevents.";

/// Where events go. A file appears with everything that it begins with: where one is, nothing is written again of what came before
/// it, so a beginning that a full disk or the end of the process has cut short would stay so.
enum Out {
    Beginning(Vec<u8>),
    File(Appended),
}

/// The open file of this process. Each start of a run has its own, and TensorBoard reads a folder's files in the order of
/// their names.
pub(super) struct Events {
    out: Out,
    /// The last update so far.
    step: i64,
    /// Whether this is the beginning of what the folder has for TensorBoard.
    anew: bool,
    /// Decimal logarithms of the update-to-weight ratios of the epoch's last update, which wait for its row.
    ratios: Vec<f64>,
}

impl Events {
    /// Begins a file for a run that starts, or continues at `from`; the logs in the folder are open, and cut back to that. A
    /// folder that has no such file yet gets the rows so far.
    pub(super) fn open(folder: &Path, run: &Json, from: Option<&Position>) -> Result<Self> {
        let (done, within) = from.map_or((0, false), |position| (position.step as i64, position.batch > 0));
        let newest = newest(folder);
        let anew = done == 0 || newest.is_none();
        let mut events = Self { out: Out::Beginning(vec![]), step: 0, anew, ratios: vec![] };
        events.write(0, What::FileVersion(FILE_VERSION.into()))?;
        // Within an epoch that was evaluated and is now continued, the last update's step has values of that evaluation.
        let first = match (anew, within) {
            (true, _) => 0,
            (false, true) => done,
            (false, false) => done + 1,
        };
        if newest.is_some() {
            events.write(first, What::SessionLog(SessionLog { status: SessionStatus::Start.into() }))?;
        }
        if anew {
            let start = SessionStart { hparams: hparams(run), start_time: seconds() };
            events.summary(0, vec![session("_hparams_/session_start_info", Session::Start(start))])?;
        }
        if first <= done {
            events.replay(folder, first)?;
        }
        events.step = done;
        events.begin(&folder.join(name_after(newest)))?;
        Ok(events)
    }

    /// Writes the beginning to a new file, where everything else goes.
    fn begin(&mut self, path: &Path) -> Result<()> {
        if let Out::Beginning(bytes) = &self.out {
            write_atomically(path, bytes)?;
            let length = bytes.len() as u64;
            self.out = Out::File(Appended::open(path, |_| Ok(length))?);
        }
        Ok(())
    }

    /// Writes the rows in the logs from step `first` on.
    fn replay(&mut self, folder: &Path, first: i64) -> Result<()> {
        let epochs: Vec<Row> = read_rows(&folder.join("metrics.jsonl"), EPOCHS_LIMIT)?;
        let mut epochs = epochs.iter().peekable();
        let epoch = |row: &Row| row.get("epoch").and_then(Json::as_u64);
        for_each_row(&folder.join("steps.jsonl"), |row| {
            while let Some(ended) = epochs.next_if(|ended| epoch(ended) < epoch(&row)) {
                if self.step >= first {
                    self.epoch(ended)?;
                }
            }
            self.step = step(&row);
            if self.step >= first { self.update(&row) } else { Ok(()) }
        })?;
        epochs.try_for_each(|ended| self.epoch(ended))
    }

    /// Whether images of the run are still to be written.
    pub(super) fn wants_images(&self) -> bool {
        self.anew
    }

    /// Writes a picture in PNG of `[height, width]` pixels.
    pub(super) fn images(&mut self, png: Vec<u8>, [height, width]: [u32; 2]) -> Result<()> {
        self.anew = false;
        let image = Image { height: height as i32, width: width as i32, colorspace: 3, png };
        self.summary(0, vec![value("train/images", Content::Image(image))])
    }

    /// Writes an update's row.
    pub(super) fn update(&mut self, row: &Row) -> Result<()> {
        self.step = step(row);
        let of = |(key, tag): &(&str, &str)| row.get(*key).map(|number| scalar(tag, number));
        self.summary(self.step, OF_UPDATES.iter().filter_map(of).collect())
    }

    /// Takes the update-to-weight ratios of the epoch's last update, whose row may not have come yet.
    pub(super) fn update_ratios(&mut self, ratios: impl Iterator<Item = f64>) {
        // Weights that were zero, and those that stayed as they were, have no place on a logarithmic axis.
        self.ratios = ratios.map(f64::log10).filter(|ratio| ratio.is_finite()).collect();
    }

    /// Writes an epoch's row.
    pub(super) fn epoch(&mut self, row: &Row) -> Result<()> {
        // Null is what was not finite; but in an epoch without validation, what is not there.
        let validated = row.get("val_acc").is_some_and(Json::is_number);
        let there = |(key, _): &&(&str, &str)| validated || !key.starts_with("val_");
        let of = |(key, tag): &(&str, &str)| row.get(*key).map(|number| scalar(tag, number));
        let mut values: Vec<Value> = OF_EPOCHS.iter().filter(there).filter_map(of).collect();
        values.extend(histogram(&std::mem::take(&mut self.ratios)));
        self.summary(self.step, values)
    }

    /// Writes the outcome of a run that has ended, with the `result` in its `run.json`.
    pub(super) fn end(&mut self, run: &Json, rows: &[EpochRow]) -> Result<()> {
        let result = &run["result"];
        let score = Score::of_run(run);
        let best = score.best(rows).into();
        let (validation, best) = match score {
            Score::Accuracy => (("hparam/val_accuracy", &result["val_acc"]), ("hparam/best_val_accuracy", &best)),
            Score::Loss(_) => (("hparam/val_loss", &result["val_loss"]), ("hparam/best_val_loss", &best)),
        };
        let metrics =
            [("hparam/train_loss", &result["train_loss"]), validation, best, ("hparam/seconds", &result["seconds"])];
        let mut values: Vec<Value> =
            metrics.iter().filter(|(_, number)| number.is_number()).map(|(tag, number)| scalar(tag, number)).collect();
        let status = if result["diverged"].is_null() { Status::Success } else { Status::Failure };
        let end = SessionEnd { status: status.into(), end_time: seconds() };
        values.push(session("_hparams_/session_end_info", Session::End(end)));
        self.summary(self.step, values)
    }

    pub(super) fn sync(&self) -> Result<()> {
        match &self.out {
            Out::Beginning(_) => Ok(()),
            Out::File(file) => file.sync(),
        }
    }

    fn summary(&mut self, step: i64, value: Vec<Value>) -> Result<()> {
        self.write(step, What::Summary(Summary { value }))
    }

    fn write(&mut self, step: i64, what: What) -> Result<()> {
        let event = Event { wall_time: seconds(), step, what: Some(what) };
        let record = record::framed(&event.encode_to_vec());
        match &mut self.out {
            Out::Beginning(bytes) => {
                bytes.extend(record);
                Ok(())
            }
            Out::File(file) => file.append(&record),
        }
    }
}

/// The time in the name of the newest of TensorBoard's files in a folder, in seconds since 1970.
fn newest(folder: &Path) -> Option<u64> {
    let time = |path: PathBuf| path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split('.').next()?.parse().ok();
    fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| time(entry.path())).max()
}

/// The name of a new file, which comes after that of the newest one even if the clock was set back.
fn name_after(newest: Option<u64>) -> String {
    let (now, host) = (seconds() as u64, host_name());
    let time = newest.map_or(now, |newest| now.max(newest.saturating_add(1)));
    format!("{PREFIX}{time:010}.{}.{}", host.to_string_lossy(), std::process::id())
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn step(row: &Row) -> i64 {
    row.get("step").and_then(Json::as_i64).unwrap_or(0)
}

fn value(tag: &str, content: Content) -> Value {
    Value { tag: tag.into(), metadata: None, content: Some(content) }
}

/// A number of a row; null is one that was not finite.
fn scalar(tag: &str, number: &Json) -> Value {
    value(tag, Content::Scalar(number.as_f64().unwrap_or(f64::NAN) as f32))
}

/// How many parameter tensors have an update-to-weight ratio of which size.
fn histogram(ratios: &[f64]) -> Option<Value> {
    let bucket = |ratio: &f64| (ratio * BUCKETS).floor() as i64;
    let (first, last) = (ratios.iter().map(bucket).min()?, ratios.iter().map(bucket).max()?);
    let mut counts = vec![0.0; (last - first + 1) as usize];
    ratios.iter().for_each(|ratio| counts[(bucket(ratio) - first) as usize] += 1.0);
    let histogram = Histogram {
        min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
        max: ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        num: ratios.len() as f64,
        sum: ratios.iter().sum(),
        sum_squares: ratios.iter().map(|ratio| ratio * ratio).sum(),
        bucket_limit: (first..=last).map(|bucket| (bucket + 1) as f64 / BUCKETS).collect(),
        bucket: counts,
    };
    Some(value("train/log10_update_ratio", Content::Histogram(histogram)))
}

/// The settings of a run that are one value each: those of its recipe, and the network's and the optimizer's with their
/// defaults.
fn hparams(run: &Json) -> BTreeMap<String, Hparam> {
    let table = |key: &str| run[key].as_object().into_iter().flatten();
    let recipe = table("recipe").filter(|(key, _)| !FREE.contains(&key.as_str()));
    let kind = |value: &Json| match value {
        Json::Bool(truth) => Some(Kind::Truth(*truth)),
        Json::Number(number) => number.as_f64().map(Kind::Number),
        Json::String(text) => Some(Kind::Text(text.clone())),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    };
    let hparam = |(key, value): (&String, &Json)| Some((key.clone(), Hparam { kind: Some(kind(value)?) }));
    recipe.chain(table("network")).chain(table("settings")).filter_map(hparam).collect()
}

fn session(tag: &str, session: Session) -> Value {
    let content = Hparams { session: Some(session) }.encode_to_vec();
    let plugin_data = Some(PluginData { plugin_name: "hparams".into(), content });
    Value { tag: tag.into(), metadata: Some(Metadata { plugin_data }), content: None }
}
