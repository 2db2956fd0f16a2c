//! `velograd optimizers`

use clap::Args;
use serde_json::json;

use super::{json_line, print::say};
use crate::{
    error::Result,
    optim::{self, Kind, Start, Value},
};

#[derive(Args)]
pub(super) struct Arguments {
    /// The rules to show [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// A JSON array on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let mut rows = Vec::new();
    let named = arguments.names.iter().map(|name| optim::find(name)).collect::<Result<Vec<_>>>()?;
    let entries = if named.is_empty() { optim::ALL.to_vec() } else { named };
    for entry in entries {
        let (optimizer, settings) = optim::build(entry.name, &[])?;
        let words = optimizer.words();
        let starts = optimizer.state().iter().any(|(_, start)| *start == Start::Params);
        if arguments.json {
            rows.push(json!({
                "name": entry.name,
                "source": entry.source,
                "state_words": words,
                "settings": settings.to_json(),
                "ranges": entry.settings.iter().map(|s| (s.key.to_owned(), json!(s.range()))).collect::<serde_json::Map<_, _>>(),
            }));
            continue;
        }
        say!("{}: {}", entry.name, entry.source);
        say!(
            "  {words} words of state per parameter{}",
            if starts { ", one of them begins as a copy of it" } else { "" }
        );
        for setting in entry.settings {
            let default = match setting.default() {
                Value::Number(v) if v != 0.0 && v < 1e-3 => format!("{v:e}"),
                Value::Number(v) => v.to_string(),
                Value::Count(v) => v.to_string(),
                Value::Flag(v) => v.to_string(),
                Value::Choice(v) => v.to_owned(),
            };
            let range = if matches!(setting.kind, Kind::Flag { .. }) {
                String::new()
            } else {
                format!(" ({})", setting.range())
            };
            say!("  {:<20} {default:<10} {}{range}", setting.key, setting.doc);
        }
        say!("");
    }
    if arguments.json {
        json_line(&rows);
    }
    Ok(())
}
