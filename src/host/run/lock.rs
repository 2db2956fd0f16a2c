//! Ensures that only one process writes to a folder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::error::{Error, Result};

/// How long a lock that is taken is tried again at least, since whoever asks whether it is taken has it for a moment, and how
/// long after: soon at first, and then less often.
const MOMENT: Duration = Duration::from_millis(50);
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(250)];

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
        let start = Instant::now();
        Self::wait(folder, &mut || start.elapsed() < MOMENT)
    }

    /// Locks the folder as [`Lock::take`] does, and waits for another process that has locked it, as long as `goes_on`.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn wait(folder: &Path, goes_on: &mut dyn FnMut() -> bool) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let path = file_of(folder);
        let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(Error::io("write to", &path))?;
        let [mut pause, longest] = PAUSES;
        let mut locked = file.try_lock();
        while matches!(locked, Err(TryLockError::WouldBlock)) && goes_on() {
            sleep(pause);
            pause = (2 * pause).min(longest);
            locked = file.try_lock();
        }
        match locked {
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

    /// Whether a process has locked the folder, in which nothing is changed. True where locks are not supported, and it
    /// therefore may have.
    pub fn is_taken(folder: &Path) -> bool {
        // A shared lock, so that two that ask do not see each other.
        File::open(file_of(folder)).is_ok_and(|file| file.try_lock_shared().is_err())
    }
}

fn file_of(folder: &Path) -> PathBuf {
    folder.join("lock")
}

#[cfg(test)]
mod tests {
    use super::Lock;

    #[test]
    fn a_lock_is_seen_and_ends_with_its_holder() {
        let folder = std::env::temp_dir().join(format!("velograd-lock-{}", std::process::id()));
        assert!(!Lock::is_taken(&folder), "there is no folder");
        let lock = Lock::take(&folder).unwrap();
        assert!(Lock::is_taken(&folder) && Lock::take(&folder).is_err());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| Lock::wait(&folder, &mut || true).map(drop));
            std::thread::sleep(std::time::Duration::from_millis(100));
            assert!(!waits.is_finished(), "it did not wait");
            drop(lock);
            waits.join().unwrap().unwrap();
        });
        assert!(!Lock::is_taken(&folder));
        drop(Lock::take(&folder).unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
