//! Reads the values in a header's TOML, and knows where in the rule's file they are.

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::super::{
    Fault,
    expression::{self, Expression},
};
use crate::error::suggest;

/// The most characters of a name.
pub const LONGEST: usize = 40;

/// The number of lines of the header, and the TOML in them. Spaces replace each `//!`, so that lines and columns are
/// those of the file.
pub fn toml_of(text: &str) -> (usize, String) {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    let toml: Vec<String> = lines.map(|rest| format!("   {rest}\n")).collect();
    (toml.len(), toml.concat())
}

/// The keys and values of a table, in the order of the file.
pub type Table<'a> = Vec<(&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>)>;

/// Reads the TOML of a header. Lines and columns are those of the file.
pub struct Reader<'a> {
    toml: &'a str,
}

impl<'a> Reader<'a> {
    /// A reader of the TOML that [`toml_of`] returned.
    pub fn new(toml: &'a str) -> Self {
        Self { toml }
    }

    /// The line and the column of a byte, both from 1.
    pub fn place(&self, at: usize) -> (usize, usize) {
        let before = &self.toml[..at.min(self.toml.len())];
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    pub fn fault<T>(&self, at: usize, message: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::new(self.place(at), message))
    }

    /// The entries of a value, which must be a table. `what` is its name in the fault.
    pub fn table<'v>(&self, value: &'v Spanned<DeValue<'v>>, what: &str) -> Result<Table<'v>, Fault> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(in_order(table)),
            other => self.fault(value.span().start, format!("{what} is a table, not a TOML {}", other.type_str())),
        }
    }

    pub fn string<'v>(&self, value: &'v Spanned<DeValue<'v>>, what: &str) -> Result<&'v str, Fault> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text),
            other => self.fault(value.span().start, format!("{what} is text, not a TOML {}", other.type_str())),
        }
    }

    pub fn flag(&self, value: &Spanned<DeValue<'_>>, what: &str) -> Result<bool, Fault> {
        match value.get_ref() {
            DeValue::Boolean(flag) => Ok(*flag),
            other => {
                self.fault(value.span().start, format!("{what} is true or false, not a TOML {}", other.type_str()))
            }
        }
    }

    pub fn number(&self, value: &Spanned<DeValue<'_>>, what: &str) -> Result<f64, Fault> {
        let number = match value.get_ref() {
            DeValue::Integer(v) if v.radix() == 10 => v.as_str().parse().ok(),
            DeValue::Float(v) => v.as_str().parse().ok(),
            _ => None,
        };
        match number.filter(|v: &f64| (*v as f32).is_finite()) {
            Some(number) => Ok(number),
            None => self.fault(value.span().start, format!("{what} is a number that f32 holds")),
        }
    }

    pub fn expression(&self, value: &Spanned<DeValue<'_>>, what: &str) -> Result<Expression, Fault> {
        let text = self.string(value, what)?;
        Expression::parse(text).or_else(|fault| self.fault(self.within(value, fault.at), fault.message))
    }

    /// The position in the header of byte `at` of a value that is a text.
    pub fn within(&self, value: &Spanned<DeValue<'_>>, at: usize) -> usize {
        let rest = &self.toml[value.span().start..];
        let quotes = if rest.starts_with("\"\"\"") || rest.starts_with("'''") { 3 } else { 1 };
        value.span().start + quotes + at
    }

    pub fn unknown<T>(&self, key: &Spanned<DeString<'_>>, of: &str, known: &[&str]) -> Result<T, Fault> {
        let name = key.get_ref();
        let fault = Fault::new(self.place(key.span().start), format!("{of} has no key `{name}`"));
        Err(fault.hint(suggest::hint(name, known)))
    }

    /// Checks that a key can be a name that the rule defines: in capitals or in small letters, and not a reserved word.
    pub fn name(&self, key: &Spanned<DeString<'_>>, capitals: bool) -> Result<String, Fault> {
        let name: &str = key.get_ref();
        let at = key.span().start;
        let letter = |c: char| if capitals { c.is_ascii_uppercase() } else { c.is_ascii_lowercase() };
        let rest = |c: char| letter(c) || c.is_ascii_digit() || c == '_';
        if name.len() > LONGEST || !name.starts_with(letter) || !name.chars().all(rest) || name.contains("__") {
            let letters = if capitals { "capitals" } else { "small letters" };
            let message = format!("`{name}`: a name here has {letters}, digits and single _, at most {LONGEST}");
            return self.fault(at, message);
        }
        if expression::is_reserved(name) || naga::keywords::wgsl::RESERVED.contains(&name) {
            return self.fault(at, format!("`{name}` is a word of WGSL or of expressions, and can be no name"));
        }
        Ok(name.to_owned())
    }

    pub fn few<T>(&self, list: &[T], most: usize, what: &str, at: usize) -> Result<(), Fault> {
        if list.len() > most {
            return self.fault(at, format!("a rule has at most {most} {what}, this one has {}", list.len()));
        }
        Ok(())
    }
}

/// The entries of a table, in the order of the file.
pub fn in_order<'v>(table: &'v DeTable<'v>) -> Table<'v> {
    let mut entries: Table<'v> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
