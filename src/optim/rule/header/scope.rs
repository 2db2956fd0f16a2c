//! The names that a rule's expressions may read.

use std::collections::BTreeMap;

use toml::{Spanned, de::DeValue};

use super::{
    super::{Fault, expression::Expression},
    INITIAL_LR, UPDATE,
    reader::Reader,
};
use crate::{
    error::suggest,
    optim::settings::{Kind, Setting},
};

/// What names mean in an expression.
#[derive(Clone, Copy, PartialEq)]
pub enum Context {
    /// Settings and constants.
    Settings,
    /// Those, t and scalars.
    Scalar,
    /// Those, what the device knows, and what it keeps.
    Kept,
}

/// The constants that flags and the words of choices become.
pub fn constants_of(setting: &Setting) -> Vec<String> {
    let key = setting.key.to_uppercase();
    match &setting.kind {
        Kind::Flag { .. } => vec![key],
        Kind::Choice { words } => words.iter().map(|word| format!("{key}_{}", word.to_uppercase())).collect(),
        _ => vec![],
    }
}

/// Names, and how often each was given.
#[derive(Default)]
pub struct Names(pub BTreeMap<String, usize>);

impl Names {
    /// Adds a name; false if it was there.
    pub fn insert_new(&mut self, name: String) -> bool {
        let count = self.0.entry(name).or_default();
        *count += 1;
        *count == 1
    }
}

/// The names that expressions may read.
pub struct Scope<'a> {
    pub settings: &'a [Setting],
    pub constants: Names,
    pub scalars: Vec<String>,
    pub kept: Vec<String>,
}

impl<'a> Scope<'a> {
    /// The names of the settings, and of the constants that they make.
    pub fn new(settings: &'a [Setting]) -> Self {
        let mut constants = Names::default();
        for name in settings.iter().flat_map(constants_of) {
            constants.insert_new(name);
        }
        Self { settings, constants, scalars: vec![], kept: vec![] }
    }

    fn known(&self, context: Context) -> Vec<String> {
        let readable = self.settings.iter().filter(|s| !matches!(s.kind, Kind::Choice { .. }) && s.key != "lr");
        let decay = |key: &str| key == "weight_decay" && context != Context::Settings;
        let mut known: Vec<String> = readable.map(|s| s.key.clone()).filter(|key| !decay(key)).collect();
        known.extend(self.constants.0.keys().cloned());
        match context {
            Context::Settings => known.push(INITIAL_LR.into()),
            Context::Scalar => {
                known.extend(["t", INITIAL_LR].map(str::to_owned));
                known.extend(self.scalars.iter().cloned());
            }
            Context::Kept => {
                known.extend(UPDATE.map(str::to_owned));
                known.extend(self.scalars.iter().chain(&self.kept).cloned());
            }
        }
        known
    }

    /// Whether a name means something.
    pub fn is_known(&self, name: &str, context: Context) -> bool {
        self.known(context).iter().any(|known| known == name)
    }
}

impl Reader<'_> {
    /// Refuses names that mean nothing here.
    pub fn names_known(
        &self,
        expression: &Expression,
        value: &Spanned<DeValue<'_>>,
        scope: &Scope<'_>,
        context: Context,
    ) -> Result<(), Fault> {
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
            if scope.settings.iter().any(|s| s.key == name && matches!(s.kind, Kind::Choice { .. })) {
                let constants = scope.constants.0.keys().filter(|c| c.starts_with(&name.to_uppercase())).cloned();
                let constants: Vec<String> = constants.collect();
                let message = format!("`{name}` is a word, not a number");
                return Err(Fault::new(place, message).hint(format!("its words are {}", constants.join(", "))));
            }
            if !scope.is_known(name, context) {
                let known = scope.known(context);
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                return Err(Fault::new(place, format!("`{name}` is not known here")).hint(suggest::hint(name, &known)));
            }
        }
        Ok(())
    }
}
