//! Prints as much as was asked for, and survives a closed pipe (`velograd plan | head`).

use std::{
    fmt,
    io::{ErrorKind, IsTerminal as _, Write as _, stderr, stdout},
};

use console::Term;

pub use super::level::{Level, choose, says};

use super::live;
use crate::lab::{plain::plain, table::Table};

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
    if !says(Level::Quiet) {
        return;
    }
    let mut written = Ok(());
    live::above(|| written = writeln!(stdout().lock(), "{text}"));
    if let Err(error) = written {
        cannot_write(&error);
    }
}

/// Ends the program if standard output cannot be written to, unless its reader is gone.
fn cannot_write(error: &std::io::Error) {
    if error.kind() != ErrorKind::BrokenPipe {
        let _ = writeln!(stderr(), "error: cannot write to standard output: {error}");
        std::process::exit(1);
    }
}

/// Prints a line like [`note`]'s to standard error, beside output that may be a table or JSON.
pub fn remark(text: &str) {
    if says(Level::Usual) {
        live::above(|| drop(writeln!(stderr(), "{text}")));
    }
}

/// Prints an error. Names that come from files may hold control characters, which must not reach the terminal.
pub fn error(error: &impl fmt::Display) {
    let text = plain(&error.to_string(), &['\n']);
    // A failed write is ignored, since the reader of standard error may be gone.
    live::above(|| drop(writeln!(stderr(), "error: {text}")));
}

/// Prints a piece of a text at once, to a terminal without characters that it would obey. Returns false if nobody reads on.
pub fn part(text: &str) -> bool {
    let text = if stdout().is_terminal() { plain(text, &['\n', '\t']) } else { text.to_owned() };
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => true,
        Err(error) => {
            cannot_write(&error);
            false
        }
    }
}

/// The characters of a line on the terminal; without one there is no limit.
pub fn width() -> usize {
    let terminal = stdout().is_terminal().then(|| usize::from(Term::stdout().size().1));
    terminal.unwrap_or(usize::MAX)
}

/// Prints a table in lines that fit the terminal, or whole without one.
pub fn table(table: &Table) {
    line(format_args!("{}", table.text_within(width()).trim_end()));
}

/// Prints lines that `--verbose` asks for.
pub fn explain(lines: impl IntoIterator<Item = String>) {
    if says(Level::Verbose) {
        lines.into_iter().for_each(|line| remark(&line));
    }
}

pub(super) use {note, say};
