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
    /// What the files of a set share: the folder, what is before the word for the part, and the ending.
    set: Set<'a>,
    pub(super) part: Part,
}

type Set<'a> = (&'a str, &'a str, &'static str);

/// What a file's name says, or its path in an archive; `None` if it has no word for a part.
pub(super) fn parse(path: &str) -> Option<Name<'_>> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (stem, ending) = split(name)?;
    let (before, word) = stem.rsplit_once('.').unwrap_or(("", stem));
    let part = match word {
        "train" => Part::Train,
        "valid" | "val" | "validation" => Part::Valid,
        "test" => Part::Test,
        _ => return None,
    };
    Some(Name { set: (folder, before, ending), part })
}

/// The name without its ending, and the ending, if that is one of text.
fn split(name: &str) -> Option<(&str, &'static str)> {
    let (stem, ending) = name.rsplit_once('.').filter(|_| !name.starts_with('.'))?;
    let known = ENDINGS.into_iter().find(|known| known.eq_ignore_ascii_case(ending))?;
    Some((stem, known))
}

/// Whether a file of this name is text by its ending.
pub(in crate::host::data) fn is_named(name: &str) -> bool {
    split(name).is_some()
}

/// Whether a file of this name has text for training.
pub(in crate::host::data) fn is_train(name: &str) -> bool {
    parse(name).is_some_and(|name| name.part == Part::Train)
}

/// The files of the set that `path` is: a folder, or one of its files. There are none if it is another file.
pub(super) fn files(path: &Path) -> Result<Vec<(PathBuf, Part)>> {
    let own = path.file_name().and_then(|name| name.to_str()).and_then(parse);
    let (folder, set) = match own {
        _ if path.is_dir() => (path, None),
        Some(Name { set, .. }) => (folder_of(path), Some(set)),
        None => return Ok(vec![]),
    };
    let listing = Listing::new(folder, &mut MOST_FILES.clone())?;
    let names = || listing.files.iter().map(String::as_str);
    // A file that is called `test.txt` without any for training beside it is a text like any other.
    if set.is_some() && !names().any(|name| set.is_some_and(|set| parse(name) == Some(Name { set, part: Part::Train })))
    {
        return Ok(vec![]);
    }
    let chosen = choose(folder, names(), set)?;
    Ok(chosen.into_iter().map(|(name, part)| (folder.join(name), part)).collect())
}

/// What the user should know who names one file `path` of a set that has these `files`.
pub(super) fn remark(path: &Path, files: &[(PathBuf, Part)]) -> Option<String> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let part = parse(&name(path)).filter(|_| !path.is_dir())?.part;
    let of = |wanted| files.iter().find(|(_, part)| *part == wanted).map(|(file, _)| name(file));
    match (part, of(Part::Train)) {
        (_, None) => Some(format!(
            "no text for training beside {}: its first nine tenths are for training, the rest is for validation",
            name(path)
        )),
        (Part::Test, Some(train)) => {
            let valid = of(Part::Valid).map_or(String::new(), |valid| format!(", validation on {valid}"));
            Some(format!("{} counts for the vocabulary alone: training is on {train}{valid}", name(path)))
        }
        _ => None,
    }
}

/// The files of one set among `names`, which lie in the folder or archive `place`; if `set` is given, of that one.
///
/// # Errors
/// [`Error::Data`] if none or several of them have text for training, or several of the set the same part.
pub(super) fn choose<'a>(
    place: &Path,
    names: impl Iterator<Item = &'a str>,
    set: Option<Set<'_>>,
) -> Result<Vec<(&'a str, Part)>> {
    let named = names.filter_map(|name| Some((name, parse(name)?)));
    let mut found: Vec<(&str, Name<'_>)> = named.filter(|(_, name)| set.is_none_or(|set| set == name.set)).collect();
    let Some((_, Name { set, .. })) = found.iter().find(|(_, name)| name.part == Part::Train).copied() else {
        let expected = format!("text for training, as train.txt or wiki.train.tokens, or {WHOLE}");
        return Err(Error::data(place, expected, "none", "name the file by 'data' if it is called otherwise"));
    };
    let twice = |found: &[(&str, Name<'_>)], part, expected: &str, hint: &str| {
        let mut of_part = found.iter().filter(|(_, name)| name.part == part).map(|(file, _)| *file);
        match (of_part.next(), of_part.next()) {
            (Some(first), Some(other)) => Err(Error::data(place, expected, format!("{first} and {other}"), hint)),
            _ => Ok(()),
        }
    };
    let outside = "name the file that is meant by 'data', outside of an archive";
    twice(&found, Part::Train, "text for training of one set", outside)?;
    found.retain(|(_, name)| name.set == set);
    for (part, purpose) in [(Part::Valid, "validation"), (Part::Test, "testing")] {
        twice(&found, part, &format!("one text for {purpose}"), "give one of them another name, or another folder")?;
    }
    Ok(found.into_iter().map(|(file, name)| (file, name.part)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_names() {
        let part = |name| parse(name).map(|name: Name<'_>| (name.set.1, name.part));
        assert_eq!(part("train.txt"), Some(("", Part::Train)));
        assert_eq!(part("ptb.valid.txt"), Some(("ptb", Part::Valid)));
        assert_eq!(part("wikitext-2-raw/wiki.test.raw"), Some(("wiki", Part::Test)));
        assert_eq!(part("wiki.train.tokens"), Some(("wiki", Part::Train)));
        assert_eq!(parse("train.TXT"), parse("train.txt"));
        for other in
            ["input.txt", "train", "train.bin", "my train.text", "constrain.txt", ".txt", "a/._wiki.train.raw", ""]
        {
            assert_eq!(part(other), None, "{other}");
        }
    }
    /// One file for each part, and all of them from one folder of an archive.
    #[test]
    fn a_set_has_each_part_once() {
        let of = |names: &[&'static str]| {
            choose(Path::new("x.zip"), names.iter().copied(), None).map_err(|error| error.to_string())
        };
        let wiki = ["a/wiki.train.raw", "a/wiki.valid.raw", "b/wiki.valid.raw", "b/wiki.test.raw"];
        assert_eq!(of(&wiki), Ok(vec![(wiki[0], Part::Train), (wiki[1], Part::Valid)]));
        for (names, found) in [
            (["train.txt", "val.txt", "valid.txt"], "expected one text for validation, found val.txt and valid.txt"),
            (["train.txt", "test.txt", "test.txt"], "expected one text for testing, found test.txt and test.txt"),
            (["a/train.txt", "b/train.txt", "b/val.txt"], "of one set, found a/train.txt and b/train.txt"),
        ] {
            let error = of(&names).unwrap_err();
            assert!(error.contains(found), "{error}");
        }
    }
}
