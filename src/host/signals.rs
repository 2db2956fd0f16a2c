//! Ctrl-C, SIGTERM and, where there is one, SIGUSR1: the first signal asks the run to stop with a checkpoint, the second ends the process at once.

#[cfg(not(target_family = "wasm"))]
use std::sync::atomic::AtomicBool;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

#[cfg(not(target_family = "wasm"))]
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

#[cfg(not(target_family = "wasm"))]
use crate::error::{Error, Result};

/// Lets a write beyond the limit on the size of files fail, as it does on a full disk, instead of killing the process.
pub fn survive_the_limit_on_files() {
    #[cfg(unix)]
    let _ = flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// The signals. `mpirun` passes SIGUSR1 on and leaves the processes alone, while after SIGTERM it kills them within a second.
#[cfg(not(target_family = "wasm"))]
const SIGNALS: &[i32] = &[
    SIGINT,
    SIGTERM,
    #[cfg(unix)]
    signal_hook::consts::SIGUSR1,
];

/// Whether the run has been asked to stop. Clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Number of the signal; 0 until one arrives.
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// A `Stop` that signals set from now on. A second signal ends the process with the code of [`Stop::exit_code`].
    ///
    /// # Errors
    /// [`Error::Device`] if the handlers cannot be installed.
    #[cfg(not(target_family = "wasm"))]
    pub fn on_signals() -> Result<Self> {
        let stop = Self::default();
        let armed = Arc::new(AtomicBool::new(false));
        for &signal in SIGNALS {
            let handlers = || {
                // Handlers run in order of registration: the first signal must not find the shutdown that it arms.
                flag::register_conditional_shutdown(signal, 128 + signal, armed.clone())?;
                flag::register(signal, armed.clone())?;
                flag::register_usize(signal, stop.signal.clone(), signal as usize)
            };
            handlers().map_err(|e| Error::device(format!("signals cannot be handled: {e}"), ""))?;
        }
        Ok(stop)
    }

    /// The exit code of a program that a signal has ended, 128 plus the signal's number: 130 for Ctrl-C, 143 for
    /// SIGTERM, 138 for SIGUSR1 on Linux. `None` until a signal arrives.
    pub fn exit_code(&self) -> Option<u8> {
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(128 + signal as u8),
        }
    }
}
