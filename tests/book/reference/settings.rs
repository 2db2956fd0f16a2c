use std::{collections::HashSet, fmt::Write as _};

use clap::Command;
use serde_json::Value;

use super::table;

/// The keys of a recipe with their values.
pub fn page() -> String {
    let mut program = velograd::cli::command();
    program.build();
    let mut out = "# Settings\n\n\
        A recipe (`--config FILE.toml`) and the `config.toml` of a run consist of these settings. A setting is the flag of the same name, \
        whose meaning is in the page of the [command](commands.md); the command line takes precedence over a recipe, and a recipe over the preset. \
        `default` is the published experiment (`--preset paper`), `quick` what `--preset quick` sets instead. Settings of an update rule \
        are in the table `set`; their names are those of [the rule](optimizers.md).\n"
        .to_owned();
    let mut seen = HashSet::new();
    for (name, defaults, quick) in velograd::cli::settings().unwrap() {
        let command = program.find_subcommand(name).unwrap();
        write!(out, "\n## {name}\n\n").unwrap();
        let row = |key: &String| {
            let shown = |value: Option<&Value>| {
                value.map(text).filter(|text| !text.is_empty()).map_or(String::new(), |t| format!("`{t}`"))
            };
            vec![format!("`{key}`"), values(command, key), shown(defaults.get(key)), shown(quick.get(key))]
        };
        let keys: Vec<&String> = defaults.keys().filter(|key| *key != "resume" && *key != "extend").collect();
        // What an experiment has in common with `train` and its defaults is stated once.
        let fresh: Vec<_> = keys.iter().map(|key| row(key)).filter(|row| seen.insert(row.clone())).collect();
        if fresh.len() < keys.len() {
            let (others, end) = (
                format!("Those above that are flags of [`{name}`](commands/{name}.md)"),
                if fresh.is_empty() { "." } else { ", and:\n" },
            );
            writeln!(out, "{others}{end}").unwrap();
        }
        if !fresh.is_empty() {
            out.push_str(&table(&["setting", "values", "default", "quick"], fresh));
        }
    }
    out
}

/// What may follow the flag.
fn values(command: &Command, key: &str) -> String {
    let flag = command.get_arguments().find(|flag| flag.get_long() == Some(key));
    let flag = flag.unwrap_or_else(|| panic!("`{key}` is a setting and no flag of {}", command.get_name()));
    let possible: Vec<_> = flag.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let names: Vec<_> = flag.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let words = if possible.is_empty() { names.join(" ") } else { possible.join(", ") };
    format!("`{}`", words.replace('|', ", "))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Object(table) if table.is_empty() => String::new(),
        value => value.to_string(),
    }
}
