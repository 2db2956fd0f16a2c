//! How much is said.

use std::sync::atomic::{AtomicU8, Ordering};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Results and errors alone: `--quiet`.
    Quiet,
    /// How things go.
    Usual,
    /// What was chosen, and why: `--verbose`.
    Verbose,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Usual as u8);

/// Chooses how much is said from here on.
pub fn choose(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Whether what belongs to `level` is said.
pub fn says(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}
