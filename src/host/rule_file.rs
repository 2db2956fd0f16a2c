//! Rules as files: what an argument that names a rule means, and the file to start a rule from.

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

/// Whether an argument names a file rather than a rule of the program: it ends in `.wgsl`, or has a separator of folders in it.
pub fn is_path(argument: &str) -> bool {
    argument.to_ascii_lowercase().ends_with(".wgsl") || argument.contains(['/', std::path::MAIN_SEPARATOR])
}

/// The rule that an argument names: one of the program, or that of a file ([`is_path`]).
///
/// # Errors
/// [`Error::Config`] for an unknown name, or a text that is no rule, with line and column; [`Error::Io`] and [`Error::Data`] for a file
/// that cannot be read or is too long.
pub fn choose(argument: &str) -> Result<RuleChoice> {
    if !is_path(argument) {
        return crate::optim::find(argument).map(|rule| RuleChoice::Named(rule.name.clone()));
    }
    let path = Path::new(argument);
    own(argument, &read_text(path, LONGEST_RULE as u64)?)
}

/// The rule of a text that a file has, or had.
fn own(argument: &str, text: &str) -> Result<RuleChoice> {
    let rule = Arc::new(Rule::parse(&name_of(argument)?, argument, text)?);
    // The path stands in run.json, and must be found from any folder.
    Ok(RuleChoice::Own { rule, path: absolute(argument) })
}

/// What the rule of an argument is called, if there is one: that of a file by the file's name.
pub fn called(argument: &str) -> String {
    let of_file = is_path(argument).then(|| name_of(argument).ok()).flatten();
    of_file.unwrap_or_else(|| argument.to_owned())
}

/// Whether two arguments name one file.
pub fn same_file(one: &str, other: &str) -> bool {
    is_path(one) && is_path(other) && absolute(one) == absolute(other)
}

/// The argument with the path of a file made right from any folder.
pub fn absolute(argument: &str) -> String {
    if is_path(argument) { files::absolute(Path::new(argument)) } else { argument.to_owned() }
}

/// What the rule of a file is called.
fn name_of(argument: &str) -> Result<String> {
    let stem = Path::new(argument).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    // A name stands in tables, between commas and before colons.
    let unfit = |c: char| c.is_control() || c.is_whitespace() || ",:=".contains(c);
    if stem.is_empty() || stem.chars().count() > 60 || stem.contains(unfit) {
        let message = format!(
            "`{argument}`: a rule is called by its file's name, which has at most 60 letters, and none of `,:=` or spaces"
        );
        return Err(Error::config(message, "rename the file"));
    }
    Ok(stem)
}

/// What `run.json` keeps of a rule that is not the program's; null for one that is.
pub fn to_json(choice: &RuleChoice) -> Value {
    choice.text().map_or(Value::Null, |text| json!({ "file": choice.argument(), "text": text }))
}

/// The rule of a run that goes on, by its `run.json`: that of the text it keeps, though the file be changed or gone by now. `argument`
/// is what was asked for; where that is not what the run was begun with, it is what counts, and the difference is found later.
///
/// # Errors
/// As [`choose`].
pub fn resumed(run: &Value, argument: &str) -> Result<RuleChoice> {
    match (run["rule"]["file"].as_str(), run["rule"]["text"].as_str()) {
        (Some(file), Some(text)) if same_file(file, argument) => own(file, text),
        _ => choose(argument),
    }
}

/// The folder of an experiment with the rules that it was begun with.
const KEPT: &str = "rules";

/// As [`choose`], for an experiment in `folder`: where the file is gone, the text that the experiment was begun with. That a file which
/// is there still has that text is for [`keep`] to check.
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

/// Keeps the texts of an experiment's rules in its `folder`, or compares them with those that are there.
///
/// # Errors
/// [`Error::Config`] if one has changed since the experiment was begun; [`Error::Io`] if it cannot be written.
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

/// Writes a commented rule to start from. A file that is there is left alone.
///
/// # Errors
/// [`Error::Config`] if there is such a file already, or its name is none of a rule; [`Error::Io`] if it cannot be written.
pub fn write_new(path: &Path) -> Result<()> {
    let shown = path.display().to_string();
    if !is_path(&shown) {
        let message = format!("{shown}: the file of a rule ends in .wgsl");
        return Err(Error::config(message, format!("{} does", path.with_extension("wgsl").display())));
    }
    name_of(&shown)?;
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(TEMPLATE.as_bytes()).map_err(Error::io("write to", path)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Error::config(format!("{shown} is there already"), "choose another name; nothing was written"))
        }
        Err(error) => Err(Error::io("create", path)(error)),
    }
}

/// A path as a recipe has it, relative to the recipe's folder, as seen from here.
pub fn beside(recipe: &Path, argument: &str) -> String {
    let folder = recipe.parent().map(PathBuf::from).unwrap_or_default();
    if is_path(argument) { folder.join(argument).display().to_string() } else { argument.to_owned() }
}
