//! `velograd runs`: the runs of a folder.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{
    json_line,
    print::{self, remark, say},
};
use crate::{
    error::{Error, Result},
    lab::runs::{self, Run},
};

#[derive(Args)]
pub(super) struct Arguments {
    /// The folder, searched four levels deep
    #[arg(value_name = "DIR", default_value = "runs")]
    folder: PathBuf,
    /// One JSON object per run on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let folder = &arguments.folder;
    if !folder.is_dir() {
        let hint = "`velograd train` makes it, in the folder that it is called from";
        return Err(Error::data(folder, "a folder with runs", "no such folder", hint));
    }
    let mut read = vec![];
    for path in runs::find(folder) {
        // A damaged run must not hide the others.
        let mut run = match Run::read(&path) {
            Ok(run) => run,
            Err(error) => {
                remark(&error.to_string());
                continue;
            }
        };
        // Below the given folder, the path distinguishes runs of the same name.
        run.label = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        if run.label.is_empty() {
            run.label = path.display().to_string();
        }
        read.push(run);
    }
    if arguments.json {
        for run in &read {
            let (best, seconds) = (run.best(), run.seconds());
            let state = run.state();
            json_line(&json!({
                "folder": run.folder,
                "state": state,
                "optimizer": run.run["optimizer"],
                "model": run.run["model"],
                "epochs": run.epochs.len(),
                "accuracy": run.last(|row| row.val_acc),
                "val_loss": run.last(|row| row.val_loss),
                "judged_by": run.score().measure().key,
                "best": best,
                "seconds": seconds,
            }));
        }
    } else if read.is_empty() {
        say!("there are no runs in {}", folder.display());
    } else {
        print::table(&runs::table(&read));
    }
    Ok(())
}
