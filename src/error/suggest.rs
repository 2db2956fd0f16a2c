//! "Did you mean ...?": the known name nearest to one that is not known.

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
