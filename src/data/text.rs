//! Text in memory, as the tokens of both splits.
//!
//! Sample i of a split begins at its token i times the length of a block. What is left at the end and fills no block is never
//! read. [`blocks`] and [`fill`] say this for sets that keep their tokens elsewhere.

use std::path::{Path, PathBuf};

use super::{Dataset, Spec, Split, Tokens, vocabulary};
use crate::error::Result;

/// Whole samples among so many tokens: each has `length` tokens, and the last one's targets take one more.
pub const fn blocks(tokens: u64, length: u32) -> u64 {
    tokens.saturating_sub(1) / length as u64
}

/// Writes a block of tokens, and the token behind each as its target. There is one token more than there are targets.
///
/// # Panics
/// If `input` and `targets` have other sizes than the block.
pub fn fill(tokens: impl ExactSizeIterator<Item = u32>, input: &mut [u8], targets: &mut [u32]) {
    assert_eq!((tokens.len(), input.len()), (targets.len() + 1, 4 * targets.len()), "a block of another length");
    let (mut before, mut places) = (None, input.chunks_exact_mut(4).zip(targets));
    for token in tokens {
        if let Some(before) = before.replace(token) {
            let (place, target) = places.next().expect("as many places as tokens");
            place.copy_from_slice(&u32::to_le_bytes(before));
            *target = token;
        }
    }
}

/// Text as tokens of two bytes, which is enough for every vocabulary.
pub struct Text {
    spec: Spec,
    length: u32,
    train: Vec<u16>,
    valid: Vec<u16>,
    checksum: u32,
    notes: Vec<String>,
    path: Option<PathBuf>,
    seed: Option<u64>,
    least_loss: Option<f64>,
}

impl Text {
    /// A set of blocks of `length` tokens to learn from and to validate on, all of them tokens of the vocabulary with these entries.
    ///
    /// # Panics
    /// If blocks have no tokens.
    pub fn new(name: &str, length: u32, entries: Vec<String>, train: Vec<u16>, valid: Vec<u16>) -> Self {
        assert!(length > 0, "{name}: blocks without tokens");
        let checksum = checksum(&entries, &[&train, &valid]);
        let input = Tokens { length, vocabulary: entries.len() as u32 };
        let spec = Spec::new(name, input, entries);
        Self { spec, length, train, valid, checksum, notes: vec![], path: None, seed: None, least_loss: None }
    }

    /// The same text, read from `path`, with remarks for the user.
    #[must_use]
    pub fn read_from(self, path: &Path, notes: Vec<String>) -> Self {
        Self { path: Some(path.to_owned()), notes, ..self }
    }

    /// The same text, drawn from `seed` by a source whose entropy is known.
    #[must_use]
    pub fn drawn(self, seed: u64, least_loss: f64) -> Self {
        Self { seed: Some(seed), least_loss: Some(least_loss), ..self }
    }

    fn of(&self, split: Split) -> &[u16] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.valid,
        }
    }
}

/// The CRC-32 of the entries, each with a zero byte behind it, and of each split: the number of its tokens (eight bytes,
/// little-endian), which says where training ends, and the tokens as two bytes each.
fn checksum(entries: &[String], splits: &[&[u16]]) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    vocabulary::add_entries(entries, &mut checksum);
    for tokens in splits {
        checksum.update(&(tokens.len() as u64).to_le_bytes());
        for portion in tokens.chunks(1 << 15) {
            let bytes: Vec<u8> = portion.iter().flat_map(|token| token.to_le_bytes()).collect();
            checksum.update(&bytes);
        }
    }
    checksum.finalize()
}

impl Dataset for Text {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self, split: Split) -> usize {
        blocks(self.tokens(split), self.length) as usize
    }

    fn tokens(&self, split: Split) -> u64 {
        self.of(split).len() as u64
    }

    fn checksum(&self) -> u32 {
        self.checksum
    }

    fn seed(&self) -> Option<u64> {
        self.seed
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    fn least_loss(&self) -> Option<f64> {
        self.least_loss
    }

    fn read(&self, split: Split, index: usize, input: &mut [u8], targets: &mut [u32]) -> Result<()> {
        let (count, length) = (self.len(split), self.length as usize);
        assert!(index < count, "{}: index {index} of {count} blocks in {split:?}", self.spec.name);
        let block = &self.of(split)[index * length..][..length + 1];
        fill(block.iter().map(|&token| token.into()), input, targets);
        Ok(())
    }
}
