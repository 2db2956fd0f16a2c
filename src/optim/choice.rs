//! Which rule a run goes by.

use std::{fmt, sync::Arc};

use super::{Optimizer, Rule, Settings, find};
use crate::error::Result;

/// One of the program's rules by its name, or one that came as a text.
///
/// ```
/// use velograd::optim::RuleChoice;
/// let choice: RuleChoice = "AdamW".into();
/// assert_eq!(choice.rule().unwrap().name, "adamw");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum RuleChoice {
    /// The rule of this name, known when it is built.
    Named(String),
    /// A rule at hand.
    Own {
        /// The rule.
        rule: Arc<Rule>,
        /// What names it where a run is described: the path of its file.
        path: String,
    },
}

impl RuleChoice {
    /// What runs and tables call it: a rule of the program by its name, whatever letters it was asked for in.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) => {
                super::ALL.iter().find(|r| r.name.eq_ignore_ascii_case(name)).map_or(name, |r| &r.name)
            }
            Self::Own { rule, .. } => &rule.name,
        }
    }

    /// What asks for it: its name, or the path of its file.
    pub fn argument(&self) -> &str {
        match self {
            Self::Named(_) => self.name(),
            Self::Own { path, .. } => path,
        }
    }

    /// The text of a rule that is not the program's.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Named(_) => None,
            Self::Own { rule, .. } => rule.text(),
        }
    }

    /// The rule.
    ///
    /// # Errors
    /// As [`find`].
    pub fn rule(&self) -> Result<Arc<Rule>> {
        match self {
            Self::Named(name) => find(name),
            Self::Own { rule, .. } => Ok(rule.clone()),
        }
    }

    /// The optimizer with these `KEY=VALUE` settings, and all its settings.
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
