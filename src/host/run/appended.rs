//! A file that grows at its end, by whole pieces.

use std::{
    fs::{File, OpenOptions},
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// A file that grows at its end.
pub(super) struct Appended {
    path: PathBuf,
    file: File,
    /// Length of the whole pieces so far in bytes.
    len: u64,
}

impl Appended {
    /// Opens a file, new or existing. `kept` says how many bytes at its start stay; what comes after them is cut off.
    pub(super) fn open(path: &Path, kept: impl FnOnce(&File) -> Result<u64>) -> Result<Self> {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(Error::io("write to", path))?;
        let len = kept(&file)?;
        let cut = file.set_len(len).and_then(|()| file.seek(SeekFrom::Start(len)));
        cut.map_err(Error::io("write to", path))?;
        Ok(Self { path: path.to_owned(), file, len })
    }

    /// Writes a piece in one write, so that no piece is torn if the process ends. The part of a piece that a full disk
    /// took is cut off.
    pub(super) fn append(&mut self, piece: &[u8]) -> Result<()> {
        self.file.write_all(piece).map_err(|source| {
            let _ = self.file.set_len(self.len);
            let hint = "once there is room, the run can be continued from its newest checkpoint";
            Error::data(&self.path, format!("room for {} bytes more", piece.len()), source.to_string(), hint)
        })?;
        self.len += piece.len() as u64;
        Ok(())
    }

    /// Forces the pieces to the disk.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io("write to", &self.path))
    }
}
