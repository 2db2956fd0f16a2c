//! What Slurm knows of the runs that were submitted to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{
    error::{Error, Result},
    host::files::{TEXT_LIMIT, read_text},
    lab::experiment::status::Job,
};

/// The folder, within that of an experiment, with what Slurm is given and says.
pub const FOLDER: &str = "slurm";

/// The file with a line per run: its number, the job that makes it, its optimizer, seed and folder.
pub const RUNS: &str = "runs.tsv";

/// In place of a run's number, the line of the job that writes the table.
pub const TABLE: &str = "table";

/// The jobs of an experiment.
#[derive(Default)]
pub struct Queue {
    folder: PathBuf,
    /// The job of each run that was submitted, as `12_3`, by the run's folder below that of the experiment.
    jobs: BTreeMap<String, String>,
    /// The job that writes the table.
    table: Option<String>,
    /// The jobs that Slurm has not done with, and whether they run.
    alive: BTreeMap<String, bool>,
    /// Whether Slurm could be asked.
    pub answers: bool,
}

impl Queue {
    /// Reads which jobs an experiment has, and asks Slurm about them. Where there is no Slurm, or nothing was submitted,
    /// nothing is known of them.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Data`] if the file of jobs cannot be read, [`Error::Device`] if Slurm gives no answer.
    pub fn of(out: &Path) -> Result<Self> {
        let mut queue = Self { folder: out.join(FOLDER), ..Self::default() };
        let path = queue.folder.join(RUNS);
        if !path.exists() {
            return Ok(queue);
        }
        for line in read_text(&path, TEXT_LIMIT)?.lines().skip(1) {
            match line.split('\t').collect::<Vec<_>>()[..] {
                [_, "", ..] => {}
                [TABLE, job, ..] => queue.table = Some(job.to_owned()),
                [_, job, _, _, folder] => drop(queue.jobs.insert(folder.to_owned(), job.to_owned())),
                _ => {}
            }
        }
        queue.ask()?;
        Ok(queue)
    }

    fn ask(&mut self) -> Result<()> {
        let number = |job: &String| array_of(job).to_owned();
        let mut numbers: Vec<String> = self.jobs.values().chain(&self.table).map(number).collect();
        numbers.sort();
        numbers.dedup();
        if numbers.is_empty() {
            return Ok(());
        }
        let jobs = format!("--jobs={}", numbers.join(","));
        let output = match call("squeue", &["--noheader", "--array", "--format=%i %T", &jobs]) {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("call", Path::new("squeue"))(error)),
        };
        let said = String::from_utf8_lossy(&output.stderr);
        // A single job that Slurm has forgotten is an error there, and several are none.
        if !output.status.success() && !said.contains("Invalid job id specified") {
            return Err(Error::device(format!("squeue: {}", said.trim()), "try again when Slurm answers"));
        }
        self.answers = true;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if let Some((job, state)) = line.trim().split_once(' ') {
                self.alive.insert(job.to_owned(), state.trim() != "PENDING");
            }
        }
        Ok(())
    }

    /// What Slurm knows of the run in this folder, and the file with what its process has said; `None` if the run was never
    /// submitted.
    pub fn job(&self, name: &str) -> Option<(Job, PathBuf)> {
        let job = self.jobs.get(name)?;
        let state = match self.alive.get(job) {
            None => Job::Gone,
            Some(true) => Job::Active,
            Some(false) => Job::Queued,
        };
        Some((state, self.folder.join(format!("run-{job}.log"))))
    }

    /// The job of the run in this folder, if Slurm has not done with it.
    pub fn alive(&self, name: &str) -> Option<&str> {
        self.jobs.get(name).filter(|job| self.alive.contains_key(*job)).map(String::as_str)
    }

    /// The job arrays with a task that makes, or is to make, any run, also of another design.
    pub fn arrays_alive(&self) -> BTreeSet<&str> {
        self.jobs.values().filter(|job| self.alive.contains_key(*job)).map(|job| array_of(job)).collect()
    }

    /// Whether jobs were submitted of which nothing is known here.
    pub fn is_unknown(&self) -> bool {
        !self.answers && !self.jobs.is_empty()
    }

    /// The job that writes the table, if Slurm has not done with it.
    pub fn table(&self) -> Option<&str> {
        self.table.as_deref().filter(|job| self.alive.contains_key(*job))
    }
}

/// Has Slurm run this process's job again, if Slurm has told it to stop but has not ended the job: it is at the end of its
/// time, or is preempted and was given some time before. A job that ends by itself then would have ended for good. Returns
/// whether it will be run again.
pub fn queue_again() -> bool {
    let Some(job) = task_of(|name| std::env::var(name).ok()) else { return false };
    let jobs = format!("--jobs={job}");
    let state = call("squeue", &["--noheader", "--format=%T", &jobs]);
    let runs = state.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == "RUNNING");
    runs && call("scontrol", &["requeue", &job]).is_ok_and(|output| output.status.success())
}

/// The task of a job array that a process belongs to by its environment, as `12_3`. Its own number will not do: that of one
/// task is the number of the array as well, by which Slurm's commands mean all of its tasks.
fn task_of(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    Some(format!("{}_{}", variable("SLURM_ARRAY_JOB_ID")?, variable("SLURM_ARRAY_TASK_ID")?))
}

/// Calls one of Slurm's commands.
pub fn call(command: &str, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(command).args(arguments).output()
}

/// The number of an array, of one of its tasks.
pub fn array_of(job: &str) -> &str {
    job.split('_').next().unwrap_or(job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_is_meant_and_not_its_array() {
        let task = |known: &[(&str, &str)]| {
            task_of(|name| known.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        let last = [("SLURM_JOB_ID", "12"), ("SLURM_ARRAY_JOB_ID", "12"), ("SLURM_ARRAY_TASK_ID", "3")];
        assert_eq!(task(&last).as_deref(), Some("12_3"));
        assert_eq!(task(&last[..1]), None, "no array");
    }
}
