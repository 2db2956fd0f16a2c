//! Opens sets of text and of tokens, and reads their samples.

use std::path::Path;

use velograd::{
    data::{Dataset, Split, TokensBy, Vocabulary},
    error::{Error, Result},
    host::data::{Opened, Wanted, open},
};

use crate::folder::says;

/// Opens the text at a path, in blocks of so many tokens.
pub fn at(path: &Path, tokens: impl Into<Option<TokensBy>>, length: u32) -> Result<Opened> {
    open(Wanted { path: Some(path), tokens: tokens.into(), length: Some(length), ..Wanted::default() })
}

/// The tokens and the targets of a sample.
pub fn sample(set: &dyn Dataset, split: Split, index: usize) -> Result<(Vec<u32>, Vec<u32>)> {
    let input = set.spec().input;
    let (mut bytes, mut targets) = (vec![0; input.bytes()], vec![0; input.targets() as usize]);
    set.read(split, index, &mut bytes, &mut targets)?;
    let tokens = bytes.chunks_exact(4).map(|token| u32::from_le_bytes(token.try_into().unwrap()));
    Ok((tokens.collect(), targets))
}

/// The whole samples of a split as text, checked to be shifted by one and to follow one another.
pub fn decoded(set: &dyn Dataset, split: Split) -> String {
    let (mut all, mut next) = (vec![], None);
    for index in 0..set.len(split) {
        let (tokens, targets) = sample(set, split, index).unwrap();
        assert_eq!(tokens[1..], targets[..targets.len() - 1]);
        assert!(next.is_none_or(|next| next == tokens[0]), "sample {index} does not follow the one before");
        next = targets.last().copied();
        all.extend(tokens);
    }
    Vocabulary::of(&set.spec().classes).decode(&all)
}

pub fn fails(result: Result<Opened>, parts: &[&str]) {
    let error = result.expect_err(parts[0]);
    assert!(!matches!(error, Error::Io { .. }), "{error}");
    says(&error.to_string(), parts);
}

/// Tokens of two bytes, as nanoGPT writes them.
pub fn u16s(tokens: impl IntoIterator<Item = u16>) -> Vec<u8> {
    tokens.into_iter().flat_map(u16::to_le_bytes).collect()
}

/// Reads every sample, whose tokens the vocabulary must have.
pub fn read_all(path: &Path, by: Option<TokensBy>) -> Result<()> {
    let set = at(path, by, 5)?.dataset;
    for split in [Split::Train, Split::Test] {
        for index in 0..set.len(split) {
            let (tokens, targets) = sample(set.as_ref(), split, index)?;
            assert!(tokens.iter().chain(&targets).all(|&token| (token as usize) < set.spec().classes.len()));
        }
    }
    Ok(())
}
