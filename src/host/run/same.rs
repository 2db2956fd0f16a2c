//! Decides by their `run.json` whether two runs are the same run.

use std::path::Path;

use serde_json::{Value, json};

use super::recipe::{self, difference, differences, table_differences};
use crate::error::{Error, Result};

/// The facts in which two runs differ by their `run.json`, a line each: version, data set, text of the rule, the
/// optimizer's settings.
pub fn other_facts(there: &Value, here: &Value) -> Vec<String> {
    let mut lines = Vec::from_iter(difference("version", &there["version"], &here["version"]));
    for key in ["name", "crc32", "train", "test"] {
        lines.extend(difference(&format!("data set, {key}"), &there["dataset"][key], &here["dataset"][key]));
    }
    let checksum =
        |run: &Value| run["rule"]["text"].as_str().map(|text| format!("{:08x}", crc32fast::hash(text.as_bytes())));
    lines.extend(difference("checksum of the rule's text", &json!(checksum(there)), &json!(checksum(here))));
    if by_text(there, here) {
        lines.extend(difference("'optimizer'", &there["optimizer"], &here["optimizer"]));
    }
    if there["optimizer"] == here["optimizer"] {
        let optimizer = there["optimizer"].as_str().unwrap_or_default();
        lines.extend(table_differences(&format!("{optimizer}'s "), &there["settings"], &here["settings"]));
    }
    lines
}

/// Refuses to continue one run as another: `there` is from the file `path`, `here` is what was asked for. Neither
/// settings that do not change what a run computes nor those in `but` are compared.
///
/// # Errors
/// [`Error::Config`] naming every difference.
pub fn same_run(path: &Path, there: &Value, here: &Value, but: &[&str]) -> Result<()> {
    let mut lines = other_facts(there, here);
    let but = if by_text(there, here) { &[but, &["optimizer"]].concat() } else { but };
    lines.extend(differences(&recipe::of(there, path)?, &recipe::of(here, path)?, but));
    refuse_differences(path, &lines)
}

/// Whether both runs use rules from files. Those are identified by their texts, wherever the files are now.
pub fn by_text(there: &Value, here: &Value) -> bool {
    there["rule"]["text"].is_string() && here["rule"]["text"].is_string()
}

/// Refuses a run that differs from what was asked for, with a line for each difference.
///
/// # Errors
/// [`Error::Config`] if there are any differences.
pub fn refuse_differences(path: &Path, lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let message = format!("{} is of another run than was asked for:\n  {}", path.display(), lines.join("\n  "));
    let hint = "'resume' needs no other setting; 'extend' trains on for longer; another run needs another 'out'";
    Err(Error::config(message, hint))
}
