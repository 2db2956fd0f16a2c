//! Prints as much as was asked for, and survives a closed pipe (`velograd plan | head`).

use std::{
    fmt,
    io::{ErrorKind, IsTerminal as _, Write as _, stderr, stdout},
};

use console::Term;

pub use super::level::{Level, choose, says};

use super::live;
use crate::lab::table::Table;

/// Prints a line of the result, like `println!` without the panic: a closed pipe is no error; a full disk is, and ends
/// the program.
macro_rules! say {
    ($($argument:tt)*) => { $crate::cli::print::line(format_args!($($argument)*)) };
}

/// Prints a line about progress, which `--quiet` leaves out.
macro_rules! note {
    ($($argument:tt)*) => {
        if $crate::cli::print::says($crate::cli::print::Level::Usual) {
            $crate::cli::print::line(format_args!($($argument)*))
        }
    };
}

pub fn line(text: fmt::Arguments<'_>) {
    let mut written = Ok(());
    live::above(|| written = writeln!(stdout().lock(), "{text}"));
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = writeln!(stderr(), "error: cannot write to standard output: {error}");
            std::process::exit(1);
        }
        _ => {}
    }
}

/// Prints a line like [`note`]'s to standard error, beside output that may be a table or JSON.
pub fn remark(text: &str) {
    if says(Level::Usual) {
        live::above(|| drop(writeln!(stderr(), "{text}")));
    }
}

/// Prints a table in lines that fit the terminal, or whole without one.
pub fn table(table: &Table) {
    let terminal = stdout().is_terminal().then(|| usize::from(Term::stdout().size().1));
    line(format_args!("{}", table.text_within(terminal.unwrap_or(usize::MAX)).trim_end()));
}

/// Prints lines that `--verbose` asks for.
pub fn explain(lines: impl IntoIterator<Item = String>) {
    if says(Level::Verbose) {
        lines.into_iter().for_each(|line| remark(&line));
    }
}

pub(super) use {note, say};
