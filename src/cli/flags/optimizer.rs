//! Update rules and their settings.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::values;
use crate::optim;

/// One update rule.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Optimizer")]
pub struct RuleFlags {
    /// The update rule; `velograd optimizers` lists them [default: velograd]
    #[arg(long, value_name = "NAME")]
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

/// A rule's name as it is known, whatever its case; one that is not known stays as it is, to be refused where the rule is built.
pub fn canonical(name: &str) -> String {
    optim::find(name).map_or_else(|_| name.to_owned(), |entry| entry.name.to_owned())
}

/// Several update rules.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Optimizer")]
pub struct RulesFlags {
    /// The update rules, by their names with commas
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    #[serde(with = "values::names")]
    pub optimizers: Vec<String>,
    /// A setting of one optimizer, as often as needed
    #[arg(long = "set", value_name = "NAME:KEY=VALUE", value_parser = values::named_key_value)]
    #[serde(with = "values::pairs")]
    pub set: Vec<(String, String)>,
}
