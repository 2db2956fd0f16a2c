//! Files in a ZIP archive, as WikiText is distributed (PKWARE, "APPNOTE.TXT", version 6.3.3): stored or deflated, without
//! encryption.
//!
//! The directory at the archive's end names every file. Nothing that it states is trusted: what lies outside of the archive is an
//! error, and no more is unpacked than the limits allow.

use std::{
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::DeflateDecoder;

use super::{LIMIT, check_fits, read_within};
use crate::{
    error::{Error, Result},
    host::data::unpack::{Counted, Limited, Limits},
};

/// The bytes of the record at the end of the directory, without its comment.
const END_BYTES: usize = 22;
/// The bytes of an entry of the directory without its name, and of the header before a file's bytes.
const ENTRY_BYTES: usize = 46;
const HEADER_BYTES: usize = 30;

/// Whether a file is called as such an archive.
pub(super) fn is_named(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip"))
}

/// An archive in memory.
pub(super) struct Archive {
    path: PathBuf,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    limits: Limits,
}

impl Archive {
    /// Reads an archive of at most [`LIMIT`] bytes, whose texts have at most as many together.
    ///
    /// # Errors
    /// [`Error::Data`] if it is no ZIP archive, or longer; [`Error::Io`] if it cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let bytes = read_within(path, &mut LIMIT.clone())?;
        let entries = entries(&bytes).ok_or_else(|| damaged(path))?;
        Ok(Self { path: path.to_owned(), bytes, entries, limits: Limits::new(LIMIT) })
    }

    /// The names of the files, with the folders that they lie in.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`Error::Data`] if the archive does not have it, or not whole, or if it unpacks to more than the limits.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let entry = self.entries.iter().find(|entry| entry.name == name).ok_or_else(|| damaged(&self.path))?;
        check_fits(&self.path.join(name), entry.size as u64, self.limits.left())?;
        let bytes = entry.unpack(&self.bytes, &self.limits);
        if self.limits.exceeded() {
            let expected = "texts that are at most a hundred times as long as the archive";
            return Err(Error::data(&self.path, expected, "longer ones", "unpack it yourself and give the folder"));
        }
        bytes.ok_or_else(|| damaged(&self.path))
    }
}

fn damaged(path: &Path) -> Error {
    let hint = "the download may have been cut short, or is of something else: fetch it again, or unpack it yourself";
    Error::data(path, "a ZIP archive of texts", "damage, or another kind of file", hint)
}

/// What the directory says of a file.
struct Entry {
    name: String,
    method: u16,
    crc: u32,
    packed: usize,
    size: usize,
    /// Where its header is.
    at: usize,
}

/// The entries of the directory; `None` if there is none.
fn entries(archive: &[u8]) -> Option<Vec<Entry>> {
    // A comment of up to 64 KiB may stand behind the record.
    let first = archive.len().saturating_sub(END_BYTES + usize::from(u16::MAX));
    let at =
        (first..=archive.len().checked_sub(END_BYTES)?).rev().find(|&at| archive[at..].starts_with(b"PK\x05\x06"))?;
    let (count, mut at) = (u16_at(archive, at + 10)?, u32_at(archive, at + 16)? as usize);
    let mut entries = vec![];
    for _ in 0..count {
        let head = archive.get(at..)?.get(..ENTRY_BYTES)?;
        if !head.starts_with(b"PK\x01\x02") {
            return None;
        }
        let [name, extra, comment] = [28, 30, 32].map(|field| u16_at(head, field).map_or(0, usize::from));
        entries.push(Entry {
            name: String::from_utf8_lossy(archive.get(at + ENTRY_BYTES..)?.get(..name)?).into_owned(),
            method: u16_at(head, 10)?,
            crc: u32_at(head, 16)?,
            packed: u32_at(head, 20)? as usize,
            size: u32_at(head, 24)? as usize,
            at: u32_at(head, 42)? as usize,
        });
        at += ENTRY_BYTES + name + extra + comment;
    }
    Some(entries)
}

impl Entry {
    /// The bytes of the file; `None` if they are not there, or not those that the directory says.
    fn unpack(&self, archive: &[u8], limits: &Limits) -> Option<Vec<u8>> {
        let head = archive.get(self.at..)?.get(..HEADER_BYTES)?;
        if !head.starts_with(b"PK\x03\x04") {
            return None;
        }
        let begin = self.at + HEADER_BYTES + usize::from(u16_at(head, 26)?) + usize::from(u16_at(head, 28)?);
        let packed = Counted { inner: archive.get(begin..)?.get(..self.packed)?, limits };
        let mut bytes = vec![];
        let stream: Box<dyn Read> = match self.method {
            0 => Box::new(packed),
            8 => Box::new(DeflateDecoder::new(BufReader::new(packed))),
            _ => return None,
        };
        Limited { inner: stream, limits }.take(self.size as u64 + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() == self.size && crc32fast::hash(&bytes) == self.crc).then_some(bytes)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..)?.get(..2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..)?.get(..4)?.try_into().ok()?))
}
