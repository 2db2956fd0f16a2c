//! What IDX files are called, and which of a folder belong together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::data::Split;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Images,
    Labels,
}

/// What the name of a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// What stands before: `emnist-letters-`, mostly nothing.
    pub(super) prefix: &'a str,
    pub(super) split: Split,
    pub(super) part: Part,
}

impl<'a> Name<'a> {
    /// Reads a name of the form `[PREFIX](train|t10k|test)-(images-idx3|labels-idx1)-ubyte[.gz]`, in which a dot may
    /// stand before `idx`. Names with control characters are refused, as a name may be printed to a terminal.
    pub(super) fn read(name: &'a str) -> Option<Self> {
        let bare = name.strip_suffix(".gz").unwrap_or(name);
        let endings = [("images", "idx3", Part::Images), ("labels", "idx1", Part::Labels)];
        let (start, part) = endings.iter().find_map(|(what, idx, part)| {
            let rest = bare.strip_suffix("-ubyte")?.strip_suffix(idx)?.strip_suffix(['-', '.'])?;
            Some((rest.strip_suffix(what)?.strip_suffix('-')?, *part))
        })?;
        let splits = [("train", Split::Train), ("t10k", Split::Test), ("test", Split::Test)];
        let (prefix, split) = splits.iter().find_map(|(word, split)| Some((start.strip_suffix(word)?, *split)))?;
        let whole = prefix.is_empty() || prefix.ends_with(['-', '_', '.']);
        (whole && !name.contains(char::is_control)).then_some(Self { prefix, split, part })
    }

    /// The part of EMNIST that the prefix names.
    pub(super) fn emnist_split(prefix: &str) -> Option<&str> {
        prefix.strip_prefix("emnist-").map(|rest| rest.trim_end_matches(['-', '_', '.']))
    }
}

/// The files of one set.
pub(super) type Group = BTreeMap<(bool, Part), PathBuf>;

/// The key of a file in its group.
pub(super) fn key(split: Split, part: Part) -> (bool, Part) {
    (split == Split::Test, part)
}

/// The files among `names` in `folder`, by their prefix. If a file is there both compressed and not, the one that need
/// not be unpacked is taken.
pub(super) fn groups(folder: &Path, names: &[String]) -> BTreeMap<String, Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut sorted: Vec<&String> = names.iter().collect();
    // Compressed files first, so that others replace them.
    sorted.sort_by_key(|name| (!name.ends_with(".gz"), name.as_str()));
    for name in sorted {
        if let Some(Name { prefix, split, part }) = Name::read(name) {
            groups.entry(prefix.to_owned()).or_default().insert(key(split, part), folder.join(name));
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let read = |name: &'static str| Name::read(name).map(|n| (n.prefix, n.split, n.part));
        assert_eq!(read("train-images-idx3-ubyte"), Some(("", Split::Train, Part::Images)));
        assert_eq!(read("t10k-labels-idx1-ubyte.gz"), Some(("", Split::Test, Part::Labels)));
        assert_eq!(read("train-labels.idx1-ubyte"), Some(("", Split::Train, Part::Labels)));
        let letters = read("emnist-letters-test-images-idx3-ubyte.gz");
        assert_eq!(letters, Some(("emnist-letters-", Split::Test, Part::Images)));
        assert_eq!(Name::emnist_split("emnist-letters-"), Some("letters"));
        for wrong in
            ["train-images-idx1-ubyte", "train-images", "xtrain-images-idx3-ubyte", "a\nt10k-labels-idx1-ubyte"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
