//! The program: an error becomes a message and an exit code, nothing else.

use std::{io::Write as _, process::ExitCode};

fn main() -> ExitCode {
    match velograd::cli::run() {
        Ok(code) => code,
        Err(error) => {
            // Whoever read standard error may be gone.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
