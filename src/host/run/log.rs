//! `steps.jsonl` and `metrics.jsonl`: logs that resuming cuts back to whole rows.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::appended::Appended;
use crate::{
    error::{Error, Result},
    host::files::{self, read_text},
};

/// Most bytes of `metrics.jsonl` that are read: some two hundred thousand epochs.
pub const EPOCHS_LIMIT: u64 = 64 << 20;

/// A row with its values by name, as a line has it.
pub(super) type Row = serde_json::Map<String, Value>;

/// A log of rows, one line each.
pub(super) struct Log(Appended);

impl Log {
    /// Opens a log, new or with its first `rows` rows; what comes after them is cut off.
    pub(super) fn open(path: &Path, rows: u64) -> Result<Self> {
        let kept = |file: &File| {
            let (found, len) = whole_rows(file, rows).map_err(Error::io("read", path))?;
            if found < rows {
                return Err(Error::data(path, format!("{rows} rows"), format!("{found} whole rows"), ""));
            }
            Ok(len)
        };
        Appended::open(path, kept).map(Self)
    }

    /// Writes a line, and returns it.
    pub(super) fn row(&mut self, row: &impl Serialize) -> Result<String> {
        let mut line = serde_json::to_string(row).expect("rows hold numbers");
        line.push('\n');
        self.0.append(line.as_bytes())?;
        Ok(line)
    }

    /// Forces the rows to the disk.
    pub(super) fn sync(&self) -> Result<()> {
        self.0.sync()
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
    whole.lines().enumerate().map(|(nth, line)| parse(path, nth, line)).collect()
}

/// Hands over the rows of an open log one by one, so that a log of any length takes little memory.
pub(super) fn for_each_row(path: &Path, mut take: impl FnMut(Row) -> Result<()>) -> Result<()> {
    let (file, _) = files::open(path)?;
    for (nth, line) in BufReader::new(file).lines().enumerate() {
        take(parse(path, nth, &line.map_err(Error::io("read", path))?)?)?;
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(path: &Path, nth: usize, line: &str) -> Result<T> {
    let wrong = |e: serde_json::Error| Error::data(path, "a row per line", format!("line {}: {e}", nth + 1), "");
    serde_json::from_str(line).map_err(wrong)
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
