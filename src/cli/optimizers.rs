//! `velograd optimizers`

use clap::Args;
use serde_json::json;

use super::{json_line, print::say};
use crate::{
    error::Result,
    optim::{self, Kind, Start},
};

#[derive(Args)]
pub(super) struct Arguments {
    /// A JSON array on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let mut rows = Vec::new();
    for rule in optim::ALL.iter() {
        let (optimizer, settings) = rule.build(&[])?;
        let words = optimizer.words();
        let starts = optimizer.state().iter().any(|(_, start)| *start == Start::Params);
        if arguments.json {
            rows.push(json!({
                "name": rule.name,
                "source": rule.source,
                "state_words": words,
                "settings": settings.to_json(),
                "ranges": rule.settings.iter().map(|s| (s.key.clone(), json!(s.range()))).collect::<serde_json::Map<_, _>>(),
            }));
            continue;
        }
        say!("{}: {}", rule.name, rule.source);
        say!(
            "  {words} words of state per parameter{}",
            if starts { ", one of them begins as a copy of it" } else { "" }
        );
        for setting in &rule.settings {
            let range = if matches!(setting.kind, Kind::Flag { .. }) {
                String::new()
            } else {
                format!(" ({})", setting.range())
            };
            say!("  {:<20} {:<10} {}{range}", setting.key, setting.default().to_string(), setting.doc);
        }
        say!("");
    }
    if arguments.json {
        json_line(&rows);
    }
    Ok(())
}
