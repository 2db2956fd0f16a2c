//! Update rules in files: finds the rule that an argument names, and writes a template for a new one.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    host::files::{self, read_text, write_atomically},
    optim::{LONGEST_RULE, Rule, RuleChoice, TEMPLATE},
};

/// Whether an argument names a file rather than a built-in rule: it ends in `.wgsl` or contains a path separator.
pub fn is_path(argument: &str) -> bool {
    argument.to_ascii_lowercase().ends_with(".wgsl") || argument.contains(['/', std::path::MAIN_SEPARATOR])
}

/// The rule that an argument names: a built-in one, or the one in a file ([`is_path`]).
///
/// # Errors
/// [`Error::Config`] for an unknown name, a file whose name cannot be a rule's, or a text that is not a rule, with line
/// and column; [`Error::Io`] and [`Error::Data`] for a file that cannot be read or is too long.
pub fn choose(argument: &str) -> Result<RuleChoice> {
    if !is_path(argument) {
        return crate::optim::find(argument).map(|rule| RuleChoice::Named(rule.name.clone()));
    }
    let path = Path::new(argument);
    own(argument, &read_text(path, LONGEST_RULE as u64)?)
}

/// The rule in `text`, which is or was the content of the file that `argument` names.
fn own(argument: &str, text: &str) -> Result<RuleChoice> {
    let rule = Arc::new(Rule::parse(&name_of(argument)?, argument, text)?);
    // `run.json` keeps the path, which must be valid from any folder.
    Ok(RuleChoice::Own { rule, path: absolute(argument) })
}

/// The name of the rule that an argument names, whether or not the rule exists. A rule in a file is named after its
/// file.
pub fn called(argument: &str) -> String {
    let of_file = is_path(argument).then(|| name_of(argument).ok()).flatten();
    of_file.unwrap_or_else(|| argument.to_owned())
}

/// Whether two arguments name the same file.
pub fn same_file(one: &str, other: &str) -> bool {
    is_path(one) && is_path(other) && absolute(one) == absolute(other)
}

/// The argument, with the path of a file made absolute.
pub fn absolute(argument: &str) -> String {
    if is_path(argument) { files::absolute(Path::new(argument)) } else { argument.to_owned() }
}

/// The name of the rule in a file.
fn name_of(argument: &str) -> Result<String> {
    let stem = Path::new(argument).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    // Names appear in tables and in lists that commas, colons and equals signs separate.
    let unfit = |c: char| c.is_control() || c.is_whitespace() || ",:=".contains(c);
    if stem.is_empty() || stem.chars().count() > 60 || stem.contains(unfit) {
        let message = format!(
            "`{argument}`: a rule is called by its file's name, which has at most 60 letters, and none of `,:=` or spaces"
        );
        return Err(Error::config(message, "rename the file"));
    }
    Ok(stem)
}

/// The path and text of a rule in a file, for `run.json`; null for a built-in rule.
pub fn to_json(choice: &RuleChoice) -> Value {
    choice.text().map_or(Value::Null, |text| json!({ "file": choice.argument(), "text": text }))
}

/// The rule of a run that is resumed: the text kept in its `run.json`, even if the file has changed or is gone. If
/// `argument` names another rule than the run was started with, that one is returned, and the comparison of the two
/// runs reports the difference.
///
/// # Errors
/// As [`choose`].
pub fn resumed(run: &Value, argument: &str) -> Result<RuleChoice> {
    match (run["rule"]["file"].as_str(), run["rule"]["text"].as_str()) {
        (Some(file), Some(text)) if same_file(file, argument) => own(file, text),
        _ => choose(argument),
    }
}

/// The name of the folder, within that of an experiment, that keeps the rules with which the experiment was started.
const KEPT: &str = "rules";

/// [`choose`] for an experiment in `folder`: if the file is gone, the text that the experiment was started with is
/// used. If the file exists, [`keep`] checks that it still has that text.
///
/// # Errors
/// As [`choose`].
pub fn choose_in(folder: &Path, argument: &str) -> Result<RuleChoice> {
    if !is_path(argument) {
        return choose(argument);
    }
    let kept = folder.join(KEPT).join(name_of(argument)? + ".wgsl");
    if kept.exists() && !Path::new(argument).exists() {
        return own(argument, &read_text(&kept, LONGEST_RULE as u64)?);
    }
    choose(argument)
}

/// Keeps the texts of an experiment's rules in its `folder`, or compares them with those kept there.
///
/// # Errors
/// [`Error::Config`] if a text has changed since the experiment was started; [`Error::Io`] or [`Error::Data`] if one
/// cannot be written or read.
pub fn keep<'a>(folder: &Path, rules: impl Iterator<Item = &'a RuleChoice>) -> Result<()> {
    for rule in rules {
        let Some(text) = rule.text() else { continue };
        let kept = folder.join(KEPT);
        let path = kept.join(format!("{}.wgsl", rule.name()));
        if !path.exists() {
            fs::create_dir_all(&kept).map_err(Error::io("create", &kept))?;
            write_atomically(&path, text.as_bytes())?;
        } else if read_text(&path, LONGEST_RULE as u64)? != text {
            let message =
                format!("{} has changed since the experiment in {} was begun", rule.argument(), folder.display());
            let hint = format!("choose another 'out', or go on with the rule as it was: {}", path.display());
            return Err(Error::about("out", message, hint));
        }
    }
    Ok(())
}

/// Writes a commented template of a rule to a new file. An existing file is left alone.
///
/// # Errors
/// [`Error::Config`] if the file exists or a rule cannot have its name; [`Error::Io`] if it cannot be written.
pub fn write_new(path: &Path) -> Result<()> {
    let shown = path.display().to_string();
    if !is_path(&shown) {
        let message = format!("{shown}: the file of a rule ends in .wgsl");
        return Err(Error::config(message, format!("{} does", path.with_extension("wgsl").display())));
    }
    name_of(&shown)?;
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(TEMPLATE.as_bytes()).map_err(|source| {
            // A part of it would be in the way when there is room.
            let _ = fs::remove_file(path);
            Error::io("write to", path)(source)
        }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Error::config(format!("{shown} is there already"), "choose another name; nothing was written"))
        }
        Err(error) => Err(Error::io("create", path)(error)),
    }
}

/// The path of a rule in a recipe, which is relative to the recipe's folder, made relative to the current one.
pub fn beside(recipe: &Path, argument: &str) -> String {
    let folder = recipe.parent().map(PathBuf::from).unwrap_or_default();
    if is_path(argument) { folder.join(argument).display().to_string() } else { argument.to_owned() }
}
