//! Reads the archive that a set comes as into memory: a tar, compressed by gzip or not, whatever its name.
//!
//! Nothing is written to the disk, and no length in a header is trusted: memory grows with the bytes actually read, up
//! to a limit, since a few kilobytes of gzip can expand to terabytes. The limit is [`ARCHIVE_LIMIT`] bytes, or a
//! hundred times the bytes read from the file if that is less ([`Limits`]). Only regular files count (a sparse file
//! could claim any size without data behind it). Names longer than a header's hundred characters come in entries of
//! their own ([`long_name`]), which are read here, since the tar crate would read them whole however long they are.
//!
//! [`ARCHIVE_LIMIT`]: super::ARCHIVE_LIMIT

mod long_name;

use super::records::Part;
use super::{Layout, class_names, layout, no_records};
use crate::error::{Error, Result};
use crate::host::data::find::{self, Suspect};
use crate::host::data::unpack::{Counted, Limited, Limits};
use crate::host::file_type::{FIRST_BYTES, FileType};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use tar::EntryType;

/// What was read from an archive.
pub(super) struct Contents {
    layout: &'static Layout,
    /// The files of records, each with its name.
    pub(super) parts: Vec<(String, Part)>,
    /// The start of each file of class names, with the place of the label that it names.
    pub(super) names: Vec<(usize, Vec<u8>)>,
    /// Notes on what was left out, a line each.
    pub(super) notes: Vec<String>,
    /// The first entry that looks like images of another kind.
    suspect: Option<(String, Suspect)>,
}

/// Reads the archive at `path`, which may unpack to at most `limit` bytes.
pub(super) fn read(layout: &'static Layout, path: &Path, limit: u64) -> Result<Contents> {
    let (file, length) = crate::host::files::open(path)?;
    read_stream(layout, path, file, length, limit)
}

/// As [`read`], of an archive's bytes; `path` is for messages.
pub(super) fn read_stream(
    layout: &'static Layout,
    path: &Path,
    stream: impl Read,
    length: u64,
    limit: u64,
) -> Result<Contents> {
    let limits = Limits::new(limit);
    let mut packed = BufReader::with_capacity(1 << 18, Counted { inner: stream, limits: &limits });
    let first = packed.fill_buf().map_err(Error::io("read", path))?;
    let kind = FileType::of(&first[..first.len().min(FIRST_BYTES)]);
    let contents = match kind {
        Some(FileType::Gzip) => unpack(layout, path, Limited { inner: MultiGzDecoder::new(packed), limits: &limits }),
        Some(FileType::Tar) | None => unpack(layout, path, Limited { inner: packed, limits: &limits }),
        Some(FileType::Html) => return Err(Error::data(path, EXPECTED, FileType::Html.name(), again(layout, path))),
        Some(other) => return Err(Error::data(path, EXPECTED, other.name(), "")),
    };
    let contents = contents.map_err(|error| match error {
        // The tar crate may wrap the reader's error, so the limits themselves are asked.
        _ if limits.exceeded() => too_large(path, limit),
        // The file could be opened, so what fails is decoding: the file is not what it should be.
        Error::Io { .. } if kind.is_none() => neither(layout, path, length),
        Error::Io { source, .. } => {
            Error::data(path, EXPECTED, format!("something else, or damage ({source})"), again(layout, path))
        }
        other => other,
    })?;
    match (&contents.parts[..], &contents.suspect) {
        ([], Some((name, suspect))) if *suspect == Suspect::Archive || find::is_packed(name) => {
            let hint = "unpack it, and name the archive within";
            let expected = format!("{} files", layout.train);
            Err(Error::data(path, expected, format!("another archive, {name}"), hint))
        }
        ([], Some((name, suspect))) => Err(no_records(layout, path, &format!("{name}: {}", suspect.words()))),
        // A block of zeros ends a tar archive, so a file that begins with zeros looks like an empty archive.
        ([], None) if kind.is_none() => Err(neither(layout, path, length)),
        _ => Ok(contents),
    }
}

/// The error for a file of unknown type.
fn neither(layout: &Layout, path: &Path, length: u64) -> Error {
    if length > 0 && length.is_multiple_of(layout.record_bytes() as u64) {
        let found = "a file as long as whole records are, under another name";
        let hint = format!("records are read from {} and {}", layout.train, layout.test);
        return Error::data(path, EXPECTED, found, hint);
    }
    Error::data(path, EXPECTED, "something else, or damage", again(layout, path))
}

const EXPECTED: &str = "a tar archive, compressed by gzip or not";

/// The hint for an archive that is incomplete.
fn again(layout: &Layout, path: &Path) -> String {
    let folder = path.parent().filter(|_| path.file_name().is_some_and(|name| name == layout.archive));
    let hint = "the download may have been cut short";
    folder.map_or_else(|| format!("{hint}: fetch it again"), |folder| format!("{hint}; {}", layout.how_to_get(folder)))
}

/// The layout of the first file of a set in the archive at `path`; `None` if there is none, or the archive cannot be
/// read.
pub(super) fn layout_of(path: &Path) -> Option<&'static Layout> {
    layout_in(crate::host::files::open(path).ok()?.0)
}

/// As [`layout_of`], of an archive's bytes.
pub(super) fn layout_in(stream: impl Read) -> Option<&'static Layout> {
    let limits = Limits::new(super::ARCHIVE_LIMIT);
    let mut packed = BufReader::with_capacity(1 << 18, Counted { inner: stream, limits: &limits });
    let first = packed.fill_buf().ok()?;
    match FileType::of(&first[..first.len().min(FIRST_BYTES)]) {
        Some(FileType::Gzip) => first_layout(Limited { inner: MultiGzDecoder::new(packed), limits: &limits }),
        _ => first_layout(Limited { inner: packed, limits: &limits }),
    }
}

fn first_layout(reader: impl Read) -> Option<&'static Layout> {
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().ok()?.raw(true) {
        let entry = entry.ok()?;
        let path = entry.header().path_bytes().into_owned();
        let path = String::from_utf8_lossy(&path);
        let name = path.rsplit('/').next().unwrap_or_default();
        let of = |layout: &&&Layout| layout.is_records(name) || layout.names_of(name).is_some();
        if let Some(layout) = layout::ALL.iter().find(of) {
            return Some(layout);
        }
    }
    None
}

fn unpack(layout: &'static Layout, path: &Path, reader: impl Read) -> Result<Contents> {
    let fault = || Error::io("unpack", path);
    let mut contents = Contents { layout, parts: vec![], names: vec![], notes: vec![], suspect: None };
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
            EntryType::Link | EntryType::Symlink if layout.is_records(name) => {
                contents.notes.push(format!("{name} is a link in {} and is left out", path.display()));
            }
            EntryType::GNUSparse if layout.is_records(name) => return Err(sparse(path, name)),
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
        let layout = self.layout;
        if layout.is_records(name) {
            if self.parts.iter().any(|(known, _)| known == name) {
                return Err(Error::data(path, "one file of each name", format!("a second {name}"), ""));
            }
            let part = Part::from_stream(layout, &path.join(name), file)?;
            self.parts.push((name.to_owned(), part));
        } else if let Some(label) = layout.names_of(name) {
            let mut text = Vec::new();
            file.take(class_names::LIMIT).read_to_end(&mut text).map_err(Error::io("unpack", path))?;
            self.names.retain(|(of, _)| *of != label);
            self.names.push((label, text));
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

fn too_large(path: &Path, limit: u64) -> Error {
    let expected = format!("an archive that unpacks to at most {limit} bytes, and to a hundred times its size");
    Error::data(path, expected, "a larger one", "unpack it and give the folder: a folder is not read to memory")
}
