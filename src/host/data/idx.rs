//! MNIST and its relatives from IDX files, compressed by gzip or not.
//!
//! A set is two files for training, of images and of labels, and two for testing. Opening reads everything once and
//! checks it; after that, images are read from a plain file by positioned reads. Compressed files are held in memory, as
//! they cannot be read in place. Images are grey, and may have any size up to [`MOST_SIDE`].

mod family;
pub mod file;
mod names;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use family::Family;

use self::{
    file::IdxFile,
    names::{Group, Name, Part},
};
use super::listing::Listing;
use crate::{
    data::{Dataset, Image, MOST_IMAGES, MOST_SIDE, Spec, Split},
    error::{Error, Result},
};

/// Whether a file of this name is one of a set.
pub(super) fn is_named(name: &str) -> bool {
    Name::read(name).is_some()
}

/// A set of IDX files.
pub struct Idx {
    spec: Spec,
    path: PathBuf,
    train: Option<Half>,
    test: Option<Half>,
    checksum: u32,
    notes: Vec<String>,
}

/// The images of one split, and their labels.
struct Half {
    images: IdxFile,
    labels: Vec<u8>,
}

impl Idx {
    /// Opens the files in a folder, or those that belong to the file `path`. Which set they are of is told by `family`,
    /// or else by the names of the files or of the folders that they lie in; [`Family::Mnist`] if these tell nothing.
    ///
    /// # Errors
    /// [`Error::Data`] if the folder has no such files, or those of several sets; if a file is no IDX file, has another
    /// length than its header says, or more than [`file::LIMIT`] bytes; if there are not as many labels as images, or
    /// images for testing have another size. [`Error::Io`] if something cannot be read.
    pub fn open(path: &Path, family: Option<Family>) -> Result<Self> {
        let parent =
            |path: &Path| path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        let (folder, only) = match path.file_name().and_then(|name| name.to_str()).and_then(Name::read) {
            Some(name) if !path.is_dir() => (parent(path), Some(name.prefix.to_owned())),
            _ => (path.to_owned(), None),
        };
        let listing = Listing::new(&folder, &mut MOST_FILES.clone())?;
        let mut groups = names::groups(&folder, &listing.files);
        groups.retain(|prefix, _| only.as_ref().is_none_or(|only| prefix == only));
        let (prefix, group) = the_only(&folder, groups)?;
        let family = family.or_else(|| Family::of(Path::new(&prefix))).or_else(|| Family::of(&absolute(&folder)));
        let mut set = Self::assemble(&folder, &prefix, &group, family.unwrap_or(Family::Mnist), &IdxFile::open)?;
        if only.is_some() {
            // A folder may have the files of several sets, so that its path would not find this one again.
            path.clone_into(&mut set.path);
        }
        Ok(set)
    }

    /// As [`open`](Self::open), of files that are in memory, each with its name; `place` is for messages.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn held(place: &Path, files: &[(String, Vec<u8>)]) -> Result<Self> {
        let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
        let (prefix, group) = the_only(place, names::groups(place, &names))?;
        let open = |path: &Path, axes| {
            let file = files.iter().find(|(name, _)| place.join(name) == path);
            IdxFile::held(path, axes, file.map_or(&[][..], |(_, bytes)| &bytes[..]))
        };
        let family = Family::of(Path::new(&prefix)).unwrap_or(Family::Mnist);
        Self::assemble(place, &prefix, &group, family, &open)
    }

    fn assemble(folder: &Path, prefix: &str, group: &Group, family: Family, open: &Open<'_>) -> Result<Self> {
        let train = Half::open(folder, group, Split::Train, open)?;
        let test = Half::open(folder, group, Split::Test, open)?;
        let halves = || train.iter().chain(&test);
        let Some(first) = halves().next() else {
            return Err(Error::data(folder, "images", "none", ""));
        };
        let image = first.size();
        if let Some(other) = halves().find(|half| half.size() != image) {
            let (expected, found) = (format!("images of {image}"), format!("images of {}", other.size()));
            return Err(Error::data(&other.images.path, expected, found, "all images of a set have one size"));
        }
        let total: usize = halves().map(|half| half.labels.len()).sum();
        if total > MOST_IMAGES {
            return Err(Error::data(folder, format!("at most {MOST_IMAGES} images"), total.to_string(), ""));
        }
        let mut checksum = crc32fast::Hasher::new();
        for half in halves() {
            half.images.each(|index, image| {
                checksum.update(&[half.labels[index]]);
                checksum.update(image);
            })?;
        }
        let mut notes = vec![];
        if family == Family::Emnist {
            notes.push("EMNIST's images are stored with rows and columns exchanged, and are left so".to_owned());
        }
        if test.is_none() {
            notes.push("no t10k-images-idx3-ubyte".to_owned());
        }
        let most = halves().flat_map(|half| &half.labels).copied().max().unwrap_or(0);
        let mut classes = family.classes(Name::emnist_split(prefix).unwrap_or_default()).unwrap_or_default();
        if !classes.is_empty() && usize::from(most) >= classes.len() {
            notes.push(format!("not {}: labels go up to {most}, beyond its {} classes", family.title(), classes.len()));
        }
        classes.extend((classes.len()..=usize::from(most)).map(|label| label.to_string()));
        let spec = Spec::new(family.name(), image, classes);
        Ok(Self { spec, path: folder.to_owned(), train, test, checksum: checksum.finalize(), notes })
    }

    fn half(&self, split: Split) -> Option<&Half> {
        match split {
            Split::Train => self.train.as_ref(),
            Split::Test => self.test.as_ref(),
        }
    }
}

/// How a file of so many axes is opened.
type Open<'a> = dyn Fn(&Path, usize) -> Result<IdxFile> + 'a;

/// Most entries of a folder that are listed.
const MOST_FILES: usize = 100_000;

/// The set that there is, of which there must be one.
fn the_only(folder: &Path, mut groups: BTreeMap<String, Group>) -> Result<(String, Group)> {
    let Some((prefix, group)) = groups.pop_first() else {
        let expected = "train-images-idx3-ubyte and train-labels-idx1-ubyte, with .gz or without";
        return Err(Error::data(folder, expected, "neither", ""));
    };
    if groups.is_empty() {
        return Ok((prefix, group));
    }
    let names = [&prefix].into_iter().chain(groups.keys());
    let found = names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let hint = format!(
        "name one of its files by 'data': {}",
        folder.join(format!("{prefix}train-images-idx3-ubyte.gz")).display()
    );
    Err(Error::data(folder, "the files of one set", format!("files that begin with {found}"), hint))
}

/// The folder with the names of those that it lies in, as far as they are known.
fn absolute(folder: &Path) -> PathBuf {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    // The last three names: a set's folder may have others below it, and those far above say nothing about it.
    let names: Vec<_> = whole.iter().collect();
    names[names.len().saturating_sub(3)..].iter().collect()
}

impl Half {
    /// Opens the files of a split; `None` if there are none.
    fn open(folder: &Path, group: &Group, split: Split, open: &Open<'_>) -> Result<Option<Self>> {
        let file = |part| group.get(&names::key(split, part));
        let (images, labels) = match (file(Part::Images), file(Part::Labels)) {
            (None, None) => return Ok(None),
            (Some(images), Some(labels)) => (images, labels),
            (Some(alone), None) | (None, Some(alone)) => {
                let found = format!("{} alone", alone.file_name().unwrap_or_default().to_string_lossy());
                return Err(Error::data(
                    folder,
                    "a file of images and one of labels",
                    found,
                    "fetch the other one too",
                ));
            }
        };
        let (images, labels) = (open(images, 3)?, open(labels, 1)?);
        let [_, height, width] = images.axes[..] else { unreachable!("the header has three axes") };
        let size = Image { channels: 1, height, width };
        size.check().map_err(|_| {
            let expected = format!("images with sides of 1 to {MOST_SIDE} pixels");
            Error::data(&images.path, expected, format!("{width}x{height}"), "")
        })?;
        if images.items() != labels.items() {
            let expected = format!("as many labels as there are images, {}", images.items());
            return Err(Error::data(&labels.path, expected, labels.items().to_string(), "fetch both files again"));
        }
        let mut of_all = Vec::new();
        labels.each(|_, label| of_all.extend_from_slice(label))?;
        Ok(Some(Self { images, labels: of_all }))
    }

    fn size(&self) -> Image {
        Image { channels: 1, height: self.images.axes[1], width: self.images.axes[2] }
    }
}

impl Dataset for Idx {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self, split: Split) -> usize {
        self.half(split).map_or(0, |half| half.labels.len())
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
        assert_eq!(image.len(), self.spec.input.bytes(), "Idx::read: an image of another size");
        let count = self.len(split);
        let half = self.half(split).filter(|_| index < count);
        let half = half.unwrap_or_else(|| panic!("Idx::read: index {index} of {count} images in {split:?}"));
        half.images.read(index, image)?;
        targets.copy_from_slice(&[half.labels[index].into()]);
        Ok(())
    }
}
