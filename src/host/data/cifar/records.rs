//! One file of records: checked once from end to end, then read in place.

use super::layout::{IMAGE_BYTES, Layout};
use crate::error::{Error, Result};
use crate::host::data::positioned::read_exact_at;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes of the longest record.
const MOST_RECORD_BYTES: usize = 2 + IMAGE_BYTES;

/// The records of one file.
pub(super) struct Part {
    layout: &'static Layout,
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
    pub(super) fn from_file(layout: &'static Layout, path: &Path) -> Result<Self> {
        // Checked before opening, since opening a pipe would wait for a writer.
        let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
        if !metadata.is_file() {
            return Err(Error::data(path, "a file", "a folder or a device", "remove or rename it"));
        }
        let length = metadata.len();
        if length % layout.record_bytes() as u64 != 0 {
            // Checked first: it tells more than a wrong label does, which may be due to missing bytes before it.
            return Err(ragged(layout, path, length));
        }
        let file = File::open(path).map_err(Error::io("open", path))?;
        let mut reader = BufReader::with_capacity(1 << 18, &file);
        let tally = scan(layout, &mut reader, path, |_| {})?;
        drop(reader);
        Ok(Self::new(layout, path, Store::File, tally))
    }

    /// Takes the records of a file that is in memory; `path` is for messages.
    pub(super) fn held(layout: &'static Layout, path: &Path, bytes: &[u8]) -> Result<Self> {
        match bytes.len() % layout.record_bytes() {
            0 => Self::from_stream(layout, path, &mut &bytes[..]),
            _ => Err(ragged(layout, path, bytes.len() as u64)),
        }
    }

    /// Reads a file in an archive to its end; `path` is for messages.
    pub(super) fn from_stream(layout: &'static Layout, path: &Path, stream: &mut impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        let tally = scan(layout, stream, path, |record| bytes.extend_from_slice(record))?;
        Ok(Self::new(layout, path, Store::Memory(bytes), tally))
    }

    fn new(layout: &'static Layout, path: &Path, store: Store, tally: Tally) -> Self {
        let Tally { records, checksum } = tally;
        Self { layout, path: path.to_owned(), store, records, checksum }
    }

    /// Copies the image of record `index`, which must be one of the part's, and returns the label at place `label` of
    /// the record.
    pub(super) fn read(&self, index: usize, label: usize, image: &mut [u8]) -> Result<u8> {
        let (labels, offset) = (self.layout.labels.len(), index * self.layout.record_bytes());
        let mut record = [0; MOST_RECORD_BYTES];
        let record = &mut record[..self.layout.record_bytes()];
        match &self.store {
            Store::File => {
                let file = File::open(&self.path).map_err(Error::io("open", &self.path))?;
                read_exact_at(&file, record, offset as u64).map_err(Error::io("read", &self.path))?;
            }
            Store::Memory(bytes) => record.copy_from_slice(&bytes[offset..offset + record.len()]),
        }
        image.copy_from_slice(&record[labels..labels + IMAGE_BYTES]);
        // The labels are checked again, since the file may have changed after it was opened.
        check_labels(self.layout, record, &self.path, index)?;
        Ok(record[label])
    }
}

/// Reads records to the end of `stream`, hands each to `keep` and counts them.
fn scan(layout: &Layout, stream: &mut impl Read, path: &Path, mut keep: impl FnMut(&[u8])) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut record = [0; MOST_RECORD_BYTES];
    let record = &mut record[..layout.record_bytes()];
    loop {
        let filled = fill(stream, record).map_err(Error::io("read", path))?;
        if filled < record.len() {
            let length = tally.records as u64 * record.len() as u64 + filled as u64;
            return if filled == 0 && length > 0 { Ok(tally) } else { Err(ragged(layout, path, length)) };
        }
        check_labels(layout, record, path, tally.records)?;
        tally.checksum.update(record);
        tally.records += 1;
        keep(record);
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

/// Checks that the labels of a record are classes.
fn check_labels(layout: &Layout, record: &[u8], path: &Path, index: usize) -> Result<()> {
    for (place, (labels, &label)) in layout.labels.iter().zip(record).enumerate() {
        let most = labels.names.len() - 1;
        if usize::from(label) > most {
            let at = index as u64 * layout.record_bytes() as u64 + place as u64;
            let found = format!("{label} in record {index} (byte {at})");
            return Err(Error::data(path, format!("{} of 0 to {most}", labels.kind), found, layout.damaged()));
        }
    }
    Ok(())
}

/// The error for a file whose length in bytes is not that of one or more whole records.
fn ragged(layout: &Layout, path: &Path, length: u64) -> Error {
    let bytes = layout.record_bytes() as u64;
    let (whole, rest) = (length / bytes, length % bytes);
    let found = match length {
        0 => "an empty file".to_owned(),
        _ => format!("{whole} whole record(s) and {rest} byte(s) left over"),
    };
    Error::data(path, layout.whole(), found, layout.damaged())
}
