//! The binary: it runs the command line and turns an error into a message and an exit code.

use std::process::ExitCode;

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

/// Has lavapipe take this rank's share of the processors, where several ranks of a machine would each take them all.
#[allow(unsafe_code, reason = "the call says why it is sound")]
fn share_processors() {
    const NAME: &str = "LP_NUM_THREADS";
    let launched = velograd::host::ranks::launched().filter(|launched| launched.local.has_others());
    if let (Some(launched), None) = (launched, std::env::var_os(NAME)) {
        let threads = launched.threads();
        // SAFETY: nothing has started a thread yet, so no other can read the environment meanwhile.
        unsafe { std::env::set_var(NAME, threads.to_string()) };
    }
}

fn main() -> ExitCode {
    name_runtime_folder();
    share_processors();
    match velograd::cli::run() {
        Ok(code) => code,
        Err(error) => {
            velograd::cli::print_error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
