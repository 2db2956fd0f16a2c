//! The binary: it runs the command line and turns an error into a message and an exit code.

use std::{io::Write as _, process::ExitCode};

/// Sets `XDG_RUNTIME_DIR` where it is missing: libraries that Vulkan's loader uses would complain about that on
/// standard error, though nothing here opens a window. The folder for temporary files will do, since the sockets that
/// they look for are not there.
#[allow(unsafe_code, reason = "the call says why it is sound")]
fn name_runtime_folder() {
    const NAME: &str = "XDG_RUNTIME_DIR";
    if cfg!(target_os = "linux") && std::env::var_os(NAME).is_none_or(|folder| folder.is_empty()) {
        // SAFETY: this is the first thing that the program does, so no other thread can read the environment meanwhile.
        unsafe { std::env::set_var(NAME, std::env::temp_dir()) };
    }
}

fn main() -> ExitCode {
    name_runtime_folder();
    match velograd::cli::run() {
        Ok(code) => code,
        Err(error) => {
            // Names that come from files may hold control characters, which must not reach the terminal. A failed write
            // is ignored, since the reader of standard error may be gone.
            let plain = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
            let text: String = error.to_string().chars().map(plain).collect();
            let _ = writeln!(std::io::stderr(), "error: {text}");
            ExitCode::from(error.exit_code())
        }
    }
}
