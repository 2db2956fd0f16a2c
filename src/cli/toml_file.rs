//! Recipes: TOML files with the flags of a command.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::flags::{Flags, present, recipe_of};
use crate::{
    error::{Error, Result, suggest},
    host::{
        files::{TEXT_LIMIT, read_text},
        rule_file,
        run::Recipe,
    },
};

/// The file of a recipe, and the line of each flag in it.
#[derive(Clone, Debug)]
pub struct TomlFile {
    pub path: PathBuf,
    lines: BTreeMap<String, usize>,
}

impl TomlFile {
    /// The place of a flag, for the beginning of a message.
    pub fn place(&self, key: &str) -> String {
        place(&self.path, self.lines.get(key).copied())
    }

    /// The place of a setting in a table of settings, where it may have its short form: `set` and `weight_decay`, or
    /// `weight-decay`.
    pub fn place_in(&self, table: &str, key: &str) -> String {
        let short = || self.lines.get(&key.replace('_', "-"));
        place(&self.path, self.lines.get(&format!("{table} {key}")).or_else(short).copied())
    }
}

fn place(path: &Path, line: Option<usize>) -> String {
    match line {
        Some(line) => format!("{}, line {line}", path.display()),
        None => path.display().to_string(),
    }
}

/// A recipe: its file, the flags in it, and those of its table `[quick]`, which makes a first look of it.
pub struct Read {
    pub file: TomlFile,
    pub recipe: Recipe,
    /// The lines of `[quick]`, and the flags in it.
    pub quick: Option<(TomlFile, Recipe)>,
}

/// Reads the flags of a command from a file. Their names may be written with `_` or `-`.
///
/// # Errors
/// [`Error::Io`] or [`Error::Data`] if it cannot be read; [`Error::Config`] with file, line and key if it is not TOML,
/// belongs to another command, or has an unknown flag or an invalid value.
pub fn read<F: Flags>(path: &Path) -> Result<Read> {
    let text = read_text(path, TEXT_LIMIT)?;
    let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let table = DeTable::parse(&text).map_err(|e| {
        let at = e.span().map(|span| line(span.start));
        let hint = "a recipe is a TOML table of flags, as `width = 16`";
        Error::config(format!("{}: {}", place(path, at), e.message().trim_end()), hint)
    })?;
    let known = recipe_of(&F::default())?;
    let (mut whole, mut quick) = (Part::new(path), None);
    for (key, value) in table.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            (QUICK, DeValue::Table(table)) => {
                let mut part = Part::new(path);
                table.iter().try_for_each(|(key, value)| part.take::<F>(&known, (key, value), &line, true))?;
                quick = Some(part);
            }
            _ => whole.take::<F>(&known, (key, value), &line, false)?,
        }
    }
    let Part { file, recipe, .. } = whole;
    Ok(Read { file, recipe, quick: quick.map(|part| (part.file, part.recipe)) })
}

/// The table of a recipe that takes precedence over the rest of it where the preset is `quick`.
const QUICK: &str = "quick";

/// The flags of a table of the file.
struct Part {
    file: TomlFile,
    recipe: Recipe,
    /// How each flag was spelled.
    spelled: BTreeMap<String, String>,
}

impl Part {
    fn new(path: &Path) -> Self {
        let file = TomlFile { path: path.to_owned(), lines: BTreeMap::new() };
        Self { file, recipe: Recipe::new(), spelled: BTreeMap::new() }
    }

    /// Takes an entry of the table, of the flags that are `known`; an `inner` one is in `[quick]`.
    fn take<F: Flags>(
        &mut self,
        known: &Recipe,
        (key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>),
        line: &dyn Fn(usize) -> usize,
        inner: bool,
    ) -> Result<()> {
        let (at, name) = (line(key.span().start), key.get_ref().as_ref());
        let path = self.file.path.clone();
        let wrong =
            |what: String, hint: String| Err(Error::config(format!("{}: {what}", place(&path, Some(at))), hint));
        let flag = name.replace('_', "-").to_lowercase();
        if let Some(other) = self.spelled.insert(flag.clone(), name.to_owned()) {
            return wrong(format!("`{name}` is `{other}` once more"), "drop one of them".into());
        }
        let json = match json(value.get_ref()) {
            Ok(json) => json,
            Err(what) => return wrong(format!("`{name}`: {what}"), String::new()),
        };
        if flag == "command" && !inner {
            match json.as_str() {
                Some(command) if command == F::COMMAND || F::IN_PART => return Ok(()),
                Some(command) => return Err(of_another_command::<F>(&path, command)),
                None => return wrong(format!("`command` is {json}"), "as in command = \"train\"".into()),
            }
        }
        if inner && ["command", "preset"].contains(&&*flag) {
            let hint = format!("it belongs in front of [{QUICK}], which is what `--preset quick` changes");
            return wrong(format!("`{name}` in [{QUICK}]"), hint);
        }
        if F::IN_PART && !known.contains_key(&flag) && COMMANDS.iter().any(|command| super::has_flag(command, &flag)) {
            return Ok(());
        }
        if !known.contains_key(&flag) {
            return wrong(format!("`{name}` is no flag of `velograd {}`", F::COMMAND), hint::<F>(&flag, known));
        }
        let one = Recipe::from_iter([(flag.clone(), json)]);
        // Parsed and serialized again, so that a value has one form however it was written.
        let flags: F = match serde_json::from_value(Value::Object(one)) {
            Ok(flags) => flags,
            Err(error) => return wrong(format!("`{name}`: {}", plain(&error.to_string())), String::new()),
        };
        let mut read = present(recipe_of(&flags)?);
        for key in ["optimizer", "optimizers"] {
            read.get_mut(key).into_iter().for_each(|value| rules_beside(&path, value));
        }
        self.recipe.extend(read);
        if let DeValue::Table(table) = value.get_ref() {
            note_lines(&flag, table, line, &mut self.file.lines);
        }
        self.file.lines.insert(flag, at);
        Ok(())
    }
}

/// Makes the paths of rules, which are relative to the recipe's folder, relative to the current one.
fn rules_beside(path: &Path, value: &mut Value) {
    match value {
        Value::String(argument) => *argument = rule_file::beside(path, argument),
        Value::Array(list) => list.iter_mut().for_each(|value| rules_beside(path, value)),
        _ => {}
    }
}

/// Notes the lines of the settings in a table, as `set lr`, or as `set adam:lr` for a nested table.
fn note_lines(of: &str, table: &DeTable<'_>, line: &dyn Fn(usize) -> usize, lines: &mut BTreeMap<String, usize>) {
    let separator = if of.contains(' ') { ':' } else { ' ' };
    for (key, value) in table {
        let name = format!("{of}{separator}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => note_lines(&name, inner, line, lines),
            _ => drop(lines.insert(name, line(key.span().start))),
        }
    }
}

fn of_another_command<F: Flags>(path: &Path, command: &str) -> Error {
    let (file, own) = (path.display(), F::COMMAND);
    if !COMMANDS.contains(&command) {
        let message = format!("{file} is a recipe of `velograd {command}`, and there is no such command");
        return Error::config(message, suggest::hint(command, &COMMANDS));
    }
    let out = if command == "train" { "" } else { " --out DIR" };
    let message = format!("{file} is a recipe of `velograd {command}`, not of `velograd {own}`");
    Error::config(message, format!("velograd {command} --config {file}{out}"))
}

/// The commands that have recipes.
const COMMANDS: [&str; 4] = ["train", "compare", "sweep", "ablate"];

/// The hint for a flag that this command does not have.
fn hint<F: Flags>(flag: &str, known: &Recipe) -> String {
    match flag {
        "quick" => return "write preset = \"quick\"; a table [quick] has what that preset changes".into(),
        "config" => return "a recipe names no other recipe: --config on the command line takes one".into(),
        _ => {}
    }
    let others = COMMANDS.iter().filter(|&&command| super::has_flag(command, flag));
    let others: Vec<_> = others.map(|command| format!("`velograd {command}`")).collect();
    let list = format!("`velograd {} --help` lists them", F::COMMAND);
    match suggest::nearest(flag, known.keys().map(String::as_str)) {
        _ if !others.is_empty() => format!("it is one of {}", others.join(", ")),
        Some(near) => format!("did you mean `{near}`? {list}"),
        None => list,
    }
}

/// A TOML value as JSON, which has only finite numbers.
fn json(value: &DeValue<'_>) -> std::result::Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(whole) => match (i64::try_from(whole), u64::try_from(whole)) {
                (Ok(whole), _) => whole.into(),
                (_, Ok(whole)) => whole.into(),
                _ => return Err(format!("{whole} is too large")),
            },
            Err(error) => return Err(error.to_string()),
        },
        DeValue::Float(number) => {
            let value = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            value.ok_or_else(|| format!("{} is no finite number", number.as_str()))?.into()
        }
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(list) => {
            list.iter().map(|value| json(value.get_ref())).collect::<std::result::Result<Vec<_>, _>>()?.into()
        }
        DeValue::Table(table) => {
            let pairs = table.iter().map(|(key, value)| Ok((key.get_ref().to_string(), json(value.get_ref())?)));
            Value::Object(pairs.collect::<std::result::Result<_, String>>()?)
        }
    })
}

/// serde's message without the names of Rust types.
fn plain(said: &str) -> String {
    let types = [
        ("expected u32", "expected a whole number of at least 0"),
        ("expected u64", "expected a whole number of at least 0"),
        ("expected f64", "expected a number"),
        ("expected a boolean", "expected true or false"),
        ("expected path string", "expected a path"),
        ("expected string or map", "expected a word"),
        ("invalid type: ", "found "),
        ("invalid value: ", "found "),
        ("unknown variant ", "found "),
        ("found string ", "found "),
        ("found integer ", "found "),
        ("found floating point ", "found "),
        ("found boolean ", "found "),
        ("found sequence", "found a list"),
        ("found map", "found a table"),
    ];
    types.iter().fold(said.to_owned(), |said, (rust, words)| said.replace(rust, words))
}
