//! When checkpoints are taken, how they are written while training goes on, and which are kept.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Best, Loaded, load, to_bytes};
use crate::{
    error::{Error, Result},
    host::files::write_atomically,
    training::{After, Checkpoint, EpochRow, Point, Score},
};

/// How often a checkpoint is taken. Except with `Off`, one is also taken at the end of the run.
///
/// ```
/// use velograd::host::checkpoint::keeper::Every;
/// assert_eq!("50steps".parse::<Every>().unwrap(), Every::Steps(50));
/// assert_eq!("1epoch".parse::<Every>().unwrap(), Every::Epochs(1));
/// assert!("0min".parse::<Every>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// After every so many epochs, once they have been evaluated.
    Epochs(u32),
    /// After every so many updates.
    Steps(u64),
    /// After the first update once this much time has passed since the last checkpoint.
    Time(Duration),
    /// Never, unless the run is stopped.
    Off,
}

impl FromStr for Every {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let message = format!("`{text}` is no interval of checkpoints");
            Error::config(message, "as in 1epoch, 50steps, 10min, 30s, or off; at least 1")
        };
        if text == "off" {
            return Ok(Self::Off);
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = (text[..digits].parse::<u32>().ok(), text[digits..].trim());
        match (number.filter(|&n| n > 0).ok_or_else(wrong)?, unit) {
            (n, "epoch" | "epochs") => Ok(Self::Epochs(n)),
            (n, "step" | "steps") => Ok(Self::Steps(n.into())),
            (n, "min") => Ok(Self::Time(Duration::from_secs(60 * u64::from(n)))),
            (n, "s") => Ok(Self::Time(Duration::from_secs(n.into()))),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epochs(1) => f.write_str("1epoch"),
            Self::Steps(1) => f.write_str("1step"),
            Self::Epochs(n) => write!(f, "{n}epochs"),
            Self::Steps(n) => write!(f, "{n}steps"),
            Self::Time(span) => write!(f, "{}s", span.as_secs()),
            Self::Off => f.write_str("off"),
        }
    }
}

/// What happens to the run if a checkpoint cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDiskFull {
    /// The run ends with an error.
    #[default]
    Stop,
    /// The run continues with a remark, and the next checkpoint is tried.
    Continue,
}

/// When checkpoints are taken and which are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How often one is taken.
    pub every: Every,
    /// How many of the newest are kept. Of those at the end of an epoch, the one with the best validation, by the accuracy
    /// or for text by the loss, is kept too.
    pub keep: usize,
    /// What to do if one cannot be written.
    pub on_disk_full: OnDiskFull,
}

impl Default for Policy {
    fn default() -> Self {
        Self { every: Every::Epochs(1), keep: 2, on_disk_full: OnDiskFull::Stop }
    }
}

/// Writes the checkpoints of a run and removes old ones. A thread writes one at a time; the next waits for it, which
/// bounds the memory to two checkpoints.
pub struct Keeper {
    folder: PathBuf,
    policy: Policy,
    run: Value,
    /// Number of updates at the last checkpoint, and the time when it was taken.
    last: (u64, Instant),
    best: Option<Best>,
    writing: Option<JoinHandle<Result<Option<Best>>>>,
}

impl Keeper {
    /// The keeper of a run that starts, or that continues from the checkpoint `from`. `run` is its `run.json`.
    pub fn new(folder: PathBuf, policy: Policy, run: Value, from: Option<&Loaded>) -> Self {
        let step = from.map_or(0, |loaded| loaded.checkpoint.position.step);
        // The best checkpoint recorded in `from` may have been removed in favour of a newer one that was set aside
        // since.
        let best = from.and_then(|loaded| loaded.best).filter(|best| folder.join(file_name(best.step)).exists());
        let best = best.map(|best| Best { loss: best.loss.or_else(|| loss_in(&folder, best.step)), ..best });
        let mut keeper = Self { folder, policy, run, last: (step, Instant::now()), best, writing: None };
        keeper.best = from.and_then(|loaded| keeper.best_with(&loaded.checkpoint));
        keeper
    }

    /// Whether a checkpoint is due at this point.
    pub fn due(&self, at: Point) -> bool {
        match (self.policy.every, at.after) {
            (Every::Off, _) | (_, After::LastUpdate) => false,
            (_, After::Run) => true,
            (Every::Epochs(n), after) => after == After::Epoch && at.epochs.is_multiple_of(n),
            (Every::Steps(n), _) => at.updates >= self.last.0 + n,
            (Every::Time(span), _) => self.last.1.elapsed() >= span,
        }
    }

    /// Starts writing a checkpoint once the one before has been written; returns the remark of [`Keeper::wait`] for
    /// that one.
    ///
    /// # Errors
    /// As [`Keeper::wait`]; [`Error::Device`] if the thread cannot be started.
    pub fn save(&mut self, checkpoint: Checkpoint) -> Result<Option<String>> {
        let remark = self.wait()?;
        self.last = (checkpoint.position.step, Instant::now());
        let path = self.folder.join(file_name(checkpoint.position.step));
        let (run, keep, best) = (self.run.clone(), self.policy.keep, self.best_with(&checkpoint));
        let work = move || {
            let bytes = to_bytes(checkpoint, &run, best);
            write(&path, &bytes)?;
            prune(&path, keep, best);
            Ok(best)
        };
        let thread = Builder::new().name("checkpoint".to_owned()).spawn(work);
        let failed = |e| Error::device(format!("cannot start the thread that writes checkpoints: {e}"), "");
        self.writing = Some(thread.map_err(failed)?);
        Ok(remark)
    }

    /// Waits until the checkpoint under way is on the disk. Returns a remark if it could not be written and the run is
    /// to continue.
    ///
    /// # Errors
    /// [`Error::Data`] with the path and the number of bytes needed, if the run is not to continue.
    pub fn wait(&mut self) -> Result<Option<String>> {
        let Some(thread) = self.writing.take() else { return Ok(None) };
        match thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
            Ok(best) => {
                self.best = best;
                Ok(None)
            }
            Err(error) if self.policy.on_disk_full == OnDiskFull::Continue => {
                Ok(Some(format!("NO CHECKPOINT WAS WRITTEN, the run goes on: {error}")))
            }
            Err(error) => Err(error),
        }
    }

    /// [`Keeper::wait`] if a checkpoint has been written by now; never blocks.
    ///
    /// # Errors
    /// As [`Keeper::wait`].
    pub fn look(&mut self) -> Result<Option<String>> {
        if self.writing.as_ref().is_some_and(JoinHandle::is_finished) { self.wait() } else { Ok(None) }
    }

    /// The checkpoint with the best validation among those at the end of an epoch: its path and its values.
    pub fn best(&self) -> Option<(PathBuf, Best)> {
        self.best.map(|best| (self.folder.join(file_name(best.step)), best))
    }

    /// The best checkpoint once this one has been written.
    fn best_with(&self, checkpoint: &Checkpoint) -> Option<Best> {
        let position = &checkpoint.position;
        let evaluated = position.epochs.last().filter(|_| position.batch == 0);
        // Logits that are not finite still have an argmax, and so an accuracy.
        let sound = |row: &&EpochRow| position.diverged.is_none() && row.val_loss.is_some_and(f64::is_finite);
        let new = evaluated.filter(sound);
        let new = new.and_then(|row| Some(Best { step: position.step, accuracy: row.val_acc?, loss: row.val_loss }));
        let score = Score::of_run(&self.run);
        let better = |new: f64, old: Option<f64>| old.is_none_or(|old| score.is_better(new, old));
        match (self.best, new) {
            (Some(old), Some(new)) if new.value(score).is_some_and(|value| better(value, old.value(score))) => {
                Some(new)
            }
            (old, new) => old.or(new),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // After an error elsewhere, the checkpoint being written is still worth completing.
        if let Some(thread) = self.writing.take() {
            let _ = thread.join();
        }
    }
}

/// The validation loss in a checkpoint at the end of an epoch. A best one of before text was judged by it was recorded without.
fn loss_in(folder: &Path, step: u64) -> Option<f64> {
    // A file that cannot be read is no reason to end a run: it is not the best, then.
    let loaded = load(&folder.join(file_name(step))).ok()?;
    loaded.checkpoint.position.epochs.last()?.val_loss
}

fn file_name(step: u64) -> String {
    format!("step-{step:09}.safetensors")
}

/// The steps of the checkpoints in a folder, and their paths, the newest first.
fn list(folder: &Path) -> Vec<(u64, PathBuf)> {
    let step = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let step: u64 = name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()?;
        Some((step, path))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.filter_map(|entry| step(entry.path())).collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let needed = format!("room for a checkpoint of {:.1} MB", bytes.len() as f64 / 1e6);
    let hint = "the checkpoints before it are as they were; once there is room, the run can be continued from the newest. \
                'on_disk_full' continue trains on without";
    let refused = |found: String| Error::data(path, &needed, found, hint);
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| refused(e.to_string()))?;
    write_atomically(path, bytes).map_err(|error| match error {
        Error::Io { source, .. } => refused(source.to_string()),
        other => other,
    })
}

/// Removes the checkpoints that are no longer kept now that `newest` is on the disk.
fn prune(newest: &Path, keep: usize, best: Option<Best>) {
    let folder = newest.parent().unwrap_or(Path::new("."));
    for (step, path) in list(folder).into_iter().skip(keep.max(1)) {
        if best.is_none_or(|best| best.step != step) {
            // A checkpoint that cannot be removed is no reason to end a run.
            let _ = fs::remove_file(path);
        }
    }
}

/// The newest checkpoint in a folder that is complete and has all its rows in logs of `rows` (updates, epochs), for a
/// run that is to end after `max_steps` updates. Newer files that are not so are renamed, so that they are neither read
/// nor counted again, and `on_remark` gets a line with the fault of each.
///
/// # Errors
/// [`Error::Io`] if a file cannot be renamed.
pub fn newest(
    folder: &Path,
    rows: (u64, usize),
    max_steps: Option<u64>,
    on_remark: &mut dyn FnMut(String),
) -> Result<Option<Loaded>> {
    for (_, path) in list(folder) {
        match named(&path, rows, max_steps) {
            Ok(loaded) => return Ok(Some(loaded)),
            Err(fault) => {
                let aside = path.with_extension("damaged");
                fs::rename(&path, &aside).map_err(Error::io("rename", &path))?;
                on_remark(format!("skipped, and renamed to {}: {fault}", aside.display()));
            }
        }
    }
    Ok(None)
}

/// Reads this checkpoint and checks that it is complete and has all its rows in logs of `rows` (updates, epochs). If
/// the last epoch was cut short and the run, which is to end after `max_steps` updates, now continues it, its row is
/// not needed.
///
/// # Errors
/// As [`load`]; [`Error::Data`] if the logs have fewer rows.
pub fn named(path: &Path, rows: (u64, usize), max_steps: Option<u64>) -> Result<Loaded> {
    let mut loaded = load(path)?;
    let position = &mut loaded.checkpoint.position;
    position.reopen(max_steps);
    if position.step <= rows.0 && position.epochs.len() <= rows.1 {
        return Ok(loaded);
    }
    let expected = format!("its {} updates and {} epochs in the logs", position.step, position.epochs.len());
    Err(Error::data(path, expected, format!("{} and {}: they are not all in the logs", rows.0, rows.1), ""))
}

/// The newest checkpoint in a folder, by the step in its name.
pub fn newest_file(folder: &Path) -> Option<PathBuf> {
    list(folder).into_iter().next().map(|(_, path)| path)
}

/// The checkpoint with the best validation in a folder, as recorded in the newest one.
///
/// # Errors
/// As [`load`].
pub fn best_in(folder: &Path) -> Result<Option<(PathBuf, Best)>> {
    let Some(newest) = newest_file(folder) else { return Ok(None) };
    let loaded = load(&newest)?;
    Ok(Keeper::new(folder.to_owned(), Policy::default(), loaded.run.clone(), Some(&loaded)).best())
}

/// Renames checkpoints taken after more than `step` updates, so that they no longer count, and returns their new paths.
///
/// # Errors
/// [`Error::Io`] if a file cannot be renamed.
pub fn set_aside_newer(folder: &Path, step: u64) -> Result<Vec<PathBuf>> {
    let newer = list(folder).into_iter().filter(|(other, _)| *other > step);
    newer
        .map(|(_, path)| {
            let aside = path.with_extension("undone");
            fs::rename(&path, &aside).map_err(Error::io("rename", &path))?;
            Ok(aside)
        })
        .collect()
}

#[cfg(test)]
mod tests;
