//! A rule in one file: its settings, its state and its numbers per update in TOML, and its formula as a WGSL function
//! of one element. `docs/RULES.md` teaches the format; the files in `shaders/optim/` that begin with `//!` are such
//! rules.
//!
//! All that can be checked without a device is checked before a rule is used: the header and its expressions
//! ([`header`], [`expression`]), what the WGSL contains ([`vet`]), and the kernels that are written around it
//! ([`kernel`]), which naga then validates. Nothing in a text from outside the program is trusted.

mod expression;
mod header;
mod kernel;
mod variant;
mod variants;
mod vet;

pub use expression::Products;
pub use header::Over;
pub use variant::Variant;
pub use variants::Variants;

use std::sync::Arc;

use header::Header;

use super::Setting;
use crate::{
    error::{Error, Result},
    program::shader::Piece,
};

/// The most bytes of a rule's file; the longest built-in one has less than 3,000.
pub const LONGEST: usize = 64 << 10;

/// A commented rule from which to start a new one.
pub const TEMPLATE: &str = include_str!("rule/template.wgsl");

/// What is wrong with a rule's file.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Line and column, both from 1.
    pub place: (usize, usize),
    /// What is wrong there.
    pub message: String,
    /// How to mend it. It may be empty.
    pub hint: String,
}

impl Fault {
    fn new(place: (usize, usize), message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: String::new() }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

/// A rule's file, read and checked.
#[derive(Debug)]
pub struct RuleFile {
    header: Header,
    /// The name of its update kernel; the names of its other kernels begin with it.
    kernel: String,
    /// The name of the file in errors.
    file: String,
    text: Arc<str>,
    foreign: bool,
    uses: vet::Uses,
}

impl RuleFile {
    /// Parses the file of a rule. `kernel` is the name of its update kernel, `file` the name of the file in errors;
    /// `foreign` says whether the text came from outside the program.
    ///
    /// # Errors
    /// [`Error::Config`] with file, line and column of what is wrong.
    pub fn parse(kernel: &str, file: &str, text: &str, foreign: bool) -> Result<Self> {
        let read = || {
            if text.len() > LONGEST {
                let message = format!("a rule has at most {LONGEST} bytes, this one has {}", text.len());
                return Err(Fault::new((1, 1), message));
            }
            vet::characters(text)?;
            let header = Header::parse(text)?;
            let uses = vet::tokens(file, text, &header)?;
            Ok((header, uses))
        };
        let (header, uses) = read().map_err(|fault| located(file, text, &fault))?;
        let (kernel, file, text) = (kernel.to_owned(), file.to_owned(), text.into());
        Ok(Self { header, kernel, file, text, foreign, uses })
    }

    /// The paper or code that the rule is from.
    pub fn source(&self) -> &str {
        &self.header.source
    }

    pub fn settings(&self) -> &[Setting] {
        &self.header.settings
    }

    /// The text of the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the text came from outside the program.
    pub fn is_foreign(&self) -> bool {
        self.foreign
    }

    fn fault(&self, fault: &Fault) -> Error {
        located(&self.file, &self.text, fault)
    }

    fn piece(&self) -> Piece {
        Piece { file: self.file.clone(), text: self.text.to_string(), foreign: self.foreign }
    }
}

/// The error for a fault, with the line that the fault is in.
fn located(file: &str, text: &str, fault: &Fault) -> Error {
    let (line, column) = fault.place;
    let mut message = format!("{file}:{line}:{column}: {}", fault.message);
    if let Some(source) = text.lines().nth(line.saturating_sub(1)).filter(|source| !source.trim().is_empty()) {
        // Only the part around the column is shown, so that a line of any length fits a terminal.
        let before = column.saturating_sub(1).min(source.chars().count());
        let skip = before.saturating_sub(40);
        let plain = |c: char| if c == '\t' || vet::is_unfit(c) { ' ' } else { c };
        let shown: String = source.chars().skip(skip).take(68).map(plain).collect();
        message += &format!("\n  {line:>4} | {}\n       | {:>2$}", shown.trim_end(), "^", before - skip + 1);
    }
    Error::config(message, fault.hint.clone())
}
