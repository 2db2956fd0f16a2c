//! What a run leaves behind: `run.json`, `config.toml`, `steps.jsonl`, `metrics.jsonl`, `model.safetensors`, `checkpoints/`; and
//! how it is continued from there.

mod begun;
mod lock;
mod log;
mod recipe;

use begun::date_time;
pub use lock::Lock;
pub use log::{EPOCHS_LIMIT, read_rows};
pub use recipe::{Recipe, difference, differences, of as recipe, table_differences, to_toml};

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
            keeper::{self, Keeper, Policy},
        },
        files::{TEXT_LIMIT, read, remove_leftovers, write_atomically},
        identity, rule_file,
        signals::Stop,
        weights,
    },
    optim::Settings,
    program::target::{Precision, Target},
    training::{
        After, Checkpoint, EpochRow, Options, Point, Request, StepRow, Trainer, Watch, loss_variance,
        provenance::Provenance,
    },
};

use log::{Log, whole_rows};

/// What a run writes and another must not write over, the first of it first.
const FILES: [&str; 4] = ["run.json", "steps.jsonl", "metrics.jsonl", "model.safetensors"];

/// The folder of the checkpoints within that of the run.
pub const CHECKPOINTS: &str = "checkpoints";

/// The folder of a run, its open logs and its checkpoints.
pub struct Folder {
    path: PathBuf,
    steps: Log,
    metrics: Log,
    keeper: Keeper,
    /// Held as long as the run.
    _lock: Lock,
}

/// How a run is continued.
pub struct Resume<'a> {
    /// Its folder, which nobody else writes to.
    pub lock: Lock,
    /// Its `run.json` from now on.
    pub run: &'a Value,
    /// What it wants of its checkpoints.
    pub policy: Policy,
    /// Whether there must be a checkpoint: the run has ended before, or one was named.
    pub needs_checkpoint: bool,
    /// The checkpoint to continue from; otherwise the newest that is whole.
    pub checkpoint: Option<&'a Path>,
    /// Whether the run is longer than it was to be: an epoch that its end cut short is then gone on with.
    pub longer: bool,
}

impl Folder {
    /// Refuses a folder that a run cannot be begun in, before anything is made.
    ///
    /// # Errors
    /// [`Error::Config`] if it is in use, or holds a run already.
    pub fn check_free(path: &Path) -> Result<()> {
        let has = Self::check_empty(path);
        if has.is_err() {
            Lock::take(path)?; // of a run that is under way nobody needs to hear how to go on with it
        }
        has
    }

    fn check_empty(path: &Path) -> Result<()> {
        let Some(name) = FILES.iter().find(|name| path.join(name).exists()) else { return Ok(()) };
        let message = format!("{} holds a run already: there is {name}", path.display());
        let hint = format!(
            "choose another 'out', remove the folder, or go on with `velograd train --resume {}`",
            path.display()
        );
        Err(Error::about("out", message, hint))
    }

    /// Takes the folder and writes `run.json` and `config.toml`.
    ///
    /// # Errors
    /// [`Error::Config`] if the folder is in use or holds a run already, [`Error::Io`] if it cannot be written.
    pub fn create(path: &Path, run: &Value, policy: Policy) -> Result<Self> {
        let lock = Lock::take(path)?;
        Self::check_empty(path)?;
        // A run that was killed here has no other file than these, or not even these.
        write_run(path, run)?;
        write_config(path, run)?;
        Self::open(path, lock, run, policy, None)
    }

    /// Opens the folder of a run that was begun: finds its newest whole checkpoint and cuts the logs back to it; to nothing
    /// where there is none, and the run begins anew. `on_remark` gets a line for each checkpoint that was skipped or set aside.
    ///
    /// # Errors
    /// [`Error::Config`] if the checkpoint is of another run, [`Error::Data`] if there must be one and is none, otherwise
    /// [`Error::Io`].
    pub fn resume(
        path: &Path,
        resume: Resume<'_>,
        on_remark: &mut dyn FnMut(String),
    ) -> Result<(Self, Option<Loaded>)> {
        let Resume { lock, run, policy, needs_checkpoint, checkpoint, longer } = resume;
        let checkpoints = path.join(CHECKPOINTS);
        remove_leftovers(path);
        remove_leftovers(&checkpoints);
        let rows = |name: &str| match File::open(path.join(name)) {
            Ok(file) => whole_rows(&file, u64::MAX).map(|(rows, _)| rows).unwrap_or(0),
            Err(_) => 0,
        };
        let rows = (rows("steps.jsonl"), rows("metrics.jsonl") as usize);
        let mut loaded = match checkpoint {
            Some(file) => Some(keeper::named(file, rows)?),
            None => keeper::newest(&checkpoints, rows, on_remark)?,
        };
        if let Some(loaded) = &mut loaded {
            // More of it is what was asked for.
            same_run(&loaded.path, &loaded.run, run, &["epochs", "max-steps"])?;
            if checkpoint.is_some() {
                let Checkpoint { position, .. } = &loaded.checkpoint;
                let (step, epochs) = (position.step, position.epochs.len());
                for aside in keeper::set_aside_newer(&checkpoints, step)? {
                    on_remark(format!("set aside, and renamed to {}: a newer checkpoint", aside.display()));
                }
                if rows != (step, epochs) {
                    on_remark(format!("the logs are cut back to update {step} and {epochs} whole epochs"));
                }
            }
            if longer {
                loaded.checkpoint.position.reopen();
            }
        } else if needs_checkpoint {
            return Err(Error::data(&checkpoints, "a checkpoint", "none that is whole", ""));
        }
        let folder = Self::open(path, lock, run, policy, loaded.as_ref())?;
        Ok((folder, loaded))
    }

    fn open(path: &Path, lock: Lock, run: &Value, policy: Policy, from: Option<&Loaded>) -> Result<Self> {
        let (steps, epochs) = from.map_or((0, 0), |loaded| {
            let position = &loaded.checkpoint.position;
            (position.step, position.epochs.len() as u64)
        });
        Ok(Self {
            path: path.to_owned(),
            steps: Log::open(path.join("steps.jsonl"), steps)?,
            metrics: Log::open(path.join("metrics.jsonl"), epochs)?,
            keeper: Keeper::new(path.join(CHECKPOINTS), policy, run.clone(), from),
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
        write_run(&self.path, run)
    }

    /// Replaces `run.json` and `config.toml`, and the `run.json` in the checkpoints to come.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&mut self, run: &Value) -> Result<()> {
        self.keeper.set_run(run.clone());
        write_run(&self.path, run)?;
        write_config(&self.path, run)
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
            self.write(run)?;
        }
        Ok(other)
    }

    /// Where the weights go.
    pub fn weights(&self) -> PathBuf {
        self.path.join(WEIGHTS)
    }

    /// The checkpoint with the best validation accuracy among those at the end of an epoch.
    pub fn best(&self) -> Option<(PathBuf, Best)> {
        self.keeper.best()
    }
}

/// The file of the weights of a run that has ended.
pub const WEIGHTS: &str = "model.safetensors";

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

fn write_config(folder: &Path, run: &Value) -> Result<()> {
    let recipe = recipe::of(run, &folder.join("run.json"))?;
    write_atomically(&folder.join(CONFIG), config_toml("train", &recipe, folder, "").as_bytes())
}

/// The recipe of a run or an experiment as a file.
pub const CONFIG: &str = "config.toml";

/// The text of the [`CONFIG`] in `folder`, which makes the same again by `velograd COMMAND`; `more` is what has to be added to
/// that command.
pub fn config_toml(command: &str, recipe: &Recipe, folder: &Path, more: &str) -> String {
    let file = folder.join(CONFIG);
    format!(
        "# velograd {command} --config {}{more}\n#\n# Makes this again: on the same device, driver and version of the program to \
         the bit.\ncommand = \"{command}\"\n{}",
        file.display(),
        to_toml(recipe)
    )
}

/// Writes a run's logs and checkpoints, and passes on what it hears.
pub struct Journal<'a> {
    /// Where to.
    pub folder: Folder,
    /// Who else is told.
    pub watch: &'a mut dyn Watch,
    /// Whether to stop.
    pub stop: Stop,
}

impl Journal<'_> {
    fn pass_on(&mut self, remark: Option<String>) {
        if let Some(remark) = remark {
            self.watch.remark(&remark);
        }
    }
}

impl Watch for Journal<'_> {
    fn step(&mut self, row: &StepRow, images: u64, total: u64, hits: u64) -> Result<()> {
        self.folder.steps.row(row)?;
        self.watch.step(row, images, total, hits)
    }

    fn evaluating(&mut self, done: u64, total: u64) {
        self.watch.evaluating(done, total);
    }

    fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        self.folder.metrics.row(row)?;
        self.watch.epoch(row)
    }

    fn request(&mut self, at: Point) -> Result<Request> {
        let remark = self.folder.keeper.look()?;
        self.pass_on(remark);
        // A run that has ended anyway ends as one that nobody stopped.
        let stops = self.stop.exit_code().is_some() && at.after != After::Run;
        if stops {
            self.watch.remark("stopping: a checkpoint is being written; the signal again leaves at once, without it");
        }
        if !stops && !self.folder.keeper.due(at) {
            return Ok(Request::Continue);
        }
        // Before the next one takes memory.
        let remark = self.folder.wait()?;
        self.pass_on(remark);
        Ok(if stops { Request::Stop } else { Request::Checkpoint })
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        // A checkpoint counts on the rows before it.
        self.folder.steps.sync()?;
        self.folder.metrics.sync()?;
        let remark = self.folder.keeper.save(checkpoint)?;
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
        return Err(Error::data(folder, "the folder of a run", "no run.json", "'resume' takes what 'out' was"));
    }
    read_json(&path)
}

pub(crate) fn read_json(path: &Path) -> Result<Value> {
    serde_json::from_slice(&read(path, TEXT_LIMIT)?).map_err(|e| Error::data(path, "a JSON object", e.to_string(), ""))
}

/// The facts in which two runs differ, by their `run.json`: version, data set, a rule's text, settings of the optimizer. A line for each.
pub fn other_facts(there: &Value, here: &Value) -> Vec<String> {
    let mut lines = Vec::from_iter(difference("version", &there["version"], &here["version"]));
    for key in ["name", "crc32", "train", "test"] {
        lines.extend(difference(&format!("data set, {key}"), &there["dataset"][key], &here["dataset"][key]));
    }
    let checksum =
        |run: &Value| run["rule"]["text"].as_str().map(|text| format!("{:08x}", crc32fast::hash(text.as_bytes())));
    lines.extend(difference("checksum of the rule's text", &json!(checksum(there)), &json!(checksum(here))));
    if by_text(there, here) {
        lines.extend(difference("'optimizer'", &there["optimizer"], &here["optimizer"]));
    }
    if there["optimizer"] == here["optimizer"] {
        let optimizer = there["optimizer"].as_str().unwrap_or_default();
        lines.extend(table_differences(&format!("{optimizer}'s "), &there["settings"], &here["settings"]));
    }
    lines
}

/// Refuses to mix two runs: `there` is of the file `path`, `here` is what was asked for. Neither settings that change nothing
/// nor those in `but` are compared.
///
/// # Errors
/// [`Error::Config`] naming every difference.
pub fn same_run(path: &Path, there: &Value, here: &Value, but: &[&str]) -> Result<()> {
    let mut lines = other_facts(there, here);
    let but = if by_text(there, here) { &[but, &["optimizer"]].concat() } else { but };
    lines.extend(differences(&recipe::of(there, path)?, &recipe::of(here, path)?, but));
    refuse_differences(path, &lines)
}

/// Whether two runs go by rules from files: those are known by their texts, wherever the files lie by now.
pub fn by_text(there: &Value, here: &Value) -> bool {
    there["rule"]["text"].is_string() && here["rule"]["text"].is_string()
}

/// Refuses a run that differs from what was asked for in these ways.
///
/// # Errors
/// [`Error::Config`], if there are any.
pub fn refuse_differences(path: &Path, lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let message = format!("{} is of another run than was asked for:\n  {}", path.display(), lines.join("\n  "));
    let hint = "'resume' needs no other setting; 'extend' trains on for longer; another run needs another 'out'";
    Err(Error::config(message, hint))
}

/// What `run.json` says before the run. `common` is the recipe that makes the run again, but for its optimizer, settings and seed.
pub fn run_json(
    gpu: &Gpu,
    target: &Target,
    dataset: &dyn Dataset,
    options: &Options,
    settings: &Settings,
    common: &Recipe,
) -> Value {
    let mut recipe = common.clone();
    recipe.insert("optimizer".into(), json!(options.optimizer.argument()));
    recipe.insert("seed".into(), json!(options.seed));
    recipe.insert("set".into(), given_settings(&options.set, settings));
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
            "path": dataset.path().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
            "seed": dataset.seed(),
            "train": dataset.len(Split::Train),
            "test": dataset.len(Split::Test),
            "crc32": format!("{:08x}", dataset.checksum()),
            "classes": dataset.spec().classes,
        },
        "begun": begun::begun(),
        "recipe": recipe,
    });
    if options.optimizer.text().is_some() {
        run["rule"] = rule_file::to_json(&options.optimizer);
    }
    run
}

/// The settings that were given, with the values that they were read as.
fn given_settings(given: &[(String, String)], read: &Settings) -> Value {
    let all = read.to_json();
    given
        .iter()
        .map(|(key, text)| (key.clone(), all.get(key).cloned().unwrap_or_else(|| json!(text))))
        .collect::<Recipe>()
        .into()
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
