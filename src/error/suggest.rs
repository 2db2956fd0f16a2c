//! Hints of errors: "did you mean ...?", the known name nearest to one that is not known; and paths in commands to be copied.

use std::path::Path;

/// The candidate that takes the fewest insertions, deletions and replacements of a character to reach from `name`
/// (Levenshtein's distance, letters of either case being equal); the first of several. `None` if even that one
/// shares too little with `name` to be what was meant: more than half of the longer word would have to change.
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

/// "did you mean `lr`? there are lr, momentum": the hint of an error about a name that is not known.
pub fn hint(name: &str, candidates: &[&str]) -> String {
    let meant =
        nearest(name, candidates.iter().copied()).map_or(String::new(), |near| format!("did you mean `{near}`? "));
    format!("{meant}there are {}", candidates.join(", "))
}

/// A path as one word of a shell, for a command to be copied.
///
/// ```
/// use velograd::error::suggest::shell_word;
/// assert_eq!(shell_word("data/a.tar".as_ref()), "data/a.tar");
/// assert_eq!(shell_word("my data/a's".as_ref()), r"'my data/a'\''s'");
/// ```
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
