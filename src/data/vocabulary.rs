//! What tokens stand for: characters, bytes or words, and the way from text to tokens and back.
//!
//! The entries of a vocabulary tell its kind, so that a file of weights, which has the entries alone, can be given text. The 256
//! names of bytes are a vocabulary of bytes. If no entry has white space in it and one has several characters, the entries are
//! words with a space between them, and [`EOS`] ends a line. All others are pieces of text that follow one another. [`MASK`], which
//! stands for hidden tokens, does not count.

mod decoder;

pub use decoder::Decoder;

use std::{collections::HashMap, fmt};

use super::{MASK, MOST_CLASSES};
use crate::error::{Error, Result};

/// The word at the end of every line.
pub const EOS: &str = "<eos>";

/// The word that stands for every other one, where a vocabulary of words has it.
pub const UNK: &str = "<unk>";

/// The most bytes of all entries together: files of weights have them in their header.
pub const MOST_BYTES: usize = 2 << 20;

/// Refuses entries that have more bytes than [`MOST_BYTES`] together, and says how many.
///
/// # Errors
/// Their number, in words.
pub fn check_bytes(entries: &[String]) -> std::result::Result<(), String> {
    let bytes: usize = entries.iter().map(String::len).sum();
    if bytes <= MOST_BYTES { Ok(()) } else { Err(format!("entries of {bytes} bytes, where {MOST_BYTES} are possible")) }
}

/// Adds the entries to the checksum of a set, each with a zero byte behind it. Without them, texts that differ by a substitution
/// of letters would be the same. [`MASK`] is left out: a text is the same whether or not its vocabulary has come from a network that
/// hides tokens of it.
pub fn add_entries(entries: &[String], checksum: &mut crc32fast::Hasher) {
    for entry in entries.iter().filter(|entry| *entry != MASK) {
        checksum.update(entry.as_bytes());
        checksum.update(&[0]);
    }
}

/// What text is cut into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TokensBy {
    /// Characters: code points of Unicode.
    #[default]
    Char,
    /// Bytes.
    Byte,
    /// What stands between white space, with [`EOS`] at the end of each line.
    Word,
}

impl TokensBy {
    /// What text was cut into that has these entries.
    pub fn of(entries: &[String]) -> Self {
        let entries = match entries {
            [entries @ .., last] if last == MASK => entries,
            entries => entries,
        };
        let of_bytes = entries.len() == 256 && (0..=u8::MAX).zip(entries).all(|(byte, name)| name_of(byte) == *name);
        let of_words = !entries.iter().any(|entry| entry.contains(is_space)) && !are_characters(entries);
        match (of_bytes, of_words) {
            (true, _) => Self::Byte,
            (_, true) => Self::Word,
            _ => Self::Char,
        }
    }
}

impl fmt::Display for TokensBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Char => "char",
            Self::Byte => "byte",
            Self::Word => "word",
        })
    }
}

/// The entries of a vocabulary in the order of their tokens.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    entries: Vec<String>,
    by: TokensBy,
    tokens: HashMap<String, u16>,
}

impl Vocabulary {
    /// The vocabulary that has these entries, of which [`MOST_CLASSES`] are used.
    pub fn of(entries: &[String]) -> Self {
        Self::new(entries.to_vec(), TokensBy::of(entries))
    }

    /// Tokens that are called by their numbers, with spaces between them.
    pub fn numbers(count: usize) -> Self {
        Self::new((0..count).map(|token| token.to_string()).collect(), TokensBy::Word)
    }

    fn new(entries: Vec<String>, by: TokensBy) -> Self {
        let tokens = entries.iter().cloned().zip(0..=u16::MAX).collect();
        Self { entries, by, tokens }
    }

    /// Every byte, named by its ASCII character if that can be printed, and otherwise as `\x0a`.
    pub fn bytes() -> Self {
        Self::new((0..=u8::MAX).map(name_of).collect(), TokensBy::Byte)
    }

    /// The characters of `texts`, sorted by code point; `None` if there are more than [`MOST_CLASSES`].
    pub fn characters(texts: &[&str]) -> Option<Self> {
        let mut seen = vec![false; char::MAX as usize + 1];
        texts.iter().flat_map(|text| text.chars()).for_each(|c| seen[c as usize] = true);
        let entries: Vec<String> = ('\0'..=char::MAX).filter(|&c| seen[c as usize]).map(String::from).collect();
        (entries.len() <= MOST_CLASSES).then(|| Self::new(entries, TokensBy::Char))
    }

    /// The words of `texts` in the order of their first appearance; `None` if there are more than [`MOST_CLASSES`].
    pub fn words(texts: &[&str]) -> Option<Self> {
        let (mut entries, mut tokens) = (vec![], HashMap::new());
        for word in texts.iter().flat_map(|text| words_in(text)) {
            if tokens.contains_key(word) {
                continue;
            }
            let token = u16::try_from(entries.len()).ok()?;
            entries.push(word.to_owned());
            tokens.insert(word.to_owned(), token);
        }
        Some(Self { entries, by: TokensBy::Word, tokens })
    }

    /// What the tokens stand for, in their order.
    pub fn entries(&self) -> &[String] {
        &self.entries
    }

    /// The entries alone.
    pub fn into_entries(self) -> Vec<String> {
        self.entries
    }

    /// What text is cut into.
    pub fn by(&self) -> TokensBy {
        self.by
    }

    /// Whether the entries are the tokens' numbers, which tell no text.
    pub fn is_numbers(&self) -> bool {
        self.by == TokensBy::Word && self.entries.iter().enumerate().all(|(token, entry)| *entry == token.to_string())
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// [`Error::Config`] with what of the text the vocabulary does not have.
    pub fn encode(&self, text: &str) -> Result<Vec<u16>> {
        self.cut(text).map(|(tokens, _)| tokens).map_err(|Unknown { piece, .. }| {
            let hint = "use what was in the text that the vocabulary is of";
            Error::config(format!("`{}` is none of the {} tokens", piece.escape_debug(), self.entries.len()), hint)
        })
    }

    /// The tokens of a text, and how many of them stand for words that the vocabulary does not have: each is [`UNK`], if it has
    /// that.
    ///
    /// # Errors
    /// What of the text the vocabulary does not have, and where.
    pub fn cut<'a>(&self, text: &'a str) -> std::result::Result<(Vec<u16>, usize), Unknown<'a>> {
        match self.by {
            TokensBy::Byte => Ok((text.bytes().map(u16::from).collect(), 0)),
            TokensBy::Word => {
                let (others, mut tokens, mut misses) = (self.tokens.get(UNK), vec![], 0);
                for (line, words) in text.split_inclusive('\n').enumerate() {
                    for piece in words_in(words) {
                        let known = self.tokens.get(piece);
                        misses += usize::from(known.is_none());
                        tokens.push(*known.or(others).ok_or(Unknown { piece, line: line + 1 })?);
                    }
                }
                tokens.shrink_to_fit();
                Ok((tokens, misses))
            }
            TokensBy::Char => {
                // A table by code point is several times faster than a map.
                let mut known = vec![None; char::MAX as usize + 1];
                let mut tokens = Vec::with_capacity(text.chars().count());
                for (at, c) in text.char_indices() {
                    let place = &mut known[c as usize];
                    if place.is_none() {
                        *place = self.tokens.get(c.encode_utf8(&mut [0; 4]) as &str).copied();
                    }
                    tokens.push(place.ok_or_else(|| Unknown {
                        piece: &text[at..at + c.len_utf8()],
                        line: text[..at].matches('\n').count() + 1,
                    })?);
                }
                Ok((tokens, 0))
            }
        }
    }

    /// Whether the entries alone tell how text is cut into them: bytes, characters, or words with ends of lines. Others, as pieces
    /// of words or mere numbers, are those of a tokenizer.
    pub fn cuts_text(&self) -> bool {
        match self.by {
            TokensBy::Byte => true,
            TokensBy::Char => are_characters(&self.entries),
            // Some words of a text may be marked by chance, and of a tokenizer's pieces many are.
            TokensBy::Word => {
                let marked = self.entries.iter().filter(|entry| is_piece(entry)).count();
                self.tokens.contains_key(EOS) && 10 * marked < self.entries.len()
            }
        }
    }

    /// The text of tokens. What is no text, as a character that is cut off, becomes a replacement character.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let mut decoder = Decoder::new(self);
        let mut text: String = tokens.iter().map(|&token| decoder.push(token)).collect();
        text += &decoder.finish();
        text
    }
}

/// A piece of a text that a vocabulary does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown<'a> {
    /// The character or word.
    pub piece: &'a str,
    /// The line that it is in, from 1 on.
    pub line: usize,
}

/// What a token of these entries is called where something is counted per token: a character, a byte, or else a token.
pub fn unit(entries: &[String]) -> &'static str {
    match TokensBy::of(entries) {
        TokensBy::Byte => "byte",
        TokensBy::Char if are_characters(entries) => "character",
        TokensBy::Char | TokensBy::Word => "token",
    }
}

/// Whether no entry has several characters.
fn are_characters(entries: &[String]) -> bool {
    entries.iter().all(|entry| entry == MASK || entry.chars().nth(1).is_none())
}

/// Whether an entry has a tokenizer's mark of where words begin, or go on: GPT-2's, SentencePiece's or BERT's.
fn is_piece(entry: &str) -> bool {
    ["Ġ", "▁", "##"].iter().any(|mark| entry.strip_prefix(mark).is_some_and(|rest| !rest.is_empty()))
}

/// How a byte is called in a vocabulary of bytes.
fn name_of(byte: u8) -> String {
    match byte {
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    }
}

/// The words of a text, with [`EOS`] for each line end.
fn words_in(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').flat_map(|line| {
        let words = line.split(is_space).filter(|word| !word.is_empty());
        words.chain(line.ends_with('\n').then_some(EOS))
    })
}

/// Where the words of a text begin, in bytes.
pub fn words_at(text: &str) -> impl Iterator<Item = usize> {
    let mut before = true;
    text.char_indices().filter_map(move |(at, c)| {
        let begins = std::mem::replace(&mut before, is_space(c)) && !is_space(c);
        begins.then_some(at)
    })
}

/// Whether Python's `str.split` separates words by a character: Unicode's white space, and four control characters beside it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text becomes tokens and the same text again, and the entries alone tell of which kind they are.
    #[test]
    fn entries_tell_their_kind() {
        let text = "zoë saw\tthe\nzoo\n\n";
        let [characters, words] = [Vocabulary::characters, Vocabulary::words].map(|new| new(&[text]).unwrap());
        for (vocabulary, by, back) in [
            (characters, TokensBy::Char, text),
            (Vocabulary::bytes(), TokensBy::Byte, text),
            (words, TokensBy::Word, "zoë saw the\nzoo\n\n"),
        ] {
            let again = Vocabulary::of(vocabulary.entries());
            assert_eq!((again.by(), vocabulary.by()), (by, by));
            let tokens = again.encode(text).unwrap();
            assert_eq!(tokens, vocabulary.encode(text).unwrap());
            assert_eq!(again.decode(&tokens.iter().map(|&token| token.into()).collect::<Vec<_>>()), back);
        }
    }

    #[test]
    fn tokens_are_counted_by_what_they_are() {
        let pieces = ["\n", " the", "the"].map(str::to_owned);
        for (vocabulary, unit) in [
            (Vocabulary::characters(&["zoë\n"]).unwrap(), "character"),
            (Vocabulary::bytes(), "byte"),
            (Vocabulary::words(&["zoë saw\n"]).unwrap(), "token"),
            (Vocabulary::of(&pieces), "token"),
            (Vocabulary::numbers(11), "token"),
        ] {
            assert_eq!(super::unit(vocabulary.entries()), unit, "{vocabulary:?}");
            assert_eq!(vocabulary.is_numbers(), vocabulary.entries().len() == 11);
        }
        let numbers = Vocabulary::of(Vocabulary::numbers(11).entries());
        assert_eq!(
            (numbers.encode("10 0\t7").unwrap(), numbers.decode(&[10, 0, 7])),
            (vec![10, 0, 7], "10 0 7".into())
        );
    }

    #[test]
    fn what_is_not_in_a_vocabulary_is_named() {
        let error = Vocabulary::characters(&["abc"]).unwrap().encode("ab\nc").unwrap_err().to_string();
        assert!(error.contains(r"`\n` is none of the 3 tokens"), "{error}");
        let many: Vec<String> = (0..=MOST_CLASSES).map(|word| word.to_string()).collect();
        assert!(Vocabulary::words(&[&many.join(" ")]).is_none());
        assert_eq!(Vocabulary::words(&[&many[1..].join(" ")]).unwrap().entries().len(), MOST_CLASSES);
    }
    #[test]
    fn other_words_are_unknown() {
        let words = Vocabulary::words(&["<unk> the cat\n"]).unwrap();
        assert_eq!(words.cut("the dog\n\ncat"), Ok((vec![1, 0, 3, 3, 2], 1)));
        assert_eq!(words.cut("the dog\nox"), Ok((vec![1, 0, 3, 0], 2)));
        let plain = Vocabulary::words(&["the cat\n"]).unwrap();
        let unknown = |piece, line| Err(Unknown { piece, line });
        assert_eq!((plain.cut("the\nthe dog"), plain.cut("the")), (unknown("dog", 2), Ok((vec![0], 0))));
        assert_eq!(Vocabulary::characters(&["a\n"]).unwrap().cut("a\n\naéa"), unknown("é", 3));
    }

    #[test]
    fn only_some_vocabularies_cut_text() {
        let of = |entries: &[&str]| Vocabulary::of(&entries.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>());
        for (vocabulary, cuts) in [
            (Vocabulary::bytes(), true),
            (of(&["a", "\n", "é"]), true),
            (of(&["the", EOS]), true),
            (of(&["the", " the", "\n"]), false),
            (of(&["0", "1", "10"]), false),
            (of(&["the", "Ġthe"]), false),
            (of(&["Ġthe", EOS]), false),
            (of(&["▁the", EOS]), false),
            (of(&["the", "##s", EOS]), false),
            // Words of a text in Markdown, and one of Maltese among others.
            (of(&["##", "the", EOS]), true),
            (of(&["Ġunju", "a", "b", "c", "d", "e", "f", "g", "h", "i", EOS]), true),
        ] {
            assert_eq!(vocabulary.cuts_text(), cuts, "{vocabulary:?}");
        }
        assert_eq!(words_at(" a bc\u{a0}d ").collect::<Vec<_>>(), [1, 3, 7]);
    }
}
