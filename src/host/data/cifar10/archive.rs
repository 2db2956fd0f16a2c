//! The `.tar.gz` that CIFAR-10 comes as, unpacked to memory.
//!
//! Nothing is written to the disk, and no length that a header states is believed: memory grows with the bytes that
//! came, and stops growing at a limit, since a few kilobytes of gzip can stand for terabytes: at [`ARCHIVE_LIMIT`] bytes,
//! and long before where they are a hundred times what was read for them ([`Limits`]). Only ordinary files count (a sparse
//! one could claim any size without a byte behind it), and a name is the one in a file's own header: entries that hold
//! longer names would be read whole.
//!
//! [`ARCHIVE_LIMIT`]: super::ARCHIVE_LIMIT

use super::records::Part;
use super::{NAMES_FILE, NAMES_LIMIT, is_batch};
use crate::error::{Error, Result};
use flate2::bufread::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// What was taken from an archive.
pub(super) struct Contents {
    /// The files of records, by name.
    pub(super) parts: Vec<(String, Part)>,
    /// The start of the file of class names, if there is one.
    pub(super) names: Option<Vec<u8>>,
}

/// Reads the archive at `path`, which may unpack to `limit` bytes.
pub(super) fn read(path: &Path, limit: u64) -> Result<Contents> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let limits = Limits { limit, packed: Cell::new(0), unpacked: Cell::new(0) };
    let packed = Counted { inner: file, count: &limits.packed };
    let inner = MultiGzDecoder::new(BufReader::with_capacity(1 << 18, packed));
    unpack(path, Limited { inner, limits: &limits }).map_err(|error| match error {
        // What the tar crate makes of the reader's error is its own affair, so the reader is asked.
        _ if limits.exceeded() => too_large(path, limit),
        // Past opening, what fails is the decoding: the file is not what it should be.
        Error::Io { source, .. } => Error::data(
            path,
            "a gzip-compressed tar archive (or a folder)",
            format!("something else, or damage ({source})"),
            "a download may have been cut short: fetch the archive again",
        ),
        other => other,
    })
}

fn unpack(path: &Path, reader: impl Read) -> Result<Contents> {
    let fault = || Error::io("unpack", path);
    let mut contents = Contents { parts: Vec::new(), names: None };
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().map_err(fault())?.raw(true) {
        let mut entry = entry.map_err(fault())?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let inside = entry.path().map_err(fault())?;
        let Some(name) = inside.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        if is_batch(&name) {
            if contents.parts.iter().any(|(known, _)| *known == name) {
                return Err(Error::data(path, "one file of each name", format!("a second {name}"), ""));
            }
            let part = Part::from_stream(&path.join(&name), &mut entry)?;
            contents.parts.push((name, part));
        } else if name == NAMES_FILE {
            let mut text = Vec::new();
            entry.take(NAMES_LIMIT).read_to_end(&mut text).map_err(fault())?;
            contents.names = Some(text);
        }
    }
    // The archive ends before the compressed stream does: only the stream's own end holds its checksum.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(fault())?;
    Ok(contents)
}

/// What may come out of a stream. Packed photographs grow about twofold and drawn shapes some tenfold; what grows more than
/// a hundredfold, beyond the first 64 MiB, is no set of images.
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

/// Counts the bytes that come.
struct Counted<'a, R> {
    inner: R,
    count: &'a Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get().saturating_add(count as u64));
        Ok(count)
    }
}

/// A reader that fails once more bytes came than may come.
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
