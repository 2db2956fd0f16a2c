//! `velograd data --fetch`: fetches a data set, and says how far it is.

use std::{path::Path, process::ExitCode, time::Instant};

use crate::{
    cli::{
        live,
        print::{note, say},
    },
    error::{Result, suggest::shell_word},
    host::{
        data::{
            NAMES,
            fetch::{InPlace, Options, Outcome, Set, Watch, fetch, set},
        },
        signals::Stop,
    },
};

/// Fetches the set called `name` to the folder `to`, from the address `from` if one is given.
pub(super) fn run(name: &str, to: &Path, from: Option<&str>) -> Result<ExitCode> {
    let set = set(name)?;
    note!("{}: licence: {}\n  {}", set.name, set.licence, set.page);
    let mut progress = Progress { stop: Stop::on_signals()?, name: String::new(), of: 0, begun: None };
    let options = Options { from: from.map(str::to_owned), ..Options::default() };
    let outcome = fetch(set, to, &options, &mut progress);
    live::clear();
    Ok(match outcome? {
        Outcome::Whole(files) => {
            files.iter().for_each(say_of);
            say_how_to_use(set, to);
            ExitCode::SUCCESS
        }
        Outcome::Stopped { part, have, of } => {
            say!("stopped: {} of {} MB are in {}; the same command goes on", mega(have), mega(of), part.display());
            progress.stop.exit_code().map_or(ExitCode::FAILURE, ExitCode::from)
        }
    })
}

fn say_of(file: &InPlace) {
    let path = file.path.display();
    if file.before {
        say!("{path} was there already, with the published checksum");
    } else {
        say!("{path} has the published checksum");
    }
}

/// Says how to train on the set, or how to look at it where a network has to be chosen first.
fn say_how_to_use(set: &Set, to: &Path) {
    if NAMES.contains(&set.name) {
        let data = if to == Path::new("data") { String::new() } else { format!(" --data {}", shell_word(to)) };
        note!("train on it:\n    velograd train --dataset {}{data}", set.name);
    } else {
        note!("see what it holds:\n    velograd data --data {}", shell_word(&to.join(set.folder)));
    }
}

/// Bytes as millions of them.
fn mega(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// Shows the file, how much of it is there, and the rate.
struct Progress {
    stop: Stop,
    name: String,
    of: u64,
    /// When the first bytes of this file came, and how many there were then.
    begun: Option<(Instant, u64)>,
}

impl Watch for Progress {
    fn begin(&mut self, name: &str, bytes: u64) {
        (self.name, self.of, self.begun) = (name.to_owned(), bytes, None);
        live::show(format!("{name}: connecting"));
    }

    fn progress(&mut self, have: u64) {
        let (since, first) = *self.begun.get_or_insert_with(|| (Instant::now(), have));
        let seconds = since.elapsed().as_secs_f64();
        let rate = if seconds > 0.5 {
            format!(", {} MB/s", mega((have.saturating_sub(first) as f64 / seconds) as u64))
        } else {
            String::new()
        };
        live::show(format!("{}: {} of {} MB{rate}", self.name, mega(have), mega(self.of)));
    }

    fn note(&mut self, text: String) {
        note!("{text}");
    }

    fn stop(&mut self) -> bool {
        self.stop.exit_code().is_some()
    }
}
