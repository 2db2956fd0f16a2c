//! When, where and by which command a run was begun: what people ask of a run months later.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::date_time;
use crate::error::suggest::shell_word;

/// The time in UTC, the host's name and the command line of this process.
pub(super) fn begun() -> Value {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let digits = date_time(seconds); // 2026-01-31-235959
    let (day, time) = digits.split_at(10);
    let command: Vec<String> = std::env::args_os().map(|word| shell_word(Path::new(&word))).collect();
    json!({
        "time": format!("{day} {}:{}:{} UTC", &time[1..3], &time[3..5], &time[5..7]),
        "host": gethostname::gethostname().to_string_lossy(),
        "command": command.join(" "),
    })
}
