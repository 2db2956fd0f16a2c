//! Tokens that a tokenizer has written to files: nanoGPT's `train.bin` and `val.bin`, and the shards of llm.c and modded-nanogpt,
//! `*_train_*.bin` and `*_val_*.bin`.
//!
//! Opening reads the headers and the vocabulary, and no tokens, so that a set of billions of tokens is open at once. A block is
//! read when it is used, and its tokens are compared with the vocabulary then.

mod meta;
pub(super) mod names;
mod shard;

use std::path::{Path, PathBuf};

use crate::{
    data::{Dataset, MOST_IMAGES, Spec, Split, text, vocabulary},
    error::{Error, Result},
    host::data::{
        folder_of,
        text::{check_enough, check_length, too_short},
    },
};

use meta::Meta;
use shard::Shard;

/// The name of such a set.
pub const NAME: &str = "tokens";

/// Whether the file at `path`, called `name`, has tokens. `train.bin` could be anything, so that something beside it has to speak
/// for it.
pub(super) fn is_named(path: &Path, name: &str) -> bool {
    let beside = || names::BESIDE.iter().any(|file| folder_of(path).join(file).is_file());
    names::parse(name).is_some() && (names::is_shard(name) || beside())
}

/// A set of token files.
pub struct TokenFiles {
    spec: Spec,
    length: u32,
    path: PathBuf,
    train: Stream,
    valid: Stream,
    checksum: u32,
    notes: Vec<String>,
}

/// The shards of a split, one behind the other.
struct Stream {
    shards: Vec<Shard>,
    tokens: u64,
}

impl TokenFiles {
    /// Opens the files in the folder `path`, or those that belong to the file `path`. Blocks have `length` tokens.
    ///
    /// # Errors
    /// [`Error::Data`] if there are no tokens for training, or less than a block; if a file is not as long as its header says; if
    /// `meta.json` states no vocabulary. [`Error::Config`] if `length` is none of a block. [`Error::Io`] if something cannot be
    /// read.
    pub fn open(path: &Path, length: u32) -> Result<Self> {
        check_length(length)?;
        let found = names::files(path)?;
        let meta = Meta::beside(&found.folder)?;
        let [train, valid] = [&found.train, &found.valid].map(|files| Stream::open(files));
        let (train, valid) = (train?, valid?);
        check_enough(path, train.tokens, length)?;
        check_count(path, &train, length)?;
        check_count(path, &valid, length)?;
        let mut notes = meta.notes;
        if valid.tokens <= length.into() {
            notes.push(too_short(valid.tokens, length));
        }
        let mut checksum = crc32fast::Hasher::new();
        for shard in train.shards.iter().chain(&valid.shards) {
            shard.add_to(&mut checksum);
        }
        vocabulary::add_entries(&meta.entries, &mut checksum);
        let input = crate::data::Tokens { length, vocabulary: meta.entries.len() as u32 };
        let spec = Spec::new(NAME, input, meta.entries);
        Ok(Self { spec, length, path: path.to_owned(), train, valid, checksum: checksum.finalize(), notes })
    }

    fn of(&self, split: Split) -> &Stream {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.valid,
        }
    }
}

/// Refuses more samples than can be numbered.
fn check_count(path: &Path, stream: &Stream, length: u32) -> Result<()> {
    let blocks = text::blocks(stream.tokens, length);
    if blocks <= MOST_IMAGES as u64 {
        return Ok(());
    }
    Err(Error::data(path, format!("at most {MOST_IMAGES} blocks"), blocks.to_string(), "longer blocks are fewer"))
}

impl Stream {
    fn open(files: &[PathBuf]) -> Result<Self> {
        let shards = files.iter().map(|file| Shard::open(file)).collect::<Result<Vec<_>>>()?;
        let tokens = shards.iter().fold(0, |sum: u64, shard| sum.saturating_add(shard.tokens));
        Ok(Self { shards, tokens })
    }

    /// The tokens from `at` on, as many as there is room for.
    fn read(&self, mut at: u64, mut into: &mut [u32], vocabulary: u32) -> Result<()> {
        for shard in &self.shards {
            if at < shard.tokens && !into.is_empty() {
                let here = (shard.tokens - at).min(into.len() as u64) as usize;
                let (now, rest) = into.split_at_mut(here);
                shard.read(at, now, vocabulary)?;
                (at, into) = (0, rest);
            } else {
                at = at.saturating_sub(shard.tokens);
            }
        }
        Ok(())
    }
}

impl Dataset for TokenFiles {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self, split: Split) -> usize {
        text::blocks(self.tokens(split), self.length) as usize
    }

    fn tokens(&self, split: Split) -> u64 {
        self.of(split).tokens
    }

    /// The CRC-32 of the list of files: of each its name, a zero byte, and the number of its tokens (eight bytes, little-endian);
    /// then of the vocabulary's entries, each with a zero byte.
    fn checksum(&self) -> u32 {
        self.checksum
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn read(&self, split: Split, index: usize, input: &mut [u8], targets: &mut [u32]) -> Result<()> {
        let count = self.len(split);
        assert!(index < count, "TokenFiles::read: index {index} of {count} blocks in {split:?}");
        let mut tokens = vec![0; self.length as usize + 1];
        self.of(split).read(index as u64 * u64::from(self.length), &mut tokens, self.spec.classes.len() as u32)?;
        text::fill(tokens.into_iter(), input, targets);
        Ok(())
    }
}
