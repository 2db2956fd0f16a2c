//! One file of tokens, which are little-endian numbers of two or four bytes.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::names;
use crate::{
    error::{Error, Result},
    host::{data::positioned::read_exact_at, files},
};

/// The bytes of a shard's header: 256 words, of which the first three are a magic number, a version and the number of tokens.
const HEADER: u64 = 1024;
/// The first two words of llm.c's shards of GPT-2's and of Llama 3's tokens, and the bytes of a token.
const KINDS: [(i32, i32, u64); 2] = [(20_240_520, 1, 2), (20_240_801, 7, 4)];

/// A file of tokens.
pub(super) struct Shard {
    path: PathBuf,
    /// Bytes before the first token.
    header: u64,
    /// Bytes of a token: two or four.
    width: u64,
    pub(super) tokens: u64,
}

impl Shard {
    /// Opens a file of tokens, with a header unless it is called as nanoGPT's.
    ///
    /// # Errors
    /// [`Error::Data`] if it is not as long as its tokens are, or if the header is another; [`Error::Io`] if it cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (file, length) = files::open(path)?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if names::is_shard(name) {
            return Self::with_header(path, file, length);
        }
        if !length.is_multiple_of(2) {
            let hint = "the file may have been cut short: write or fetch it again";
            return Err(Error::data(path, "two bytes for each token", format!("{length} bytes"), hint));
        }
        Ok(Self { path: path.to_owned(), header: 0, width: 2, tokens: length / 2 })
    }

    fn with_header(path: &Path, file: File, length: u64) -> Result<Self> {
        let mut header = Vec::new();
        file.take(HEADER).read_to_end(&mut header).map_err(Error::io("read", path))?;
        let words: Vec<i32> =
            header.chunks_exact(4).map(|word| i32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
        let expected = "a header of 256 words, the first 20240520 1 (tokens of two bytes) or 20240801 7 (of four)";
        if words.len() < 256 {
            return Err(Error::data(path, expected, format!("{length} bytes"), NO_HEADER));
        }
        let [magic, version, count, ..] = words[..] else { unreachable!("256 words") };
        let Some(&(_, _, width)) = KINDS.iter().find(|(known, v, _)| (*known, *v) == (magic, version)) else {
            return Err(Error::data(path, expected, format!("{magic} {version}"), NO_HEADER));
        };
        let there = (length - HEADER) / width;
        match u64::try_from(count) {
            Ok(tokens) if HEADER + tokens * width == length => {
                Ok(Self { path: path.to_owned(), header: HEADER, width, tokens })
            }
            _ => {
                let expected = format!("{count} tokens, as the header says");
                Err(Error::data(path, expected, format!("{there} in {length} bytes"), AGAIN))
            }
        }
    }

    /// Reads tokens from the one at `at` on, and refuses those that are not below `vocabulary`.
    pub(super) fn read(&self, at: u64, into: &mut [u32], vocabulary: u32) -> Result<()> {
        let mut bytes = vec![0; into.len() * self.width as usize];
        let file = File::open(&self.path).map_err(Error::io("open", &self.path))?;
        read_exact_at(&file, &mut bytes, self.header + at * self.width).map_err(Error::io("read", &self.path))?;
        for (token, bytes) in into.iter_mut().zip(bytes.chunks_exact(self.width as usize)) {
            *token = bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
        }
        match into.iter().position(|&token| token >= vocabulary) {
            None => Ok(()),
            Some(place) => {
                let expected = format!("tokens below {vocabulary}, the size of the vocabulary");
                let found = format!("{} at position {}", into[place], at + place as u64);
                Err(Error::data(
                    &self.path,
                    expected,
                    found,
                    "meta.json beside it states the vocabulary: {\"vocab_size\": N}",
                ))
            }
        }
    }

    /// Adds the file's name and the number of its tokens to a checksum.
    pub(super) fn add_to(&self, checksum: &mut crc32fast::Hasher) {
        checksum.update(self.path.file_name().unwrap_or_default().as_encoded_bytes());
        checksum.update(&[0]);
        checksum.update(&self.tokens.to_le_bytes());
    }
}

const AGAIN: &str = "the download may have been cut short, or the file is another: fetch or write it again";
const NO_HEADER: &str = "tokens without a header are in files called train.bin and val.bin; if it has one, it may have been cut short: \
                         fetch or write it again";
