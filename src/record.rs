//! What a run leaves behind: `run.json`, `steps.jsonl`, `metrics.jsonl`, `model.safetensors`.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use serde_json::json;

use crate::{
    data::{Dataset, Split},
    error::{Error, Result},
    files::write_atomically,
    gpu::{Gpu, target::Precision},
    optim::Settings,
    train::{EpochRow, Options, Trainer, loss_variance},
};

/// What a run writes.
const FILES: [&str; 4] = ["run.json", "steps.jsonl", "metrics.jsonl", "model.safetensors"];

/// The folder of a run, and its open logs.
pub struct Record {
    folder: PathBuf,
    steps: Log,
    metrics: Log,
}

struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    fn create(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        Ok(Self { path, file })
    }

    /// One line in one write: whatever happens to the process, no line is torn.
    fn row(&mut self, row: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(row).expect("rows hold numbers");
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(Error::io("write to", &self.path))
    }
}

impl Record {
    /// Makes the folder and writes `run.json`.
    ///
    /// # Errors
    /// [`Error::Config`] if the folder holds a run already, [`Error::Io`] if it cannot be written.
    pub fn create(folder: &Path, run: &serde_json::Value) -> Result<Self> {
        if let Some(name) = FILES.iter().find(|name| folder.join(name).exists()) {
            let message = format!("{} holds a run already: there is {name}", folder.display());
            return Err(Error::config(message, "choose another --out, or remove the folder"));
        }
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let record = Self {
            folder: folder.to_owned(),
            steps: Log::create(folder.join("steps.jsonl"))?,
            metrics: Log::create(folder.join("metrics.jsonl"))?,
        };
        record.run(run)?;
        Ok(record)
    }

    /// Replaces `run.json`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn run(&self, run: &serde_json::Value) -> Result<()> {
        let text = serde_json::to_string_pretty(run).expect("a JSON value") + "\n";
        write_atomically(&self.folder.join("run.json"), text.as_bytes())
    }

    /// Appends to `steps.jsonl`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn step(&mut self, row: &impl Serialize) -> Result<()> {
        self.steps.row(row)
    }

    /// Appends to `metrics.jsonl`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn epoch(&mut self, row: &impl Serialize) -> Result<()> {
        self.metrics.row(row)
    }

    /// Where the weights go.
    pub fn weights(&self) -> PathBuf {
        self.folder.join("model.safetensors")
    }
}

/// What `run.json` says before the run; `config` reproduces it by `--config`.
pub(crate) fn run_json(
    gpu: &Gpu,
    dataset: &dyn Dataset,
    options: &Options,
    settings: &Settings,
    config: &toml::Table,
) -> serde_json::Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "device": gpu.info.name,
        "backend": format!("{:?}", gpu.info.backend).to_lowercase(),
        "driver": format!("{} {}", gpu.info.driver, gpu.info.driver_info).trim(),
        "model": options.model,
        "stem": options.config.stem.name(),
        "width": options.config.width,
        "classes": options.config.classes,
        "precision": options.recipe.precision.name(),
        "cooperative_matrices": gpu.target.matrix.is_some() && options.recipe.precision == Precision::Mixed,
        "optimizer": options.optimizer,
        "settings": settings.to_json(),
        "no_decay": options.recipe.no_decay.to_string(),
        "lookahead": options.lookahead.map(|l| json!({ "k": l.k, "alpha": l.alpha })),
        "epochs": options.epochs,
        "max_steps": options.max_steps,
        "batch_size": options.batch,
        "accumulate": options.accumulate,
        "augment": if options.recipe.augment { "paper" } else { "none" },
        "shuffle": if options.shuffle { "on" } else { "off" },
        "seed": options.seed,
        "dataset": {
            "name": dataset.spec().name,
            "train": dataset.len(Split::Train),
            "test": dataset.len(Split::Test),
            "crc32": format!("{:08x}", dataset.checksum()),
        },
        "config": toml::to_string(config).unwrap_or_default(),
    })
}

/// What `run.json` gains when the run has ended.
pub(crate) fn result_json(trainer: &Trainer<'_>, rows: &[EpochRow]) -> serde_json::Value {
    let last = rows.last();
    json!({
        "updates": trainer.network.updates().issued,
        "skipped": trainer.network.updates().skipped,
        "diverged": trainer.diverged(),
        "train_loss": last.map(|r| r.train_loss),
        "val_acc": last.and_then(|r| r.val_acc),
        "loss_variance": loss_variance(rows),
        "device_bytes": trainer.network.runtime.planned_bytes,
        "seconds": rows.iter().map(|r| r.seconds).sum::<f64>(),
    })
}

/// `runs/<date-time>-<optimizer>`, in UTC.
pub fn default_folder(optimizer: &str) -> PathBuf {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let name = format!("{}-{optimizer}", date_time(seconds));
    // Two runs may begin in the same second.
    let names = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}-{n}")));
    let mut folders = names.map(|name| Path::new("runs").join(name));
    folders.find(|folder| !folder.exists()).unwrap_or_else(|| Path::new("runs").join(name))
}

/// `2026-01-31-235959` of seconds since 1970: Hinnant's `civil_from_days`.
fn date_time(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468; // days since 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}-{:02}{:02}{:02}", time / 3600, time / 60 % 60, time % 60)
}

#[cfg(test)]
mod tests {
    use super::date_time;

    #[test]
    fn dates() {
        assert_eq!(date_time(0), "1970-01-01-000000");
        assert_eq!(date_time(951_827_696), "2000-02-29-123456");
        assert_eq!(date_time(1_798_761_599), "2026-12-31-235959");
    }
}
