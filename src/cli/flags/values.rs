//! Parsers of values that a recipe may write in more than one way, for serde's `with` and for clap's `value_parser`.

use std::{fmt, str::FromStr};

use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de};
use serde_json::{Map, Value};

/// Parses a finite number: JSON, in which flags are kept, has no others.
pub fn number(text: &str) -> Result<f64, String> {
    text.trim().parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| "expected a number".to_owned())
}

/// Parses `on` or `off`.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}

/// Parses a value with the library's `FromStr`, whose errors have hints.
pub fn parsed<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|e: T::Err| e.to_string())
}

/// A value as a word; a list becomes its words with commas.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Array(list) => list.iter().map(word).collect::<Option<Vec<_>>>().map(|words| words.join(",")),
        Value::Null | Value::Object(_) => None,
    }
}

/// A text as the value that it would be in a recipe: a number if that reads back as the same text.
fn natural(text: &str) -> Value {
    if let Ok(whole) = text.parse::<i64>().map_err(drop).and_then(|n| (n.to_string() == text).then_some(n).ok_or(())) {
        return whole.into();
    }
    // An integer too long for 64 bits has more digits than an f64 keeps.
    let real = text.contains(['.', 'e', 'E']).then(|| text.parse::<f64>().ok()).flatten();
    let number = real.and_then(serde_json::Number::from_f64);
    match (number, text) {
        (Some(number), _) => Value::Number(number),
        (None, "true") => true.into(),
        (None, "false") => false.into(),
        _ => text.into(),
    }
}

/// A value written as text; read from a text, a number, or a list of both.
pub mod text {
    use super::*;

    pub fn serialize<T: fmt::Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(T::to_string).serialize(to)
    }

    pub fn deserialize<'de, T: FromStr<Err: fmt::Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        match Value::deserialize(from)? {
            Value::Null => Ok(None),
            value => {
                let word = word(&value).ok_or_else(|| de::Error::custom(format!("expected text, found {value}")))?;
                word.parse().map(Some).map_err(de::Error::custom)
            }
        }
    }
}

/// Names separated by commas, or a list of them.
pub mod names {
    use super::*;

    pub fn serialize<T: fmt::Display, S: Serializer>(names: &[T], to: S) -> Result<S::Ok, S::Error> {
        let names: Vec<String> = names.iter().map(T::to_string).collect();
        (!names.is_empty()).then_some(names).serialize(to)
    }

    pub fn deserialize<'de, T: FromStr<Err: fmt::Display>, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
        let value = Value::deserialize(from)?;
        let found = || de::Error::custom(format!("expected names, found {value}"));
        let words = if value.is_null() { Some(String::new()) } else { word(&value) }.ok_or_else(found)?;
        let names = words.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| name.parse().map_err(de::Error::custom)).collect()
    }
}

/// What [`switch`] reads.
pub fn switch_word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// `on`, `off`, true or false.
pub mod on_off {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Option<bool>, to: S) -> Result<S::Ok, S::Error> {
        value.map(switch_word).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
        let value = Value::deserialize(from)?;
        let read = |word: String| switch(&word).map_err(|e| de::Error::custom(format!("{e}, found {value}")));
        one(&value, "on or off")?.map(read).transpose()
    }
}

/// A whole number of up to 64 bits. TOML's integers end at 63 bits, so a larger one is written as text.
pub mod whole {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        let value = Value::deserialize(from)?;
        let read = |word: String| {
            word.parse().map_err(|_| de::Error::custom(format!("expected a whole number of at least 0, found {value}")))
        };
        one(&value, "a whole number of at least 0")?.map(read).transpose()
    }
}

/// The word of a value, `None` for null; lists and tables are refused.
fn one<E: de::Error>(value: &Value, expected: &str) -> Result<Option<String>, E> {
    if value.is_null() {
        return Ok(None);
    }
    word(value).map(Some).ok_or_else(|| E::custom(format!("expected {expected}, found {value}")))
}

/// Settings by name: a table, which may hold tables (`[set.adam]` with `lr` is `adam:lr`), or a list of `KEY=VALUE`.
pub mod pairs {
    use super::*;

    pub fn serialize<S: Serializer>(pairs: &[(String, String)], to: S) -> Result<S::Ok, S::Error> {
        pairs.iter().map(|(key, value)| (key.clone(), natural(value))).collect::<Map<_, _>>().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, String)>, D::Error> {
        let mut pairs = Vec::new();
        match Value::deserialize(from)? {
            Value::Null => {}
            Value::Object(table) => collect("", &table, &mut pairs).map_err(de::Error::custom)?,
            Value::Array(list) => {
                for value in list {
                    let pair = value.as_str().ok_or_else(|| format!("expected KEY=VALUE, found {value}"));
                    pairs.push(pair.and_then(key_value).map_err(de::Error::custom)?);
                }
            }
            other => return Err(de::Error::custom(format!("expected a table of settings, found {other}"))),
        }
        Ok(pairs)
    }

    fn collect(before: &str, table: &Map<String, Value>, pairs: &mut Vec<(String, String)>) -> Result<(), String> {
        for (key, value) in table {
            let key = if before.is_empty() { key.clone() } else { format!("{before}:{key}") };
            match value {
                Value::Object(inner) if before.is_empty() => collect(&key, inner, pairs)?,
                value => {
                    let word = word(value).ok_or_else(|| format!("expected a value for `{key}`, found {value}"))?;
                    pairs.push((key, word));
                }
            }
        }
        Ok(())
    }
}

/// Splits `KEY=VALUE`.
///
/// # Errors
/// If there is no `=` or nothing before it.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("expected KEY=VALUE, found `{text}`")),
    }
}

/// Splits `NAME:KEY=VALUE` into `NAME:KEY` and the value.
pub fn named_key_value(text: &str) -> Result<(String, String), String> {
    match key_value(text) {
        Ok((key, value)) if key.rsplit_once(':').is_some_and(|(name, key)| !name.is_empty() && !key.is_empty()) => {
            Ok((key, value))
        }
        _ => Err(format!("expected NAME:KEY=VALUE, found `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A setting given as text reads the same after it was kept as a number.
    #[test]
    fn a_text_that_is_a_number_stays_what_it_was() {
        for (text, kept) in
            [("0.001", "0.001"), ("1e-3", "0.001"), ("5", "5"), ("1.0", "1.0"), ("-1", "-1"), ("-0.0", "-0.0")]
        {
            let word = word(&natural(text)).unwrap();
            assert_eq!(word, kept);
            assert_eq!(word.parse::<f64>().unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits());
        }
        for text in ["true", "nan", "inf", "1e999", "0x10", "flat", "", "1_000", "-0", "07", "18446744073709551615"] {
            assert_eq!(word(&natural(text)).unwrap(), text);
        }
    }

    #[test]
    fn only_numbers_are_numbers() {
        assert_eq!(number(" 1e-3 "), Ok(1e-3));
        for wrong in ["nan", "inf", "-inf", "1e999", "", "one"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
        assert!(named_key_value("adam:lr=1").is_ok() && named_key_value("a:b.wgsl:lr=1").is_ok());
        for wrong in ["lr=1", ":lr=1", "adam:=1", "adam:lr"] {
            assert!(named_key_value(wrong).is_err(), "{wrong}");
        }
    }
}
