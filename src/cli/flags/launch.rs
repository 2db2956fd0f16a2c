//! Who makes the runs of an experiment. None of these flags is part of a recipe: they concern one start of the program.

use clap::{Args, ValueEnum};

use crate::error::{Error, Result};

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Many trainings")]
pub struct LaunchFlags {
    /// Hands the runs that have not ended to others: slurm submits them as a job array, with a job behind it that writes table and
    /// page; commands prints a command line per run, for GNU parallel, HyperQueue and others
    #[arg(long, value_enum, ignore_case = true, group = "task")]
    pub launcher: Option<Launcher>,
    /// Runs of the job array at one time [default: as many as the cluster admits]
    #[arg(long, value_name = "N")]
    pub at_once: Option<u32>,
    /// Flags of sbatch for each run and for the job behind them, in quotes, as "--partition=gpu --gpus=1 --time=4:00:00"
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub slurm: Option<String>,
    /// Makes so many runs at a time on this machine, each in a process of its own
    #[arg(long, value_name = "N", group = "task")]
    pub jobs: Option<u32>,
    /// Adapters that --jobs shares out among its runs, by index or part of the name [default: that of --device]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub devices: Vec<String>,
    /// Makes a single run, by its number from 1, beside other processes that make others
    #[arg(long, value_name = "N", group = "task")]
    pub run: Option<usize>,
    /// Writes table, figures and page of the runs that have ended, and makes none; needs no device
    #[arg(long, group = "task")]
    pub table_only: bool,
    /// Lists the runs: which have ended, run, wait or failed, and what was last said of each; needs no device
    #[arg(long, group = "task")]
    pub status: bool,
}

/// `--launcher`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Launcher {
    /// A job array, with a job behind it for table and page
    Slurm,
    /// A command line per run, on standard output
    Commands,
}

/// What is to be done with the runs of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Make all of them, one after another.
    All,
    /// Make the one of this number.
    One(usize),
    /// Make so many at a time in processes of their own, on these adapters.
    Jobs(u32, Vec<String>),
    /// Print a command line per run.
    Commands,
    /// Submit a job array with these flags, of which so many tasks may run at one time.
    Slurm(String, Option<u32>),
    /// Write the table and the page.
    Table,
    /// List them.
    Status,
}

impl LaunchFlags {
    /// What these flags ask for.
    ///
    /// # Errors
    /// [`Error::Config`] for a flag beside one that it has no meaning for, or a number of runs that is 0.
    pub fn task(&self) -> Result<Task> {
        let slurm = self.launcher == Some(Launcher::Slurm);
        let of_slurm = [("at_once", self.at_once.is_some()), ("slurm", self.slurm.is_some())];
        if let Some((name, _)) = of_slurm.into_iter().find(|(_, given)| *given && !slurm) {
            let message = format!("'{name}' is about jobs of Slurm, and none are submitted");
            return Err(Error::about(name, message, "submit them with 'launcher' slurm"));
        }
        if !self.devices.is_empty() && self.jobs.is_none() {
            let message = "'devices' without 'jobs'";
            return Err(Error::about("devices", message, "'jobs' says how many runs share them; 'device' names one"));
        }
        for (name, number) in [("at_once", self.at_once), ("jobs", self.jobs)] {
            if number == Some(0) {
                return Err(Error::setting(name, 0, "at least 1"));
            }
        }
        Ok(match (self.launcher, self.run, self.jobs) {
            (Some(Launcher::Slurm), ..) => Task::Slurm(self.slurm.clone().unwrap_or_default(), self.at_once),
            (Some(Launcher::Commands), ..) => Task::Commands,
            (_, Some(number), _) => Task::One(number),
            (.., Some(jobs)) => Task::Jobs(jobs, self.devices.clone()),
            _ if self.table_only => Task::Table,
            _ if self.status => Task::Status,
            _ => Task::All,
        })
    }
}
