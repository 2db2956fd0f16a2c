//! Selects the update rule of a run: a built-in one by its name, or one parsed from a text.

use std::{fmt, sync::Arc};

use super::{Optimizer, Rule, Settings, find};
use crate::error::Result;

/// A built-in rule by its name, or a rule that was parsed from a text.
///
/// ```
/// use velograd::optim::RuleChoice;
/// let choice: RuleChoice = "AdamW".into();
/// assert_eq!(choice.rule().unwrap().name, "adamw");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum RuleChoice {
    /// The built-in rule of this name, which is looked up when the optimizer is built.
    Named(String),
    /// A rule that was parsed from a text.
    Own {
        /// The rule.
        rule: Arc<Rule>,
        /// The path of its file, by which the description of a run names it.
        path: String,
    },
}

impl RuleChoice {
    /// Its name in runs and tables; that of a built-in rule in its usual spelling, whatever case it was asked for in.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) => {
                super::ALL.iter().find(|r| r.name.eq_ignore_ascii_case(name)).map_or(name, |r| &r.name)
            }
            Self::Own { rule, .. } => &rule.name,
        }
    }

    /// The argument that selects it: its name, or the path of its file.
    pub fn argument(&self) -> &str {
        match self {
            Self::Named(_) => self.name(),
            Self::Own { path, .. } => path,
        }
    }

    /// The text of a rule that is not built in.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Named(_) => None,
            Self::Own { rule, .. } => rule.text(),
        }
    }

    /// The rule itself.
    ///
    /// # Errors
    /// As [`find`].
    pub fn rule(&self) -> Result<Arc<Rule>> {
        match self {
            Self::Named(name) => find(name),
            Self::Own { rule, .. } => Ok(rule.clone()),
        }
    }

    /// Builds the optimizer from `KEY=VALUE` settings, and returns it with all its settings.
    ///
    /// # Errors
    /// As [`find`] and [`Rule::build`].
    pub fn build(&self, given: &[(String, String)]) -> Result<(Box<dyn Optimizer>, Settings)> {
        self.rule()?.build(given)
    }
}

impl From<&str> for RuleChoice {
    fn from(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

impl From<&String> for RuleChoice {
    fn from(name: &String) -> Self {
        Self::Named(name.clone())
    }
}

impl From<String> for RuleChoice {
    fn from(name: String) -> Self {
        Self::Named(name)
    }
}

impl From<&Self> for RuleChoice {
    fn from(choice: &Self) -> Self {
        choice.clone()
    }
}

impl fmt::Display for RuleChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
