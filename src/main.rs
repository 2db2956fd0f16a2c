//! The program: an error becomes a message and an exit code, nothing else.

use std::{io::Write as _, process::ExitCode};

fn main() -> ExitCode {
    match velograd::cli::run() {
        Ok(code) => code,
        Err(error) => {
            // Names out of files are for reading, not for steering a terminal. Whoever read standard error may be gone.
            let plain = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
            let text: String = error.to_string().chars().map(plain).collect();
            let _ = writeln!(std::io::stderr(), "error: {text}");
            ExitCode::from(error.exit_code())
        }
    }
}
