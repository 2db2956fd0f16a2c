//! Which files of tokens make a set: `train.bin` and `val.bin`, or those with `train` and `val` between other words of their names.

use std::path::{Path, PathBuf};

use crate::{
    data::Split,
    error::{Error, Result},
    host::data::{folder_of, listing::Listing},
};

/// Most entries of a folder that are listed.
const MOST_FILES: usize = 100_000;

/// What speaks for `train.bin` as one of tokens, and is no part of CIFAR-100.
pub(super) const BESIDE: [&str; 3] = ["val.bin", super::meta::FILE, super::meta::PICKLE];

/// The files of a set, in the order of their names.
pub(super) struct Found {
    pub(super) folder: PathBuf,
    pub(super) train: Vec<PathBuf>,
    pub(super) valid: Vec<PathBuf>,
}

/// What the files of a set share, and the split that a file of this name is of: `fineweb` of `fineweb_train_000001.bin`, and
/// nothing of `train.bin`. `None` if it is none of tokens.
pub(in crate::host::data) fn parse(name: &str) -> Option<(&str, Split)> {
    let stem = name.strip_suffix(".bin").filter(|_| !name.starts_with('.'))?;
    let split_of = |word: &str| match word {
        "train" => Some(Split::Train),
        "val" => Some(Split::Test),
        _ => None,
    };
    if let Some(split) = split_of(stem) {
        return Some(("", split));
    }
    let (before, last) = stem.rsplit_once('_')?;
    let (set, split) = match split_of(last) {
        Some(split) => (before, split),
        None => before.rsplit_once('_').and_then(|(set, word)| Some((set, split_of(word)?)))?,
    };
    (!set.is_empty()).then_some((set, split))
}

/// Whether a file of this name is a shard, which begins with a header.
pub(in crate::host::data) fn is_shard(name: &str) -> bool {
    parse(name).is_some_and(|(set, _)| !set.is_empty())
}

/// Whether a folder with these files has tokens for training.
pub(in crate::host::data) fn are_in(files: &[String]) -> bool {
    files.iter().any(|name| matches!(parse(name), Some((_, Split::Train))))
}

/// Whether something beside a `train.bin` says that it has tokens: shards, or what nanoGPT's `prepare.py` writes too.
pub(in crate::host::data) fn speak(files: &[String]) -> bool {
    files.iter().any(|name| is_shard(name) || BESIDE.contains(&&**name))
}

/// Whether a file of this name may belong to a set of tokens.
pub(in crate::host::data) fn belongs(name: &str) -> bool {
    parse(name).is_some() || name == "test.bin" || BESIDE.contains(&name)
}

/// The files of the set in the folder `path`, or of the one that the file `path` is of.
pub(super) fn files(path: &Path) -> Result<Found> {
    let own = path.file_name().and_then(|name| name.to_str()).and_then(parse).filter(|_| !path.is_dir());
    let folder = if own.is_some() { folder_of(path) } else { path };
    let listing = Listing::new(folder, &mut MOST_FILES.clone())?;
    let named = || listing.files.iter().filter_map(|name| Some((name, parse(name)?)));
    let mut sets: Vec<&str> =
        named().filter(|(_, (_, split))| *split == Split::Train).map(|(_, (set, _))| set).collect();
    sets.sort_unstable();
    sets.dedup();
    sets.retain(|set| own.is_none_or(|(own, _)| own == *set));
    let set = match sets[..] {
        [set] => set,
        [] => {
            let expected = "tokens for training: train.bin, or *_train_*.bin";
            return Err(Error::data(
                folder,
                expected,
                "none",
                "train.bin has two bytes for each token, as nanoGPT writes it",
            ));
        }
        [first, second, ..] => {
            let file = |set| named().find(|(_, (other, _))| *other == set).map_or("", |(file, _)| file);
            let hint = format!("name one of its files by 'data': {}", folder.join(file(first)).display());
            return Err(Error::data(
                folder,
                "the tokens of one set",
                format!("{}, {}", file(first), file(second)),
                hint,
            ));
        }
    };
    let of = |wanted| {
        let files = named().filter(|(_, (other, split))| *other == set && *split == wanted);
        files.map(|(file, _)| folder.join(file)).collect()
    };
    Ok(Found { folder: folder.to_owned(), train: of(Split::Train), valid: of(Split::Test) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_splits_are_told_by_names() {
        for (name, told) in [
            ("train.bin", Some(("", Split::Train))),
            ("val.bin", Some(("", Split::Test))),
            ("fineweb_train_000001.bin", Some(("fineweb", Split::Train))),
            ("fineweb_val_000000.bin", Some(("fineweb", Split::Test))),
            ("edu_fineweb_train_000001.bin", Some(("edu_fineweb", Split::Train))),
            ("tiny_shakespeare_val.bin", Some(("tiny_shakespeare", Split::Test))),
            ("_train_1.bin", None),
            ("_train.bin", None),
            ("test.bin", None),
            ("data_batch_1.bin", None),
            ("train_1.txt", None),
            ("retrain.bin", None),
        ] {
            assert_eq!(parse(name), told, "{name}");
        }
    }
}
