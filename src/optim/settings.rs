//! `KEY=VALUE` settings: typed, with defaults and ranges, the same for every optimizer.

use serde_json::json;

use super::Entry;
use crate::error::{Error, Result, suggest};

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A number in `[low, high)`; `high` may be infinite.
    Number {
        /// If not given.
        default: f64,
        /// Smallest.
        low: f64,
        /// One past the largest.
        high: f64,
    },
    /// A number in `[low, high]`.
    Closed {
        /// If not given.
        default: f64,
        /// Smallest.
        low: f64,
        /// Largest.
        high: f64,
    },
    /// A whole number of at least 1.
    Count {
        /// If not given.
        default: u32,
    },
    /// true or false.
    Flag {
        /// If not given.
        default: bool,
    },
    /// One of several words; the first is the default.
    Choice {
        /// The words.
        words: &'static [&'static str],
    },
}

/// One setting of an optimizer.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// Type, default and range.
    pub kind: Kind,
    /// What it is.
    pub doc: &'static str,
}

/// A setting's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of [`Kind::Number`] or [`Kind::Closed`].
    Number(f64),
    /// Of [`Kind::Count`].
    Count(u32),
    /// Of [`Kind::Flag`].
    Flag(bool),
    /// Of [`Kind::Choice`].
    Choice(&'static str),
}

/// All settings of an optimizer, the ones not given at their defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings(Vec<(&'static str, Value)>);

impl Settings {
    /// Checks and completes what was given. A key given twice takes its last value.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown key, or a value that is none or out of its range.
    pub fn parse(entry: &Entry, given: &[(String, String)]) -> Result<Self> {
        let mut values: Vec<_> = entry.settings.iter().map(|s| (s.key, s.default())).collect();
        for (key, text) in given {
            let Some(index) = entry.settings.iter().position(|s| s.key == key) else {
                let keys: Vec<_> = entry.settings.iter().map(|s| s.key).collect();
                let message = format!("`{}` has no setting `{key}`", entry.name);
                return Err(Error::config(message, suggest::hint(key, &keys)));
            };
            let setting = entry.settings[index];
            values[index].1 = setting.read(text).ok_or_else(|| {
                let message = format!("{}: {key}={text}: expected {}", entry.name, setting.range());
                Error::config(message, format!("{key} is {}", setting.doc))
            })?;
        }
        Ok(Self(values))
    }

    fn get(&self, key: &str) -> Value {
        self.0.iter().find(|(k, _)| *k == key).unwrap_or_else(|| panic!("no setting `{key}` is declared")).1
    }

    /// A number. Like the other accessors, panics if the optimizer's table has no such key of this kind.
    pub fn number(&self, key: &str) -> f64 {
        match self.get(key) {
            Value::Number(v) => v,
            other => panic!("setting `{key}` is {other:?}"),
        }
    }

    /// A whole number.
    pub fn count(&self, key: &str) -> u32 {
        match self.get(key) {
            Value::Count(v) => v,
            other => panic!("setting `{key}` is {other:?}"),
        }
    }

    /// A switch.
    pub fn flag(&self, key: &str) -> bool {
        match self.get(key) {
            Value::Flag(v) => v,
            other => panic!("setting `{key}` is {other:?}"),
        }
    }

    /// A word.
    pub fn choice(&self, key: &str) -> &'static str {
        match self.get(key) {
            Value::Choice(v) => v,
            other => panic!("setting `{key}` is {other:?}"),
        }
    }

    /// As a JSON object, for `run.json`.
    pub fn to_json(&self) -> serde_json::Value {
        let value = |v: &Value| match v {
            Value::Number(v) => json!(v),
            Value::Count(v) => json!(v),
            Value::Flag(v) => json!(v),
            Value::Choice(v) => json!(v),
        };
        self.0.iter().map(|(key, v)| ((*key).to_owned(), value(v))).collect::<serde_json::Map<_, _>>().into()
    }
}

impl Setting {
    /// A number of at least 0.
    pub(super) const fn number(key: &'static str, default: f64, doc: &'static str) -> Self {
        Self { key, kind: Kind::Number { default, low: 0.0, high: f64::INFINITY }, doc }
    }

    /// A number from 0 to below 1: the decay of a moving average.
    pub(super) const fn below_one(key: &'static str, default: f64, doc: &'static str) -> Self {
        Self { key, kind: Kind::Number { default, low: 0.0, high: 1.0 }, doc }
    }

    /// A number from 0 to 1.
    pub(super) const fn fraction(key: &'static str, default: f64, doc: &'static str) -> Self {
        Self { key, kind: Kind::Closed { default, low: 0.0, high: 1.0 }, doc }
    }

    /// The learning rate.
    pub(super) const fn lr(default: f64) -> Self {
        Self::number("lr", default, "the learning rate")
    }

    /// What a denominator is kept from zero by. It cannot be 0: an element whose gradient is always 0 must stay where it is,
    /// and an f32 flushed to zero would make its step 0/0.
    pub(super) const fn eps(default: f64, doc: &'static str) -> Self {
        Self { key: "eps", kind: Kind::Number { default, low: 1e-30, high: f64::INFINITY }, doc }
    }

    /// A switch.
    pub(super) const fn flag(key: &'static str, default: bool, doc: &'static str) -> Self {
        Self { key, kind: Kind::Flag { default }, doc }
    }

    /// One of several words, the first by default.
    pub(super) const fn choice(key: &'static str, words: &'static [&'static str], doc: &'static str) -> Self {
        Self { key, kind: Kind::Choice { words }, doc }
    }

    /// The default.
    pub fn default(&self) -> Value {
        match self.kind {
            Kind::Number { default, .. } | Kind::Closed { default, .. } => Value::Number(default),
            Kind::Count { default } => Value::Count(default),
            Kind::Flag { default } => Value::Flag(default),
            Kind::Choice { words } => Value::Choice(words[0]),
        }
    }

    fn read(&self, text: &str) -> Option<Value> {
        match self.kind {
            Kind::Number { low, high, .. } => {
                // The kernels compute in f32.
                let finite = |v: &f64| (*v as f32).is_finite() && (low..high).contains(v);
                text.parse().ok().filter(finite).map(Value::Number)
            }
            Kind::Closed { low, high, .. } => text.parse().ok().filter(|v| (low..=high).contains(v)).map(Value::Number),
            Kind::Count { .. } => text.parse().ok().filter(|&v| v > 0).map(Value::Count),
            Kind::Flag { .. } => match text.to_lowercase().as_str() {
                "true" | "on" | "1" => Some(Value::Flag(true)),
                "false" | "off" | "0" => Some(Value::Flag(false)),
                _ => None,
            },
            Kind::Choice { words } => words.iter().find(|w| **w == text).map(|w| Value::Choice(w)),
        }
    }

    /// The range in words.
    pub fn range(&self) -> String {
        match self.kind {
            // `{:?}` would write 0 as 0.0, `{}` writes 1e-30 with all its zeros.
            Kind::Number { low, high, .. } if high == f64::INFINITY && low > 0.0 => {
                format!("a number of at least {low:e} that f32 holds")
            }
            Kind::Number { low, high, .. } if high == f64::INFINITY => {
                format!("a number of at least {low} that f32 holds")
            }
            Kind::Number { low, high, .. } => format!("a number from {low} to below {high}"),
            Kind::Closed { low, high, .. } => format!("a number from {low} to {high}"),
            Kind::Count { .. } => "a whole number of at least 1".into(),
            Kind::Flag { .. } => "true or false".into(),
            Kind::Choice { words } => format!("one of {}", words.join(", ")),
        }
    }
}
