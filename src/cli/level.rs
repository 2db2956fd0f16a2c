//! How much the program prints.

use std::sync::atomic::{AtomicU8, Ordering};

/// How much the program prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Only errors: ranks but the first.
    Mute,
    /// Only results and errors: `--quiet`.
    Quiet,
    /// Progress and remarks too.
    Usual,
    /// Also what was chosen, and why: `--verbose`.
    Verbose,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Usual as u8);

/// Sets how much is printed from here on.
pub fn choose(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Whether messages of this level are printed.
pub fn says(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}
