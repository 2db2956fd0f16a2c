//! Text for language models: one file, or files for training, validation and testing.
//!
//! A single file is divided as nanoGPT's `prepare.py` divides it: its last tenth is for validation. Where there are several files,
//! those for testing only count for the vocabulary. Text is read whole and kept as tokens.

pub(super) mod names;
mod zip;

use std::path::{Path, PathBuf};

use crate::{
    data::{
        MOST_CLASSES, MOST_TOKENS, Text, TokensBy, Vocabulary,
        vocabulary::{self, UNK, Unknown},
    },
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

/// The texts of a set.
#[derive(Default)]
struct Parts {
    train: Option<Piece>,
    valid: Option<Piece>,
    test: Option<Piece>,
}

/// A text, and where it is from.
struct Piece {
    place: PathBuf,
    /// The lines of the file before it.
    lines_before: usize,
    bytes: Vec<u8>,
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
    let (parts, notes) = read(path, by, by != TokensBy::Byte)?;
    let vocabulary = parts.vocabulary(path, by)?;
    check_vocabulary(path, vocabulary.entries())?;
    encoded(path, &parts, &vocabulary, length, notes)
}

/// Opens the text at `path` as [`open`] does, with the tokens of a vocabulary that is given, such as that of weights. Words that
/// it does not have count as [`UNK`], if it has that; a remark says how many they are.
///
/// # Errors
/// As [`open`], and [`Error::Data`] for what the vocabulary does not have, with file and line, and if no text can be cut into its
/// entries.
pub fn open_by(path: &Path, vocabulary: &Vocabulary, length: u32) -> Result<Text> {
    check_length(length)?;
    if !vocabulary.cuts_text() {
        let found = "text, which only the tokenizer of the weights can cut into theirs";
        let hint = "let it write files of tokens, train.bin and val.bin, and name their folder by 'data'";
        return Err(Error::data(path, "tokens", found, hint));
    }
    let (parts, notes) = read(path, vocabulary.by(), false)?;
    encoded(path, &parts, vocabulary, length, notes)
}

/// As [`open`], by characters, of files that are in memory, each with its name: one that is divided, or some for training,
/// validation and testing.
///
/// # Errors
/// As [`open`].
pub(super) fn held(place: &Path, files: &[(String, Vec<u8>)], length: u32) -> Result<Text> {
    check_length(length)?;
    let (mut parts, by) = (Parts::default(), TokensBy::Char);
    if let [(name, bytes)] = files {
        let (train, valid) = Piece::new(place.join(name), bytes.clone(), by)?.divide(by);
        parts = Parts { train: Some(train), valid: Some(valid), test: None };
    } else {
        for (name, part) in names::choose(place, files.iter().map(|(name, _)| name.as_str()), None)? {
            let bytes = files.iter().find(|(known, _)| known == name).map_or(vec![], |(_, bytes)| bytes.clone());
            *parts.of(part) = Some(Piece::new(place.join(name), bytes, by)?);
        }
    }
    let notes = missing(&parts);
    let vocabulary = parts.vocabulary(place, by)?;
    check_vocabulary(place, vocabulary.entries())?;
    encoded(place, &parts, &vocabulary, length, notes)
}

/// The set of texts whose tokens a vocabulary has.
fn encoded(path: &Path, parts: &Parts, vocabulary: &Vocabulary, length: u32, mut notes: Vec<String>) -> Result<Text> {
    let encode = |part: &Option<Piece>| part.as_ref().map_or(Ok((vec![], 0)), |part| part.encode(vocabulary));
    let ((train, unknown), (valid, also_unknown)) = (encode(&parts.train)?, encode(&parts.valid)?);
    if unknown + also_unknown > 0 {
        notes.push(format!(
            "{unknown} word(s) for training and {also_unknown} for validation are none of the vocabulary, and count as {UNK}"
        ));
    }
    check_enough(path, train.len() as u64, length)?;
    if parts.valid.is_some() && valid.len() <= length as usize {
        notes.push(too_short(valid.len() as u64, length));
    }
    Ok(Text::new(NAME, length, vocabulary.entries().to_vec(), train, valid).read_from(path, notes))
}

fn check_vocabulary(path: &Path, entries: &[String]) -> Result<()> {
    if entries.len() < 2 {
        let found = entries.first().map_or("none".into(), |only| format!("one, `{}`", only.escape_debug()));
        let hint = "there is nothing to learn from it: give another text by 'data'";
        return Err(Error::data(path, "text with at least two kinds of tokens", found, hint));
    }
    if let Some(long) = entries.iter().find(|entry| entry.len() > LONGEST_WORD) {
        let found = format!("one of {}", long.len());
        return Err(Error::data(path, format!("words of at most {LONGEST_WORD} bytes"), found, OTHERS));
    }
    vocabulary::check_bytes(entries)
        .map_err(|found| Error::data(path, "a vocabulary that a file of weights has room for", found, OTHERS))
}

/// What helps against words that are too many, too long, or too many bytes together.
const OTHERS: &str = "'tokens' char or byte has fewer kinds of tokens; of WikiText, the tokenized form (wikitext-2-v1, \
                      wiki.train.tokens) has fewer words than the raw one";

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
    Err(Error::data(
        path,
        expected,
        tokens.to_string(),
        "give more text, or train a network of a smaller block: 'model_set' block=N",
    ))
}

/// The remark on text for validation that has no block.
pub(super) fn too_short(tokens: u64, length: u32) -> String {
    match tokens {
        0 => "no text to validate on".to_owned(),
        _ => format!("{tokens} token(s) to validate on are less than a block of {length}"),
    }
}

/// Reads the files, and divides the text if there is but one. Text for testing, which counts for a vocabulary alone, is only read
/// if `for_vocabulary`. The remarks say what is missing.
fn read(path: &Path, by: TokensBy, for_vocabulary: bool) -> Result<(Parts, Vec<String>)> {
    let (mut parts, mut notes, mut left) = (Parts::default(), vec![], LIMIT);
    let is_read = |part| part != Part::Test || for_vocabulary;
    if zip::is_named(path) {
        let archive = Archive::open(path)?;
        for (name, part) in names::choose(path, archive.names(), None)?.into_iter().filter(|(_, part)| is_read(*part)) {
            *parts.of(part) = Some(Piece::new(path.join(name), archive.read(name)?, by)?);
        }
    } else {
        let files = names::files(path)?;
        for (file, part) in files.iter().filter(|(_, part)| is_read(*part)) {
            *parts.of(*part) = Some(Piece::new(file.clone(), read_within(file, &mut left)?, by)?);
        }
        notes.extend(names::remark(path, &files));
        if files.is_empty() {
            let (train, valid) = Piece::new(path.to_owned(), read_within(path, &mut left)?, by)?.divide(by);
            parts = Parts { train: Some(train), valid: Some(valid), test: None };
        }
    }
    notes.extend(missing(&parts));
    if by == TokensBy::Word {
        [&mut parts.train, &mut parts.valid, &mut parts.test].into_iter().flatten().for_each(Piece::end_line);
    }
    Ok((parts, notes))
}

/// The remark on what there is none of.
fn missing(parts: &Parts) -> Vec<String> {
    let text = "no text for validation beside that for training".to_owned();
    if parts.valid.is_none() { vec![text] } else { vec![] }
}

fn read_within(path: &Path, left: &mut u64) -> Result<Vec<u8>> {
    check_fits(path, files::open(path)?.1, *left)?;
    let bytes = files::read(path, *left)?;
    *left -= bytes.len() as u64;
    Ok(bytes)
}

/// Refuses what is too long to be read whole, where there is room for `left` bytes.
fn check_fits(path: &Path, length: u64, left: u64) -> Result<()> {
    if length <= left {
        return Ok(());
    }
    let found = match LIMIT - left {
        0 => length.to_string(),
        others => format!("{length}, beside {others} of the other files"),
    };
    let hint = "tokens in files (train.bin, val.bin) may have any size";
    Err(Error::data(path, format!("text of at most {LIMIT} bytes, which is read whole"), found, hint))
}

impl Parts {
    fn of(&mut self, part: Part) -> &mut Option<Piece> {
        match part {
            Part::Train => &mut self.train,
            Part::Valid => &mut self.valid,
            Part::Test => &mut self.test,
        }
    }

    /// The vocabulary of all parts.
    fn vocabulary(&self, path: &Path, by: TokensBy) -> Result<Vocabulary> {
        if by == TokensBy::Byte {
            return Ok(Vocabulary::bytes());
        }
        let texts = [&self.train, &self.valid, &self.test].map(|part| part.as_ref().map_or("", Piece::text));
        let of_words = by == TokensBy::Word;
        let vocabulary = if of_words { Vocabulary::words(&texts) } else { Vocabulary::characters(&texts) };
        vocabulary.ok_or_else(|| {
            let (kinds, hint) = if of_words { ("words", OTHERS) } else { ("characters", "take 'tokens' byte") };
            Error::data(path, format!("at most {MOST_CLASSES} different {kinds}"), "more", hint)
        })
    }
}

impl Piece {
    /// Refuses what is not UTF-8, unless the tokens are bytes.
    fn new(place: PathBuf, bytes: Vec<u8>, by: TokensBy) -> Result<Self> {
        match std::str::from_utf8(&bytes) {
            Err(error) if by != TokensBy::Byte => {
                let at = error.valid_up_to();
                let found = format!("the byte 0x{:02x} at offset {at}, which is none of UTF-8", bytes[at]);
                let hint = "convert it to UTF-8, or take any bytes by 'tokens' byte";
                Err(Error::data(&place, "text in UTF-8", found, hint))
            }
            _ => Ok(Self { place, lines_before: 0, bytes }),
        }
    }

    /// The two parts of a text that is divided.
    fn divide(mut self, by: TokensBy) -> (Self, Self) {
        let bytes = self.bytes.split_off(ninety_percent(&self.bytes, by));
        let lines_before = self.bytes.iter().filter(|&&byte| byte == b'\n').count();
        let valid = Self { place: self.place.clone(), lines_before, bytes };
        (self, valid)
    }

    /// Ends the last line too, so that each line of words ends with the same token.
    fn end_line(&mut self) {
        if self.bytes.last().is_some_and(|&byte| byte != b'\n') {
            self.bytes.push(b'\n');
        }
    }

    /// The text, unless the tokens are bytes.
    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("it was read as UTF-8, and divided between characters")
    }

    /// The tokens, and how many of them stand for words that the vocabulary does not have.
    fn encode(&self, vocabulary: &Vocabulary) -> Result<(Vec<u16>, usize)> {
        if vocabulary.by() == TokensBy::Byte {
            return Ok((self.bytes.iter().map(|&byte| byte.into()).collect(), 0));
        }
        vocabulary.cut(self.text()).map_err(|Unknown { piece, line }| {
            let kinds = if vocabulary.by() == TokensBy::Word { "words" } else { "characters" };
            let expected = format!("the {} {kinds} of the weights' vocabulary alone", vocabulary.entries().len());
            let piece: String = piece.escape_debug().take(SHOWN).collect();
            let found = format!("`{piece}` in line {}", self.lines_before + line);
            Error::data(&self.place, expected, found, "replace it in the text, or train on text that has it")
        })
    }
}

/// Most characters of a word that are printed.
const SHOWN: usize = 40;

/// Where the text is divided: nine tenths of its characters, bytes or lines, or of the words of a single line, are before. The
/// rounding is that of Python's `int(n * 0.9)`.
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
            match lines().count() {
                0 | 1 => {
                    let text = String::from_utf8_lossy(text);
                    let starts = || vocabulary::words_at(&text);
                    starts().nth(part(starts().count())).unwrap_or(text.len())
                }
                count => lines().take(part(count)).map(<[u8]>::len).sum(),
            }
        }
    }
}
