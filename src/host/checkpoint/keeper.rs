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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        optim::Updates,
        training::{Position, network::State},
    };

    fn keeper(every: &str) -> Keeper {
        let policy = Policy { every: every.parse().unwrap(), ..Policy::default() };
        Keeper::new(PathBuf::new(), policy, Value::Null, None)
    }

    fn best_of(step: u64, accuracy: f64) -> Best {
        Best { step, accuracy, loss: Some(1.0) }
    }

    /// A checkpoint after `epoch` epochs of ten updates each, the last epoch with this validation accuracy.
    fn checkpoint(epoch: u64, accuracy: f64) -> Checkpoint {
        let row = json!({ "epoch": epoch, "train_loss": 1.0, "train_acc": 1.0, "val_loss": 1.0, "val_acc": accuracy,
                          "seconds": 1.0, "images_per_second": 1.0 });
        let epochs = vec![serde_json::from_value(row).unwrap()];
        let updates = Updates { issued: 10 * epoch, skipped: 0 };
        let buffers = vec![("params".to_owned(), vec![7; 64])];
        let network = State { buffers, updates, batches: 10, evaluating: false, waiting: None };
        Checkpoint { position: Position { step: 10 * epoch, epochs, ..Position::default() }, network }
    }

    #[test]
    fn the_newest_and_the_best_are_kept() {
        let folder = std::env::temp_dir().join(format!("velograd-keeper-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let policy = Policy { keep: 1, ..Policy::default() };
        let steps = || list(&folder).into_iter().map(|(step, _)| step).collect::<Vec<_>>();
        let mut keeper = Keeper::new(folder.clone(), policy, Value::Null, None);
        for (epoch, accuracy) in (1..).zip([10.0, 50.0, 30.0, 50.0]) {
            keeper.save(checkpoint(epoch, accuracy)).unwrap();
        }
        keeper.wait().unwrap();
        assert_eq!(steps(), [40, 20], "the first of two that are equally good");

        // The next process reads the best one from the file.
        let loaded = newest(&folder, (40, 1), None, &mut |fault| panic!("{fault}")).unwrap().unwrap();
        assert_eq!((loaded.best, loaded.checkpoint.position.step), (Some(best_of(20, 50.0)), 40));
        let mut keeper = Keeper::new(folder.clone(), policy, Value::Null, Some(&loaded));
        for (epoch, accuracy) in [(5, 40.0), (6, 60.0), (7, 1.0)] {
            keeper.save(checkpoint(epoch, accuracy)).unwrap();
        }
        keeper.wait().unwrap();
        assert_eq!(steps(), [70, 60]);
        assert_eq!(keeper.best().unwrap().0, folder.join("step-000000060.safetensors"));
        assert_eq!(best_in(&folder).unwrap().unwrap().1, best_of(60, 60.0));
        fs::remove_dir_all(&folder).unwrap();
    }

    /// The best of a run of text is that of the least loss, also after one that an older program has chosen by its accuracy.
    #[test]
    fn text_is_judged_by_its_loss() {
        let run =
            json!({ "model": "gpt", "tokens": { "length": 4, "vocabulary": 2 }, "dataset": { "classes": ["a", "b"] } });
        let mut keeper = Keeper::new(PathBuf::new(), Policy::default(), run, None);
        keeper.best = serde_json::from_value(json!({ "step": 5, "accuracy": 99.0 })).unwrap();
        for (epoch, accuracy, loss, best) in
            [(1, 50.0, 2.0, 10), (2, 40.0, 1.5, 20), (3, 60.0, 1.75, 20), (4, 40.0, 1.5, 20)]
        {
            let mut checkpoint = checkpoint(epoch, accuracy);
            checkpoint.position.epochs[0].val_loss = Some(loss);
            keeper.best = keeper.best_with(&checkpoint);
            assert_eq!(keeper.best.unwrap().step, best, "epoch {epoch}");
        }
        assert_eq!(keeper.best, Some(Best { step: 20, accuracy: 40.0, loss: Some(1.5) }));
    }

    /// Logits that are not finite still have an argmax: neither their accuracy counts nor any after them.
    #[test]
    fn what_is_not_finite_is_not_the_best() {
        let keeper = keeper("1epoch");
        let with = |loss: f64, diverged: Option<u64>| {
            let mut checkpoint = checkpoint(1, 90.0);
            checkpoint.position.epochs[0].val_loss = Some(loss);
            checkpoint.position.diverged = diverged;
            keeper.best_with(&checkpoint)
        };
        assert_eq!(with(1.0, None), Some(best_of(10, 90.0)));
        for loss in [f64::NAN, f64::INFINITY] {
            assert_eq!(with(loss, None), None);
        }
        assert_eq!(with(1.0, Some(3)), None);
    }

    /// On going back to a checkpoint, newer ones are renamed, and a best one whose file is gone no longer counts.
    #[test]
    fn newer_ones_are_set_aside() {
        let folder = std::env::temp_dir().join(format!("velograd-aside-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let policy = Policy { keep: 9, ..Policy::default() };
        let mut keeper = Keeper::new(folder.clone(), policy, Value::Null, None);
        for (epoch, accuracy) in [(1, 30.0), (2, 20.0), (3, 50.0)] {
            keeper.save(checkpoint(epoch, accuracy)).unwrap();
        }
        keeper.wait().unwrap();
        let second = folder.join(file_name(20));
        let loaded = named(&second, (30, 3), None).unwrap();
        assert!(named(&second, (19, 3), None).err().unwrap().to_string().contains("not all in the logs"));
        let aside = set_aside_newer(&folder, 20).unwrap();
        assert_eq!(aside, [folder.join("step-000000030.undone")]);
        assert_eq!(list(&folder).into_iter().map(|(step, _)| step).collect::<Vec<_>>(), [20, 10]);
        let best = |from: &Loaded| Keeper::new(folder.clone(), policy, Value::Null, Some(from)).best().unwrap().1;
        assert_eq!(best(&loaded), best_of(10, 30.0));
        fs::remove_file(folder.join(file_name(10))).unwrap();
        assert_eq!(best(&loaded), best_of(20, 20.0), "the best of those that are there");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn when_they_are_due() {
        let at = |updates, epochs, after| Point { updates, epochs, after };
        for (every, update, epoch) in [("1epoch", false, true), ("2epochs", false, false), ("off", false, false)] {
            assert_eq!(keeper(every).due(at(3, 0, After::Update)), update, "{every}");
            assert_eq!(keeper(every).due(at(5, 1, After::Epoch)), epoch, "{every}");
            assert_eq!(keeper(every).due(at(5, 1, After::Run)), every != "off", "{every}");
        }
        assert!(keeper("2epochs").due(at(10, 2, After::Epoch)));
        assert!(keeper("3steps").due(at(3, 0, After::Update)) && !keeper("3steps").due(at(2, 0, After::Update)));
        assert!(!keeper("3steps").due(at(3, 0, After::LastUpdate)), "the one after the evaluation replaces it");
        assert!(keeper("3steps").due(at(3, 1, After::Epoch)));
        assert!(!keeper("1min").due(at(3, 0, After::Update)));
        for wrong in ["", "1", "epoch", "0epoch", "-1epoch", "1.5min", "1hour", "99999999999steps"] {
            assert!(wrong.parse::<Every>().is_err(), "{wrong}");
        }
        for text in ["1epoch", "2epochs", "1step", "50steps", "600s", "off"] {
            assert_eq!(text.parse::<Every>().unwrap().to_string(), text);
        }
    }
}
