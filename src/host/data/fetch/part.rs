//! A file that is being fetched, under the name of its own with `.part` behind it.
//!
//! The part is kept when the program ends, however that ends, and goes on from its length. It gets the file's own name
//! only once it has the right length and checksum and is on the disk.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::table;
use crate::{
    error::{Error, Result},
    host::files::{self, sync_folder},
};

/// The part of a file, which this process alone writes.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Part {
    /// Opens the part of the file at `whole`, or creates it. Its folder must exist.
    ///
    /// # Errors
    /// [`Error::Config`] if another process is fetching the same file, [`Error::Data`] if the part is no ordinary file,
    /// [`Error::Io`] if it cannot be written to.
    pub(super) fn open(whole: &Path) -> Result<Self> {
        let path = part_of(whole);
        // Opening a pipe would wait for its reader.
        if fs::symlink_metadata(&path).is_ok_and(|kind| !kind.is_file()) {
            let hint = "move it away, since the file is written there until it is whole";
            return Err(Error::data(&path, "an ordinary file or none", "a folder, link, pipe or device", hint));
        }
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(Error::io("write to", &path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let message = format!("{} is being fetched by another process", whole.display());
                return Err(Error::config(message, "wait until it has ended, or choose another 'to'"));
            }
            // Some network file systems do not support locks.
            Err(TryLockError::Error(e)) if e.kind() != ErrorKind::Unsupported => {
                return Err(Error::io("lock", &path)(e));
            }
            _ => {}
        }
        let length = file.metadata().map_err(Error::io("read", &path))?.len();
        Ok(Self { path, file, length })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::io("write to", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Deletes the bytes.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(Error::io("write to", &self.path))?;
        self.length = 0;
        Ok(())
    }

    /// What differs from the file that was to be fetched; `None` if the part is that file.
    pub(super) fn fault(&self, of: &table::File) -> Result<Option<String>> {
        fault(&self.path, of)
    }

    /// Gives the part, which is whole, the file's name.
    pub(super) fn finish(self, whole: &Path) -> Result<()> {
        self.file.sync_all().map_err(Error::io("write to", &self.path))?;
        let path = self.path.clone();
        drop(self); // Windows cannot rename an open file
        fs::rename(&path, whole).map_err(Error::io("write to", whole))?;
        sync_folder(whole.parent().unwrap_or(Path::new(".")));
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.length == 0 {
            // An empty part is of no use; one that cannot be removed does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Where the part of a file is.
pub(super) fn part_of(whole: &Path) -> PathBuf {
    let mut name = whole.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// How the file at `path` differs from the published one in length or checksum.
pub(super) fn fault(path: &Path, of: &table::File) -> Result<Option<String>> {
    let length = fs::metadata(path).map_err(Error::io("read", path))?.len();
    if length != of.bytes {
        return Ok(Some(format!("{length} bytes")));
    }
    let (mut file, _) = files::open(path)?;
    let mut sum = Sha256::new();
    io::copy(&mut file, &mut sum).map_err(Error::io("read", path))?;
    let found = format!("{:x}", sum.finalize());
    Ok((found != of.sha256).then(|| format!("SHA-256 {found}")))
}
