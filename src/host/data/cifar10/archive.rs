//! Reads the archive that CIFAR-10 comes as into memory: a tar, compressed by gzip or not, whatever its name.
//!
//! Nothing is written to the disk, and no length in a header is trusted: memory grows with the bytes actually read, up
//! to a limit, since a few kilobytes of gzip can expand to terabytes. The limit is [`ARCHIVE_LIMIT`] bytes, or a
//! hundred times the bytes read from the file if that is less ([`Limits`]). Only regular files count (a sparse file
//! could claim any size without data behind it). Names longer than a header's hundred characters come in entries of
//! their own ([`long_name`]), which are read here, since the tar crate would read them whole however long they are.
//!
//! [`ARCHIVE_LIMIT`]: super::ARCHIVE_LIMIT

mod long_name;

use super::find::Suspect;
use super::records::Part;
use super::{ARCHIVE, NAMES_FILE, NAMES_LIMIT, RECORD_BYTES, how_to_get, is_batch, no_batches};
use crate::error::{Error, Result};
use crate::host::file_type::{FIRST_BYTES, FileType};
use flate2::bufread::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use tar::EntryType;

/// What was read from an archive.
#[derive(Default)]
pub(super) struct Contents {
    /// The files of records, each with its name.
    pub(super) parts: Vec<(String, Part)>,
    /// The start of the file of class names, if there is one.
    pub(super) names: Option<Vec<u8>>,
    /// Notes on what was left out, a line each.
    pub(super) notes: Vec<String>,
    /// The first entry that looks like images of another kind.
    suspect: Option<(String, Suspect)>,
}

/// Reads the archive at `path`, which may unpack to at most `limit` bytes.
pub(super) fn read(path: &Path, limit: u64) -> Result<Contents> {
    let (file, length) = crate::host::files::open(path)?;
    let limits = Limits { limit, packed: Cell::new(0), unpacked: Cell::new(0) };
    let mut packed = BufReader::with_capacity(1 << 18, Counted { inner: file, count: &limits.packed });
    let first = packed.fill_buf().map_err(Error::io("read", path))?;
    let kind = FileType::of(&first[..first.len().min(FIRST_BYTES)]);
    let contents = match kind {
        Some(FileType::Gzip) => unpack(path, Limited { inner: MultiGzDecoder::new(packed), limits: &limits }),
        Some(FileType::Tar) | None => unpack(path, Limited { inner: packed, limits: &limits }),
        Some(FileType::Html) => return Err(Error::data(path, EXPECTED, FileType::Html.name(), again(path))),
        Some(other) => return Err(Error::data(path, EXPECTED, other.name(), "")),
    };
    let contents = contents.map_err(|error| match error {
        // The tar crate may wrap the reader's error, so the limits themselves are asked.
        _ if limits.exceeded() => too_large(path, limit),
        // The file could be opened, so what fails is decoding: the file is not what it should be.
        Error::Io { .. } if kind.is_none() => neither(path, length),
        Error::Io { source, .. } => {
            Error::data(path, EXPECTED, format!("something else, or damage ({source})"), again(path))
        }
        other => other,
    })?;
    match (&contents.parts[..], &contents.suspect) {
        ([], Some((name, Suspect::Archive))) => {
            let hint = "unpack it, and name the archive within";
            Err(Error::data(path, "data_batch_*.bin files", format!("another archive, {name}"), hint))
        }
        ([], Some((name, suspect))) => Err(no_batches(path, &format!("{name}: {}", suspect.words()))),
        // A block of zeros ends a tar archive, so a file that begins with zeros looks like an empty archive.
        ([], None) if kind.is_none() => Err(neither(path, length)),
        _ => Ok(contents),
    }
}

/// The error for a file of unknown type.
fn neither(path: &Path, length: u64) -> Error {
    if length > 0 && length.is_multiple_of(RECORD_BYTES as u64) {
        let found = "a file as long as whole records are, under another name";
        return Error::data(path, EXPECTED, found, "records are read from data_batch_*.bin and test_batch.bin");
    }
    Error::data(path, EXPECTED, "something else, or damage", again(path))
}

const EXPECTED: &str = "a tar archive, compressed by gzip or not";

/// The hint for an archive that is incomplete.
fn again(path: &Path) -> String {
    let folder = path.parent().filter(|_| path.file_name().is_some_and(|name| name == ARCHIVE));
    let hint = "the download may have been cut short";
    folder.map_or_else(|| format!("{hint}: fetch it again"), |folder| format!("{hint}; {}", how_to_get(folder)))
}

fn unpack(path: &Path, reader: impl Read) -> Result<Contents> {
    let fault = || Error::io("unpack", path);
    let mut contents = Contents::default();
    let mut archive = tar::Archive::new(reader);
    let mut named = long_name::Announced::default();
    for entry in archive.entries().map_err(fault())?.raw(true) {
        let mut entry = entry.map_err(fault())?;
        if named.hears(path, &mut entry)? {
            continue;
        }
        let inside = std::mem::take(&mut named).name(path, &entry)?;
        let Some(name) = inside.rsplit('/').next().filter(|name| !name.is_empty()) else { continue };
        match entry.header().entry_type() {
            kind if kind.is_file() => contents.take(path, name, &mut entry)?,
            EntryType::Link | EntryType::Symlink if is_batch(name) => {
                contents.notes.push(format!("{name} is a link in {} and is left out", path.display()));
            }
            EntryType::GNUSparse if is_batch(name) => return Err(sparse(path, name)),
            _ => {}
        }
    }
    // The archive ends before the compressed stream does, and the checksum is at the end of the stream.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(fault())?;
    Ok(contents)
}

impl Contents {
    /// Keeps a regular file of this name if it belongs to the set.
    fn take(&mut self, path: &Path, name: &str, file: &mut impl Read) -> Result<()> {
        if is_batch(name) {
            if self.parts.iter().any(|(known, _)| known == name) {
                return Err(Error::data(path, "one file of each name", format!("a second {name}"), ""));
            }
            let part = Part::from_stream(&path.join(name), file)?;
            self.parts.push((name.to_owned(), part));
        } else if name == NAMES_FILE {
            let mut text = Vec::new();
            file.take(NAMES_LIMIT).read_to_end(&mut text).map_err(Error::io("unpack", path))?;
            self.names = Some(text);
        } else if let (None, Some(suspect)) = (&self.suspect, Suspect::of(name, false)) {
            self.suspect = Some((name.to_owned(), suspect));
        }
        Ok(())
    }
}

fn sparse(path: &Path, name: &str) -> Error {
    let hint = "pack it again without --sparse, or unpack it and give the folder";
    Error::data(path, "ordinary files", format!("{name} as a sparse file"), hint)
}

/// Limits on the bytes that come out of a stream. Compressed photographs expand about twofold and drawn shapes some
/// tenfold; data that expand more than a hundredfold, beyond the first 64 MiB, are no set of images.
struct Limits {
    limit: u64,
    packed: Cell<u64>,
    unpacked: Cell<u64>,
}

impl Limits {
    const GROWTH: u64 = 100;
    const FREE: u64 = 64 << 20;

    fn exceeded(&self) -> bool {
        let most = Self::FREE.saturating_add(self.packed.get().saturating_mul(Self::GROWTH));
        self.unpacked.get() > most.min(self.limit)
    }
}

/// A reader that counts the bytes read.
struct Counted<'a> {
    inner: File,
    count: &'a Cell<u64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get().saturating_add(count as u64));
        Ok(count)
    }
}

/// A reader that fails once the limits are exceeded.
struct Limited<'a, R> {
    inner: R,
    limits: &'a Limits,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let unpacked = &self.limits.unpacked;
        unpacked.set(unpacked.get().saturating_add(count as u64));
        if self.limits.exceeded() { Err(io::Error::other("the limit is reached")) } else { Ok(count) }
    }
}

fn too_large(path: &Path, limit: u64) -> Error {
    let expected = format!("an archive that unpacks to at most {limit} bytes, and to a hundred times its size");
    Error::data(path, expected, "a larger one", "unpack it and give the folder: a folder is not read to memory")
}
