//! The flags of the commands, each stated once.
//!
//! A group is a struct whose fields are all optional. clap reads it from the command line; serde reads it from a recipe
//! in TOML and from the `run.json` of a run, and writes it to the latter. [`layers`](super::layers) merges these
//! sources. A flag that none of them has takes its value from [`Flags::defaults`].
//!
//! To add a flag, add a field with its text for `--help` to a group, its default, if any, to the `defaults` of that
//! group, and its meaning where the group is turned into [`Options`](crate::training::Options). No other place needs to
//! change.

pub mod data;
pub mod device;
pub mod experiment;
pub mod launch;
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

    /// Whether a recipe of another command may be used for the flags that both commands have.
    const IN_PART: bool = false;

    /// The default values.
    fn defaults() -> Self;

    /// The values that a preset sets.
    fn of_preset(preset: Preset) -> Self {
        let _ = preset;
        Self::default()
    }

    /// The recipe and the preset that the flags name.
    fn sources(&self) -> Sources;
}

/// A set of values from which all flags start.
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

/// The value of a flag that has one once layers are merged, since [`Flags::defaults`] has one for it.
pub fn given<T>(value: Option<T>) -> T {
    value.expect("a flag with a default")
}

/// Flags as JSON; those without a value are null.
///
/// # Errors
/// [`Error::Config`] if a path is not UTF-8.
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

/// Removes entries without a value.
pub fn present(recipe: Recipe) -> Recipe {
    let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
    recipe.into_iter().filter(|(_, value)| !empty(value)).collect()
}
