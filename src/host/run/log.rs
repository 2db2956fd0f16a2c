//! `steps.jsonl` and `metrics.jsonl`: logs that resuming cuts back to whole rows.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result},
    host::files::read_text,
};

/// Most bytes of `metrics.jsonl` that are read: some two hundred thousand epochs.
pub const EPOCHS_LIMIT: u64 = 64 << 20;

/// A log of rows, one line each.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    /// Length of the rows so far in bytes.
    len: u64,
}

impl Log {
    /// Opens a log, new or with its first `rows` rows; what comes after them is cut off.
    pub(super) fn open(path: PathBuf, rows: u64) -> Result<Self> {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(Error::io("write to", &path))?;
        let (found, len) = whole_rows(&file, rows).map_err(Error::io("read", &path))?;
        if found < rows {
            return Err(Error::data(&path, format!("{rows} rows"), format!("{found} whole rows"), ""));
        }
        let cut = file.set_len(len).and_then(|()| file.seek(SeekFrom::Start(len)));
        cut.map_err(Error::io("write to", &path))?;
        Ok(Self { path, file, len })
    }

    /// Writes a line in one write, so that no line is torn if the process ends. The part of a line that a full disk
    /// took is cut off.
    pub(super) fn row(&mut self, row: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(row).expect("rows hold numbers");
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(|source| {
            let _ = self.file.set_len(self.len);
            let hint = "once there is room, the run can be continued from its newest checkpoint";
            Error::data(&self.path, format!("room for {} bytes more", line.len()), source.to_string(), hint)
        })?;
        self.len += line.len() as u64;
        Ok(())
    }

    /// Forces the rows to the disk.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io("write to", &self.path))
    }
}

/// Reads the rows of a log of at most `limit` bytes. A last line without a line feed, which a killed process may leave,
/// is not a row.
///
/// # Errors
/// [`Error::Io`] or [`Error::Data`] if the file cannot be read or is longer; [`Error::Data`] with the line's number if
/// a line is not such a row.
pub fn read_rows<T: DeserializeOwned>(path: &Path, limit: u64) -> Result<Vec<T>> {
    let text = read_text(path, limit)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let row = |(nth, line): (usize, &str)| {
        let wrong = |e: serde_json::Error| Error::data(path, "a row per line", format!("line {}: {e}", nth + 1), "");
        serde_json::from_str(line).map_err(wrong)
    };
    whole.lines().enumerate().map(row).collect()
}

/// Number of complete lines at the start of a file, at most `most`, and their length in bytes.
pub(super) fn whole_rows(file: &File, most: u64) -> std::io::Result<(u64, u64)> {
    let (mut reader, mut line) = (BufReader::new(file), Vec::new());
    let (mut rows, mut bytes) = (0, 0);
    while rows < most && reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
        rows += 1;
        bytes += line.len() as u64;
        line.clear();
    }
    Ok((rows, bytes))
}
