//! The settings with which optimizers are compared: those of the VeloGrad paper's experiment, or the rules' defaults.

use std::{fmt, str::FromStr};

use crate::{
    error::{Error, Result, suggest},
    optim::{RuleChoice, Settings},
};

/// The settings of the three optimizers in the paper's notebook. The weight decay of Adam and SGD is an L2 penalty.
const PAPER: [(&str, &[(&str, &str)]); 3] = [
    ("velograd", &[]), // its defaults are the paper's: lr 0.0015, betas 0.9 and 0.99, decay 1e-4
    ("adam", &[("lr", "0.001"), ("weight_decay", "1e-4")]),
    ("sgd", &[("lr", "0.01"), ("momentum", "0.9"), ("weight_decay", "1e-4")]),
];

/// The settings from which a comparison starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Base {
    /// An optimizer of the VeloGrad paper's experiment starts from the settings there, any other from its rule's defaults.
    #[default]
    Paper,
    /// Every optimizer starts from its rule's defaults.
    Default,
}

impl FromStr for Base {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "paper" => Ok(Self::Paper),
            "default" => Ok(Self::Default),
            _ => {
                let message = format!("settings `{text}`: there are those of the paper and each rule's default");
                Err(Error::config(message, suggest::hint(text, &["paper", "default"])))
            }
        }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paper => "paper",
            Self::Default => "default",
        })
    }
}

impl Base {
    /// The settings of an optimizer that are not the rule's defaults.
    pub fn settings(self, optimizer: &RuleChoice) -> Vec<(String, String)> {
        let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        self.of(optimizer).map_or_else(Vec::new, own)
    }

    fn of(self, optimizer: &RuleChoice) -> Option<&'static [(&'static str, &'static str)]> {
        let RuleChoice::Named(optimizer) = optimizer else { return None };
        let paper = PAPER.iter().filter(|_| self == Self::Paper);
        paper.filter(|(name, _)| name.eq_ignore_ascii_case(optimizer)).map(|(_, pairs)| *pairs).next()
    }

    /// One line about the settings with which `optimizer` is compared, if they started from these: its learning rate
    /// (or `rates` in its place), every setting that is not the rule's default, and where they are from.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown optimizer or setting, or a value out of its range.
    pub fn line(self, optimizer: &RuleChoice, set: &[(String, String)], rates: Option<&str>) -> Result<String> {
        let (_, settings) = optimizer.build(set)?;
        let rule = optimizer.rule()?;
        let defaults = Settings::parse(&rule.name, &rule.settings, &[])?;
        let paper = self.of(optimizer);
        let mut words = vec![];
        let (given, default) = (settings.to_json(), defaults.to_json());
        for (key, value) in given.as_object().into_iter().flatten() {
            let text = match value.as_str() {
                Some(word) => word.to_owned(),
                None => number(value),
            };
            match rates.filter(|_| key == "lr") {
                Some(rates) => words.push(format!("lr={rates}")),
                None if key == "lr" || default[key] != *value => words.push(format!("{key}={text}")),
                None => {}
            }
        }
        let changed = set.len() > paper.map_or(0, <[_]>::len);
        let from = match (paper.is_some(), changed) {
            (true, false) => "as in the VeloGrad paper",
            (true, true) => "as in the VeloGrad paper, but for what was set",
            (false, true) => "as set",
            (false, false) => "the rule's defaults",
        };
        Ok(format!("{optimizer}: {} ({from})", words.join(", ")))
    }
}

/// A number in its usual form: `1e-4` rather than `0.0001`.
fn number(value: &serde_json::Value) -> String {
    match value.as_f64() {
        Some(v) if v != 0.0 && (v.abs() < 1e-3 || v.abs() >= 1e6) => format!("{v:e}"),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Base, PAPER};
    use crate::optim::RuleChoice;

    #[test]
    fn the_table_fits_the_registry() {
        for (name, _) in PAPER {
            let rule = RuleChoice::from(name);
            rule.build(&Base::Paper.settings(&rule)).unwrap();
            assert!(Base::Default.settings(&rule).is_empty());
        }
    }

    #[test]
    fn a_line_says_what_is_compared() {
        let with = |base: Base, name: &str, more: &[(&str, &str)]| {
            let rule = RuleChoice::from(name);
            let mut set = base.settings(&rule);
            set.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
            base.line(&rule, &set, None).unwrap()
        };
        let paper = |name, more| with(Base::Paper, name, more);
        assert_eq!(paper("velograd", &[]), "velograd: lr=0.0015 (as in the VeloGrad paper)");
        assert_eq!(paper("sgd", &[]), "sgd: lr=0.01, momentum=0.9, weight_decay=1e-4 (as in the VeloGrad paper)");
        assert_eq!(
            paper("adam", &[("lr", "0.1")]),
            "adam: lr=0.1, weight_decay=1e-4 (as in the VeloGrad paper, but for what was set)"
        );
        assert_eq!(paper("lion", &[]), "lion: lr=1e-4 (the rule's defaults)");
        assert_eq!(paper("lion", &[("beta1", "0.95")]), "lion: lr=1e-4, beta1=0.95 (as set)");
        assert_eq!(with(Base::Default, "sgd", &[]), "sgd: lr=0.001 (the rule's defaults)");
        let sgd = RuleChoice::from("sgd");
        let swept = Base::Paper.line(&sgd, &Base::Paper.settings(&sgd), Some("1e-4:1e-1:log7")).unwrap();
        assert!(swept.starts_with("sgd: lr=1e-4:1e-1:log7, momentum=0.9"), "{swept}");
    }
}
