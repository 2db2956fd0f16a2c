//! `velograd report --watch`: keeps the page of a run up to date while the run is going on.

use std::{
    fs::{self, Metadata},
    path::Path,
    thread::sleep,
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;

use crate::{
    cli::live,
    error::Result,
    host::{files::write_atomically, run::Lock, signals::Stop},
    lab::runs::{self, Run},
};

/// Time between two looks at the run.
const LOOK: Duration = Duration::from_millis(500);

/// The least time between two pages. A page that took long to make is followed by a pause that is longer still, so that
/// little of the machine is taken from the run.
const PAGE: Duration = Duration::from_secs(2);
const PAUSES: u32 = 20;

/// Seconds after which a browser loads the page anew.
const RELOAD: u32 = 5;

/// How a watch has ended.
pub enum Ending {
    /// The run has ended.
    Ended,
    /// The run has not ended, and no process works on it.
    Dead,
    /// A signal came, with which the program exits with this code.
    Stopped(u8),
}

/// Writes the page of a run to `page` whenever the run has moved on, until it no longer does.
///
/// # Errors
/// As [`Run::read`]; [`Error::Io`](crate::error::Error::Io) if the page cannot be written.
pub fn watch(folder: &Path, page: &Path) -> Result<Ending> {
    let (stop, mut drawn, mut next) = (Stop::on_signals()?, None, Instant::now());
    loop {
        if let Some(code) = stop.exit_code() {
            return Ok(Ending::Stopped(code));
        }
        // Asked first: what a run writes before it ends is read after it.
        let going = Lock::is_taken(folder);
        let now = size(folder);
        if !going || (drawn != Some(now) && Instant::now() >= next) {
            let begun = Instant::now();
            let run = Run::read_all(&[folder.to_owned()])?;
            let ended = run.iter().any(|run| run.run["result"] != Value::Null);
            if ended || !going {
                return Ok(if ended { Ending::Ended } else { Ending::Dead });
            }
            write_atomically(page, runs::page(&run).reloading(RELOAD).html().as_bytes())?;
            (drawn, next) = (Some(now), Instant::now() + PAGE.max(begun.elapsed() * PAUSES));
            if live::is_seen() {
                live::show(run.iter().map(Run::state).collect::<String>());
            }
        }
        sleep(LOOK);
    }
}

/// Length and time of the files that a run's page is made from.
fn size(folder: &Path) -> [Option<(u64, SystemTime)>; 3] {
    let of = |file: Metadata| Some((file.len(), file.modified().ok()?));
    ["run.json", "steps.jsonl", "metrics.jsonl"].map(|name| fs::metadata(folder.join(name)).ok().and_then(of))
}
