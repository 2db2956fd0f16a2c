use std::fmt::Write as _;

use clap::{Arg, Command};

use super::{plain, table};

/// A page that lists the commands, and one for each of them.
pub fn pages() -> Vec<(String, String)> {
    let mut program = velograd::cli::command();
    program.build();
    let commands: Vec<&Command> = program.get_subcommands().filter(|command| command.get_name() != "help").collect();
    let rows = commands.iter().map(|command| {
        let name = command.get_name();
        vec![format!("[`{name}`](commands/{name}.md)"), plain(&command.get_about().unwrap().to_string())]
    });
    let list = format!(
        "# Commands\n\n`velograd COMMAND -h` lists the usual flags of a command, `--help` all of them; these pages have the text of \
         `--help`.\n\n{}",
        table(&["command", "what it does"], rows)
    );
    let mut pages = vec![("commands.md".to_owned(), list)];
    pages.extend(commands.iter().map(|command| (format!("commands/{}.md", command.get_name()), page(command))));
    pages
}

fn page(command: &Command) -> String {
    let mut out = String::new();
    describe(&mut out, command, command.get_name(), "#");
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        out.push('\n');
        describe(&mut out, sub, &format!("{} {}", command.get_name(), sub.get_name()), "##");
    }
    out
}

/// A command under a title: what it does, how it is called, and its flags.
fn describe(out: &mut String, command: &Command, title: &str, level: &str) {
    let about = command.get_long_about().or(command.get_about()).unwrap().to_string();
    let paragraphs: Vec<_> =
        about.split("\n\n").map(|text| format!("{}.", plain(text.trim_end_matches('.')))).collect();
    write!(out, "{level} {title}\n\n{}\n\n", paragraphs.join("\n\n")).unwrap();
    let usage = command.clone().render_usage().to_string();
    writeln!(out, "```text\n{}\n```", usage.trim_start_matches("Usage: ")).unwrap();
    let arguments: Vec<&Arg> = command.get_arguments().filter(|a| !a.is_hide_set() && a.get_id() != "help").collect();
    let mut headings: Vec<&str> = vec![];
    for argument in &arguments {
        let heading = heading(argument);
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    // Arguments come first, and what all commands have comes last.
    headings.sort_by_key(|heading| (*heading != "Arguments", *heading == "Output"));
    for wanted in headings {
        write!(out, "\n{level}# {wanted}\n\n").unwrap();
        arguments.iter().filter(|argument| heading(argument) == wanted).for_each(|argument| entry(out, argument));
    }
}

fn heading(argument: &Arg) -> &str {
    argument.get_help_heading().unwrap_or(if argument.is_positional() { "Arguments" } else { "Options" })
}

/// A flag as an item of a list: how it is written, what it means, and the values that it may have.
fn entry(out: &mut String, argument: &Arg) {
    // As `--help` writes it, such as `-o, --out <DIR>`.
    let written = argument.to_string();
    let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let values = argument.get_possible_values();
    let values: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
    let takes_value = argument.get_action().takes_values();
    writeln!(out, "- `{short}{written}`: {}", plain(&help).replace("\n\n", "\n\n  ")).unwrap();
    let default: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_value && !default.is_empty() {
        out.truncate(out.trim_end().len());
        writeln!(out, " \\[default: {}\\]", default.join(" ")).unwrap();
    }
    if !takes_value {
        return;
    }
    if values.iter().any(|value| value.get_help().is_some()) {
        for value in values {
            let meaning = value.get_help().map(|help| format!(": {}", plain(&help.to_string()))).unwrap_or_default();
            writeln!(out, "  - `{}`{meaning}", value.get_name()).unwrap();
        }
    } else if !values.is_empty() && !written.contains('|') {
        out.truncate(out.trim_end().len());
        let names: Vec<_> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
        writeln!(out, " ({})", names.join(", ")).unwrap();
    }
}
