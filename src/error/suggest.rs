//! Parts of hints: the known name nearest to an unknown one ("did you mean ...?"), and paths in commands that the user
//! may copy.

use std::path::Path;

/// The candidate with the smallest Levenshtein distance from `name`, ignoring case; the first of several. `None` if
/// more than half of the longer word would have to change, since that is hardly what was meant.
///
/// ```
/// use velograd::error::suggest::nearest;
/// assert_eq!(nearest("cifar100", ["cifar10", "shapes10"]), Some("cifar10"));
/// assert_eq!(nearest("mnist", ["cifar10", "shapes10"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let measured = candidates.into_iter().map(|candidate| {
        let lower = candidate.to_lowercase();
        let longer = name.chars().count().max(lower.chars().count());
        (strsim::levenshtein(&name, &lower), longer, candidate)
    });
    let closest = measured.min_by_key(|&(distance, ..)| distance);
    closest.filter(|&(distance, longer, _)| 2 * distance <= longer).map(|(.., candidate)| candidate)
}

/// The hint of an error about an unknown name, e.g. "did you mean `lr`? there are lr, momentum".
pub fn hint(name: &str, candidates: &[&str]) -> String {
    let meant =
        nearest(name, candidates.iter().copied()).map_or(String::new(), |near| format!("did you mean `{near}`? "));
    format!("{meant}there are {}", candidates.join(", "))
}

/// A path as one word of a shell, quoted where it has to be.
///
/// ```
/// use velograd::error::suggest::shell_word;
/// assert_eq!(shell_word("data/a.tar".as_ref()), "data/a.tar");
/// assert_eq!(shell_word("my data/a's".as_ref()), r"'my data/a'\''s'");
/// assert_eq!(shell_word("".as_ref()), "''");
/// ```
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
