//! Prints the settings of update rules and networks, in lines that fit a terminal of 80 columns.

use serde_json::{Map, Value, json};

use super::print::say;
use crate::settings::{Kind, Setting};

/// The ranges of the settings in words, by their keys.
pub fn ranges(settings: &[Setting]) -> Map<String, Value> {
    settings.iter().map(|setting| (setting.key.clone(), json!(setting.range()))).collect()
}

/// Prints each setting with its default, its description and its range.
pub fn show(settings: &[Setting]) {
    let longest = settings.iter().map(|s| s.key.len() + s.default().to_string().len()).max().unwrap_or(0);
    for setting in settings {
        let range = if matches!(setting.kind, Kind::Flag { .. }) {
            String::new()
        } else {
            format!(" ({})", setting.range().trim_end_matches(" that f32 holds"))
        };
        let default = setting.default().to_string();
        let pad = longest - setting.key.len() - default.len();
        wrap(&format!("  {} {:pad$}{default}  ", setting.key, ""), &format!("{}{range}", setting.doc));
    }
}

/// Prints `text` after `first`; further lines are indented to where it starts.
pub fn wrap(first: &str, text: &str) {
    let indent = first.chars().count();
    let room = 79_usize.saturating_sub(indent).max(20);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            lines.push(word.to_owned());
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    for (nth, line) in lines.iter().enumerate() {
        match nth {
            0 => say!("{first}{line}"),
            _ => say!("{:indent$}{line}", ""),
        }
    }
}
