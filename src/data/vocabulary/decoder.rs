//! The text of tokens that come one at a time, as while a model writes it.

use super::{EOS, TokensBy, Vocabulary};

/// Turns tokens into text as they come. A character of several bytes comes out with its last one.
pub struct Decoder<'a> {
    vocabulary: &'a Vocabulary,
    /// The bytes of a character that is not complete.
    pending: Vec<u8>,
    /// Whether a word would be the first one of its line.
    at_start: bool,
}

impl<'a> Decoder<'a> {
    /// A decoder at the beginning of a text.
    pub fn new(vocabulary: &'a Vocabulary) -> Self {
        Self { vocabulary, pending: vec![], at_start: true }
    }

    /// The text that the next token adds. A token that the vocabulary does not have adds none, and bytes that are no text add
    /// replacement characters.
    pub fn push(&mut self, token: u32) -> String {
        let Some(entry) = self.vocabulary.entries.get(token as usize) else { return String::new() };
        match self.vocabulary.by {
            TokensBy::Char => entry.clone(),
            // There are 256 entries, so that the token fits.
            TokensBy::Byte => self.push_byte(token as u8),
            TokensBy::Word => self.push_word(entry),
        }
    }

    fn push_byte(&mut self, byte: u8) -> String {
        self.pending.push(byte);
        let mut text = String::new();
        loop {
            // Whole characters do not wait, so that what is wrong is at the beginning.
            match std::str::from_utf8(&self.pending).map_err(|error| error.error_len()) {
                Ok(whole) => {
                    text += whole;
                    self.pending.clear();
                    return text;
                }
                Err(None) => return text,
                Err(Some(wrong)) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.pending.drain(..wrong);
                }
            }
        }
    }

    fn push_word(&mut self, word: &str) -> String {
        let ends = word == EOS;
        let begins = std::mem::replace(&mut self.at_start, ends);
        match (ends, begins) {
            (true, _) => "\n".to_owned(),
            (false, true) => word.to_owned(),
            (false, false) => format!(" {word}"),
        }
    }

    /// What is left at the end of the text: a replacement character for one that is not complete.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Rng;

    /// Bytes of any kind are the text that the standard library makes of them, at any cut, and no character waits for another.
    #[test]
    fn bytes_become_characters_as_they_come() {
        let vocabulary = Vocabulary::bytes();
        let pieces: Vec<&[u8]> =
            vec!["é".as_bytes(), "東".as_bytes(), "🙂".as_bytes(), b"a", b"\xf0\x9f", b"\x80", b"\xc3", b"\xff"];
        let mut rng = Rng::new(3);
        for _ in 0..500 {
            let bytes: Vec<u8> =
                (0..9).flat_map(|_| pieces[rng.below(pieces.len() as u32) as usize].to_vec()).collect();
            let tokens: Vec<u32> = bytes.iter().map(|&byte| byte.into()).collect();
            assert_eq!(vocabulary.decode(&tokens), String::from_utf8_lossy(&bytes), "{bytes:x?}");
        }
        let mut decoder = Decoder::new(&vocabulary);
        let said: Vec<String> = "aé🙂".bytes().map(|byte| decoder.push(byte.into())).collect();
        assert_eq!(said, ["a", "", "é", "", "", "", "🙂"]);
        assert_eq!(
            (decoder.push(300), decoder.push(0xf0), decoder.finish()),
            (String::new(), String::new(), "\u{fffd}".into())
        );
    }

    #[test]
    fn words_have_spaces_between_them_and_none_at_the_ends_of_lines() {
        let vocabulary = Vocabulary::words(&["the cat\n"]).unwrap();
        let mut decoder = Decoder::new(&vocabulary);
        let said: Vec<String> = [0, 1, 2, 0, 2, 2, 1].map(|token| decoder.push(token)).to_vec();
        assert_eq!(said, ["the", " cat", "\n", "the", "\n", "\n", "cat"]);
        assert!(decoder.finish().is_empty());
    }
}
