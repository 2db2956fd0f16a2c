//! What is done with the runs of an experiment without making them here: command lines, the table, the list.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    known::{JOBS, Known},
    queue::Queue,
    shown::Results,
};
use crate::{
    cli::print::{self, remark, say},
    error::{Error, Result, suggest::shell_word},
    lab::{
        experiment::{
            Design, Ended, Planned,
            status::{self, Job, Status},
        },
        table::Table,
    },
};

/// The log of a run that `--jobs` makes.
pub fn log_of(planned: &Planned<'_>, design: &Design) -> PathBuf {
    design.folder.join(JOBS).join(format!("run-{}.log", planned.number))
}

/// Words as a line of a shell.
pub fn line(words: &[String]) -> String {
    words.iter().map(|word| shell_word(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// The command that goes to this working folder, where another machine finds the data, too, if no flag says where they are.
///
/// # Errors
/// [`Error::Io`] if the folder is no longer there.
pub fn from_here() -> Result<String> {
    let here = std::env::current_dir().map_err(Error::io("find", Path::new(".")))?;
    Ok(format!("cd {}", shell_word(&here)))
}

/// Prints a command line for each run that has not ended.
pub fn commands(known: &Known) -> Result<ExitCode> {
    known.keep()?;
    let (ended, from, mut count) = (known.design.ended()?, from_here()?, 0);
    for run in known.design.runs().filter(|run| !is_among(run, &ended)) {
        say!("{from} && {} {}", line(&known.run(None)), run.number);
        count += 1;
    }
    remark(&format!(
        "{count} of {} runs are to be made; table and page afterwards: {}",
        known.design.count(),
        line(&known.words(&["--table-only"]))
    ));
    Ok(ExitCode::SUCCESS)
}

/// Writes and prints what is to be shown of the runs that have ended, and says of each other how far it has come.
pub fn table(known: &Known) -> Result<ExitCode> {
    let Known { design, recipe, compared, .. } = known;
    let runs = design.ended()?;
    let unfinished = unfinished(design, &runs);
    let shown = (compared.show)(&Results { design, recipe, runs: &runs, unfinished })?;
    shown.write(&design.folder)?;
    shown.print(&design.folder);
    Ok(ExitCode::SUCCESS)
}

/// Prints what has become of each run.
pub fn status(known: &Known) -> Result<ExitCode> {
    let queue = Queue::of(&known.design.folder)?;
    let runs: Vec<Status> = known.design.runs().map(|run| status_of(&run, &known.design, &queue)).collect();
    print::table(&status::table(&runs));
    say!("{}", status::summary(&runs));
    Ok(ExitCode::SUCCESS)
}

/// Whether a run is one of those that have ended.
pub fn is_among(run: &Planned<'_>, ended: &[Ended]) -> bool {
    ended.iter().any(|ended| ended.label == run.variant.label && ended.seed == run.seed)
}

/// The state of a run, with what its queue knows of it.
pub fn status_of(run: &Planned<'_>, design: &Design, queue: &Queue) -> Status {
    let (job, log) = match queue.job(&run.name) {
        Some((job, log)) => (Some(job), log),
        None => (None, log_of(run, design)),
    };
    // A queue that does not answer says nothing of its jobs.
    Status::of(run, job.filter(|job| queue.answers || *job != Job::Gone), Some(&log))
}

/// A row for each run that has not ended.
pub fn unfinished(design: &Design, ended: &[Ended]) -> Table {
    let missing: Vec<_> = design.runs().filter(|run| !is_among(run, ended)).collect();
    if missing.is_empty() {
        return Table::default();
    }
    let queue = Queue::of(&design.folder).unwrap_or_default();
    status::table(&missing.iter().map(|run| status_of(run, design, &queue)).collect::<Vec<_>>())
}
