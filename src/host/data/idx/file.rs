//! One IDX file: a magic number, the lengths of its axes, and bytes (Y. LeCun, "The MNIST database of handwritten
//! digits", 1998).
//!
//! The magic number is two zeros, the type of an element (8: bytes) and the number of axes; the lengths are big-endian
//! words. No length is trusted: a plain file must be exactly as long as its header says, and of a compressed one no more
//! is unpacked than its header says, at most [`LIMIT`] bytes, and at most a hundred times what was read beyond the first
//! 64 MiB. Memory grows with the bytes that are there.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::host::data::positioned::read_exact_at;
use crate::host::data::unpack::{Counted, Limited, Limits};
use crate::host::file_type::{FIRST_BYTES, FileType};
use crate::host::files;

/// Most bytes of a file, as it is or unpacked: three times EMNIST's largest.
pub const LIMIT: u64 = 2 << 30;

/// A file of `items` elements along its first axis, each of `size` bytes.
pub(super) struct IdxFile {
    pub(super) path: PathBuf,
    /// The lengths of the axes.
    pub(super) axes: Vec<u32>,
    store: Store,
    /// Bytes of the header.
    header: usize,
}

enum Store {
    /// The file is opened for each read.
    File,
    /// Unpacked, without the header.
    Memory(Vec<u8>),
}

impl IdxFile {
    /// Opens a file of bytes with so many axes.
    ///
    /// # Errors
    /// [`Error::Data`] if it is of another type, or if its length is not what its header says; [`Error::Io`] if it
    /// cannot be read.
    pub(super) fn open(path: &Path, axes: usize) -> Result<Self> {
        let (file, length) = files::open(path)?;
        Self::from_stream(path, axes, file, Some(length))
    }

    /// As [`open`](Self::open), of a file that is in memory already.
    pub(super) fn held(path: &Path, axes: usize, bytes: &[u8]) -> Result<Self> {
        Self::from_stream(path, axes, bytes, None)
    }

    /// Reads a stream of bytes; if it is the file at `path`, it has a length, and can be read again.
    fn from_stream(path: &Path, axes: usize, stream: impl Read, length: Option<u64>) -> Result<Self> {
        let limits = Limits::new(LIMIT.saturating_add(1 << 10));
        let mut packed = BufReader::with_capacity(1 << 18, Counted { inner: stream, limits: &limits });
        let first = packed.fill_buf().map_err(Error::io("read", path))?;
        match FileType::of(&first[..first.len().min(FIRST_BYTES)]) {
            Some(FileType::Gzip) => {
                let mut stream = Limited { inner: MultiGzDecoder::new(packed), limits: &limits };
                Self::unpack(path, axes, &mut stream).map_err(|error| match error {
                    _ if limits.exceeded() => {
                        let expected = "a file that unpacks to at most a hundred times its size";
                        Error::data(path, expected, "a larger one", "unpack it yourself and give the file")
                    }
                    // The file could be opened, so what fails is decoding.
                    Error::Io { source, .. } => Error::data(path, "a gzip file", format!("damage ({source})"), AGAIN),
                    other => other,
                })
            }
            Some(other) => Err(Error::data(path, expected(axes), other.name(), AGAIN)),
            None => {
                let Some(length) = length else { return Self::unpack(path, axes, &mut packed) };
                let (header, axes) = read_header(path, &mut packed, axes)?;
                let promised = bytes(path, &axes)?;
                let found = length.saturating_sub(header as u64);
                if found != promised {
                    return Err(wrong_length(path, &axes, promised, format!("{found}")));
                }
                Ok(Self { path: path.to_owned(), axes, store: Store::File, header })
            }
        }
    }

    fn unpack(path: &Path, axes: usize, stream: &mut impl Read) -> Result<Self> {
        let (header, axes) = read_header(path, stream, axes)?;
        let promised = bytes(path, &axes)?;
        let mut content = Vec::new();
        stream.take(promised).read_to_end(&mut content).map_err(Error::io("unpack", path))?;
        if (content.len() as u64) < promised {
            return Err(wrong_length(path, &axes, promised, format!("{}", content.len())));
        }
        // Reading on to the end checks gzip's checksum, too.
        match io::copy(&mut stream.take(1), &mut io::sink()).map_err(Error::io("unpack", path))? {
            0 => Ok(Self { path: path.to_owned(), axes, store: Store::Memory(content), header }),
            _ => Err(wrong_length(path, &axes, promised, "more".into())),
        }
    }

    /// Elements along the first axis.
    pub(super) fn items(&self) -> usize {
        self.axes[0] as usize
    }

    /// Bytes of an element along the first axis.
    fn size(&self) -> usize {
        self.axes[1..].iter().map(|&axis| axis as usize).product()
    }

    /// Copies the element `index`, which must be one of the file's.
    pub(super) fn read(&self, index: usize, into: &mut [u8]) -> Result<()> {
        let offset = index * self.size();
        match &self.store {
            Store::File => {
                let file = File::open(&self.path).map_err(Error::io("open", &self.path))?;
                read_exact_at(&file, into, (self.header + offset) as u64).map_err(Error::io("read", &self.path))
            }
            Store::Memory(bytes) => {
                into.copy_from_slice(&bytes[offset..offset + into.len()]);
                Ok(())
            }
        }
    }

    /// Hands every element to `visit`, in order.
    pub(super) fn each(&self, mut visit: impl FnMut(usize, &[u8])) -> Result<()> {
        let size = self.size();
        match &self.store {
            Store::Memory(bytes) => bytes.chunks_exact(size).enumerate().for_each(|(i, item)| visit(i, item)),
            Store::File => {
                let file = File::open(&self.path).map_err(Error::io("open", &self.path))?;
                let mut reader = BufReader::with_capacity(1 << 18, file);
                let mut item = vec![0; size.max(self.header)];
                reader.read_exact(&mut item[..self.header]).map_err(Error::io("read", &self.path))?;
                for index in 0..self.items() {
                    reader.read_exact(&mut item[..size]).map_err(Error::io("read", &self.path))?;
                    visit(index, &item[..size]);
                }
            }
        }
        Ok(())
    }
}

const AGAIN: &str = "the download may have been cut short, or is of something else: fetch it again";

fn expected(axes: usize) -> String {
    let what = if axes == 1 { "labels" } else { "images" };
    format!("an IDX file of {what}, which begins with the bytes 0 0 8 {axes}")
}

/// Reads the header: its length in bytes, and the lengths of the axes.
fn read_header(path: &Path, stream: &mut impl Read, axes: usize) -> Result<(usize, Vec<u32>)> {
    let mut header = Vec::new();
    let length = 4 + 4 * axes;
    stream.take(length as u64).read_to_end(&mut header).map_err(Error::io("read", path))?;
    let found = match header[..] {
        [] => "an empty file".to_owned(),
        [0, 0, 8, n, ..] if usize::from(n) == axes && header.len() == length => {
            let words = header[4..].chunks_exact(4);
            return Ok((length, words.map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]])).collect()));
        }
        [0, 0, 8, n, ..] if usize::from(n) == axes => format!("{} bytes of a header of {length}", header.len()),
        [a, b, c, d, ..] => format!("the bytes {a} {b} {c} {d}"),
        _ => format!("a file of {} bytes", header.len()),
    };
    Err(Error::data(path, expected(axes), found, AGAIN))
}

/// The bytes that the lengths of the axes make, if there are any and not too many.
fn bytes(path: &Path, axes: &[u32]) -> Result<u64> {
    let product = axes.iter().try_fold(1u64, |product, &axis| product.checked_mul(axis.into()));
    match product {
        Some(0) => Err(Error::data(path, "at least one element", format!("a header of {}", shape(axes)), AGAIN)),
        Some(bytes) if bytes <= LIMIT => Ok(bytes),
        _ => Err(Error::data(path, format!("at most {LIMIT} bytes"), format!("a header of {}", shape(axes)), AGAIN)),
    }
}

/// `60000x28x28`
fn shape(axes: &[u32]) -> String {
    axes.iter().map(u32::to_string).collect::<Vec<_>>().join("x")
}

fn wrong_length(path: &Path, axes: &[u32], promised: u64, found: String) -> Error {
    let expected = format!("{promised} bytes after its header of {}", shape(axes));
    Error::data(path, expected, found, AGAIN)
}
