//! Text that a terminal shows and does not obey.

/// The text with a mark in place of every control character but those that are `kept`: names that come from files, and text that a
/// network writes, may hold sequences that move the cursor or worse.
///
/// ```
/// use velograd::lab::plain::plain;
/// assert_eq!(plain("a\u{1b}[2J\nb", &['\n']), "a\u{fffd}[2J\nb");
/// ```
pub fn plain(text: &str, kept: &[char]) -> String {
    let shown = |c: char| if c.is_control() && !kept.contains(&c) { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(shown).collect()
}
