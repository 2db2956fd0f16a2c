//! `--jobs`: several runs at a time on this machine, each in a process of its own, under one line of progress.

use std::{
    fs::OpenOptions,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    known::{JOBS, Known},
    launch::{is_among, log_of, table},
};
use crate::{
    cli::{live, print::note},
    error::{Error, Result},
    host::{run::Lock, signals::Stop},
    lab::experiment::{
        Planned,
        status::{Status, last_said},
    },
};

/// How often processes are looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// How often the line of progress is made anew.
const SHOWN: Duration = Duration::from_secs(1);

/// A process that makes a run.
struct Worker<'a> {
    run: Planned<'a>,
    /// Which of the places it has; places share the adapters.
    place: usize,
    child: Child,
}

/// Makes the runs that have not ended, `jobs` at a time, and then the table. A run that fails leaves the others alone.
pub fn run(known: &Known, jobs: u32, devices: &[String]) -> Result<ExitCode> {
    let design = &known.design;
    let logs = design.folder.join(JOBS);
    let _lock = Lock::take(&logs).map_err(|error| match error {
        Error::Config { .. } => {
            let message = format!("another process with 'jobs' makes the runs of {}", design.folder.display());
            Error::about("jobs", message, "'status' lists what has become of each run")
        }
        other => other,
    })?;
    known.keep_beside(Some(&logs))?;
    let (stop, before) = (Stop::on_signals()?, design.ended()?);
    let mut waiting = design.runs().filter(|run| !is_among(run, &before)).peekable();
    let (mut ended, mut failed, mut told, mut shown) = (before.len(), 0, false, None);
    let mut workers: Vec<Worker<'_>> = vec![];
    note!("{} runs, {ended} of which ended before; {jobs} at a time, logs in {}", design.count(), logs.display());
    loop {
        while workers.len() < jobs as usize && stop.exit_code().is_none() {
            let Some(run) = waiting.next() else { break };
            let place = (0..).find(|place| workers.iter().all(|worker| worker.place != *place)).unwrap_or_default();
            let device = devices.get(place % devices.len().max(1)).map(String::as_str);
            match spawn(&known.run(device), run.number, &log_of(&run, design)) {
                Ok(child) => workers.push(Worker { run, place, child }),
                Err(error) => {
                    workers.iter().for_each(|worker| ask_to_stop(&worker.child));
                    workers.iter_mut().for_each(|worker| drop(worker.child.wait()));
                    return Err(error);
                }
            }
        }
        if stop.exit_code().is_some() && !told {
            told = true;
            workers.iter().for_each(|worker| ask_to_stop(&worker.child));
        }
        for index in (0..workers.len()).rev() {
            let Ok(Some(code)) = workers[index].child.try_wait() else { continue };
            let run = workers.swap_remove(index).run;
            let status = Status::of(&run, None, Some(&log_of(&run, design)));
            ended += usize::from(status.state.is_ended());
            failed += usize::from(!code.success() && !told);
            let last = match (status.state.is_ended(), status.score.is_empty()) {
                (true, true) => String::new(),
                (true, false) => format!(", on validation {}", status.score),
                (false, _) => format!(": {}", status.last),
            };
            let (label, seed, count) = (&run.variant.label, run.seed, design.count());
            let (number, state) = (run.number, status.state.word());
            note!("run {number} ({label}, seed {seed}) {state}{last}; {ended} of {count} have ended");
        }
        if workers.is_empty() && (told || waiting.peek().is_none()) {
            break;
        }
        if shown.is_none_or(|shown: Instant| shown.elapsed() >= SHOWN) {
            live::show(progress(&workers, known, ended));
            shown = Some(Instant::now());
        }
        sleep(PAUSE);
    }
    live::clear();
    if let Some(code) = stop.exit_code() {
        note!("stopped; the same command again goes on from here");
        return Ok(ExitCode::from(code));
    }
    let shown = table(known)?;
    Ok(if failed > 0 { ExitCode::FAILURE } else { shown })
}

/// The line that shows how far the runs are.
fn progress(workers: &[Worker<'_>], known: &Known, ended: usize) -> String {
    let mut runs: Vec<&Worker<'_>> = workers.iter().collect();
    runs.sort_by_key(|worker| worker.run.number);
    let of = |worker: &&Worker<'_>| {
        let last = last_said(&log_of(&worker.run, &known.design)).unwrap_or_default();
        // It begins with epoch, update and share.
        let last = last.split("  ").take(2).collect::<Vec<_>>().join(" ");
        format!("run {}: {last}", worker.run.number)
    };
    let runs = runs.iter().map(of).collect::<Vec<_>>().join("; ");
    format!("{ended} of {} runs have ended; {runs}", known.design.count())
}

/// Starts the process of a run, whose output goes to the end of a file.
fn spawn(words: &[String], number: usize, log: &Path) -> Result<Child> {
    let open = || OpenOptions::new().create(true).append(true).open(log);
    let (output, errors) = open().and_then(|file| Ok((file.try_clone()?, file))).map_err(Error::io("write to", log))?;
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(number.to_string()).stdin(Stdio::null()).stdout(output).stderr(errors);
    // Ctrl-C reaches this process alone, which passes it on: a second signal would end a run without its checkpoint.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(Error::io("start", Path::new(&words[0])))
}

/// Asks a process to write a checkpoint and end.
fn ask_to_stop(child: &Child) {
    // If there is no `kill`, the run ends by itself, and is waited for.
    let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
}
