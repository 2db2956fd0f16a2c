//! The `.tar.gz` that CIFAR-10 comes as, unpacked to memory.
//!
//! Nothing is written to the disk, and no length that a header states is believed: memory grows with the bytes that
//! came, and stops growing at a limit, since a few kilobytes of gzip can stand for terabytes. Only ordinary files count
//! (a sparse one could claim any size without a byte behind it).

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
    let exceeded = Cell::new(false);
    let inner = MultiGzDecoder::new(BufReader::with_capacity(1 << 18, file));
    unpack(path, Limited { inner, left: limit, exceeded: &exceeded }).map_err(|error| match error {
        // What the tar crate makes of the reader's error is its own affair, so the reader is asked.
        _ if exceeded.get() => too_large(path, limit),
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
    for entry in archive.entries().map_err(fault())? {
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

/// A reader that fails once more than `left` bytes came, and says so in `exceeded`.
struct Limited<'a, R> {
    inner: R,
    left: u64,
    exceeded: &'a Cell<bool>,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(count as u64) else {
            self.exceeded.set(true);
            return Err(io::Error::other("the limit is reached"));
        };
        self.left = left;
        Ok(count)
    }
}

fn too_large(path: &Path, limit: u64) -> Error {
    let expected = format!("an archive that unpacks to at most {limit} bytes");
    Error::data(path, expected, "a larger one", "unpack it and give the folder: a folder is not read to memory")
}
