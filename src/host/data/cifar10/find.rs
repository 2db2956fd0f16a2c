//! Finds CIFAR-10's binary files in a folder, and what else is there that looks like images.
//!
//! Users unpack archives beside, into or around the folder that was meant, download the wrong one of the three
//! versions, or have a browser that unpacks only the gzip layer. What can be read is found up to two levels deep, the
//! nearest first; what cannot be read is named in the error.

use super::{ARCHIVE, FOLDER, is_batch};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

/// Most files and folders that are looked at in total, so that a folder of links to everything does not take minutes.
const MOST_ENTRIES: usize = 100_000;
/// Most folders that are looked into.
const MOST_FOLDERS: usize = 1_000;
/// Levels below the folder that is searched.
const DEPTH: usize = 2;
/// The endings of archives that can be read.
pub(super) const ENDINGS: [&str; 3] = [".tar.gz", ".tgz", ".tar"];

/// A set of images that can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A folder with `data_batch_*.bin` files.
    Folder(PathBuf),
    /// An archive whose name suggests that it holds CIFAR-10.
    Archive(PathBuf),
}

impl Source {
    /// The path of the folder or archive.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Archive(path) => path,
        }
    }
}

/// Something that looks like images and cannot be read, recognized by the name of its file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspect {
    /// CIFAR-10 as Python pickles.
    Python,
    /// CIFAR-100.
    Cifar100,
    /// An incomplete download, by the endings that browsers and download programs use.
    Unfinished,
    /// The official folder without any files of records.
    Empty,
    /// IDX, the format of MNIST.
    Idx,
    /// Image files, one per image.
    Images,
    /// An archive that CIFAR-10 does not come as.
    Archive,
    /// Tables and arrays in another library's format.
    Arrays,
}

impl Suspect {
    /// What a file or folder of this name is likely to be; `None` if it does not look like images.
    pub(super) fn of(name: &str, is_folder: bool) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ends = |endings: &[&str]| !is_folder && endings.iter().any(|end| name.ends_with(end));
        let cifar = name.contains("cifar");
        let batch = name.strip_prefix("data_batch_").is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()));
        match () {
            // Texts, which are fetched to the same folder as images.
            () if name.starts_with("wikitext-") => None,
            () if name.contains("cifar-100") || name.contains("cifar100") => Some(Self::Cifar100),
            () if ends(&[".part", ".crdownload", ".download", ".aria2", ".tmp"]) && cifar => Some(Self::Unfinished),
            () if cifar && (name.contains("python") || name.contains("batches-py")) => Some(Self::Python),
            () if !is_folder && (batch || name == "test_batch") => Some(Self::Python),
            () if is_folder && name == FOLDER => Some(Self::Empty),
            () if !is_folder && name.starts_with("cifar-10-binary") => Some(Self::Archive),
            () if ends(&["-ubyte", "-ubyte.gz"]) => Some(Self::Idx),
            () if ends(&[".png", ".jpg", ".jpeg", ".bmp", ".webp"]) => Some(Self::Images),
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
            Self::Python => "the Python version of CIFAR-10: pickles, which are programs and not run here",
            Self::Cifar100 => "CIFAR-100, which has a hundred classes and is not supported",
            Self::Unfinished => "a download that is not finished",
            Self::Empty => "without data_batch_*.bin files, as an interrupted unpacking leaves it",
            Self::Idx => "the format of MNIST, which is not supported",
            Self::Images => "image files, which are not read",
            Self::Archive => "an archive of another name or kind",
            Self::Arrays => "data of another format or name",
        }
    }
}

/// What was found in a folder and below it.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The sources at the nearest level that has one. If there are several, the user has to choose.
    pub(super) sources: Vec<Source>,
    /// What looks like images and cannot be read.
    pub(super) suspects: Vec<(PathBuf, Suspect)>,
    /// The folders that were looked into.
    searched: Vec<PathBuf>,
}

impl Search {
    /// Looks into `folder` and up to two levels below, and stops at the first level that has a source.
    ///
    /// # Errors
    /// [`Error::Io`] if `folder` itself cannot be listed.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let mut search = Self::default();
        let mut queue = VecDeque::from([(folder.to_owned(), 0)]);
        let (mut found_at, mut left) = (usize::MAX, MOST_ENTRIES);
        while let Some((folder, depth)) = queue.pop_front() {
            if depth > found_at || search.searched.len() == MOST_FOLDERS {
                break;
            }
            let listing = match Listing::new(&folder, &mut left) {
                Ok(listing) => listing,
                // A subfolder that may not be listed holds nothing for this user.
                Err(_) if depth > 0 => continue,
                Err(error) => return Err(error),
            };
            if let Some(source) = listing.source(&folder, &mut left) {
                search.sources.push(source);
                found_at = depth;
            }
            if depth < DEPTH {
                queue.extend(listing.folders.iter().map(|name| (folder.join(name), depth + 1)));
            }
            search.suspects.extend(listing.suspects(&folder));
            search.searched.push(folder);
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
                let found = several.iter().map(|s| s.path().display().to_string()).collect::<Vec<_>>().join(", ");
                Err(Error::data(folder, "one data set", found, "name the one that is meant"))
            }
        }
    }

    /// The error if there is no source: what was searched, what is there instead, and `hint`.
    pub(super) fn nothing(&self, folder: &Path, hint: String) -> Error {
        let expected = format!("CIFAR-10's binary version: data_batch_*.bin, or {ARCHIVE}");
        let mut found = String::new();
        for (path, suspect) in self.suspects.iter().take(SHOWN) {
            found += &format!("\n    {}: {}", path.display(), suspect.words());
        }
        if self.suspects.is_empty() {
            found += "neither";
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

/// The names in a folder, sorted.
struct Listing {
    files: Vec<String>,
    folders: Vec<String>,
}

impl Listing {
    /// Lists a folder, up to `left` entries, and subtracts their number from `left`.
    fn new(folder: &Path, left: &mut usize) -> Result<Self> {
        let (mut files, mut folders) = (vec![], vec![]);
        for entry in fs::read_dir(folder).map_err(Error::io("list", folder))?.take(*left).flatten() {
            *left -= 1;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Hidden files belong to tools: `._data_batch_1.bin` is one of macOS's, `.git` a repository.
            if name.starts_with('.') || name.contains(char::is_control) {
                continue;
            }
            // Links are followed; for everything else the directory entry states the type.
            let is_folder =
                entry.file_type().is_ok_and(|kind| kind.is_dir() || (kind.is_symlink() && entry.path().is_dir()));
            let list = if is_folder { &mut folders } else { &mut files };
            list.push(name);
        }
        files.sort_unstable();
        folders.sort_unstable();
        Ok(Self { files, folders })
    }

    /// The source in this folder: its files of records, else those in the official archive's folder, else an archive.
    fn source(&self, folder: &Path, left: &mut usize) -> Option<Source> {
        if self.files.iter().any(|name| is_batch(name)) {
            return Some(Source::Folder(folder.to_owned()));
        }
        let inner = folder.join(FOLDER);
        if self.folders.iter().any(|name| name == FOLDER)
            && Self::new(&inner, left).is_ok_and(|inner| inner.files.iter().any(|name| is_batch(name)))
        {
            return Some(Source::Folder(inner));
        }
        let official = ENDINGS.iter().map(|ending| format!("{}{ending}", ARCHIVE.trim_end_matches(ENDINGS[0])));
        let official = official.into_iter().find(|name| self.files.contains(name));
        let archive = official.or_else(|| self.files.iter().find(|name| is_archive(name)).cloned())?;
        Some(Source::Archive(folder.join(archive)))
    }

    fn suspects(&self, folder: &Path) -> Vec<(PathBuf, Suspect)> {
        let named = |name: &String, is_folder| Some((folder.join(name), Suspect::of(name, is_folder)?));
        let files = self.files.iter().filter(|name| !is_batch(name) && !is_archive(name));
        let mut suspects: Vec<(PathBuf, Suspect)> = files.filter_map(|name| named(name, false)).collect();
        suspects.extend(self.folders.iter().filter_map(|name| named(name, true)));
        // Many files of one kind are reported as their folder, and a few pictures are not taken for a data set.
        for (kind, few) in [(Suspect::Python, 1), (Suspect::Images, 9), (Suspect::Idx, 1), (Suspect::Arrays, 1)] {
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

/// Whether an archive of this name may hold CIFAR-10's binary version.
fn is_archive(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let readable = ENDINGS.iter().any(|ending| lower.ends_with(ending));
    readable
        && lower.contains("cifar")
        && !matches!(Suspect::of(name, false), Some(Suspect::Python | Suspect::Cifar100))
}
