//! The errors of the environment and of the user: one type, whose variants say what was expected, what was found, and
//! give a hint.
//!
//! Bugs of the program itself (shapes that do not fit while a network is recorded) are panics that name the op.
//!
//! Messages name settings in single quotes: `'batch_size' is 0`. A front end may replace them by its own names; the
//! command line writes `--batch-size`. What was typed, and what may be typed instead, stands in backticks.

pub mod suggest;

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

/// A `Result` with the crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// A fault of the environment or of the user's input.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that is unknown, out of its range or contradicts another.
    #[error("{message}{}", hint_line(hint))]
    Config {
        /// What is wrong, with the value and the range.
        message: String,
        /// What to type instead; may be empty.
        hint: String,
        /// The setting at fault, if the error is about a single one.
        setting: Option<&'static str>,
    },
    /// There is no adapter, or none of the wanted name, or a device cannot do or hold what was asked of it.
    #[error("{message}{}", hint_line(hint))]
    Device {
        /// What was asked of which device.
        message: String,
        /// The package to install, the flag to use, or the batch that fits; may be empty.
        hint: String,
    },
    /// The device was lost while it was in use. Another device, or the same one opened anew, may continue.
    #[error("{message}{}", hint_line(hint))]
    Lost {
        /// Which device, and what it was doing.
        message: String,
        /// Why devices are lost.
        hint: String,
    },
    /// Numbers that had to be finite and are not.
    #[error("{message}{}", hint_line(hint))]
    NotFinite {
        /// Which numbers, and where they came up.
        message: String,
        /// What may help.
        hint: String,
    },
    /// A file or folder whose content is not what it should be.
    #[error("{}: expected {expected}, found {found}{}", path.display(), hint_line(hint))]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
        /// How to mend it; may be empty.
        hint: String,
    },
    /// The operating system refused an operation on a file or folder.
    #[error("cannot {action} {}: {source}{}", path.display(), hint_line(room(source)))]
    Io {
        /// A verb: "read", "create", "write to".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// A [`Error::Config`] about no setting in particular.
    pub fn config(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Config { message: message.into(), hint: hint.into(), setting: None }
    }

    /// A [`Error::Config`] about one setting, with its value and what it should be:
    ///
    /// ```
    /// let error = velograd::error::Error::setting("batch_size", 0, "at least 1");
    /// assert_eq!(error.to_string(), "'batch_size' is 0\n  hint: 'batch_size' is at least 1");
    /// ```
    pub fn setting(name: &'static str, found: impl Display, expected: impl Display) -> Self {
        Self::about(name, format!("'{name}' is {found}"), format!("'{name}' is {expected}"))
    }

    /// A [`Error::Config`] about one setting, with the caller's message and hint.
    pub fn about(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Config { message: message.into(), hint: hint.into(), setting: Some(name) }
    }

    /// A [`Error::Device`].
    pub fn device(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Device { message: message.into(), hint: hint.into() }
    }

    /// Adds what the device was doing to an [`Error::Device`] or [`Error::Lost`]; other errors are returned unchanged.
    #[must_use]
    pub fn during(self, doing: impl FnOnce() -> String) -> Self {
        match self {
            Self::Device { message, hint } => {
                Self::Device { message: format!("{message}\n  during: {}", doing()), hint }
            }
            Self::Lost { message, hint } => Self::Lost { message: format!("{message}\n  during: {}", doing()), hint },
            other => other,
        }
    }

    /// A [`Error::Data`].
    pub fn data(path: &Path, expected: impl Into<String>, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Data { path: path.to_owned(), expected: expected.into(), found: found.into(), hint: hint.into() }
    }

    /// Wraps an I/O error: `fs::read(p).map_err(Error::io("read", p))`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Names the setting at fault in an [`Error::Config`] that names none yet.
    #[must_use]
    pub fn of_setting(self, name: &'static str) -> Self {
        match self {
            Self::Config { message, hint, setting } => Self::Config { message, hint, setting: setting.or(Some(name)) },
            other => other,
        }
    }

    /// Applies `edit` to every text of the error but the operating system's.
    #[must_use]
    pub fn map_words(self, edit: impl Fn(String) -> String) -> Self {
        match self {
            Self::Config { message, hint, setting } => {
                Self::Config { message: edit(message), hint: edit(hint), setting }
            }
            Self::Device { message, hint } => Self::Device { message: edit(message), hint: edit(hint) },
            Self::Lost { message, hint } => Self::Lost { message: edit(message), hint: edit(hint) },
            Self::NotFinite { message, hint } => Self::NotFinite { message: edit(message), hint: edit(hint) },
            Self::Data { path, expected, found, hint } => {
                Self::Data { path, expected: edit(expected), found: edit(found), hint: edit(hint) }
            }
            Self::Io { .. } => self,
        }
    }

    /// The exit code of the program: 2 for an [`Error::Config`], 1 for any other error.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Config { .. }) { 2 } else { 1 }
    }
}

/// What helps where there is no room for a file; nothing for other faults.
fn room(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match source.kind() {
        StorageFull => "make room on its disk, or name a folder on another",
        QuotaExceeded => "make room within the user's quota, or name a folder on another disk",
        FileTooLarge => {
            "raise the limit on the size of files (ulimit -f), or name a folder on a disk that takes larger ones"
        }
        _ => "",
    }
}

fn hint_line(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("\n  hint: {hint}") }
}
