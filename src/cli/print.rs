//! Printing that survives a reader who has gone (`velograd plan | head`), and as much of it as was asked for.

use std::{
    fmt,
    io::{ErrorKind, IsTerminal as _, Write as _, stderr, stdout},
};

use console::Term;

pub use super::level::{Level, choose, says};

use super::live;
use crate::lab::table::Table;

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

/// A line of [`note`]'s kind beside the output, which may be a table or JSON: to standard error.
pub fn remark(text: &str) {
    if says(Level::Usual) {
        live::above(|| drop(writeln!(stderr(), "{text}")));
    }
}

/// A table in lines as long as the terminal allows; whole where there is none.
pub fn table(table: &Table) {
    let terminal = stdout().is_terminal().then(|| usize::from(Term::stdout().size().1));
    line(format_args!("{}", table.text_within(terminal.unwrap_or(usize::MAX)).trim_end()));
}

/// Lines that `--verbose` asks for.
pub fn explain(lines: impl IntoIterator<Item = String>) {
    if says(Level::Verbose) {
        lines.into_iter().for_each(|line| remark(&line));
    }
}

pub(super) use {note, say};
