//! Update rules and their settings.

use std::path::{Path, absolute};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::values;
use crate::{host::rule_file, optim};

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

/// A rule's name as it is known, whatever its case, or the path of its file as it is from any folder; a name that is not known stays
/// as it is, to be refused where the rule is built.
pub fn canonical(name: &str) -> String {
    if rule_file::is_path(name) {
        return absolute(Path::new(name)).map_or_else(|_| name.to_owned(), |path| path.display().to_string());
    }
    optim::find(name).map_or_else(|_| name.to_owned(), |rule| rule.name.clone())
}

/// Several update rules.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Optimizer")]
pub struct RulesFlags {
    /// The update rules, names and files with rules of one's own (docs/RULES.md), with commas between them
    #[arg(long, value_delimiter = ',', value_name = "NAME|FILE.wgsl,...")]
    #[serde(with = "values::names")]
    pub optimizers: Vec<String>,
    /// A setting of one optimizer, as often as needed
    #[arg(long = "set", value_name = "NAME:KEY=VALUE", value_parser = values::named_key_value)]
    #[serde(with = "values::pairs")]
    pub set: Vec<(String, String)>,
}
