//! Which part of a set a file of text has, told by its name: `train.txt`, `ptb.valid.txt`, `wiki.test.tokens`.

use std::path::{Path, PathBuf};

use crate::{
    error::{Error, Result},
    host::data::{folder_of, listing::Listing},
};

/// The endings of files of text.
const ENDINGS: [&str; 3] = ["txt", "tokens", "raw"];
/// The name of a text that is divided, where a folder has it.
pub(in crate::host::data) const WHOLE: &str = "input.txt";
/// Most entries of a folder that are listed.
const MOST_FILES: usize = 100_000;

/// What a part is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Train,
    Valid,
    Test,
}

/// A name of a file that has one part of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// What is before and behind the word for the part, which the files of a set share.
    set: (&'a str, &'a str),
    pub(super) part: Part,
}

/// What a file's name says; `None` if it has no word for a part. Of a path in an archive the last name counts.
pub(super) fn parse(name: &str) -> Option<Name<'_>> {
    let name = name.rsplit('/').next().filter(|name| !name.starts_with('.'))?;
    let (stem, ending) = name.rsplit_once('.')?;
    let (set, word) = stem.rsplit_once('.').unwrap_or(("", stem));
    let part = match word {
        "train" => Part::Train,
        "valid" | "val" | "validation" => Part::Valid,
        "test" => Part::Test,
        _ => return None,
    };
    ENDINGS.contains(&ending).then_some(Name { set: (set, ending), part })
}

/// Whether a file of this name is text by its ending.
pub(in crate::host::data) fn is_named(name: &str) -> bool {
    !name.starts_with('.') && name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// Whether a file of this name has text for training.
pub(in crate::host::data) fn is_train(name: &str) -> bool {
    parse(name).is_some_and(|name| name.part == Part::Train)
}

/// The files of the set that `path` is: a folder, or one of its files for training. There are none if it is another file.
pub(super) fn files(path: &Path) -> Result<Vec<(PathBuf, Part)>> {
    let own = path.file_name().and_then(|name| name.to_str()).and_then(parse);
    let (folder, set) = match own {
        _ if path.is_dir() => (path, None),
        Some(Name { part: Part::Train, set }) => (folder_of(path), Some(set)),
        _ => return Ok(vec![]),
    };
    let listing = Listing::new(folder, &mut MOST_FILES.clone())?;
    let chosen = choose(folder, listing.files.iter().map(String::as_str), set)?;
    Ok(chosen.into_iter().map(|(name, part)| (folder.join(name), part)).collect())
}

/// The files of one set among `names`, which lie in the folder or archive `place`; if `set` is given, of that one.
///
/// # Errors
/// [`Error::Data`] if none or several of them have text for training.
pub(super) fn choose<'a>(
    place: &Path,
    names: impl Iterator<Item = &'a str>,
    set: Option<(&str, &str)>,
) -> Result<Vec<(&'a str, Part)>> {
    let named = names.filter_map(|name| Some((name, parse(name)?)));
    let found: Vec<(&str, Name<'_>)> = named.filter(|(_, name)| set.is_none_or(|set| set == name.set)).collect();
    let mut trains = found.iter().filter(|(_, name)| name.part == Part::Train);
    let Some((first, Name { set, .. })) = trains.next() else {
        let expected = format!("text for training, as train.txt or wiki.train.tokens, or {WHOLE}");
        return Err(Error::data(place, expected, "none", "name the file by 'data' if it is called otherwise"));
    };
    if let Some((other, _)) = trains.next() {
        let hint = "name the file that is meant by 'data', outside of an archive";
        return Err(Error::data(place, "text for training of one set", format!("{first} and {other}"), hint));
    }
    Ok(found.iter().filter(|(_, name)| name.set == *set).map(|(file, name)| (*file, name.part)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_names() {
        let part = |name| parse(name).map(|name: Name<'_>| (name.set.0, name.part));
        assert_eq!(part("train.txt"), Some(("", Part::Train)));
        assert_eq!(part("ptb.valid.txt"), Some(("ptb", Part::Valid)));
        assert_eq!(part("wikitext-2-raw/wiki.test.raw"), Some(("wiki", Part::Test)));
        assert_eq!(part("wiki.train.tokens"), Some(("wiki", Part::Train)));
        for other in
            ["input.txt", "train", "train.bin", "my train.text", "constrain.txt", ".txt", "a/._wiki.train.raw", ""]
        {
            assert_eq!(part(other), None, "{other}");
        }
    }
}
