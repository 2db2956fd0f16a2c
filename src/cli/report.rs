//! `velograd report`: draws runs as an HTML page.

mod watch;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::{
    live,
    print::{self, note, say},
    resume,
};
use crate::{
    error::{Error, Result, suggest::shell_word},
    host::files::write_atomically,
    lab::runs::{self, Run},
};

use watch::{Ending, watch};

/// The name of the page.
const PAGE: &str = "report.html";

/// The default folder of the page of several runs.
const SEVERAL: &str = "report";

#[derive(Args)]
pub(super) struct Arguments {
    /// Folders of runs, ended or not, or folders with runs in them; `latest` is the newest below runs/
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Folder for report.html, curves.svg and curves.png [default: that of the run; of several runs, report]
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Draw the page of a run that is going on, anew whenever its logs have grown, until it ends; a browser that shows the page
    /// follows it
    #[arg(long, help_heading = "Output")]
    watch: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut folders = vec![];
    for path in &arguments.runs {
        for folder in folders_of(path)? {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    let watched = match (arguments.watch, &folders[..]) {
        (false, _) => None,
        (true, [alone]) => Some(alone),
        (true, several) => {
            let message = format!("'watch' follows one run, and there are {}", several.len());
            return Err(Error::about("watch", message, "name the folder of one; `latest` is the newest below runs/"));
        }
    };
    let out = match (&arguments.out, &folders[..]) {
        (Some(out), _) => out.clone(),
        (None, [alone]) => alone.clone(),
        (None, _) => SEVERAL.into(),
    };
    fs::create_dir_all(&out).map_err(Error::io("create", &out))?;
    let ending = watched.map(|run| {
        let page = out.join(PAGE);
        note!("watching {}: {} follows it; Ctrl-C ends the watch", run.display(), page.display());
        watch(run, &page)
    });
    let ending = ending.transpose()?;
    live::clear();
    draw(&folders, &out)?;
    Ok(match (ending, watched) {
        (Some(Ending::Stopped(code)), _) => ExitCode::from(code),
        (Some(Ending::Dead), Some(run)) => {
            say!("no process works on {}, which has not ended; it goes on with", run.display());
            say!("    velograd train --resume {}", shell_word(run));
            ExitCode::SUCCESS
        }
        _ => ExitCode::SUCCESS,
    })
}

/// Draws runs as they are now.
fn draw(folders: &[PathBuf], out: &Path) -> Result<()> {
    let runs = Run::read_all(folders)?;
    let curves = runs::curves(&runs).drawing();
    write_atomically(&out.join("curves.png"), &curves.png()?)?;
    write_atomically(&out.join("curves.svg"), curves.svg().as_bytes())?;
    write_atomically(&out.join(PAGE), runs::page(&runs).html().as_bytes())?;
    print::table(&runs::table(&runs));
    say!("wrote {PAGE}, curves.svg, curves.png to {}", out.display());
    Ok(())
}

/// The run that a path names, or the runs in it.
fn folders_of(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        let found = runs::find(path);
        if found.is_empty() {
            let hint = "a run's folder holds run.json; `velograd runs DIR` lists those of a folder";
            return Err(Error::data(path, "the folder of a run, or one with runs in it", "neither", hint));
        }
        return Ok(found);
    }
    Ok(vec![resume::find(path)?.folder])
}
