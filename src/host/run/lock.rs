//! Ensures that only one process writes to a folder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::ErrorKind,
    path::Path,
};

use crate::error::{Error, Result};

/// A folder that no other process writes to. The lock is the operating system's and ends with the process, however that
/// ends; the file remains.
pub struct Lock {
    /// Open as long as the lock is held.
    _file: File,
}

impl Lock {
    /// Locks the folder, which is created if it does not exist.
    ///
    /// # Errors
    /// [`Error::Config`] if another process has locked it, [`Error::Io`] if it cannot be created or written to.
    pub fn take(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let path = folder.join("lock");
        let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(Error::io("write to", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let message = format!("{} is in use by another process", folder.display());
                Err(Error::config(message, "wait until it has ended, or choose another 'out'"))
            }
            // Some network file systems do not support locks.
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => Ok(Self { _file: file }),
            Err(TryLockError::Error(e)) => Err(Error::io("lock", &path)(e)),
        }
    }
}
