//! Text for language models: one file, or files for training, validation and testing.
//!
//! A single file is divided as nanoGPT's `prepare.py` divides it: its last tenth is for validation. Where there are several files,
//! those for testing only count for the vocabulary. Text is read whole and kept as tokens.

pub(super) mod names;
mod zip;

use std::{borrow::Cow, path::Path};

use crate::{
    data::{MOST_CLASSES, MOST_TOKENS, Text, TokensBy, Vocabulary, vocabulary},
    error::{Error, Result},
    host::files,
};

use names::Part;
use zip::Archive;

/// The name of such a set.
pub const NAME: &str = "text";
/// The tokens of a block if no length is asked for.
pub const USUAL_LENGTH: u32 = 64;
/// Most bytes of all files together.
pub const LIMIT: u64 = 1 << 30;
/// Most bytes of a word.
const LONGEST_WORD: usize = 1 << 10;

/// The bytes of a set, as they are in its files.
#[derive(Default)]
struct Parts {
    train: Option<Vec<u8>>,
    valid: Option<Vec<u8>>,
    test: Option<Vec<u8>>,
}

/// Opens the text at `path`: a folder with files for training and validation, one such file, an archive of them, or any other
/// file, which is divided. Blocks have `length` tokens.
///
/// # Errors
/// [`Error::Data`] if there is no text for training, or less than a block; if it is not UTF-8 and not taken by bytes; if it has
/// fewer than two kinds of tokens or more than [`MOST_CLASSES`]; if it has more than [`LIMIT`] bytes. [`Error::Config`] if
/// `length` is none of a block. [`Error::Io`] if something cannot be read.
pub fn open(path: &Path, by: TokensBy, length: u32) -> Result<Text> {
    check_length(length)?;
    let (parts, mut notes) = read(path, by)?;
    let (vocabulary, [train, valid]) = tokens(path, &parts, by)?;
    let entries = vocabulary.entries();
    if entries.len() < 2 {
        let found = entries.first().map_or("none".into(), |only| format!("one, `{}`", only.escape_debug()));
        return Err(Error::data(path, "text with at least two kinds of tokens", found, ""));
    }
    if let Some(long) = entries.iter().find(|entry| entry.len() > LONGEST_WORD) {
        let found = format!("one of {}", long.len());
        return Err(Error::data(path, format!("words of at most {LONGEST_WORD} bytes"), found, OTHERS));
    }
    let bytes: usize = entries.iter().map(String::len).sum();
    if bytes > vocabulary::MOST_BYTES {
        let expected = format!("a vocabulary of at most {} bytes", vocabulary::MOST_BYTES);
        return Err(Error::data(path, expected, format!("one of {bytes}"), OTHERS));
    }
    check_enough(path, train.len() as u64, length)?;
    if parts.valid.is_some() && valid.len() <= length as usize {
        notes.push(too_short(valid.len() as u64, length));
    }
    Ok(Text::new(NAME, length, vocabulary, train, valid).read_from(path, notes))
}

/// What helps against too many words, and too long ones.
const OTHERS: &str = "'tokens' char or byte has fewer kinds of tokens";

/// Refuses a number of tokens that no block has.
pub(super) fn check_length(length: u32) -> Result<()> {
    if (1..=MOST_TOKENS).contains(&length) {
        return Ok(());
    }
    Err(Error::config(format!("blocks of {length} tokens"), format!("a block has from 1 to {MOST_TOKENS} tokens")))
}

/// Refuses text that has no block to learn from.
pub(super) fn check_enough(path: &Path, tokens: u64, length: u32) -> Result<()> {
    if tokens > length.into() {
        return Ok(());
    }
    let expected = format!("at least {} tokens for training, a block of {length} and one more", u64::from(length) + 1);
    Err(Error::data(path, expected, tokens.to_string(), "give more text, or a network with a smaller block"))
}

/// The remark on text for validation that has no block.
pub(super) fn too_short(tokens: u64, length: u32) -> String {
    match tokens {
        0 => "no text to validate on: there will be no validation".to_owned(),
        _ => format!("{tokens} token(s) to validate on are less than a block of {length}: there will be no validation"),
    }
}

/// Reads the files, and divides the text if there is but one. The remarks say what is missing.
fn read(path: &Path, by: TokensBy) -> Result<(Parts, Vec<String>)> {
    let read = |file: &Path, left: &mut u64| {
        let bytes = read_within(file, *left)?;
        *left -= bytes.len() as u64;
        check_text(file, &bytes, by).map(|()| bytes)
    };
    let (mut parts, mut left) = (Parts::default(), LIMIT);
    if zip::is_named(path) {
        let archive = Archive::open(path, LIMIT)?;
        for (name, part) in names::choose(path, archive.names(), None)? {
            let bytes = archive.read(name)?;
            check_text(&path.join(name), &bytes, by)?;
            *parts.of(part) = Some(bytes);
        }
    } else {
        let files = names::files(path)?;
        for (file, part) in &files {
            *parts.of(*part) = Some(read(file, &mut left)?);
        }
        if files.is_empty() {
            let mut text = read(path, &mut left)?;
            let valid = text.split_off(ninety_percent(&text, by));
            parts = Parts { train: Some(text), valid: Some(valid), test: None };
        }
    }
    let missing = "no text for validation beside that for training: there will be no validation";
    let notes = parts.valid.is_none().then(|| missing.to_owned());
    Ok((parts, Vec::from_iter(notes)))
}

impl Parts {
    fn of(&mut self, part: Part) -> &mut Option<Vec<u8>> {
        match part {
            Part::Train => &mut self.train,
            Part::Valid => &mut self.valid,
            Part::Test => &mut self.test,
        }
    }
}

fn read_within(path: &Path, left: u64) -> Result<Vec<u8>> {
    files::read(path, left).map_err(|error| match error {
        Error::Data { path, found, .. } if found.parse::<u64>().is_ok() => {
            let hint = "tokens in files (train.bin, val.bin) may have any size";
            Error::data(&path, format!("text of at most {LIMIT} bytes, which is read whole"), found, hint)
        }
        other => other,
    })
}

/// Refuses what is not UTF-8, unless the tokens are bytes.
fn check_text(path: &Path, bytes: &[u8], by: TokensBy) -> Result<()> {
    match std::str::from_utf8(bytes) {
        Err(error) if by != TokensBy::Byte => {
            let at = error.valid_up_to();
            let found = format!("the byte 0x{:02x} at offset {at}, which is none of UTF-8", bytes[at]);
            Err(Error::data(path, "text in UTF-8", found, "convert it to UTF-8, or take any bytes by 'tokens' byte"))
        }
        _ => Ok(()),
    }
}

/// Where the text is divided: nine tenths of its characters, bytes or lines are before. The rounding is that of Python's
/// `int(n * 0.9)`.
fn ninety_percent(text: &[u8], by: TokensBy) -> usize {
    let part = |count: usize| (count as f64 * 0.9) as usize;
    // All bytes of a character but the first begin with the bits 10.
    let begins = |byte: u8| byte & 0xc0 != 0x80;
    match by {
        TokensBy::Byte => part(text.len()),
        TokensBy::Char => {
            let before = part(text.iter().filter(|&&byte| begins(byte)).count());
            let mut starts = text.iter().enumerate().filter(|(_, byte)| begins(**byte));
            starts.nth(before).map_or(text.len(), |(at, _)| at)
        }
        TokensBy::Word => {
            let lines = || text.split_inclusive(|&byte| byte == b'\n');
            lines().take(part(lines().count())).map(<[u8]>::len).sum()
        }
    }
}

/// The vocabulary of all parts, and the tokens of training and validation.
fn tokens(path: &Path, parts: &Parts, by: TokensBy) -> Result<(Vocabulary, [Vec<u16>; 2])> {
    let [train, valid, test] =
        [&parts.train, &parts.valid, &parts.test].map(|part| part.as_deref().unwrap_or_default());
    if by == TokensBy::Byte {
        return Ok((Vocabulary::bytes(), [train, valid].map(|part| part.iter().map(|&byte| byte.into()).collect())));
    }
    let texts = [train, valid, test].map(|part| lines(String::from_utf8_lossy(part), by));
    let [train, valid, test] = texts.each_ref().map(|text| &**text);
    let vocabulary = match by {
        TokensBy::Word => Vocabulary::words(&[train, valid, test]),
        _ => Vocabulary::characters(&[train, valid, test]),
    };
    let vocabulary = vocabulary.ok_or_else(|| {
        let (kinds, hint) = if by == TokensBy::Word { ("words", OTHERS) } else { ("characters", "take 'tokens' byte") };
        Error::data(path, format!("at most {MOST_CLASSES} different {kinds}"), "more", hint)
    })?;
    let tokens = [vocabulary.encode(train)?, vocabulary.encode(valid)?];
    Ok((vocabulary, tokens))
}

/// The text, where words are meant with an end of the last line too: each line ends with the same token.
fn lines(text: Cow<'_, str>, by: TokensBy) -> Cow<'_, str> {
    if by == TokensBy::Word && !text.is_empty() && !text.ends_with('\n') { text + "\n" } else { text }
}
