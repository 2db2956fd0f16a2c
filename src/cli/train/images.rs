//! Ensures that a run that is continued uses the images that it was started with.

use serde_json::{Value, json};

use crate::{
    cli::resume::Target,
    data::{Dataset, Split},
    error::{Error, Result, suggest::shell_word},
    host::run,
};

/// The error for data that a run was started with and that are no longer where they were.
pub fn moved(error: Error, target: &Target, before: &Value) -> Error {
    let text = |key: &str| before["dataset"][key].as_str().unwrap_or("unknown").to_owned();
    let hint = format!(
        "the run's images are {} with the checksum {}; if they lie elsewhere by now, say where: velograd train --resume {} --data \
         PATH",
        text("name"),
        text("crc32"),
        shell_word(&target.folder)
    );
    match error {
        Error::Data { path, expected, found, .. } => Error::Data { path, expected, found, hint },
        Error::Io { path, source, .. } => Error::data(&path, "the images of the run", source.to_string(), hint),
        other => other,
    }
}

/// Refuses images other than those that a run was started with.
pub fn same_images(target: &Target, before: &Value, dataset: &dyn Dataset) -> Result<()> {
    let here = json!({ "dataset": {
        "name": dataset.spec().name,
        "crc32": format!("{:08x}", dataset.checksum()),
        "train": dataset.len(Split::Train),
        "test": dataset.len(Split::Test),
    }});
    let there = json!({ "dataset": before["dataset"] });
    let lines = run::other_facts(&there, &here);
    if lines.is_empty() {
        return Ok(());
    }
    let place = dataset.path().map_or_else(String::new, |path| format!(" in {}", path.display()));
    let message = format!("other images than the run was begun with{place}:\n  {}", lines.join("\n  "));
    let hint =
        format!("say where the run's own are: velograd train --resume {} --data PATH", shell_word(&target.folder));
    Err(Error::config(message, hint))
}
