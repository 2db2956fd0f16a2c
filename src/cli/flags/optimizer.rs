//! Update rules and their settings.

use std::path::Path;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::values;
use crate::{
    error::{Error, Result},
    host::rule_file,
    optim::{self, RuleChoice},
};

/// One update rule.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Optimizer")]
pub struct RuleFlags {
    /// The update rule: a name of `velograd optimizers`, or a file with a rule of one's own (docs/RULES.md)
    /// [default: velograd]
    #[arg(long, value_name = "NAME|FILE.wgsl")]
    pub optimizer: Option<String>,
    /// A setting of the optimizer, as often as needed
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = values::key_value)]
    #[serde(with = "values::pairs")]
    pub set: Vec<(String, String)>,
    /// Learning rate: short for --set lr=RATE
    #[arg(long, value_name = "RATE", value_parser = values::number)]
    pub lr: Option<f64>,
    /// Weight decay: short for --set weight_decay=DECAY
    #[arg(long, value_name = "DECAY", value_parser = values::number)]
    pub weight_decay: Option<f64>,
    /// Momentum: short for --set momentum=BETA
    #[arg(long, value_name = "BETA", value_parser = values::number)]
    pub momentum: Option<f64>,
}

impl RuleFlags {
    pub fn defaults() -> Self {
        Self { optimizer: Some("velograd".into()), ..Self::default() }
    }
}

/// A rule's name in its usual spelling, whatever its case. An unknown name, which is refused where the rule is built,
/// stays as it is, as does the path of a file.
pub fn canonical(name: &str) -> String {
    optim::find(name).map_or_else(|_| name.to_owned(), |rule| rule.name.clone())
}

/// The rule that an argument names, for an experiment in the folder `out`: if the rule's file is gone, as the
/// experiment was started.
///
/// # Errors
/// As [`rule_file::choose_in`].
pub fn chosen(argument: &str, out: Option<&Path>) -> Result<RuleChoice> {
    let rule = match out {
        Some(folder) => rule_file::choose_in(folder, argument),
        None => rule_file::choose(argument),
    };
    rule.map_err(|error| of_setting(error, argument, "optimizers"))
}

/// Marks an error about the rule that an argument names as one about the setting that named it. Errors about a file
/// stay as they are.
pub fn of_setting(error: Error, argument: &str, setting: &'static str) -> Error {
    if rule_file::is_path(argument) { error } else { error.of_setting(setting) }
}

/// Several update rules.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Optimizer")]
pub struct RulesFlags {
    /// The update rules with commas: names, and files with rules of one's own
    #[arg(long, value_delimiter = ',', value_name = "NAME|FILE.wgsl,...")]
    #[serde(with = "values::names")]
    pub optimizers: Vec<String>,
    /// A setting of one optimizer, as often as needed
    #[arg(long = "set", value_name = "NAME:KEY=VALUE", value_parser = values::named_key_value)]
    #[serde(with = "values::pairs")]
    pub set: Vec<(String, String)>,
}
