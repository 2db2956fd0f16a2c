//! Printing that survives a reader who has gone (`velograd plan | head`), and as much of it as was asked for.

use std::{
    fmt,
    io::{ErrorKind, Write as _, stderr, stdout},
    sync::atomic::{AtomicU8, Ordering},
};

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

/// A line of the result: `println!` without the panic. A reader who has gone is no error; a full disk is, and ends the program.
macro_rules! say {
    ($($argument:tt)*) => { $crate::cli::print::line(format_args!($($argument)*)) };
}

/// A line about how things go, which `--quiet` leaves out.
macro_rules! note {
    ($($argument:tt)*) => {
        if $crate::cli::print::says($crate::cli::print::Level::Usual) {
            $crate::cli::print::line(format_args!($($argument)*))
        }
    };
}

pub fn line(text: fmt::Arguments<'_>) {
    match writeln!(stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = writeln!(stderr(), "error: cannot write to standard output: {error}");
            std::process::exit(1);
        }
        _ => {}
    }
}

/// A line of [`note`]'s kind beside the output, which may be a table or JSON: to standard error.
pub fn remark(text: &str) {
    if says(Level::Usual) {
        let _ = writeln!(stderr(), "{text}");
    }
}

/// Lines that `--verbose` asks for.
pub fn explain(lines: impl IntoIterator<Item = String>) {
    if says(Level::Verbose) {
        lines.into_iter().for_each(|line| remark(&line));
    }
}

pub(super) use {note, say};
