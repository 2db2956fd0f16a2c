//! The flags of the commands, each stated once.
//!
//! A group is a struct whose fields may all be missing. clap reads it from the command line, serde from a recipe in TOML and
//! from the `run.json` of a run, and writes it there; [`layers`](super::layers) merges what came from where. A value that is
//! missing everywhere is what [`Flags::defaults`] says.
//!
//! To add a flag: a field in its group with the text for `--help`, its default in that group's `defaults` where it has one, and
//! what it means where the group is turned into [`Options`](crate::training::Options). Nothing else needs to know of it.

pub mod data;
pub mod device;
pub mod experiment;
pub mod network;
pub mod optimizer;
pub mod regularization;
pub mod reliability;
pub mod run;
pub mod schedule;
pub mod train;
pub mod validation;
pub mod values;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use run::Sources;

use crate::{
    error::{Error, Result},
    host::run::Recipe,
};

/// The flags of one command.
pub trait Flags: Args + Clone + Default + Serialize + DeserializeOwned {
    /// The command's name.
    const COMMAND: &'static str;

    /// Whether a recipe of another command serves for the flags that both have.
    const IN_PART: bool = false;

    /// Those that hold where nobody says otherwise.
    fn defaults() -> Self;

    /// Those that a preset says.
    fn of_preset(preset: Preset) -> Self {
        let _ = preset;
        Self::default()
    }

    /// Where the others come from.
    fn sources(&self) -> Sources;
}

/// Where every other flag starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The experiment of the VeloGrad paper
    Paper,
    /// A first look, in minutes on two cores
    Quick,
}

impl Preset {
    pub fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Quick => "quick",
        }
    }
}

/// A value of a flag that has one by now: [`Flags::defaults`] gives every flag that is read by this one.
pub fn given<T>(value: Option<T>) -> T {
    value.expect("a flag with a default")
}

/// Flags as JSON, those without a value as null.
///
/// # Errors
/// [`Error::Config`] if a path is no text.
pub fn recipe_of(flags: &impl Serialize) -> Result<Recipe> {
    match serde_json::to_value(flags) {
        Ok(Value::Object(recipe)) => Ok(recipe),
        Ok(_) => unreachable!("flags are a table"),
        Err(error) => Err(Error::config(
            error.to_string(),
            "flags are kept in files of text, so that every path has to be in UTF-8",
        )),
    }
}

/// Without what has no value.
pub fn present(recipe: Recipe) -> Recipe {
    let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
    recipe.into_iter().filter(|(_, value)| !empty(value)).collect()
}
