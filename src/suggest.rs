//! Hints of errors: "did you mean ...?", the known name nearest to one that is not known; and paths in commands to be copied.

use std::path::Path;

/// The candidate that takes the fewest insertions, deletions and replacements of a character to reach from `name`
/// (V. I. Levenshtein's distance, letters of either case being equal); the first of several. `None` if even that one
/// shares too little with `name` to be what was meant: more than half of the longer word would have to change.
///
/// ```
/// assert_eq!(velograd::suggest::nearest("cifar100", ["cifar10", "shapes10"]), Some("cifar10"));
/// assert_eq!(velograd::suggest::nearest("mnist", ["cifar10", "shapes10"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = letters(name);
    candidates
        .into_iter()
        .map(|candidate| {
            let letters = letters(candidate);
            (distance(&wanted, &letters), wanted.len().max(letters.len()), candidate)
        })
        .min_by_key(|&(distance, ..)| distance)
        .filter(|&(distance, longer, _)| 2 * distance <= longer)
        .map(|(.., candidate)| candidate)
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
/// use velograd::suggest::shell_word;
/// assert_eq!(shell_word("data/a.tar".as_ref()), "data/a.tar");
/// assert_eq!(shell_word("my data/a's".as_ref()), r"'my data/a'\''s'");
/// ```
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn letters(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).collect()
}

/// The usual table, one row at a time: `row[j]` is the distance of the read part of `a` from the first `j` of `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
