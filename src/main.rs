//! The program: an error becomes a message and an exit code, nothing else.

use std::{io::Write as _, process::ExitCode};

/// Tells libraries below Vulkan's loader where a session's sockets would be, where nobody does: they complain on standard error of
/// a missing `XDG_RUNTIME_DIR`, though nothing here draws to a window. The folder for temporary files has no such sockets.
#[allow(unsafe_code, reason = "the call says why it is sound")]
fn name_runtime_folder() {
    const NAME: &str = "XDG_RUNTIME_DIR";
    if cfg!(target_os = "linux") && std::env::var_os(NAME).is_none_or(|folder| folder.is_empty()) {
        // SAFETY: the first thing that the program does: no other thread is there to read the environment meanwhile.
        unsafe { std::env::set_var(NAME, std::env::temp_dir()) };
    }
}

fn main() -> ExitCode {
    name_runtime_folder();
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
