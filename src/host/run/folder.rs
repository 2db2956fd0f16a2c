//! The folder of a run: it is created, resumed and completed here.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    CHECKPOINTS, CONFIG, WEIGHTS, config_toml,
    lock::Lock,
    log::whole_rows,
    logs::{LogFormat, Logs},
    recipe,
    run_json::result_json,
    same::same_run,
};
use crate::{
    error::{Error, Result, suggest::shell_word},
    host::{
        checkpoint::{
            Best, Loaded,
            keeper::{self, Keeper, Policy},
        },
        files::{remove_leftovers, write_atomically},
        identity, weights,
    },
    training::{Checkpoint, EpochRow, Trainer, provenance::Provenance},
};

/// The files that a run writes and another must not overwrite. The one that is written first comes first.
const FILES: [&str; 6] = ["run.json", "steps.jsonl", "metrics.jsonl", "model.safetensors", "steps.csv", "metrics.csv"];

/// The folder of a run, its open logs and its checkpoints.
pub struct Folder {
    path: PathBuf,
    pub(super) logs: Logs,
    pub(super) keeper: Keeper,
    /// Held as long as the folder is open.
    _lock: Lock,
}

/// How a run is resumed.
pub struct Resume<'a> {
    /// The lock on the run's folder.
    pub lock: Lock,
    /// The run's `run.json` so far.
    pub before: &'a Value,
    /// When checkpoints are taken and which are kept.
    pub policy: Policy,
    /// The formats of its logs besides JSON lines, from now on.
    pub formats: &'a [LogFormat],
    /// The checkpoint to continue from; if `None`, the newest complete one.
    pub checkpoint: Option<&'a Path>,
}

impl Folder {
    /// Checks, before anything is written, that a run can be started in a folder.
    ///
    /// # Errors
    /// [`Error::Config`] if it is in use or already holds a run.
    pub fn check_free(path: &Path) -> Result<()> {
        let has = Self::check_empty(path);
        if has.is_err() {
            Lock::take(path)?; // while a run is under way, the hint to resume it would be wrong
        }
        has
    }

    fn check_empty(path: &Path) -> Result<()> {
        let Some(name) = FILES.iter().find(|name| path.join(name).exists()) else { return Ok(()) };
        let message = format!("{} holds a run already: there is {name}", path.display());
        let hint = format!(
            "choose another 'out', remove the folder, or go on with `velograd train --resume {}`",
            shell_word(path)
        );
        Err(Error::about("out", message, hint))
    }

    /// Locks the folder and writes `run.json` and `config.toml`. The logs will have `formats` besides JSON lines.
    ///
    /// # Errors
    /// [`Error::Config`] if the folder is in use or already holds a run, [`Error::Io`] if it cannot be written.
    pub fn create(path: &Path, run: &Value, policy: Policy, formats: &[LogFormat]) -> Result<Self> {
        let lock = Lock::take(path)?;
        Self::check_empty(path)?;
        // A run that was killed within these two lines has left no files but these, or none.
        write_run(path, run)?;
        write_config(path, run)?;
        let logs = Logs::open(path, formats, run, None)?;
        Ok(Self::open(path, lock, run, policy, logs, None))
    }

    /// Opens the folder of an existing run: finds its newest complete checkpoint, writes `run` as the new `run.json`,
    /// and then cuts the logs back to the checkpoint. If there is none, the logs become empty and the run starts over.
    /// `run` takes over from `before` how the run was started and which builds of the program have worked on it. An
    /// epoch that `max_steps` once cut short is continued if the run now has more updates. `on_remark` gets a line for
    /// each checkpoint that was skipped or set aside, for logs that are cut back, and for another build.
    ///
    /// A process that is killed anywhere in here leaves a run that can be resumed in the same way.
    ///
    /// # Errors
    /// [`Error::Config`] if the checkpoint belongs to another run, [`Error::Data`] if the checkpoint that was
    /// named cannot be read, or a run that has ended has none, otherwise [`Error::Io`].
    pub fn resume(
        path: &Path,
        resume: Resume<'_>,
        run: &mut Value,
        on_remark: &mut dyn FnMut(String),
    ) -> Result<(Self, Option<Loaded>)> {
        let Resume { lock, before, policy, formats, checkpoint } = resume;
        let checkpoints = path.join(CHECKPOINTS);
        remove_leftovers(path);
        remove_leftovers(&checkpoints);
        let rows = |name: &str| match File::open(path.join(name)) {
            Ok(file) => whole_rows(&file, u64::MAX).map(|(rows, _)| rows).unwrap_or(0),
            Err(_) => 0,
        };
        let rows = (rows("steps.jsonl"), rows("metrics.jsonl") as usize);
        let max_steps = run["max_steps"].as_u64();
        let loaded = match checkpoint {
            Some(file) => Some(keeper::named(file, rows, max_steps)?),
            None => keeper::newest(&checkpoints, rows, max_steps, on_remark)?,
        };
        if !before["begun"].is_null() {
            run["begun"] = before["begun"].clone();
        }
        match &loaded {
            Some(loaded) => {
                // A longer run is what resuming may ask for.
                same_run(&loaded.path, &loaded.run, run, &["epochs", "max-steps"])?;
                identity::continued(before, run, loaded.checkpoint.position.step);
                identity::other_build(before).into_iter().for_each(&mut *on_remark);
            }
            // A run that has ended cannot begin anew under its own name.
            None if !before["result"].is_null() => {
                return Err(Error::data(&checkpoints, "a checkpoint", "none that is whole", ""));
            }
            None => {}
        }
        // `run.json` comes first: the changes below make sense only for the run as it is from now on.
        if run != before || !path.join(CONFIG).exists() {
            write_run(path, run)?;
            write_config(path, run)?;
        }
        if let Some(loaded) = loaded.as_ref().filter(|_| checkpoint.is_some()) {
            let Checkpoint { position, .. } = &loaded.checkpoint;
            let (step, epochs) = (position.step, position.epochs.len());
            for aside in keeper::set_aside_newer(&checkpoints, step)? {
                on_remark(format!("set aside, and renamed to {}: a newer checkpoint", aside.display()));
            }
            if rows != (step, epochs) {
                on_remark(format!("the logs are cut back to update {step} and {epochs} whole epochs"));
            }
        }
        let logs = Logs::open(path, formats, run, loaded.as_ref().map(|loaded| &loaded.checkpoint.position))?;
        let folder = Self::open(path, lock, run, policy, logs, loaded.as_ref());
        Ok((folder, loaded))
    }

    fn open(path: &Path, lock: Lock, run: &Value, policy: Policy, logs: Logs, from: Option<&Loaded>) -> Self {
        let keeper = Keeper::new(path.join(CHECKPOINTS), policy, run.clone(), from);
        Self { path: path.to_owned(), logs, keeper, _lock: lock }
    }

    /// Whether [`Folder::images`] would write something: there are logs for TensorBoard, and they have no images yet.
    pub fn wants_images(&mut self) -> bool {
        self.logs.events().is_some_and(|events| events.wants_images())
    }

    /// Adds a picture of the images that the run learns from to the logs for TensorBoard, if there are any: a PNG of
    /// `[height, width]` pixels.
    ///
    /// # Errors
    /// [`Error::Data`] if there is no room for it.
    pub fn images(&mut self, png: Vec<u8>, size: [u32; 2]) -> Result<()> {
        self.logs.events().map_or(Ok(()), |events| events.images(png, size))
    }

    /// Waits for the checkpoint under way; the remark says why it could not be written.
    ///
    /// # Errors
    /// As [`Keeper::wait`].
    pub fn wait(&mut self) -> Result<Option<String>> {
        self.keeper.wait()
    }

    /// Writes the outcome of a run that has ended: its weights, and its result in the logs and in `run.json`.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Data`] if they cannot be written, or as [`Network::weights`](crate::training::network::Network::weights).
    pub async fn end(&mut self, trainer: &Trainer, rows: &[EpochRow], run: &mut Value) -> Result<()> {
        let (weights, provenance) = (trainer.network.weights().await?, Provenance::of_run(run));
        weights::save(&weights, &self.weights(), &trainer.network.layout, provenance.as_ref().ok())?;
        run["result"] = result_json(trainer, rows);
        if let Some(events) = self.logs.events() {
            events.end(run, rows)?;
        }
        write_run(&self.path, run)?;
        // The run has its result whatever its weights can say.
        if let Err(why) = provenance {
            let hint = "the weights are written, but do not say what they are of";
            return Err(Error::data(&self.weights(), "where the weights come from", why, hint));
        }
        Ok(())
    }

    /// The path of the file of weights.
    pub fn weights(&self) -> PathBuf {
        self.path.join(WEIGHTS)
    }

    /// The checkpoint with the best validation among those at the end of an epoch.
    pub fn best(&self) -> Option<(PathBuf, Best)> {
        self.keeper.best()
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
