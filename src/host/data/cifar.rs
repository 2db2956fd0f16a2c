//! CIFAR-10 and CIFAR-100 from their binary files (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny
//! Images", 2009).
//!
//! A file consists of records without a header: the labels, then 1,024 bytes each of red, green and blue. CIFAR-10 has
//! one label, CIFAR-100 a coarse one (20 superclasses) and a fine one (100 classes). That leaves little by which a wrong
//! or damaged file could be recognized, so opening reads everything once and checks that records are whole and that
//! labels are in their range; a checksum goes into the run's report. After that each image is read from its file by one
//! positioned read, as the system's page cache judges better than this program what to keep in memory. Only an archive
//! is held in memory, as its records cannot be read in place.
//!
//! The official sets have 50,000 training images and 10,000 test images. Fewer, more or smaller files are accepted with
//! a remark (a part of the set for a quick trial, or another set in the same format).

mod archive;
mod class_names;
pub mod layout;
mod records;

use super::find::{Form, Search, Suspect};
use crate::data::{Dataset, Image, MOST_IMAGES, Spec, Split};
use crate::error::{Error, Result};
pub use layout::Layout;
use layout::{HUNDRED, IMAGE_BYTES, TEN};
use records::Part;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The name of CIFAR-10.
pub const NAME: &str = "cifar10";
/// Most bytes an archive may unpack to, eleven times an official set; they are held in memory.
pub const ARCHIVE_LIMIT: u64 = 2 << 30;

/// A set in CIFAR's binary form, and which of its labels are learned.
#[derive(Debug, PartialEq, Eq)]
pub struct Version {
    /// The name of the set.
    pub name: &'static str,
    /// Its files.
    pub layout: &'static Layout,
    /// The place of the label in a record.
    label: usize,
}

impl Version {
    /// The usual version of a layout, which is that of its finest classes.
    fn of(layout: &Layout) -> &'static Self {
        if *layout == HUNDRED { &CIFAR100 } else { &CIFAR10 }
    }
}

/// CIFAR-10: ten classes.
pub static CIFAR10: Version = Version { name: NAME, layout: &TEN, label: 0 };
/// CIFAR-100 with its hundred fine classes.
pub static CIFAR100: Version = Version { name: "cifar100", layout: &HUNDRED, label: 1 };
/// CIFAR-100 with its twenty superclasses.
pub static CIFAR100_COARSE: Version = Version { name: "cifar100-coarse", layout: &HUNDRED, label: 0 };

/// CIFAR-10 or CIFAR-100, or another set in their format.
pub struct Cifar {
    version: &'static Version,
    spec: Spec,
    path: PathBuf,
    train: Vec<Part>,
    test: Vec<Part>,
    checksum: u32,
    notes: Vec<String>,
}

/// Opens CIFAR-10.
pub struct Cifar10;

impl Cifar10 {
    /// [`Cifar::open`] for CIFAR-10.
    ///
    /// # Errors
    /// As [`Cifar::open`].
    pub fn open(path: &Path) -> Result<Cifar> {
        Cifar::open(&CIFAR10, path)
    }

    /// [`Cifar::open_archive`] for CIFAR-10.
    ///
    /// # Errors
    /// As [`Cifar::open`].
    pub fn open_archive(path: &Path, limit: u64) -> Result<Cifar> {
        Cifar::open_archive(&CIFAR10, path, limit)
    }
}

impl Cifar {
    /// Opens an archive (a tar, compressed by gzip or not), a folder, or the folder of a file of records. In a folder,
    /// the files may lie directly, in the official folder or in an archive, up to two levels deep. Reads everything once
    /// (180 MB for an official set).
    ///
    /// # Errors
    /// [`Error::Data`] if `path` is none of these, if a file does not consist of whole records with labels in their
    /// range, or if the archive is damaged or unpacks to more than [`ARCHIVE_LIMIT`]; [`Error::Io`] if something cannot
    /// be read.
    pub fn open(version: &'static Version, path: &Path) -> Result<Self> {
        let layout = version.layout;
        let kind = fs::metadata(path).map_err(Error::io("read", path))?;
        if kind.is_dir() {
            let search = Search::new(path, &[Form::Cifar(layout)])?;
            return match search.source(path)? {
                Some(source) => {
                    let mut set = Self::open_found(version, &source.path)?;
                    set.notes.splice(0..0, source.elsewhere(path));
                    Ok(set)
                }
                None => Err(search.nothing(path, layout.how_to_get(path))),
            };
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !kind.is_file() {
            return Err(Error::data(path, "a folder or an archive", "a pipe or a device", ""));
        }
        if layout.is_records(name) {
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let mut set = Self::open_folder(version, folder)?;
            set.notes.insert(0, format!("images from {}", folder.display()));
            return Ok(set);
        }
        match Suspect::of(name, false) {
            Some(suspect @ Suspect::Python) => Err(no_records(layout, path, suspect.words())),
            Some(suspect @ Suspect::Cifar(other)) if other != layout => Err(no_records(layout, path, suspect.words())),
            _ => Self::open_archive(version, path, ARCHIVE_LIMIT),
        }
    }

    /// The layout of the set in the archive at `path`, as far as one can tell.
    pub(super) fn layout_of(path: &Path) -> Option<&'static Layout> {
        archive::layout_of(path)
    }

    /// Opens a folder that has files of records, or an archive.
    pub(super) fn open_found(version: &'static Version, path: &Path) -> Result<Self> {
        if path.is_dir() { Self::open_folder(version, path) } else { Self::open_archive(version, path, ARCHIVE_LIMIT) }
    }

    /// The folder or the archive that the images are read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens an archive of any name; it may unpack to at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Cifar::open`].
    pub fn open_archive(version: &'static Version, path: &Path, limit: u64) -> Result<Self> {
        Self::of_archive(version, path, archive::read(version.layout, path, limit)?)
    }

    /// Opens an archive that is in memory, of the set that it holds as far as one can tell.
    ///
    /// # Errors
    /// As [`Cifar::open`].
    pub(super) fn held_archive(path: &Path, bytes: &[u8]) -> Result<Self> {
        let version = Version::of(archive::layout_in(bytes).unwrap_or(&TEN));
        let contents = archive::read_stream(version.layout, path, bytes, bytes.len() as u64, ARCHIVE_LIMIT)?;
        Self::of_archive(version, path, contents)
    }

    /// Opens files of records that are in memory, each with its name, and class names beside them.
    ///
    /// # Errors
    /// As [`Cifar::open`].
    pub(super) fn held(layout: &'static Layout, place: &Path, files: &[(String, Vec<u8>)]) -> Result<Self> {
        let version = Version::of(layout);
        let (mut parts, mut names) = (vec![], None);
        for (name, bytes) in files {
            if layout.is_records(name) {
                parts.push((name.clone(), Part::held(layout, &place.join(name), bytes)?));
            } else if layout.names_of(name) == Some(version.label) {
                names = Some(bytes.clone());
            }
        }
        Self::assemble(version, place, parts, names)
    }

    fn of_archive(version: &'static Version, path: &Path, contents: archive::Contents) -> Result<Self> {
        let names = contents.names.into_iter().find(|(of, _)| *of == version.label).map(|(_, text)| text);
        let mut set = Self::assemble(version, path, contents.parts, names)?;
        set.notes.splice(0..0, contents.notes);
        Ok(set)
    }

    fn open_folder(version: &'static Version, folder: &Path) -> Result<Self> {
        let layout = version.layout;
        let mut parts = Vec::new();
        let mut names = None;
        for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
            let name = entry.map_err(Error::io("list", folder))?.file_name();
            let Some(name) = name.to_str() else { continue };
            let path = folder.join(name);
            if layout.is_records(name) {
                parts.push((name.to_owned(), Part::from_file(layout, &path)?));
            } else if layout.names_of(name) == Some(version.label) && path.is_file() {
                let mut text = Vec::new();
                let file = File::open(&path).map_err(Error::io("open", &path))?;
                file.take(class_names::LIMIT).read_to_end(&mut text).map_err(Error::io("read", &path))?;
                names = Some(text);
            }
        }
        Self::assemble(version, folder, parts, names)
    }

    /// Sorts the files and notes what is unusual about them.
    fn assemble(
        version: &'static Version,
        path: &Path,
        mut parts: Vec<(String, Part)>,
        names: Option<Vec<u8>>,
    ) -> Result<Self> {
        let layout = version.layout;
        parts.sort_by_cached_key(|(name, _)| natural(name));
        let (test, train): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(name, _)| name == layout.test);
        let train: Vec<Part> = train.into_iter().map(|(_, part)| part).collect();
        let test: Vec<Part> = test.into_iter().map(|(_, part)| part).collect();
        if train.is_empty() && test.is_empty() {
            return Err(no_records(layout, path, "none of them"));
        }
        let total = records(&train).saturating_add(records(&test));
        if total > MOST_IMAGES {
            return Err(Error::data(path, format!("at most {MOST_IMAGES} images"), format!("{total}"), ""));
        }
        let mut checksum = crc32fast::Hasher::new();
        train.iter().chain(&test).for_each(|part| checksum.combine(&part.checksum));
        let mut notes = unusual(layout, &train, &test);
        let labels = &layout.labels[version.label];
        let read = names.as_deref().map(|text| class_names::read(text, labels.names.len()));
        if read == Some(None) {
            let (file, count) = (labels.names_file, labels.names.len());
            notes.push(format!("{file} does not have {count} lines: using the official class names"));
        }
        let classes = read.flatten().unwrap_or_else(|| labels.names.iter().map(|&name| name.to_owned()).collect());
        let spec = Spec::new(version.name, Image::CIFAR, classes);
        Ok(Self { version, spec, path: path.to_owned(), train, test, checksum: checksum.finalize(), notes })
    }

    fn parts(&self, split: Split) -> &[Part] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

impl Dataset for Cifar {
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

    fn read(&self, split: Split, index: usize, image: &mut [u8], targets: &mut [u32]) -> Result<()> {
        assert_eq!(image.len(), IMAGE_BYTES, "Cifar::read: an image has {IMAGE_BYTES} bytes");
        let mut within = index;
        for part in self.parts(split) {
            if within < part.records {
                targets.copy_from_slice(&[part.read(within, self.version.label, image)?.into()]);
                return Ok(());
            }
            within -= part.records;
        }
        panic!("Cifar::read: index {index} of {} images in {split:?}", self.len(split));
    }
}

fn records(parts: &[Part]) -> usize {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.records))
}

/// The sort key of a file: by number, so that 10 comes after 2, and by name where there is none.
fn natural(name: &str) -> (u64, String) {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    (digits.parse().unwrap_or(u64::MAX), name.to_owned())
}

/// The error for a file without records.
fn no_records(layout: &Layout, path: &Path, found: &str) -> Error {
    let expected = format!("{}'s binary version, {}", layout.title, layout.train);
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Error::data(path, expected, found, layout.how_to_get(folder))
}

/// Notes on how the files differ from the official ones.
fn unusual(layout: &Layout, train: &[Part], test: &[Part]) -> Vec<String> {
    let mut notes = Vec::new();
    let (files, each) = layout.official_train;
    let official = train.len() == files
        && train.iter().all(|part| part.records == each)
        && test.iter().all(|part| part.records == layout.official_test);
    if !official {
        notes.push(format!(
            "not the official {}: {} images in {} file(s), {} in {}",
            layout.title,
            records(train),
            train.len(),
            records(test),
            layout.test,
        ));
    }
    if test.is_empty() {
        notes.push(format!("no {}", layout.test));
    }
    notes
}
