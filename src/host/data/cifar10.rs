//! CIFAR-10 from its binary files (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).
//!
//! A file is records of 3,073 bytes without any header: the label, then 1,024 bytes each of red, green and blue. That
//! leaves little to recognise a wrong or damaged file by, so opening reads everything once and checks
//! what can be checked: whole records, labels from 0 to 9, and a checksum that goes into the run's report. After that
//! images are read where they lie, one positioned read each; the system's file cache is a better judge of what to
//! keep in memory than we are. Only an archive is held in memory, as its records cannot be reached in place.
//!
//! The official set is five files of 10,000 images and a test file of 10,000. Fewer, more or smaller files are
//! welcome (a slice of the set for a quick trial, or a set of one's own in the same format), but are remarked upon.

mod archive;
mod records;

use crate::data::{CLASSES, Dataset, IMAGE_BYTES, MOST_IMAGES, Spec, Split};
use crate::error::{Error, Result};
use records::Part;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The name of the set.
pub const NAME: &str = "cifar10";
/// The official archive's name.
pub const ARCHIVE: &str = "cifar-10-binary.tar.gz";
/// The folder in it.
pub const FOLDER: &str = "cifar-10-batches-bin";
/// Where the official archive is.
pub const URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
/// Bytes of a record: a label and an image.
pub const RECORD_BYTES: usize = 1 + IMAGE_BYTES;
/// Most bytes an archive may unpack to, eleven times the official set; they are held in memory.
pub const ARCHIVE_LIMIT: u64 = 2 << 30;

/// The file of the test images.
const TEST_FILE: &str = "test_batch.bin";
/// The file of the class names, a line each.
const NAMES_FILE: &str = "batches.meta.txt";
/// The classes in the order of their labels.
const OFFICIAL_NAMES: [&str; CLASSES] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
/// Images of each official file.
const OFFICIAL_RECORDS: usize = 10_000;
/// Official training files.
const OFFICIAL_FILES: usize = 5;

/// CIFAR-10, or another set in its format.
pub struct Cifar10 {
    spec: Spec,
    train: Vec<Part>,
    test: Vec<Part>,
    checksum: u32,
    notes: Vec<String>,
}

impl Cifar10 {
    /// Opens a `.tar.gz`, or a folder that has the `data_batch_*.bin` files, or has [`FOLDER`] or [`ARCHIVE`] in it.
    /// Reads everything once (180 MB of the official set).
    ///
    /// # Errors
    /// [`Error::Data`] if `path` is none of these, if a file is not whole records with labels of 0 to 9, or if the
    /// archive is damaged or unpacks to more than [`ARCHIVE_LIMIT`]; [`Error::Io`] if something cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let kind = fs::metadata(path).map_err(Error::io("read", path))?;
        if kind.is_file() {
            return Self::open_archive(path, ARCHIVE_LIMIT);
        }
        if !kind.is_dir() {
            return Err(Error::data(path, "a folder or a .tar.gz file", "something else", ""));
        }
        let inner = path.join(FOLDER);
        if has_batches(path)? {
            return Self::open_folder(path);
        }
        if inner.is_dir() && has_batches(&inner)? {
            return Self::open_folder(&inner);
        }
        let archive = path.join(ARCHIVE);
        if archive.is_file() {
            return Self::open_archive(&archive, ARCHIVE_LIMIT);
        }
        Err(no_batches(path))
    }

    /// Opens an archive of any name that unpacks to at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Cifar10::open`].
    pub fn open_archive(path: &Path, limit: u64) -> Result<Self> {
        let contents = archive::read(path, limit)?;
        Self::assemble(path, contents.parts, contents.names)
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

    /// Puts the files in order and remarks on what is unusual about them.
    fn assemble(path: &Path, mut parts: Vec<(String, Part)>, names: Option<Vec<u8>>) -> Result<Self> {
        parts.sort_by_cached_key(|(name, _)| natural(name));
        let (test, train): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(name, _)| name == TEST_FILE);
        let train: Vec<Part> = train.into_iter().map(|(_, part)| part).collect();
        let test: Vec<Part> = test.into_iter().map(|(_, part)| part).collect();
        if train.is_empty() && test.is_empty() {
            return Err(no_batches(path));
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
            Some(Ok(names)) => Spec::new(NAME, names),
            _ => Spec::new(NAME, OFFICIAL_NAMES),
        };
        Ok(Self { spec, train, test, checksum: checksum.finalize(), notes })
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

    fn read(&self, split: Split, index: usize, image: &mut [u8]) -> Result<u8> {
        assert_eq!(image.len(), IMAGE_BYTES, "Cifar10::read: an image has {IMAGE_BYTES} bytes");
        let mut within = index;
        for part in self.parts(split) {
            if within < part.records {
                return part.read(within, image);
            }
            within -= part.records;
        }
        panic!("Cifar10::read: index {index} of {} images in {split:?}", self.len(split));
    }
}

/// What [`Cifar10::open`] should be given if `home` holds the set under one of its official names.
pub(super) fn find_default(home: &Path) -> Option<PathBuf> {
    let (folder, archive) = (home.join(FOLDER), home.join(ARCHIVE));
    // An empty folder, as an interrupted unpacking leaves, is none.
    if folder.is_dir() && has_batches(&folder).unwrap_or(true) {
        return Some(folder);
    }
    archive.is_file().then_some(archive)
}

/// Most bytes of the file of class names that are looked at; the official one has 61.
const NAMES_LIMIT: u64 = 4096;

fn records(parts: &[Part]) -> usize {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.records))
}

/// Whether a file of this name holds records. Control characters are for terminals, and the name may get to one.
fn is_batch(name: &str) -> bool {
    let train = name.starts_with("data_batch_") && name.ends_with(".bin") && !name.contains(char::is_control);
    train || name == TEST_FILE
}

/// The sort key of a file: by number, so that 10 comes after 2, and by name where there is none.
fn natural(name: &str) -> (u64, String) {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    (digits.parse().unwrap_or(u64::MAX), name.to_owned())
}

fn has_batches(folder: &Path) -> Result<bool> {
    let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    Ok(entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(is_batch)))
}

fn no_batches(path: &Path) -> Error {
    let found = if path.join("cifar-10-batches-py").is_dir() || path.join("data_batch_1").is_file() {
        "the Python version of CIFAR-10"
    } else {
        "no such file"
    };
    let hint = format!("the binary version of CIFAR-10 is at {URL}");
    Error::data(path, "data_batch_*.bin files (or an archive of them)", found, hint)
}

/// The ten class names, if that is what `text` is. They end up on terminals, so nothing unprintable.
fn class_names(text: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(text).ok()?;
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let sound = |name: &String| name.chars().count() <= 40 && !name.chars().any(char::is_control);
    (names.len() == CLASSES && names.iter().all(sound)).then_some(names)
}

/// How the files differ from the official ones.
fn unusual(train: &[Part], test: &[Part]) -> Vec<String> {
    let mut notes = Vec::new();
    let official = |parts: &[Part]| parts.iter().all(|part| part.records == OFFICIAL_RECORDS);
    if train.len() != OFFICIAL_FILES || !official(train) || !official(test) {
        notes.push(format!(
            "not the official CIFAR-10 of 50,000 + 10,000 images: {} in {} data_batch file(s) + {} in {TEST_FILE}",
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
