//! Writing files so that a reader finds the old content or the new one, never half of it.
//!
//! A run may end at any moment: a checkpoint or picture that was being written must not take the good one before it
//! along. So the bytes go to a temporary name in the same folder (a rename works only within a file system), are
//! forced to the disk, and then take the place of the old file in one step.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How the names of temporary files begin.
const TEMPORARY: &str = ".velograd-";

/// Tells apart the temporary files of one process.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Writes `bytes` to `path`, replacing a file that is there, all or nothing. A symbolic link at `path` is replaced
/// itself, not what it points to. The folder must exist.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be written to, the disk is full or `path` names a folder; the file that was
/// there before is then unchanged and the temporary one is removed.
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
    drop(file); // Windows renames no open file
    if let Err(source) = written.and_then(|()| fs::rename(&temporary, path)) {
        // The first fault is the one to tell; a temporary file that cannot be removed is the lesser one.
        let _ = fs::remove_file(&temporary);
        return Err(Error::Io { action: "write to", path: path.to_owned(), source });
    }
    sync_folder(folder);
    Ok(())
}

/// Most bytes of a recipe or of a file of settings; the longest of ours are a few kilobytes.
pub const TEXT_LIMIT: u64 = 4 << 20;

/// A file of tensors is not longer: none that a device of today trains.
pub const TENSORS_LIMIT: u64 = 16 << 30;

/// A path that is right from any folder, as a file of settings keeps it.
pub fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Opens an ordinary file for reading and tells its length: a pipe or device may never end.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::Data`] if `path` is no ordinary file.
pub fn open(path: &Path) -> Result<(File, u64)> {
    let kind = fs::metadata(path).map_err(Error::io("read", path))?;
    if !kind.is_file() {
        let found = if kind.is_dir() { "a folder" } else { "a pipe or a device" };
        return Err(Error::data(path, "an ordinary file", found, ""));
    }
    Ok((File::open(path).map_err(Error::io("open", path))?, kind.len()))
}

/// Reads a whole file of at most `limit` bytes: a sparse file can claim any length.
///
/// # Errors
/// As [`open`], and [`Error::Data`] if it is longer.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let long = |length: u64| Error::data(path, format!("at most {limit} bytes"), format!("{length}"), "");
    let (file, length) = open(path)?;
    if length > limit {
        return Err(long(length));
    }
    // It may grow while it is read.
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

/// Removes what processes that were killed have left half written in `folder`. To be called when no other writes there.
pub fn remove_leftovers(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(TEMPORARY) && name.ends_with(".part")) {
            // It is in nobody's way but the disk's.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A new file in `folder`. The name does not hold the final one, which may already be as long as names can be.
fn create_temporary(folder: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{TEMPORARY}{}-{serial}.part", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            // Left by an earlier process of the same number: take the next name.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => return Ok((path, file)),
        }
    }
}

/// Forces the rename itself to the disk. Some file systems refuse; the file is whole either way.
fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}
