//! The files of a run, `run.json`, `config.toml`, `steps.jsonl`, `metrics.jsonl`, `model.safetensors` and
//! `checkpoints/`, and how a run is continued from them.

mod appended;
mod begun;
mod folder;
mod journal;
mod lock;
mod log;
mod logs;
mod recipe;
mod run_json;
mod same;
mod table;
mod tensorboard;

pub use folder::{Folder, Resume};
pub use journal::Journal;
pub use lock::Lock;
pub use log::{EPOCHS_LIMIT, read_rows};
pub use logs::LogFormat;
pub use recipe::{MODEL_SET, Recipe, difference, differences, of as recipe, table_differences, to_toml};
pub use run_json::run_json;
pub use same::{by_text, other_facts, refuse_differences, same_run};

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use crate::{
    error::{Error, Result, suggest::shell_word},
    host::files::{TEXT_LIMIT, read},
};

use begun::date_time;

/// Name of the folder of checkpoints within a run's folder.
pub const CHECKPOINTS: &str = "checkpoints";

/// Name of the file with the weights of a run that has ended.
pub const WEIGHTS: &str = "model.safetensors";

/// Removes the checkpoints of a run that has ended.
///
/// # Errors
/// [`Error::Io`] if they cannot be removed.
pub fn drop_checkpoints(folder: &Path) -> Result<()> {
    let folder = folder.join(CHECKPOINTS);
    match fs::remove_dir_all(&folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", &folder)(e)),
        _ => Ok(()),
    }
}

/// Name of the file with the recipe of a run or an experiment.
pub const CONFIG: &str = "config.toml";

/// The text of [`CONFIG`] in `folder`, with which `velograd COMMAND` repeats the run or experiment; its first line
/// shows that command, followed by `more`.
pub fn config_toml(command: &str, recipe: &Recipe, folder: &Path, more: &str) -> String {
    let file = folder.join(CONFIG);
    format!(
        "# velograd {command} --config {}{more}\n#\n# Makes this again: on the same device, driver and version of the program to \
         the bit.\ncommand = \"{command}\"\n{}",
        shell_word(&file),
        to_toml(recipe)
    )
}

/// Reads the `run.json` of a folder.
///
/// # Errors
/// [`Error::Data`] if there is none or it is not JSON, [`Error::Io`] if it cannot be read.
pub fn read_run(folder: &Path) -> Result<Value> {
    let path = folder.join("run.json");
    if !path.exists() {
        return Err(Error::data(folder, "the folder of a run", "no run.json", "'resume' takes what 'out' was"));
    }
    read_json(&path)
}

pub(crate) fn read_json(path: &Path) -> Result<Value> {
    serde_json::from_slice(&read(path, TEXT_LIMIT)?).map_err(|e| Error::data(path, "a JSON object", e.to_string(), ""))
}

/// The default folder of a run: `runs/<date-time>-<optimizer>`, in UTC, with a number appended if that exists.
pub fn default_folder(optimizer: &str) -> PathBuf {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let name = format!("{}-{optimizer}", date_time(seconds));
    // Two runs may start in the same second.
    let names = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}-{n}")));
    let mut folders = names.map(|name| Path::new("runs").join(name));
    folders.find(|folder| !folder.exists()).unwrap_or_else(|| Path::new("runs").join(name))
}
