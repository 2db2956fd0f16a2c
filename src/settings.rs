//! The `KEY=VALUE` settings of update rules and networks, with types, defaults and ranges.

use std::fmt;

use serde_json::json;

use crate::error::{Error, Result, suggest};

/// The type of a setting, with its default and its range.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A number.
    Number {
        /// The value if none is given.
        default: f64,
        /// Which numbers are allowed.
        range: Range,
    },
    /// A whole number of at most 2^32 - 1.
    Whole {
        /// The value if none is given.
        default: u32,
        /// Which numbers are allowed.
        range: Range,
    },
    /// true or false.
    Flag {
        /// The value if none is given.
        default: bool,
    },
    /// One of several words; the first is the default.
    Choice {
        /// The words.
        words: Vec<String>,
    },
}

/// One end of a [`Range`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The value itself is allowed.
    Included(f64),
    /// The value itself is not allowed.
    Excluded(f64),
}

/// The numbers that a setting allows. If an end is absent, any number beyond it is allowed that an f32 holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// The lower end.
    pub low: Option<Bound>,
    /// The upper end.
    pub high: Option<Bound>,
}

impl Range {
    /// At least 0.
    pub const FROM_ZERO: Self = Self { low: Some(Bound::Included(0.0)), high: None };

    /// Whether the range allows this number. Kernels compute in f32, so a number is refused that an f32 does not hold,
    /// or holds as a subnormal, which a device may flush to zero.
    pub fn contains(&self, value: f64) -> bool {
        let single = value as f32;
        let held = single.is_finite() && (value == 0.0 || single.abs() >= f32::MIN_POSITIVE);
        let above = match self.low {
            None => true,
            Some(Bound::Included(low)) => value >= low,
            Some(Bound::Excluded(low)) => value > low,
        };
        let below = match self.high {
            None => true,
            Some(Bound::Included(high)) => value <= high,
            Some(Bound::Excluded(high)) => value < high,
        };
        held && above && below
    }
}

impl fmt::Display for Range {
    /// The words that follow "a number": " from 0 to below 1", " above 0".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Bound::{Excluded, Included};
        match (self.low, self.high) {
            (None, None) => Ok(()),
            (Some(Included(low)), None) => write!(f, " of at least {}", number(low)),
            (Some(Excluded(low)), None) => write!(f, " above {}", number(low)),
            (None, Some(Included(high))) => write!(f, " of at most {}", number(high)),
            (None, Some(Excluded(high))) => write!(f, " below {}", number(high)),
            (Some(Included(low)), Some(Included(high))) => write!(f, " from {} to {}", number(low), number(high)),
            (Some(Included(low)), Some(Excluded(high))) => write!(f, " from {} to below {}", number(low), number(high)),
            (Some(Excluded(low)), Some(Included(high))) => {
                write!(f, " above {} and at most {}", number(low), number(high))
            }
            (Some(Excluded(low)), Some(Excluded(high))) => {
                write!(f, " above {} and below {}", number(low), number(high))
            }
        }
    }
}

/// A number as people write it: 0, 0.9 and 1e-30 rather than 0.0 and thirty zeros.
fn number(value: f64) -> String {
    let size = value.abs();
    if value != 0.0 && !(1e-3..1e6).contains(&size) { format!("{value:e}") } else { value.to_string() }
}

/// One setting of a rule or a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its key.
    pub key: String,
    /// Type, default and range.
    pub kind: Kind,
    /// Its description.
    pub doc: String,
}

/// A setting's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The value of a [`Kind::Number`].
    Number(f64),
    /// The value of a [`Kind::Whole`].
    Whole(u32),
    /// The value of a [`Kind::Flag`].
    Flag(bool),
    /// The value of a [`Kind::Choice`].
    Choice(String),
}

impl fmt::Display for Value {
    /// The value as it is given in `KEY=VALUE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(v) => f.write_str(&number(*v)),
            Self::Whole(v) => v.fmt(f),
            Self::Flag(v) => v.fmt(f),
            Self::Choice(v) => f.write_str(v),
        }
    }
}

/// All settings of a rule or a network; those that were not given have their defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings(Vec<(String, Value)>);

impl Settings {
    /// Checks the settings that were given to `owner`, a rule or a network, and adds the defaults. If a key is given twice, its
    /// last value counts.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown key, or for a value of another type or out of range.
    pub fn parse(owner: &str, settings: &[Setting], given: &[(String, String)]) -> Result<Self> {
        let Self(mut values) = Self::defaults(settings);
        for (key, text) in given {
            let Some(index) = settings.iter().position(|s| s.key == *key) else {
                let keys: Vec<_> = settings.iter().map(|s| s.key.as_str()).collect();
                let message = format!("`{owner}` has no setting `{key}`");
                return Err(Error::config(message, suggest::hint(key, &keys)));
            };
            let setting = &settings[index];
            values[index].1 = setting.read(text).ok_or_else(|| {
                let message = format!("{owner}: {key}={text}: expected {}", setting.range());
                Error::config(message, format!("{key} is {}", setting.doc))
            })?;
        }
        Ok(Self(values))
    }

    /// Every setting at its default.
    pub fn defaults(settings: &[Setting]) -> Self {
        Self(settings.iter().map(|s| (s.key.clone(), s.default())).collect())
    }

    /// The value of a key.
    ///
    /// # Panics
    /// If no such key is declared.
    pub fn get(&self, key: &str) -> &Value {
        self.find(key).unwrap_or_else(|| panic!("no setting `{key}` is declared"))
    }

    /// The value of a key, if there is such a key.
    pub fn find(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// Settings that a JSON object holds, as [`to_json`](Self::to_json) writes them, as they are given in `KEY=VALUE`.
    pub fn given(object: &serde_json::Map<String, serde_json::Value>) -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        object.iter().map(|(key, value)| (key.clone(), text(value))).collect()
    }

    /// Keys and values, in the order in which they are declared.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of a number. Like the other accessors, it panics if no key of this type is declared.
    pub fn number(&self, key: &str) -> f64 {
        match self.get(key) {
            Value::Number(v) => *v,
            other => panic!("setting `{key}` is {other:?}"),
        }
    }

    /// The value of a whole number.
    pub fn whole(&self, key: &str) -> u32 {
        match self.get(key) {
            Value::Whole(v) => *v,
            other => panic!("setting `{key}` is {other:?}"),
        }
    }

    /// The value of a flag.
    pub fn flag(&self, key: &str) -> bool {
        match self.get(key) {
            Value::Flag(v) => *v,
            other => panic!("setting `{key}` is {other:?}"),
        }
    }

    /// The value of a choice.
    pub fn choice(&self, key: &str) -> &str {
        match self.get(key) {
            Value::Choice(v) => v,
            other => panic!("setting `{key}` is {other:?}"),
        }
    }

    /// The settings as a JSON object, for `run.json`.
    pub fn to_json(&self) -> serde_json::Value {
        let value = |v: &Value| match v {
            Value::Number(v) => json!(v),
            Value::Whole(v) => json!(v),
            Value::Flag(v) => json!(v),
            Value::Choice(v) => json!(v),
        };
        self.0.iter().map(|(key, v)| (key.clone(), value(v))).collect::<serde_json::Map<_, _>>().into()
    }
}

impl Setting {
    /// The default value.
    pub fn default(&self) -> Value {
        match &self.kind {
            Kind::Number { default, .. } => Value::Number(*default),
            Kind::Whole { default, .. } => Value::Whole(*default),
            Kind::Flag { default } => Value::Flag(*default),
            Kind::Choice { words } => Value::Choice(words[0].clone()),
        }
    }

    /// The value that a text stands for; `None` if it is of another type or out of range.
    pub fn read(&self, text: &str) -> Option<Value> {
        match &self.kind {
            Kind::Number { range, .. } => text.parse().ok().filter(|v| range.contains(*v)).map(Value::Number),
            Kind::Whole { range, .. } => text.parse().ok().filter(|v| range.contains(f64::from(*v))).map(Value::Whole),
            Kind::Flag { .. } => match text.to_lowercase().as_str() {
                "true" | "on" | "1" => Some(Value::Flag(true)),
                "false" | "off" | "0" => Some(Value::Flag(false)),
                _ => None,
            },
            Kind::Choice { words } => words.iter().find(|w| *w == text).cloned().map(Value::Choice),
        }
    }

    /// The allowed values in words.
    pub fn range(&self) -> String {
        match &self.kind {
            Kind::Number { range, .. } if range.low.is_none() || range.high.is_none() => {
                format!("a number{range} that f32 holds")
            }
            Kind::Number { range, .. } => format!("a number{range}"),
            Kind::Whole { range, .. } => format!("a whole number{range}"),
            Kind::Flag { .. } => "true or false".into(),
            Kind::Choice { words } => format!("one of {}", words.join(", ")),
        }
    }
}

// Constructors, with which the tables of the registry are written.
impl Setting {
    fn new(key: &str, kind: Kind, doc: &str) -> Self {
        Self { key: key.into(), kind, doc: doc.into() }
    }

    /// A number of at least 0.
    pub fn number(key: &str, default: f64, doc: &str) -> Self {
        Self::new(key, Kind::Number { default, range: Range::FROM_ZERO }, doc)
    }

    /// A number from 0 to below 1: the decay of a moving average.
    pub fn below_one(key: &str, default: f64, doc: &str) -> Self {
        let range = Range { high: Some(Bound::Excluded(1.0)), ..Range::FROM_ZERO };
        Self::new(key, Kind::Number { default, range }, doc)
    }

    /// A number above 0 and below 1.
    pub fn share(key: &str, default: f64, doc: &str) -> Self {
        let range = Range { low: Some(Bound::Excluded(0.0)), high: Some(Bound::Excluded(1.0)) };
        Self::new(key, Kind::Number { default, range }, doc)
    }

    /// A number from 0 to 1.
    pub fn fraction(key: &str, default: f64, doc: &str) -> Self {
        let range = Range { high: Some(Bound::Included(1.0)), ..Range::FROM_ZERO };
        Self::new(key, Kind::Number { default, range }, doc)
    }

    /// A whole number of at least `low`, and at most `high` if that is given.
    pub fn whole(key: &str, default: u32, low: u32, high: Option<u32>, doc: &str) -> Self {
        let included = |end: u32| Bound::Included(f64::from(end));
        let range = Range { low: Some(included(low)), high: high.map(included) };
        Self::new(key, Kind::Whole { default, range }, doc)
    }

    /// The learning rate.
    pub fn lr(default: f64) -> Self {
        Self::number("lr", default, "the learning rate")
    }

    /// A term that keeps a denominator from zero. It cannot be 0, or flushed to 0: an element whose gradient is always
    /// 0 must stay where it is, and its step would be 0/0.
    pub fn above_zero(key: &str, default: f64, doc: &str) -> Self {
        let range = Range { low: Some(Bound::Excluded(0.0)), high: None };
        Self::new(key, Kind::Number { default, range }, doc)
    }

    /// [`Setting::above_zero`] under its usual name.
    pub fn eps(default: f64, doc: &str) -> Self {
        Self::above_zero("eps", default, doc)
    }

    /// true or false.
    pub fn flag(key: &str, default: bool, doc: &str) -> Self {
        Self::new(key, Kind::Flag { default }, doc)
    }

    /// One of several words, the first by default.
    pub fn choice(key: &str, words: &[&str], doc: &str) -> Self {
        Self::new(key, Kind::Choice { words: words.iter().map(|word| (*word).to_owned()).collect() }, doc)
    }
}
