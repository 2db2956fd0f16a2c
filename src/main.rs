//! The program: an error becomes a message and an exit code, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    match velograd::cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
