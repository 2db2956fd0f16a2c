//! A rule in one file: its settings, its state and its numbers per update in TOML, its formula as a function of an element in WGSL.
//! `docs/RULES.md` teaches the format; the files in `shaders/optim/` that begin with `//!` are such rules.
//!
//! Reading checks all that can be checked without a device: header and expressions ([`header`], [`expression`]), what the text may
//! hold at all ([`vet`]), and the kernels that are written around it ([`kernel`]), which naga then validates. A text from outside
//! the program is believed nothing.

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

/// Most bytes of a rule's file; the longest of ours has three thousand.
pub const LONGEST: usize = 64 << 10;

/// A commented rule to start one's own from.
pub const TEMPLATE: &str = include_str!("rule/template.wgsl");

/// What is wrong with a rule's file.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Line and column, both from 1.
    pub place: (usize, usize),
    /// What is wrong there.
    pub message: String,
    /// How to mend it; may be empty.
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
    /// What its kernels are called.
    kernel: String,
    /// The file, as faults name it.
    file: String,
    text: Arc<str>,
    foreign: bool,
    uses: vet::Uses,
}

impl RuleFile {
    /// Reads a rule. `kernel` is what its kernels are called, `file` what faults call the file; `foreign` says that the text came
    /// from outside the program.
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

    /// Where the rule is from.
    pub fn source(&self) -> &str {
        &self.header.source
    }

    /// What can be set.
    pub fn settings(&self) -> &[Setting] {
        &self.header.settings
    }

    /// The whole text.
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

/// A fault with the line that it is in.
fn located(file: &str, text: &str, fault: &Fault) -> Error {
    let (line, column) = fault.place;
    let mut message = format!("{file}:{line}:{column}: {}", fault.message);
    if let Some(source) = text.lines().nth(line.saturating_sub(1)).filter(|source| !source.trim().is_empty()) {
        // A window of it, so that a line of any length fits a terminal.
        let before = column.saturating_sub(1).min(source.chars().count());
        let skip = before.saturating_sub(40);
        let plain = |c: char| if c == '\t' || vet::is_unfit(c) { ' ' } else { c };
        let shown: String = source.chars().skip(skip).take(68).map(plain).collect();
        message += &format!("\n  {line:>4} | {}\n       | {:>2$}", shown.trim_end(), "^", before - skip + 1);
    }
    Error::config(message, fault.hint.clone())
}
