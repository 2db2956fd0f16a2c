//! Decides which names a rule's expressions may read.

use std::collections::BTreeSet;

use toml::{Spanned, de::DeValue};

use super::{
    super::{Fault, expression::Expression},
    INITIAL_LR, UPDATE,
    reader::Reader,
};
use crate::{
    error::suggest,
    settings::{Kind, Setting},
};

/// Where an expression stands, which decides what names it may read.
#[derive(Clone, Copy, PartialEq)]
pub enum Context {
    /// In a condition or a constant: settings and constants.
    Settings,
    /// In a scalar: also `t` and other scalars, but not `weight_decay`.
    Scalar,
    /// In a number that the device keeps: also `lr`, `grad_norm` and the numbers that the device keeps.
    Kept,
}

/// The names of the constants that a setting becomes in the WGSL: one for a flag, one per word of a choice, none for a
/// number.
pub fn constants_of(setting: &Setting) -> Vec<String> {
    let key = setting.key.to_uppercase();
    match &setting.kind {
        Kind::Flag { .. } => vec![key],
        Kind::Choice { words } => words.iter().map(|word| format!("{key}_{}", word.to_uppercase())).collect(),
        _ => vec![],
    }
}

/// The names that expressions may read.
pub struct Scope<'a> {
    pub settings: &'a [Setting],
    pub constants: BTreeSet<String>,
    pub scalars: Vec<String>,
    pub kept: Vec<String>,
}

impl Scope<'_> {
    fn known(&self, context: Context) -> Vec<String> {
        let readable = self.settings.iter().filter(|s| !matches!(s.kind, Kind::Choice { .. }) && s.key != "lr");
        let decay = |key: &str| key == "weight_decay" && context != Context::Settings;
        let mut known: Vec<String> = readable.map(|s| s.key.clone()).filter(|key| !decay(key)).collect();
        known.extend(self.constants.iter().cloned());
        match context {
            Context::Settings => known.push(INITIAL_LR.into()),
            Context::Scalar => {
                known.extend(["t", INITIAL_LR].map(str::to_owned));
                known.extend(self.scalars.iter().cloned());
            }
            Context::Kept => {
                known.extend(UPDATE.map(str::to_owned));
                known.push(INITIAL_LR.into());
                known.extend(self.scalars.iter().chain(&self.kept).cloned());
            }
        }
        known
    }

    /// Whether an expression may read this name.
    pub fn is_known(&self, name: &str, context: Context) -> bool {
        self.known(context).iter().any(|known| known == name)
    }
}

impl Reader<'_> {
    /// Parses an expression, and checks that it may read all of its names.
    pub fn expression_in(
        &self,
        value: &Spanned<DeValue<'_>>,
        what: &str,
        scope: &Scope<'_>,
        context: Context,
    ) -> Result<Expression, Fault> {
        let expression = self.expression(value, what)?;
        for (name, at) in expression.names() {
            let place = self.place(self.within(value, at));
            if name == "lr" && context != Context::Kept {
                let message = "`lr` changes from update to update: it is `at.lr` in the rule";
                return Err(
                    Fault::new(place, message).hint("the rate of the settings, before any schedule, is `initial_lr`")
                );
            }
            if name == "weight_decay" && context != Context::Settings {
                let message = "`weight_decay` is not the same for all tensors: it is `e.weight_decay` in the rule";
                let hint = "a tensor that weight decay leaves out has 0 there";
                return Err(Fault::new(place, message).hint(hint));
            }
            let choice = scope.settings.iter().find(|s| s.key == name && matches!(s.kind, Kind::Choice { .. }));
            if let Some(choice) = choice {
                let message = format!("`{name}` is a word, not a number");
                let hint = format!("its words are {}", constants_of(choice).join(", "));
                return Err(Fault::new(place, message).hint(hint));
            }
            if !scope.is_known(name, context) {
                let known = scope.known(context);
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                return Err(Fault::new(place, format!("`{name}` is not known here")).hint(suggest::hint(name, &known)));
            }
        }
        Ok(expression)
    }
}
