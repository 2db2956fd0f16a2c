//! `velograd optimizers`: lists the update rules, or writes a template of one.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{
    json_line,
    print::say,
    settings::{self, wrap},
};
use crate::{
    error::Result,
    host::rule_file,
    optim::{self, Rule, Start},
};

#[derive(Args)]
pub(super) struct Arguments {
    /// The rules to show: names, and files with rules of one's own (docs/RULES.md) [default: all]
    #[arg(value_name = "NAME|FILE.wgsl")]
    names: Vec<String>,
    /// Write a commented rule of one's own to start from; a file that is there is left alone
    #[arg(long, value_name = "FILE.wgsl", conflicts_with_all = ["names", "json"])]
    new: Option<PathBuf>,
    /// A JSON array on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(path) = &arguments.new {
        rule_file::write_new(path)?;
        let shown = path.display();
        say!("wrote {shown}, a rule to start from; docs/RULES.md explains the format");
        say!("velograd optimizers {shown} shows it, velograd train --optimizer {shown} trains with it");
        return Ok(());
    }
    let named = arguments.names.iter().map(|name| rule_file::choose(name)?.rule()).collect::<Result<Vec<_>>>()?;
    let rules = if named.is_empty() { optim::ALL.to_vec() } else { named };
    let mut rows = Vec::new();
    for rule in &rules {
        let (optimizer, defaults) = rule.build(&[])?;
        if arguments.json {
            rows.push(json!({
                "name": rule.name,
                "source": rule.source,
                "state_words": optimizer.words(),
                "settings": defaults.to_json(),
                "ranges": settings::ranges(&rule.settings),
            }));
            continue;
        }
        let starts = optimizer.state().iter().any(|(_, start)| *start == Start::Params);
        show(rule, optimizer.words(), starts);
        if rules.len() > 1 {
            say!("");
        }
    }
    if arguments.json {
        json_line(&rows);
    }
    Ok(())
}

/// Prints a rule in lines that fit a terminal of 80 columns.
fn show(rule: &Rule, words: usize, starts: bool) {
    wrap(&format!("{}: ", rule.name), &rule.source);
    let (number, plural) = if words == 0 {
        ("no".to_owned(), "words")
    } else {
        (words.to_string(), if words == 1 { "word" } else { "words" })
    };
    let copy = if starts { ", one of them begins as a copy of it" } else { "" };
    say!("  {number} {plural} of state per parameter{copy}");
    settings::show(&rule.settings);
}
