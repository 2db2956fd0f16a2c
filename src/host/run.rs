//! What a run leaves behind: `run.json`, `steps.jsonl`, `metrics.jsonl`, `model.safetensors`, `checkpoints/`; and how it is
//! continued from there.

mod lock;
mod log;

pub use lock::Lock;

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{
    data::{Dataset, Split},
    device::Gpu,
    error::{Error, Result},
    host::{
        checkpoint::{
            Best, Loaded,
            keeper::{Keeper, Policy, newest},
        },
        files::{TEXT_LIMIT, read, remove_leftovers, write_atomically},
        identity, rule_file,
        signals::Stop,
        weights,
    },
    optim::Settings,
    program::target::{Precision, Target},
    training::{
        After, Checkpoint, EpochRow, Options, Point, StepRow, Trainer, Watch, Wish, loss_variance,
        provenance::Provenance,
    },
};

use log::{Log, whole_rows};

/// What a run writes, the first of it first.
const FILES: [&str; 4] = ["run.json", "steps.jsonl", "metrics.jsonl", "model.safetensors"];

/// The folder of the checkpoints within that of the run.
const CHECKPOINTS: &str = "checkpoints";

/// The folder of a run, its open logs and its checkpoints.
pub struct Record {
    folder: PathBuf,
    steps: Log,
    metrics: Log,
    keeper: Keeper,
    /// Held as long as the run.
    _lock: Lock,
}

impl Record {
    /// Takes the folder and writes `run.json`.
    ///
    /// # Errors
    /// [`Error::Config`] if the folder is in use or holds a run already, [`Error::Io`] if it cannot be written.
    pub fn create(folder: &Path, run: &Value, policy: Policy) -> Result<Self> {
        let lock = Lock::take(folder)?;
        if let Some(name) = FILES.iter().find(|name| folder.join(name).exists()) {
            let message = format!("{} holds a run already: there is {name}", folder.display());
            let hint = "choose another --out, remove the folder, or go on with `velograd train --resume`";
            return Err(Error::config(message, hint));
        }
        // A run that was killed here has no other file than this, or not even this.
        write_run(folder, run)?;
        Self::open(folder, lock, run, policy, None)
    }

    /// Opens the folder of a run that was begun: finds its newest whole checkpoint and cuts the logs back to it; to nothing
    /// where there is none, and the run begins anew, unless it has `ended`. `told` hears what was skipped.
    ///
    /// # Errors
    /// [`Error::Config`] if the checkpoint is of another run than `run`, [`Error::Data`] if there must be one and is none,
    /// otherwise [`Error::Io`].
    pub fn resume(
        folder: &Path,
        lock: Lock,
        run: &Value,
        policy: Policy,
        ended: bool,
        told: &mut dyn FnMut(String),
    ) -> Result<(Self, Option<Loaded>)> {
        let checkpoints = folder.join(CHECKPOINTS);
        remove_leftovers(folder);
        remove_leftovers(&checkpoints);
        let rows = |name: &str| match File::open(folder.join(name)) {
            Ok(file) => whole_rows(&file, u64::MAX).map(|(rows, _)| rows).unwrap_or(0),
            Err(_) => 0,
        };
        let rows = (rows("steps.jsonl"), rows("metrics.jsonl") as usize);
        let loaded = newest(&checkpoints, rows, told)?;
        if let Some(loaded) = &loaded {
            // More epochs are what --extend is for.
            same_run(&loaded.path, &loaded.run, run, &["epochs"])?;
        } else if ended {
            return Err(Error::data(&checkpoints, "a checkpoint", "none that is whole", ""));
        }
        let record = Self::open(folder, lock, run, policy, loaded.as_ref())?;
        Ok((record, loaded))
    }

    fn open(folder: &Path, lock: Lock, run: &Value, policy: Policy, from: Option<&Loaded>) -> Result<Self> {
        let (steps, epochs) = from.map_or((0, 0), |loaded| {
            let position = &loaded.checkpoint.position;
            (position.step, position.epochs.len() as u64)
        });
        Ok(Self {
            folder: folder.to_owned(),
            steps: Log::open(folder.join("steps.jsonl"), steps)?,
            metrics: Log::open(folder.join("metrics.jsonl"), epochs)?,
            keeper: Keeper::new(folder.join(CHECKPOINTS), policy, run.clone(), from),
            _lock: lock,
        })
    }

    /// Waits for the checkpoint that is being written; a remark says why there is none.
    ///
    /// # Errors
    /// As [`Keeper::wait`].
    pub fn wait(&mut self) -> Result<Option<String>> {
        self.keeper.wait()
    }

    /// Writes what a run leaves when it has ended: its weights, and its result in `run.json`.
    ///
    /// # Errors
    /// [`Error::Io`], or as [`Network::weights`](crate::training::network::Network::weights).
    pub async fn end(&self, trainer: &Trainer, rows: &[EpochRow], run: &mut Value) -> Result<()> {
        let (weights, provenance) = (trainer.network.weights().await?, Provenance::of_run(run).ok());
        weights::save(&weights, &self.weights(), &trainer.network.layout, provenance.as_ref())?;
        run["result"] = result_json(trainer, rows);
        write_run(&self.folder, run)
    }

    /// Replaces `run.json`, in the folder and in the checkpoints to come.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn run(&mut self, run: &Value) -> Result<()> {
        self.keeper.set_run(run.clone());
        write_run(&self.folder, run)
    }

    /// Writes down which builds of the program have worked on a run that goes on after so many updates: `before` is its
    /// `run.json` so far, `run` the one to come. Returns what to say if another build began it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn goes_on(&mut self, before: &Value, run: &mut Value, update: u64) -> Result<Option<String>> {
        identity::continued(before, run, update);
        let other = identity::other_build(before);
        if other.is_some() {
            self.run(run)?;
        }
        Ok(other)
    }

    /// Where the weights go.
    pub fn weights(&self) -> PathBuf {
        self.folder.join("model.safetensors")
    }

    /// Of the checkpoints at the end of an epoch, the one with the best validation accuracy.
    pub fn best(&self) -> Option<(PathBuf, Best)> {
        self.keeper.best()
    }
}

/// Removes the checkpoints of a run that has ended.
///
/// # Errors
/// [`Error::Io`].
pub fn drop_checkpoints(folder: &Path) -> Result<()> {
    let folder = folder.join(CHECKPOINTS);
    match fs::remove_dir_all(&folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", &folder)(e)),
        _ => Ok(()),
    }
}

fn write_run(folder: &Path, run: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(run).expect("a JSON value") + "\n";
    write_atomically(&folder.join("run.json"), text.as_bytes())
}

/// Writes a run's logs and checkpoints, and passes on what it hears.
pub struct Recorder<'a> {
    /// Where to.
    pub record: Record,
    /// Who else is told.
    pub watch: &'a mut dyn Watch,
    /// Whether to stop.
    pub stop: Stop,
}

impl Recorder<'_> {
    fn pass_on(&mut self, remark: Option<String>) {
        if let Some(remark) = remark {
            self.watch.remark(&remark);
        }
    }
}

impl Watch for Recorder<'_> {
    fn step(&mut self, row: &StepRow, images: u64, total: u64, hits: u64) -> Result<()> {
        self.record.steps.row(row)?;
        self.watch.step(row, images, total, hits)
    }

    fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        self.record.metrics.row(row)?;
        self.watch.epoch(row)
    }

    fn wish(&mut self, at: Point) -> Result<Wish> {
        let remark = self.record.keeper.look()?;
        self.pass_on(remark);
        // A run that has ended anyway ends as one that nobody stopped.
        let stops = self.stop.exit_code().is_some() && at.after != After::Run;
        if stops {
            self.watch.remark("stopping: a checkpoint is being written; the signal again leaves at once, without it");
        }
        if !stops && !self.record.keeper.due(at) {
            return Ok(Wish::GoOn);
        }
        // Before the next one takes memory.
        let remark = self.record.wait()?;
        self.pass_on(remark);
        Ok(if stops { Wish::Stop } else { Wish::Checkpoint })
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        // A checkpoint counts on the rows before it.
        self.record.steps.sync()?;
        self.record.metrics.sync()?;
        let remark = self.record.keeper.save(checkpoint)?;
        self.pass_on(remark);
        Ok(())
    }

    fn remark(&mut self, text: &str) {
        self.watch.remark(text);
    }
}

/// Reads the `run.json` of a folder.
///
/// # Errors
/// [`Error::Io`] or [`Error::Data`] if there is none, or it is none.
pub fn read_run(folder: &Path) -> Result<Value> {
    let path = folder.join("run.json");
    if !path.exists() {
        return Err(Error::data(folder, "the folder of a run", "no run.json", "--resume takes what --out was"));
    }
    read_json(&path)
}

pub(crate) fn read_json(path: &Path) -> Result<Value> {
    serde_json::from_slice(&read(path, TEXT_LIMIT)?).map_err(|e| Error::data(path, "a JSON object", e.to_string(), ""))
}

/// The recipe that makes a run again, as flags.
///
/// # Errors
/// [`Error::Data`] if `run`, from the file `path`, has none.
pub fn recipe_of(run: &Value, path: &Path) -> Result<toml::Table> {
    let table = run["config"].as_str().and_then(|text| text.parse().ok());
    table.ok_or_else(|| Error::data(path, "a recipe, `config`", run["config"].to_string(), ""))
}

/// Flags that change nothing of what a run computes. The data may lie elsewhere; they are known by their checksum.
const FREE: [&str; 4] = ["data", "checkpoint-every", "keep", "on-disk-full"];

/// Refuses to mix two runs: `there` is of the file `path`, `here` is what was asked for. Neither flags that change nothing nor
/// those in `but` are compared.
///
/// # Errors
/// [`Error::Config`] naming every difference.
pub fn same_run(path: &Path, there: &Value, here: &Value, but: &[&str]) -> Result<()> {
    let (known, asked) = (recipe_of(there, path)?, recipe_of(here, path)?);
    let mut differ = Vec::new();
    let mut compare = |what: String, there: Option<String>, here: Option<String>| {
        if there != here {
            let word = |v: Option<String>| v.unwrap_or_else(|| "none".into());
            differ.push(format!("{what}: there {}, here {}", word(there), word(here)));
        }
    };
    let text = |v: &Value| (!v.is_null()).then(|| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    compare("version".into(), text(&there["version"]), text(&here["version"]));
    for key in ["name", "crc32", "train", "test"] {
        compare(format!("data set, {key}"), text(&there["dataset"][key]), text(&here["dataset"][key]));
    }
    compare("settings".into(), text(&there["settings"]), text(&here["settings"]));
    // A rule from a file is its text, wherever that lies by now.
    let own =
        |run: &Value| run["rule"]["text"].as_str().map(|text| format!("{:08x}", crc32fast::hash(text.as_bytes())));
    compare("checksum of the rule's text".into(), own(there), own(here));
    let by_text = own(there).is_some() && own(here).is_some();
    if by_text {
        compare("optimizer".into(), text(&there["optimizer"]), text(&here["optimizer"]));
    }
    let keys: std::collections::BTreeSet<_> = known.keys().chain(asked.keys()).collect();
    let elsewhere = |key: &str| key == "set" || (key == "optimizer" && by_text);
    let counts = |key: &str| !elsewhere(key) && !FREE.contains(&key) && !but.contains(&key);
    for key in keys.into_iter().filter(|key| counts(key)) {
        let word = |table: &toml::Table| table.get(key).map(ToString::to_string);
        compare(format!("--{key}"), word(&known), word(&asked));
    }
    if differ.is_empty() {
        return Ok(());
    }
    let message = format!("{} is of another run than was asked for:\n  {}", path.display(), differ.join("\n  "));
    let hint = "--resume needs no other flag; --extend EPOCHS trains on for longer; another run needs another --out";
    Err(Error::config(message, hint))
}

/// What `run.json` says before the run. Its `config` reproduces the run by `--config`: the flags in `common`, and the run's
/// own optimizer, settings and seed.
pub fn run_json(
    gpu: &Gpu,
    target: &Target,
    dataset: &dyn Dataset,
    options: &Options,
    settings: &Settings,
    common: &toml::Table,
) -> Value {
    let mut config = common.clone();
    config.insert("optimizer".into(), options.optimizer.argument().into());
    // TOML's integers are signed; a larger seed is written as text, which a flag takes as well.
    let seed = i64::try_from(options.seed).map_or_else(|_| options.seed.to_string().into(), toml::Value::from);
    config.insert("seed".into(), seed);
    let set: toml::Table = options.set.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    if !set.is_empty() {
        config.insert("set".into(), set.into());
    }
    let mut run = json!({
        "version": identity::VERSION,
        "build": identity::build(),
        "device": gpu.info.name,
        "backend": gpu.info.backend,
        "driver": gpu.info.driver,
        "model": options.model,
        "stem": options.config.stem.name(),
        "width": options.config.width,
        "classes": options.config.classes,
        "precision": options.recipe.precision.name(),
        "cooperative_matrices": target.matrix.is_some() && options.recipe.precision == Precision::Mixed,
        "optimizer": options.optimizer.name(),
        "settings": settings.to_json(),
        "no_decay": options.recipe.no_decay.to_string(),
        "lookahead": options.lookahead.map(|l| json!({ "k": l.k, "alpha": l.alpha })),
        "epochs": options.epochs,
        "max_steps": options.max_steps,
        "batch_size": options.batch,
        "accumulate": options.accumulate,
        "remainder": options.remainder.name(),
        "augment": options.recipe.augment.name(),
        "normalize": options.normalize().ok(),
        "tta": options.recipe.tta,
        "shuffle": if options.shuffle { "on" } else { "off" },
        "seed": options.seed,
        "dataset": {
            "name": dataset.spec().name,
            "train": dataset.len(Split::Train),
            "test": dataset.len(Split::Test),
            "crc32": format!("{:08x}", dataset.checksum()),
            "classes": dataset.spec().classes,
            "seed": dataset.seed(),
        },
        "config": toml::to_string(&config).unwrap_or_default(),
    });
    if options.optimizer.text().is_some() {
        run["rule"] = rule_file::to_json(&options.optimizer);
    }
    run
}

/// What `run.json` gains when the run has ended.
fn result_json(trainer: &Trainer, rows: &[EpochRow]) -> Value {
    let last = rows.last();
    json!({
        "epochs": rows.len(),
        "updates": trainer.network.updates().issued,
        "skipped": trainer.network.updates().skipped,
        "first_skip": trainer.position().first_skip,
        "clipped": trainer.clips().then_some(trainer.position().clipped),
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
