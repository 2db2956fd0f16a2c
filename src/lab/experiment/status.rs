//! How far each run of an experiment has come, seen from its folder by whoever asks: which processes make the runs, and on
//! which machines, need not be known.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use super::design::Planned;
use crate::{
    error::Error,
    host::{
        files::{TEXT_LIMIT, read_text, write_atomically},
        run::Lock,
    },
    lab::{plain::plain, runs::Run, table::Table},
};

/// What has become of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has ended.
    Ended,
    /// It has ended because its numbers were no longer finite.
    Diverged,
    /// A process makes it.
    Running,
    /// It ended with an error, and begins or goes on with the next attempt.
    Failed,
    /// It was stopped or killed, and goes on with the next attempt.
    Interrupted,
    /// It has not begun, or waits in a queue to go on.
    Waiting,
}

impl State {
    /// The state in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Diverged => "diverged",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Waiting => "waiting",
        }
    }

    /// Whether nothing remains to be done.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Ended | Self::Diverged)
    }
}

/// What a queue knows of a run that was submitted to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// The run's turn has not come.
    Queued,
    /// It is being run.
    Active,
    /// The queue is done with it, whatever has become of it.
    Gone,
}

/// A run and its state.
#[derive(Clone, Debug)]
pub struct Status {
    /// The run's number in its design, from 1.
    pub number: usize,
    /// The label of its variant.
    pub label: String,
    /// Its seed.
    pub seed: u64,
    /// What has become of it.
    pub state: State,
    /// The epochs that it has made, as in `3 of 10`; empty if it has not begun.
    pub epochs: String,
    /// What it is judged by after the last epoch that was validated, as in `97.05 %`; empty if there is none.
    pub score: String,
    /// What was last said of it: its error, or the last line of its log.
    pub last: String,
}

impl Status {
    /// The state of a run. `job` is what a queue knows of it, if it was submitted to one, and `log` the file with what
    /// its process has said. A run whose files cannot be read has failed, and its last line says why.
    pub fn of(planned: &Planned<'_>, job: Option<Job>, log: Option<&Path>) -> Self {
        let folder = &planned.folder;
        let failure = read_text(&folder.join(FAILURE), TEXT_LIMIT).ok().and_then(|text| last_line(&text));
        let (begun, broken) = match folder.join("run.json").exists().then(|| Run::read(folder)).transpose() {
            Ok(run) => (run, None),
            Err(error) => (None, last_line(&error.to_string())),
        };
        let result = begun.as_ref().map(|run| &run.run["result"]).filter(|result| !result.is_null());
        let state = match (result, job) {
            (Some(result), _) if result["diverged"].is_null() => State::Ended,
            (Some(_), _) => State::Diverged,
            (None, Some(Job::Active)) => State::Running,
            (None, Some(Job::Queued)) => State::Waiting,
            // Of a job that the queue is done with, too: someone may make the run by hand.
            (None, None | Some(Job::Gone)) if Lock::is_taken(folder) => State::Running,
            _ if failure.is_some() || broken.is_some() => State::Failed,
            _ if begun.is_some() => State::Interrupted,
            (None, Some(Job::Gone)) => State::Failed,
            (None, None) => State::Waiting,
        };
        let failure = failure.or(broken).filter(|_| state == State::Failed);
        let score = |run: &Run| Some(run.score().words(run.last(run.score().measure().of)?));
        let epochs = |run: &Run| format!("{} of {}", run.epochs.len(), run.run["epochs"].as_u64().unwrap_or(0));
        Self {
            number: planned.number,
            label: planned.variant.label.clone(),
            seed: planned.seed,
            state,
            epochs: begun.as_ref().map(epochs).unwrap_or_default(),
            score: begun.as_ref().and_then(score).unwrap_or_default(),
            last: failure.or_else(|| last_said(log?)).unwrap_or_default(),
        }
    }
}

/// A row per run.
pub fn table(runs: &[Status]) -> Table {
    let header = ["run", "optimizer", "seed", "state", "epochs", "validation", "last line"].map(str::to_owned).to_vec();
    let or_none = |text: &String| if text.is_empty() { "-".to_owned() } else { text.clone() };
    let row = |run: &Status| {
        vec![
            run.number.to_string(),
            run.label.clone(),
            run.seed.to_string(),
            run.state.word().to_owned(),
            or_none(&run.epochs),
            or_none(&run.score),
            run.last.clone(),
        ]
    };
    Table { header, rows: runs.iter().map(row).collect() }
}

/// How many runs there are in each state, as in `24 runs: 20 ended, 1 running, 3 waiting`.
pub fn summary(runs: &[Status]) -> String {
    let states = [State::Ended, State::Diverged, State::Running, State::Failed, State::Interrupted, State::Waiting];
    let count = |state: State| runs.iter().filter(|run| run.state == state).count();
    let counts = states.map(|state| (count(state), state.word()));
    let counts: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    format!("{} runs: {}", runs.len(), counts.join(", "))
}

/// The file in a run's folder with the error that ended the last attempt.
const FAILURE: &str = "error.txt";

/// Keeps, in a run's folder, the error that has ended an attempt. What the user has to change is not kept: it is no
/// property of the run.
pub fn keep_failure(folder: &Path, error: &Error) {
    if !matches!(error, Error::Config { .. }) && fs::create_dir_all(folder).is_ok() {
        // The error itself is reported; this is a note for those who ask later.
        let _ = write_atomically(&folder.join(FAILURE), format!("{error}\n").replace("\n  ", " ").as_bytes());
    }
}

/// Removes the error of an earlier attempt, since another is under way.
pub(super) fn forget_failure(folder: &Path) {
    let _ = fs::remove_file(folder.join(FAILURE));
}

/// The last line of a text that is not blank, without what a terminal would obey.
fn last_line(text: &str) -> Option<String> {
    text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| plain(line.trim(), &[]))
}

/// The last line of a log, of which only the end is read; `None` if there is none.
pub fn last_said(log: &Path) -> Option<String> {
    last_line(&end_of(log))
}

/// Bytes at the end of a log that are read for its last line.
const END: u64 = 4096;

/// The end of a file, as far as it is text; empty if it cannot be read.
fn end_of(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
        let mut bytes = vec![];
        file.take(END).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::design::{Design, Variant};
    use super::*;

    #[test]
    fn the_state_of_a_run_is_in_its_folder() {
        let folder = std::env::temp_dir().join(format!("velograd-status-{}", std::process::id()));
        let variant = Variant { label: "sgd".into(), optimizer: "sgd".into(), set: vec![] };
        let design = Design { variants: vec![variant], seeds: 1, folder: folder.clone() };
        let planned = design.numbered(1).unwrap();
        let state = |job| Status::of(&planned, job, None).state;
        assert_eq!([state(None), state(Some(Job::Gone))], [State::Waiting, State::Failed]);
        fs::create_dir_all(&planned.folder).unwrap();
        let write = |name: &str, text: &str| fs::write(planned.folder.join(name), text).unwrap();
        write("run.json", "{ \"epochs\": 4 }");
        assert_eq!([state(None), state(Some(Job::Gone))], [State::Interrupted; 2]);
        assert_eq!([state(Some(Job::Queued)), state(Some(Job::Active))], [State::Waiting, State::Running]);
        keep_failure(&planned.folder, &Error::config("what was typed", ""));
        assert_eq!(state(None), State::Interrupted);
        keep_failure(&planned.folder, &Error::device("no adapter", "install \u{1b}[2J one"));
        let lock = Lock::take(&planned.folder).unwrap();
        assert_eq!([state(None), state(Some(Job::Gone))], [State::Running; 2]);
        drop(lock);
        let failed = Status::of(&planned, None, None);
        assert_eq!((failed.state, failed.epochs.as_str()), (State::Failed, "0 of 4"));
        assert_eq!(failed.last, "no adapter hint: install \u{fffd}[2J one");
        forget_failure(&planned.folder);
        write("log", &format!("{}\nthe last line\n\n", "x".repeat(9000)));
        let log = planned.folder.join("log");
        assert_eq!(Status::of(&planned, None, Some(&log)).last, "the last line");
        write("run.json", "{ \"epochs\": 4, \"result\": { \"diverged\": 3 } }");
        assert_eq!(state(None), State::Diverged);
        write("run.json", "{ \"epochs\": 4, \"result\": { \"diverged\": null } }");
        let ended = Status::of(&planned, Some(Job::Active), None);
        assert_eq!(summary(&[failed, ended]), "2 runs: 1 ended, 1 failed");
        write("run.json", "{ \"epochs\": ");
        assert_eq!(state(None), State::Failed);
        fs::remove_dir_all(&folder).unwrap();
    }
}
