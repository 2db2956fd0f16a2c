//! CIFAR-10 from its binary files (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).
//!
//! A file consists of records of 3,073 bytes without a header: the label, then 1,024 bytes each of red, green and blue.
//! That leaves little by which a wrong or damaged file could be recognized, so opening reads everything once and checks
//! that records are whole and that labels are from 0 to 9; a checksum goes into the run's report. After that each image
//! is read from its file by one positioned read, as the system's page cache judges better than this program what to
//! keep in memory. Only an archive is held in memory, as its records cannot be read in place.
//!
//! The official set is five files of 10,000 images and a test file of 10,000. Fewer, more or smaller files are accepted
//! with a remark (a part of the set for a quick trial, or another set in the same format).

mod archive;
mod find;
mod records;

use crate::data::{Dataset, Image, MOST_IMAGES, Spec, Split};
use crate::error::suggest::shell_word;
use crate::error::{Error, Result};
use find::{Search, Source, Suspect};
use records::Part;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The name of the set.
pub const NAME: &str = "cifar10";
/// Name of the official archive.
pub const ARCHIVE: &str = "cifar-10-binary.tar.gz";
/// Name of the folder in the official archive.
pub const FOLDER: &str = "cifar-10-batches-bin";
/// URL of the official archive.
pub const URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
/// The number of classes.
const CLASSES: usize = 10;
/// Bytes of an image: planes of red, green and blue, 32 rows of 32 each.
const IMAGE_BYTES: usize = 3 * 32 * 32;
/// Bytes of a record: a label and an image.
pub const RECORD_BYTES: usize = 1 + IMAGE_BYTES;
/// Most bytes an archive may unpack to, eleven times the official set; they are held in memory.
pub const ARCHIVE_LIMIT: u64 = 2 << 30;

/// Name of the file of test images.
const TEST_FILE: &str = "test_batch.bin";
/// Name of the file of class names, one per line.
const NAMES_FILE: &str = "batches.meta.txt";
/// The classes in the order of their labels.
const OFFICIAL_NAMES: [&str; CLASSES] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
/// Number of images in each official file.
const OFFICIAL_RECORDS: usize = 10_000;
/// Number of official training files.
const OFFICIAL_FILES: usize = 5;

/// CIFAR-10, or another set in its format.
pub struct Cifar10 {
    spec: Spec,
    path: PathBuf,
    train: Vec<Part>,
    test: Vec<Part>,
    checksum: u32,
    notes: Vec<String>,
}

impl Cifar10 {
    /// Opens an archive (a tar, compressed by gzip or not), a folder, or the folder of a file `data_batch_*.bin`. In a
    /// folder, the files may lie directly, in [`FOLDER`] or in an archive, up to two levels deep. Reads everything once
    /// (180 MB for the official set).
    ///
    /// # Errors
    /// [`Error::Data`] if `path` is none of these, if a file does not consist of whole records with labels of 0 to 9,
    /// or if the archive is damaged or unpacks to more than [`ARCHIVE_LIMIT`]; [`Error::Io`] if something cannot be
    /// read.
    pub fn open(path: &Path) -> Result<Self> {
        let kind = fs::metadata(path).map_err(Error::io("read", path))?;
        if kind.is_dir() {
            let search = Search::new(path)?;
            return match search.source(path)? {
                Some(source) => Self::open_source(path, source),
                None => Err(search.nothing(path, how_to_get(path))),
            };
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !kind.is_file() {
            return Err(Error::data(path, "a folder or an archive", "a pipe or a device", ""));
        }
        if is_batch(name) {
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            return Self::open_source(path, &Source::Folder(folder.to_owned()));
        }
        match Suspect::of(name, false) {
            Some(suspect @ (Suspect::Python | Suspect::Cifar100)) => Err(no_batches(path, suspect.words())),
            _ => Self::open_archive(path, ARCHIVE_LIMIT),
        }
    }

    /// Opens the set in the folder `home`, searched as by [`Cifar10::open`]. `None` if there is no such folder, or if
    /// it holds nothing that looks like images.
    ///
    /// # Errors
    /// As [`Cifar10::open`], and [`Error::Data`] if the folder holds something that looks like images and cannot be
    /// read.
    pub(super) fn find(home: &Path) -> Result<Option<Self>> {
        if !home.is_dir() {
            return Ok(None);
        }
        let search = Search::new(home)?;
        match search.source(home)? {
            Some(source) => Self::open_source(home, source).map(Some),
            None if search.suspects.is_empty() => Ok(None),
            None => {
                let hint = format!("the set shapes10 is drawn and needs no files; {}", how_to_get(home));
                Err(search.nothing(home, hint))
            }
        }
    }

    /// Opens `source`, which was found for the path `asked`, and adds a note if it is not where one would expect it.
    fn open_source(asked: &Path, source: &Source) -> Result<Self> {
        let path = source.path();
        let mut set = match source {
            Source::Folder(folder) => Self::open_folder(folder)?,
            Source::Archive(archive) => Self::open_archive(archive, ARCHIVE_LIMIT)?,
        };
        let usual = [PathBuf::new(), FOLDER.into(), ARCHIVE.into()].map(|name: PathBuf| asked.join(name));
        if path != asked && !usual.iter().any(|usual| usual == path) {
            set.notes.insert(0, format!("images from {}", path.display()));
        }
        Ok(set)
    }

    /// The folder or the archive that the images are read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens an archive of any name; it may unpack to at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Cifar10::open`].
    pub fn open_archive(path: &Path, limit: u64) -> Result<Self> {
        let contents = archive::read(path, limit)?;
        let mut set = Self::assemble(path, contents.parts, contents.names)?;
        set.notes.splice(0..0, contents.notes);
        Ok(set)
    }

    fn open_folder(folder: &Path) -> Result<Self> {
        let mut parts = Vec::new();
        let mut names = None;
        for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
            let name = entry.map_err(Error::io("list", folder))?.file_name();
            let Some(name) = name.to_str() else { continue };
            let path = folder.join(name);
            if is_batch(name) {
                parts.push((name.to_owned(), Part::from_file(&path)?));
            } else if name == NAMES_FILE && path.is_file() {
                let mut text = Vec::new();
                let file = File::open(&path).map_err(Error::io("open", &path))?;
                file.take(NAMES_LIMIT).read_to_end(&mut text).map_err(Error::io("read", &path))?;
                names = Some(text);
            }
        }
        Self::assemble(folder, parts, names)
    }

    /// Sorts the files and notes what is unusual about them.
    fn assemble(path: &Path, mut parts: Vec<(String, Part)>, names: Option<Vec<u8>>) -> Result<Self> {
        parts.sort_by_cached_key(|(name, _)| natural(name));
        let (test, train): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(name, _)| name == TEST_FILE);
        let train: Vec<Part> = train.into_iter().map(|(_, part)| part).collect();
        let test: Vec<Part> = test.into_iter().map(|(_, part)| part).collect();
        if train.is_empty() && test.is_empty() {
            return Err(no_batches(path, "none of them"));
        }
        let total = records(&train).saturating_add(records(&test));
        if total > MOST_IMAGES {
            return Err(Error::data(path, format!("at most {MOST_IMAGES} images"), format!("{total}"), ""));
        }
        let mut checksum = crc32fast::Hasher::new();
        train.iter().chain(&test).for_each(|part| checksum.combine(&part.checksum));
        let mut notes = unusual(&train, &test);
        let names = names.map(|text| class_names(&text).ok_or(()));
        if names == Some(Err(())) {
            notes.push(format!("{NAMES_FILE} does not have {CLASSES} lines: using the official class names"));
        }
        let spec = match names {
            Some(Ok(names)) => Spec::new(NAME, Image::CIFAR, names),
            _ => Spec::new(NAME, Image::CIFAR, OFFICIAL_NAMES),
        };
        Ok(Self { spec, path: path.to_owned(), train, test, checksum: checksum.finalize(), notes })
    }

    fn parts(&self, split: Split) -> &[Part] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

impl Dataset for Cifar10 {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self, split: Split) -> usize {
        records(self.parts(split))
    }

    fn checksum(&self) -> u32 {
        self.checksum
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn read(&self, split: Split, index: usize, image: &mut [u8]) -> Result<u32> {
        assert_eq!(image.len(), IMAGE_BYTES, "Cifar10::read: an image has {IMAGE_BYTES} bytes");
        let mut within = index;
        for part in self.parts(split) {
            if within < part.records {
                return part.read(within, image).map(u32::from);
            }
            within -= part.records;
        }
        panic!("Cifar10::read: index {index} of {} images in {split:?}", self.len(split));
    }
}

/// Most bytes that are read of the file of class names; the official one has 61.
const NAMES_LIMIT: u64 = 4096;

fn records(parts: &[Part]) -> usize {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.records))
}

/// Whether a file of this name holds records. Names with control characters are refused, as a name may be printed to a
/// terminal.
fn is_batch(name: &str) -> bool {
    let train = name.starts_with("data_batch_") && name.ends_with(".bin") && !name.contains(char::is_control);
    train || name == TEST_FILE
}

/// The sort key of a file: by number, so that 10 comes after 2, and by name where there is none.
fn natural(name: &str) -> (u64, String) {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    (digits.parse().unwrap_or(u64::MAX), name.to_owned())
}

/// The error for a file without records.
fn no_batches(path: &Path, found: &str) -> Error {
    let expected = "CIFAR-10's binary version, data_batch_*.bin";
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Error::data(path, expected, found, how_to_get(folder))
}

/// The shell commands that fetch CIFAR-10 to where it is found in `home`.
pub(super) fn how_to_get(home: &Path) -> String {
    let archive = shell_word(&home.join(ARCHIVE));
    let make = if home.is_dir() { String::new() } else { format!("    mkdir -p {}\n", shell_word(home)) };
    format!("this fetches the binary version (163 MB):\n{make}    curl -L -o {archive} {URL}")
}

/// The ten class names in `text`, if it has ten. They are printed to terminals, so control characters are refused.
fn class_names(text: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(text).ok()?;
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let sound = |name: &String| name.chars().count() <= 40 && !name.chars().any(char::is_control);
    (names.len() == CLASSES && names.iter().all(sound)).then_some(names)
}

/// Notes on how the files differ from the official ones.
fn unusual(train: &[Part], test: &[Part]) -> Vec<String> {
    let mut notes = Vec::new();
    let official = |parts: &[Part]| parts.iter().all(|part| part.records == OFFICIAL_RECORDS);
    if train.len() != OFFICIAL_FILES || !official(train) || !official(test) {
        notes.push(format!(
            "not the official CIFAR-10: {} images in {} file(s), {} in {TEST_FILE}",
            records(train),
            train.len(),
            records(test),
        ));
    }
    if test.is_empty() {
        notes.push(format!("no {TEST_FILE}: there will be no validation"));
    }
    notes
}
