//! Finds data sets in a folder, and what else is there that looks like images.
//!
//! Users unpack archives beside, into or around the folder that was meant, download the wrong one of several versions,
//! or have a browser that unpacks only the gzip layer. What can be read is found up to two levels deep, the nearest
//! first; what cannot be read, or is not what was asked for, is named in the error.

use super::cifar::layout::{self, HUNDRED, Layout, TEN};
use super::idx::{self, Family};
use super::listing::Listing;
use super::pictures;
use super::text::names;
use super::tokens;
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Most files and folders that are looked at in total, so that a folder of links to everything does not take minutes.
const MOST_ENTRIES: usize = 100_000;
/// Most folders that are looked into.
const MOST_FOLDERS: usize = 1_000;
/// Levels below the folder that is searched.
const DEPTH: usize = 2;
/// The endings of archives that can be read.
const ENDINGS: [&str; 3] = [".tar.gz", ".tgz", ".tar"];

/// A form in which sets are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// CIFAR's records, in a folder or an archive.
    Cifar(&'static Layout),
    /// IDX files; with a family, none that lie in a folder named after another one.
    Idx(Option<Family>),
    /// Text.
    Text,
    /// Files of tokens.
    Tokens,
    /// Pictures in a folder for each class.
    Pictures,
}

impl Form {
    /// Every form.
    pub(super) const ALL: [Self; 6] =
        [Self::Cifar(&TEN), Self::Cifar(&HUNDRED), Self::Idx(None), Self::Text, Self::Tokens, Self::Pictures];

    /// What is looked for, for messages.
    fn expected(self) -> String {
        match self {
            Self::Cifar(layout) => {
                format!("{}'s binary version: {}, or {}", layout.title, layout.train, layout.archive)
            }
            Self::Idx(family) => {
                format!("{}: train-images-idx3-ubyte and its labels", family.map_or("IDX files", Family::title))
            }
            Self::Text => "text: input.txt, train.txt, wiki.train.tokens, or the archive of WikiText".to_owned(),
            Self::Tokens => "files of tokens: train.bin, or *_train_*.bin".to_owned(),
            Self::Pictures => "pictures: folders named after their classes, or train/ with such folders".to_owned(),
        }
    }

    /// The form as a noun.
    fn name(self) -> &'static str {
        match self {
            Self::Cifar(layout) => layout.title,
            Self::Idx(_) => "IDX files",
            Self::Text => "text",
            Self::Tokens => "tokens",
            Self::Pictures => "pictures",
        }
    }
}

/// A data set that can be opened: a folder, a file of text, or an archive whose name suggests that it holds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// How it is stored.
    pub(super) form: Form,
    /// The path of the folder or archive.
    pub(super) path: PathBuf,
}

impl Source {
    /// A note if it is not where one would expect it who names the folder `asked`.
    pub(super) fn elsewhere(&self, asked: &Path) -> Option<String> {
        let usual = match self.form {
            Form::Cifar(layout) => vec![asked.join(layout.folder), asked.join(layout.archive)],
            Form::Text => vec![asked.join(names::WHOLE)],
            Form::Idx(_) | Form::Tokens | Form::Pictures => vec![],
        };
        let expected = self.path == asked || usual.contains(&self.path);
        let what = if matches!(self.form, Form::Text | Form::Tokens) { self.form.name() } else { "images" };
        (!expected).then(|| format!("{what} from {}", self.path.display()))
    }
}

/// Something that looks like images and is not what was looked for, recognized by the name of its file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspect {
    /// CIFAR as Python pickles.
    Python,
    /// CIFAR-10 or CIFAR-100.
    Cifar(&'static Layout),
    /// An incomplete download, by the endings that browsers and download programs use.
    Unfinished,
    /// The official folder of a set without any files of records.
    Empty,
    /// IDX, the format of MNIST.
    Idx,
    /// Image files, one per image.
    Images,
    /// An archive that no set comes as.
    Archive,
    /// Tables and arrays in another library's format.
    Arrays,
}

impl Suspect {
    /// What a file or folder of this name is likely to be; `None` if it does not look like images.
    pub(super) fn of(name: &str, is_folder: bool) -> Option<Self> {
        let official = layout::ALL.into_iter().find(|layout| layout.folder == name);
        let records = !is_folder && TEN.is_records(name);
        let name = name.to_ascii_lowercase();
        let ends = |endings: &[&str]| !is_folder && endings.iter().any(|end| name.ends_with(end));
        let cifar = name.contains("cifar");
        let batch = name.strip_prefix("data_batch_").is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()));
        match () {
            // Texts, which are fetched to the same folder as images.
            () if name.starts_with("wikitext-") => None,
            () if ends(&[".part", ".crdownload", ".download", ".aria2", ".tmp"]) && cifar => Some(Self::Unfinished),
            () if cifar && (name.contains("python") || name.contains("batches-py")) => Some(Self::Python),
            () if is_folder && official.is_some() => Some(Self::Empty),
            () if name.contains("cifar-100") || name.contains("cifar100") => Some(Self::Cifar(&HUNDRED)),
            () if !is_folder && (batch || name == "test_batch") => Some(Self::Python),
            () if records || (cifar && ends(&ENDINGS)) => Some(Self::Cifar(&TEN)),
            () if !is_folder && name.starts_with("cifar-10-binary") => Some(Self::Archive),
            () if !is_folder && idx::is_named(&name) => Some(Self::Idx),
            () if !is_folder && pictures::is_named(&name) => Some(Self::Images),
            () if ends(&[".zip", ".gz", ".tgz", ".tar", ".xz", ".bz2", ".zst", ".7z", ".rar"]) => Some(Self::Archive),
            () if ends(&[".npz", ".npy", ".pkl", ".pickle", ".parquet", ".arrow", ".h5", ".hdf5", ".mat", ".bin"]) => {
                Some(Self::Arrays)
            }
            () => None,
        }
    }

    /// A description for messages.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Python => "the Python version of CIFAR: pickles, which are programs and not run here",
            Self::Cifar(layout) if *layout == TEN => "CIFAR-10, which 'dataset' cifar10 reads",
            Self::Cifar(_) => "CIFAR-100, which 'dataset' cifar100 reads",
            Self::Unfinished => "a download that is not finished",
            Self::Empty => "without files of records, as an interrupted unpacking leaves it",
            Self::Idx => "the format of MNIST, which 'dataset' mnist reads",
            Self::Images => "image files, which 'dataset' folder reads from a folder for each class",
            Self::Archive => "an archive of another name or kind",
            Self::Arrays => "data of another format or name",
        }
    }
}

/// What was found in a folder and below it.
#[derive(Debug)]
pub(super) struct Search {
    /// What is looked for.
    wanted: Vec<Form>,
    /// The sources at the nearest level that has one. If there are several, the user has to choose.
    pub(super) sources: Vec<Source>,
    /// What looks like images and is none of the sources.
    pub(super) suspects: Vec<(PathBuf, Suspect)>,
    /// The folders that were looked into.
    searched: Vec<PathBuf>,
}

impl Search {
    /// Looks for sets in one of the forms `wanted` in `folder` and up to two levels below, and stops at the first level
    /// that has one.
    ///
    /// # Errors
    /// [`Error::Io`] if `folder` itself cannot be listed.
    pub(super) fn new(folder: &Path, wanted: &[Form]) -> Result<Self> {
        let mut search = Self { wanted: wanted.to_vec(), sources: vec![], suspects: vec![], searched: vec![] };
        let mut queue = VecDeque::from([(folder.to_owned(), 0)]);
        let (mut found_at, mut left) = (usize::MAX, MOST_ENTRIES);
        while let Some((path, depth)) = queue.pop_front() {
            if depth > found_at || search.searched.len() == MOST_FOLDERS {
                break;
            }
            let listing = match Listing::new(&path, &mut left) {
                Ok(listing) => listing,
                // A subfolder that may not be listed holds nothing for this user.
                Err(_) if depth > 0 => continue,
                Err(error) => return Err(error),
            };
            let below = path.strip_prefix(folder).unwrap_or(Path::new(""));
            let found = listing.sources(&path, below, wanted, &mut left);
            if !found.is_empty() {
                search.sources.extend(found);
                found_at = depth;
            }
            if depth < DEPTH {
                queue.extend(listing.folders.iter().map(|name| (path.join(name), depth + 1)));
            }
            search.suspects.extend(listing.suspects(&path, wanted));
            search.searched.push(path);
        }
        Ok(search)
    }

    /// The only source; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Data`] if there are several.
    pub(super) fn source(&self, folder: &Path) -> Result<Option<&Source>> {
        match &self.sources[..] {
            [] => Ok(None),
            [source] => Ok(Some(source)),
            several => {
                let name = |source: &Source| format!("{} ({})", source.path.display(), source.form.name());
                let mut found = several.iter().take(SHOWN).map(name).collect::<Vec<_>>().join(", ");
                if several.len() > SHOWN {
                    found += &format!(" and {} more", several.len() - SHOWN);
                }
                Err(Error::data(folder, "one data set", found, "name the one that is meant, by 'data' or 'dataset'"))
            }
        }
    }

    /// The error if there is no source: what was searched, what is there instead, and `hint`.
    pub(super) fn nothing(&self, folder: &Path, hint: String) -> Error {
        let expected = match &self.wanted[..] {
            [form] => form.expected(),
            _ => "images: CIFAR's binary version (data_batch_*.bin or train.bin), IDX files (train-images-idx3-ubyte), or \
                  pictures in a folder for each class; text (input.txt, train.txt) or tokens (train.bin, *_train_*.bin)"
                .to_owned(),
        };
        let mut found = String::new();
        for (path, suspect) in self.suspects.iter().take(SHOWN) {
            found += &format!("\n    {}: {}", path.display(), suspect.words());
        }
        if self.suspects.is_empty() {
            found += if self.wanted.len() == 1 { "neither" } else { "nothing of the kind" };
        } else if self.suspects.len() > SHOWN {
            found += &format!("\n    and {} more", self.suspects.len() - SHOWN);
        }
        let folders: Vec<String> =
            self.searched.iter().take(SHOWN).map(|path| format!("{}/", path.display())).collect();
        let more = self.searched.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more folders") } else { String::new() };
        found += &format!("\n  searched: {}{more}", folders.join(", "));
        Error::data(folder, expected, found, hint)
    }
}

/// Most paths that one message shows.
const SHOWN: usize = 4;

impl Listing {
    /// The sources in this folder, which lies at `below` of the one that is searched. A folder of pictures may have
    /// anything else beside its classes, so that it only counts where there is no other source but text: beside `train/` with
    /// pictures, `train.txt` is their list, and beside classes the user has to choose.
    fn sources(&self, folder: &Path, below: &Path, wanted: &[Form], left: &mut usize) -> Vec<Source> {
        let mut found: Vec<Source> = vec![];
        for &form in wanted {
            let path = match form {
                Form::Cifar(layout) => self.cifar(layout, folder, wanted.contains(&Form::Tokens), left),
                Form::Idx(family) => {
                    let of_another = family.is_some_and(|wanted| Family::of(below).is_some_and(|told| told != wanted));
                    (!of_another && self.files.iter().any(|name| idx::is_named(name))).then(|| folder.to_owned())
                }
                Form::Text => self.text(folder),
                // CIFAR-100 has a file of the same name.
                Form::Tokens if found.iter().any(|source| matches!(source.form, Form::Cifar(_))) => None,
                Form::Tokens => tokens::names::are_in(&self.files).then(|| folder.to_owned()),
                Form::Pictures if found.iter().any(|source| source.form != Form::Text) => None,
                Form::Pictures => self.pictures(folder, left).map(|pictures| {
                    if pictures == Pictures::InTrain {
                        found.clear();
                    }
                    folder.to_owned()
                }),
            };
            found.extend(path.map(|path| Source { form, path }));
        }
        found
    }

    /// A set of CIFAR in this folder: its files of records, else those in the official archive's folder, else an
    /// archive. Where tokens are looked for as well, files of them are told apart.
    fn cifar(&self, layout: &'static Layout, folder: &Path, or_tokens: bool, left: &mut usize) -> Option<PathBuf> {
        let holds = |files: &[String], folder: &Path| {
            // CIFAR-100's `train.bin` could be anything, so something else has to speak for it. nanoGPT's may have a `test.bin` too.
            let named = folder.file_name().is_some_and(|name| name.to_string_lossy().to_lowercase().contains("cifar"));
            let of_tokens = or_tokens && tokens::names::speak(files);
            let companion = |name: &String| name == layout.test || layout.names_of(name).is_some();
            let told = layout.train.contains('*') || !of_tokens && (named || files.iter().any(companion));
            told && files.iter().any(|name| layout.is_records(name))
        };
        if holds(&self.files, folder) {
            return Some(folder.to_owned());
        }
        let inner = folder.join(layout.folder);
        if self.folders.iter().any(|name| name == layout.folder)
            && Self::new(&inner, left).is_ok_and(|listing| holds(&listing.files, &inner))
        {
            return Some(inner);
        }
        let official = ENDINGS.iter().map(|ending| format!("{}{ending}", layout.archive.trim_end_matches(ENDINGS[0])));
        let official = official.into_iter().find(|name| self.files.contains(name));
        let archive = official.or_else(|| self.files.iter().find(|name| is_archive(layout, name)).cloned())?;
        Some(folder.join(archive))
    }

    /// Text in this folder: its files for training and validation, a text that is divided, or an archive.
    fn text(&self, folder: &Path) -> Option<PathBuf> {
        if self.files.iter().any(|name| names::is_train(name)) {
            return Some(folder.to_owned());
        }
        let whole = self.files.iter().find(|name| *name == names::WHOLE);
        whole.or_else(|| self.files.iter().find(|name| is_text_archive(name))).map(|name| folder.join(name))
    }

    /// How this is a folder of pictures: as one with `train`, which has a folder with pictures, or with two or more such folders
    /// itself. `None` if it is none.
    fn pictures(&self, folder: &Path, left: &mut usize) -> Option<Pictures> {
        let train = folder.join(pictures::TRAIN);
        if self.folders.iter().any(|name| name == pictures::TRAIN)
            && let Ok(classes) = Self::new(&train, left)
        {
            let found = classes.folders.iter().any(|name| holds_pictures(&train.join(name), left));
            return found.then_some(Pictures::InTrain);
        }
        let mut classes = self.folders.iter().filter(|name| holds_pictures(&folder.join(name), left));
        (classes.next().is_some() && classes.next().is_some()).then_some(Pictures::InClasses)
    }

    fn suspects(&self, folder: &Path, wanted: &[Form]) -> Vec<(PathBuf, Suspect)> {
        let is_wanted = |suspect| match suspect {
            Suspect::Cifar(layout) => wanted.contains(&Form::Cifar(layout)),
            Suspect::Idx => wanted.iter().any(|form| matches!(form, Form::Idx(None))),
            _ => false,
        };
        let of_tokens = tokens::names::speak(&self.files);
        let named = |name: &String, is_folder| match Suspect::of(name, is_folder)? {
            Suspect::Arrays if of_tokens && tokens::names::belongs(name) => None,
            // It is a source, or a folder that is looked into.
            suspect if is_wanted(suspect) => None,
            suspect => Some((folder.join(name), suspect)),
        };
        let mut suspects: Vec<(PathBuf, Suspect)> = self.files.iter().filter_map(|name| named(name, false)).collect();
        suspects.extend(self.folders.iter().filter_map(|name| named(name, true)));
        // Many files of one kind are reported as their folder, and a few pictures are not taken for a data set.
        let kinds = [Suspect::Python, Suspect::Cifar(&TEN), Suspect::Images, Suspect::Idx, Suspect::Arrays];
        for kind in kinds {
            let few = if kind == Suspect::Images { 9 } else { 1 };
            let count = suspects.iter().filter(|(_, suspect)| *suspect == kind).count();
            if count > few || kind == Suspect::Images {
                suspects.retain(|(_, suspect)| *suspect != kind);
            }
            if count > few {
                suspects.push((folder.to_owned(), kind));
            }
        }
        suspects
    }
}

/// Where a folder has its pictures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pictures {
    InTrain,
    InClasses,
}

/// Whether there is a picture among the first files of a folder, or among those of a folder in it.
fn holds_pictures(folder: &Path, left: &mut usize) -> bool {
    let mut first = |folder: &Path| {
        let mut some = (*left).min(MOST_LOOKED_AT);
        let before = some;
        let listing = Listing::new(folder, &mut some);
        *left -= before - some;
        listing.ok()
    };
    let picture = |listing: &Listing| listing.files.iter().any(|name| pictures::is_named(name));
    first(folder).is_some_and(|listing| {
        picture(&listing)
            || listing.folders.iter().take(3).any(|name| first(&folder.join(name)).is_some_and(|inner| picture(&inner)))
    })
}

/// Most entries of a folder among which a picture is looked for.
const MOST_LOOKED_AT: usize = 200;

/// Whether a file of this name is an archive that can be read.
pub(super) fn is_packed(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

/// Whether a file of this name is an archive of WikiText.
pub(super) fn is_text_archive(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with("wikitext-") && lower.ends_with(".zip")
}

/// Whether an archive of this name may hold the binary version of a set.
fn is_archive(layout: &'static Layout, name: &str) -> bool {
    is_packed(name) && Suspect::of(name, false) == Some(Suspect::Cifar(layout))
}
