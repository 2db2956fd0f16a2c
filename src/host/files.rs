//! Reads files of bounded length, and writes files atomically.
//!
//! A process may be killed at any moment, and a file that is being written must not destroy the version before it. So
//! the bytes go to a temporary file in the same folder (a rename works only within a file system), are forced to the
//! disk, and then replace the old file in one step: a reader finds the old content or the new, never a part.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Prefix of the names of temporary files.
const TEMPORARY: &str = ".velograd-";

/// Distinguishes the temporary files of one process.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Writes `bytes` to `path` atomically and replaces a file that exists. A symbolic link at `path` is replaced itself,
/// not its target. The folder must exist.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be written to or the disk is full, [`Error::Data`] if `path` is a folder, pipe or
/// device. A file that existed is then unchanged, and the temporary one is removed.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    if path.file_name().is_none() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a file name");
        return Err(Error::Io { action: "write to", path: path.to_owned(), source });
    }
    if fs::symlink_metadata(path).is_ok_and(|kind| !kind.is_file() && !kind.is_symlink()) {
        return Err(Error::data(path, "an ordinary file or a new name", "a folder, pipe or device", ""));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let (temporary, mut file) = create_temporary(folder).map_err(Error::io("write to", path))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file); // Windows cannot rename an open file
    if let Err(source) = written.and_then(|()| fs::rename(&temporary, path)) {
        // The first error is the one to report; a temporary file that cannot be removed matters less.
        let _ = fs::remove_file(&temporary);
        return Err(Error::Io { action: "write to", path: path.to_owned(), source });
    }
    sync_folder(folder);
    Ok(())
}

/// Most bytes of a recipe or a settings file that are read; the program's own have a few kilobytes.
pub const TEXT_LIMIT: u64 = 4 << 20;

/// Most bytes of a file of tensors that are read: more than today's devices can train.
pub const TENSORS_LIMIT: u64 = 16 << 30;

/// The absolute form of a path, which settings files keep so that it is valid from any folder.
pub fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Opens a regular file for reading and returns it with its length in bytes. A pipe or device is refused: it may never
/// end.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::Data`] if `path` is not a regular file.
pub fn open(path: &Path) -> Result<(File, u64)> {
    let kind = fs::metadata(path).map_err(Error::io("read", path))?;
    if !kind.is_file() {
        let found = if kind.is_dir() { "a folder" } else { "a pipe or a device" };
        return Err(Error::data(path, "an ordinary file", found, ""));
    }
    Ok((File::open(path).map_err(Error::io("open", path))?, kind.len()))
}

/// Reads a whole file of at most `limit` bytes. Without a limit a sparse file, which can claim any length, would fill
/// the memory.
///
/// # Errors
/// As [`open`], and [`Error::Data`] if it is longer.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let long = |length: u64| Error::data(path, format!("at most {limit} bytes"), format!("{length}"), "");
    let (file, length) = open(path)?;
    if length > limit {
        return Err(long(length));
    }
    // The file may grow while it is read.
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > limit { Err(long(bytes.len() as u64)) } else { Ok(bytes) }
}

/// The CRC-32 of a file's bytes.
///
/// # Errors
/// As [`open`].
pub fn crc32(path: &Path) -> Result<u32> {
    let (mut file, _) = open(path)?;
    let (mut sum, mut part) = (crc32fast::Hasher::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut part).map_err(Error::io("read", path))? {
            0 => return Ok(sum.finalize()),
            bytes => sum.update(&part[..bytes]),
        }
    }
}

/// Reads a text of at most `limit` bytes.
///
/// # Errors
/// As [`read`], and [`Error::Data`] if it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String> {
    String::from_utf8(read(path, limit)?)
        .map_err(|e| Error::data(path, "text in UTF-8", e.utf8_error().to_string(), ""))
}

/// Removes temporary files that killed processes have left in `folder`. No other process may be writing there.
pub fn remove_leftovers(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(TEMPORARY) && name.ends_with(".part")) {
            // A file that cannot be removed only takes space.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Creates a file in `folder`. Its name does not contain the final one, which may already have the greatest length
/// allowed.
fn create_temporary(folder: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{TEMPORARY}{}-{serial}.part", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            // An earlier process with the same ID left it: try the next name.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => return Ok((path, file)),
        }
    }
}

/// Forces the rename to the disk. Some file systems refuse, but the file is complete either way.
pub(crate) fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}
