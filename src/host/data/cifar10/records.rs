//! One file of records: checked once from end to end, then read in place.

use super::{CLASSES, IMAGE_BYTES, RECORD_BYTES};
use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// What is expected of a file's length.
const WHOLE: &str = "whole records of 3,073 bytes (a label and 3 x 32 x 32 colours)";
/// The hint for a file with the wrong content.
const HINT: &str = "the file is damaged or not CIFAR-10's binary version: fetch or unpack it again";

/// The records of one file.
pub(super) struct Part {
    /// The file's path, for messages; for an archive, followed by the path within it.
    path: PathBuf,
    store: Store,
    /// Number of records.
    pub(super) records: usize,
    /// CRC-32 over all bytes.
    pub(super) checksum: crc32fast::Hasher,
}

enum Store {
    /// The file is opened for each read: a set may have more files than a process may hold open.
    File,
    Memory(Vec<u8>),
}

/// The result of one pass over a file's records.
#[derive(Default)]
struct Tally {
    records: usize,
    checksum: crc32fast::Hasher,
}

impl Part {
    /// Checks the file at `path`.
    pub(super) fn from_file(path: &Path) -> Result<Self> {
        // Checked before opening, since opening a pipe would wait for a writer.
        let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
        if !metadata.is_file() {
            return Err(Error::data(path, "a file", "a folder or a device", "remove or rename it"));
        }
        let length = metadata.len();
        if length % RECORD_BYTES as u64 != 0 {
            // Checked first: it tells more than a wrong label does, which may be due to missing bytes before it.
            return Err(ragged(path, length));
        }
        let file = File::open(path).map_err(Error::io("open", path))?;
        let mut reader = BufReader::with_capacity(1 << 18, &file);
        let tally = scan(&mut reader, path, |_| {})?;
        drop(reader);
        Ok(Self::new(path, Store::File, tally))
    }

    /// Reads a file in an archive to its end; `path` is for messages.
    pub(super) fn from_stream(path: &Path, stream: &mut impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        let tally = scan(stream, path, |record| bytes.extend_from_slice(record))?;
        Ok(Self::new(path, Store::Memory(bytes), tally))
    }

    fn new(path: &Path, store: Store, tally: Tally) -> Self {
        let Tally { records, checksum } = tally;
        Self { path: path.to_owned(), store, records, checksum }
    }

    /// Copies the image of record `index`, which must be one of the part's, and returns its label.
    pub(super) fn read(&self, index: usize, image: &mut [u8]) -> Result<u8> {
        let offset = index * RECORD_BYTES;
        let mut record = [0; RECORD_BYTES];
        match &self.store {
            Store::File => {
                let file = File::open(&self.path).map_err(Error::io("open", &self.path))?;
                read_exact_at(&file, &mut record, offset as u64).map_err(Error::io("read", &self.path))?;
            }
            Store::Memory(bytes) => record.copy_from_slice(&bytes[offset..offset + RECORD_BYTES]),
        }
        image.copy_from_slice(&record[1..=IMAGE_BYTES]);
        // The label is checked again, since the file may have changed after it was opened.
        label(&record, &self.path, index)
    }
}

/// Reads records to the end of `stream`, hands each to `keep` and counts them.
fn scan(stream: &mut impl Read, path: &Path, mut keep: impl FnMut(&[u8])) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut record = [0; RECORD_BYTES];
    loop {
        let filled = fill(stream, &mut record).map_err(Error::io("read", path))?;
        if filled < RECORD_BYTES {
            let length = tally.records as u64 * RECORD_BYTES as u64 + filled as u64;
            return if filled == 0 && length > 0 { Ok(tally) } else { Err(ragged(path, length)) };
        }
        label(&record, path, tally.records)?;
        tally.checksum.update(&record);
        tally.records += 1;
        keep(&record);
    }
}

/// Reads until `buffer` is full or the stream ends; returns the number of bytes read.
fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The label of a record, checked to be a class.
fn label(record: &[u8; RECORD_BYTES], path: &Path, index: usize) -> Result<u8> {
    let label = record[0];
    if usize::from(label) < CLASSES {
        return Ok(label);
    }
    let found = format!("{label} in record {index} (byte {})", index as u64 * RECORD_BYTES as u64);
    Err(Error::data(path, "a label of 0 to 9", found, HINT))
}

/// The error for a file whose length in bytes is not that of one or more whole records.
fn ragged(path: &Path, length: u64) -> Error {
    let (whole, rest) = (length / RECORD_BYTES as u64, length % RECORD_BYTES as u64);
    let found = match length {
        0 => "an empty file".to_owned(),
        _ => format!("{whole} whole record(s) and {rest} byte(s) left over"),
    };
    Error::data(path, WHOLE, found, HINT)
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
