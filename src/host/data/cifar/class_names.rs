//! The file of class names that comes with a set.

/// Most bytes that are read of a file of class names; the longest official one has under a thousand.
pub(super) const LIMIT: u64 = 4096;

/// The class names in `text`, one a line, if there are `count`. They are printed to terminals, so control characters
/// are refused.
pub(super) fn read(text: &[u8], count: usize) -> Option<Vec<String>> {
    let text = std::str::from_utf8(text).ok()?;
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let sound = |name: &String| name.chars().count() <= 40 && !name.chars().any(char::is_control);
    (names.len() == count && names.iter().all(sound)).then_some(names)
}
