//! `velograd report`: draws runs as an HTML page.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    print::{self, say},
    resume,
};
use crate::{
    error::{Error, Result},
    host::files::write_atomically,
    lab::runs::{self, Run},
};

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
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let mut folders = vec![];
    for path in &arguments.runs {
        for folder in folders_of(path)? {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    let runs = Run::read_all(&folders)?;
    let out = match (&arguments.out, &folders[..]) {
        (Some(out), _) => out.clone(),
        (None, [alone]) => alone.clone(),
        (None, _) => SEVERAL.into(),
    };
    fs::create_dir_all(&out).map_err(Error::io("create", &out))?;
    let curves = runs::curves(&runs).drawing();
    write_atomically(&out.join("curves.png"), &curves.png()?)?;
    write_atomically(&out.join("curves.svg"), curves.svg().as_bytes())?;
    write_atomically(&out.join("report.html"), runs::page(&runs).html().as_bytes())?;
    print::table(&runs::table(&runs));
    say!("wrote report.html, curves.svg, curves.png to {}", out.display());
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
