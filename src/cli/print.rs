//! Printing that survives a reader who has gone (`velograd plan | head`).

use std::{
    fmt,
    io::{ErrorKind, Write as _, stderr, stdout},
};

/// `println!` without the panic. A reader who has gone is no error; a full disk is, and ends the program.
macro_rules! say {
    ($($argument:tt)*) => { $crate::cli::print::line(format_args!($($argument)*)) };
}

pub(super) fn line(text: fmt::Arguments<'_>) {
    match writeln!(stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = writeln!(stderr(), "error: cannot write to standard output: {error}");
            std::process::exit(1);
        }
        _ => {}
    }
}

/// A remark beside the output, which may be a table or JSON: to standard error.
pub(super) fn remark(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

pub(super) use say;
