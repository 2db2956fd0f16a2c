//! Checks the characters of WGSL, and splits it into tokens.

use super::super::Fault;

/// Whether a character ends a line for some readers and not for others, or can hide what a text says.
pub fn is_unfit(c: char) -> bool {
    let breaks = matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}') || (c.is_control() && c != '\t');
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    breaks || turns
}

/// Refuses characters that are [`is_unfit`].
pub fn characters(text: &str) -> Result<(), Fault> {
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some((column, c)) = (1..).zip(line.chars()).find(|(_, c)| is_unfit(*c)) {
            let message = format!("the character U+{:04X} has no place in a rule", u32::from(c));
            return Err(Fault::new((number, column), message));
        }
    }
    Ok(())
}

/// A word or a sign of WGSL, with its line and column.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    pub text: &'a str,
    pub place: (usize, usize),
}

impl Token<'_> {
    /// Whether the token is a name or a keyword.
    pub fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The signs of more than one character, longer ones first.
const SIGNS: [&str; 22] = [
    "<<=", ">>=", "->", "++", "--", "&&", "||", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
    "<<", ">>", "::",
];

/// Splits numbered lines of WGSL into tokens, without comments.
pub fn scan<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Result<Vec<Token<'a>>, Fault> {
    let mut tokens = Vec::new();
    let mut comments = 0; // block comments are nested
    let mut opened = (1, 1);
    for (number, line) in lines {
        let mut at = 0;
        while let Some(c) = line[at..].chars().next() {
            let rest = &line[at..];
            let place = (number, line[..at].chars().count() + 1);
            if comments > 0 {
                let (step, change) = match rest {
                    _ if rest.starts_with("/*") => (2, 1),
                    _ if rest.starts_with("*/") => (2, -1),
                    _ => (c.len_utf8(), 0),
                };
                comments += change;
                at += step;
            } else if rest.starts_with("//") {
                break;
            } else if rest.starts_with("/*") {
                (comments, opened) = (1, place);
                at += 2;
            } else if c.is_whitespace() {
                at += c.len_utf8();
            } else {
                let word = |c: char| c.is_alphanumeric() || c == '_';
                let number = |c: char| c.is_ascii_alphanumeric() || c == '.';
                let run = |keep: &dyn Fn(char) -> bool| rest.find(|c| !keep(c)).unwrap_or(rest.len());
                let length = if c.is_alphabetic() || c == '_' {
                    run(&word)
                } else if c.is_ascii_digit() {
                    run(&number)
                } else {
                    SIGNS.iter().find(|sign| rest.starts_with(**sign)).map_or(c.len_utf8(), |sign| sign.len())
                };
                tokens.push(Token { text: &rest[..length], place });
                at += length;
            }
        }
    }
    if comments > 0 {
        return Err(Fault::new(opened, "a comment that does not end"));
    }
    Ok(tokens)
}
