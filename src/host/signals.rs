//! Ctrl-C and SIGTERM: the first asks the run to stop where it can be continued from, the second ends it at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::error::{Error, Result};

/// Whether the run has been asked to stop. Copies share the answer.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Number of the signal; 0 before one came.
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// One that signals set from now on. A second signal ends the process with the code of [`Stop::exit_code`].
    ///
    /// # Errors
    /// [`Error::Device`] if the system takes no handlers.
    pub fn on_signals() -> Result<Self> {
        let stop = Self::default();
        let armed = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let handlers = || {
                // In this order: the first signal must not find what it arms for the second.
                flag::register_conditional_shutdown(signal, 128 + signal, armed.clone())?;
                flag::register(signal, armed.clone())?;
                flag::register_usize(signal, stop.signal.clone(), signal as usize)
            };
            handlers().map_err(|e| Error::device(format!("signals cannot be handled: {e}"), ""))?;
        }
        // Beyond a limit on the size of files, a write is to fail as on a full disk, not to kill.
        #[cfg(unix)]
        let _ = flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
        Ok(stop)
    }

    /// The exit code of a program that a signal has ended, 128 and the signal's number: 130 for Ctrl-C, 143 for SIGTERM.
    /// `None` before one came.
    pub fn exit_code(&self) -> Option<u8> {
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(128 + signal as u8),
        }
    }
}
