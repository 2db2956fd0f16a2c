//! The images a network learns from.
//!
//! A [`Dataset`] hands out one image at a time by its index, from files, memory or a formula, and is shared between
//! threads; what order the images come in, and in how many at a time, is the [`Loader`]'s affair. Bytes stay bytes up
//! to the accelerator: an image is 3,072 of them, one plane each of red, green and blue, 32 rows of 32, which is how
//! CIFAR-10 is stored. Scaling and augmentation are computed where the network is.
//!
//! [`open`] chooses the set. CIFAR-10 is not ours to ship, so where its files are missing the program still has to do
//! something useful on a first run: it draws [`shapes10`] instead, and says so loudly, since an accuracy on drawn shapes
//! must never be mistaken for one on CIFAR-10. Asked for by name, CIFAR-10 is either found or an error.

pub mod cifar10;
pub mod holdout;
pub mod loader;
pub mod shapes10;
pub mod sheet;
pub mod summary;

pub use cifar10::Cifar10;
pub use holdout::Holdout;
pub use loader::{Batch, Loader, order};
pub use shapes10::{Shapes10, Sizes};
pub use sheet::contact_sheet;
pub use summary::{Summary, summary};

use crate::error::{Error, Result};
use crate::suggest::hint;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Classes of every set.
pub const CLASSES: usize = 10;
/// Colour planes of every image.
pub const CHANNELS: usize = 3;
/// Height and width of every image, in pixels.
pub const SIDE: usize = 32;
/// Bytes of an image: [`CHANNELS`] planes of [`SIDE`] rows of [`SIDE`].
pub const IMAGE_BYTES: usize = CHANNELS * SIDE * SIDE;
/// Most images a set may have in all: an index must fit a `u32`.
pub const MOST_IMAGES: usize = u32::MAX as usize;
/// The names [`open`] knows.
pub const NAMES: [&str; 2] = [cifar10::NAME, shapes10::NAME];

/// Which part of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The images to learn from.
    Train,
    /// The images to be judged on.
    Test,
}

/// What the images of a set are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// What each label means: [`CLASSES`] names.
    pub classes: Vec<String>,
}

impl Spec {
    /// A set's name and what its labels mean.
    fn new(name: &'static str, classes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let classes = classes.into_iter().map(Into::into).collect();
        Self { name, classes }
    }
}

/// Labelled images that any thread may read in any order.
pub trait Dataset: Send + Sync {
    /// Name and classes.
    fn spec(&self) -> &Spec;

    /// Images in `split`; 0 for [`Split::Test`] when there is nothing to validate on.
    fn len(&self, split: Split) -> usize;

    /// CRC-32 of all records (label byte, then the image), train before test: equal means the same data.
    fn checksum(&self) -> u32;

    /// What the images were drawn from, if they are drawn.
    fn seed(&self) -> Option<u64> {
        None
    }

    /// Remarks the user should see, a line each.
    fn notes(&self) -> &[String];

    /// Copies image `index` of `split` to `image`, as planes of red, green and blue, and returns its label, which is
    /// below [`CLASSES`].
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Data`] if the file behind the set can no longer be read or was changed.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len) or `image` is not [`IMAGE_BYTES`] long.
    fn read(&self, split: Split, index: usize, image: &mut [u8]) -> Result<u8>;
}

/// A set, and what to tell the user about how it was chosen.
pub struct Opened {
    /// The set.
    pub dataset: Arc<dyn Dataset>,
    /// Remarks to print before the run, the set's own included; each may have several lines.
    pub notes: Vec<String>,
    /// The folder or the archive that the images are read from, as an absolute path; `None` if they are drawn.
    pub path: Option<PathBuf>,
}

impl Opened {
    fn read(set: Cifar10) -> Self {
        let path = std::path::absolute(set.path()).unwrap_or_else(|_| set.path().to_owned());
        Self { notes: set.notes().to_vec(), dataset: Arc::new(set), path: Some(path) }
    }

    fn drawn(set: Shapes10, notes: Vec<String>) -> Self {
        Self { dataset: Arc::new(set), notes, path: None }
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("dataset", self.dataset.spec()).field("notes", &self.notes).finish()
    }
}

/// Opens the set called `name`; CIFAR-10 from `path` (a folder, an archive, or a file in a folder), or from wherever it lies in
/// the folder `data` for `None`. Without a name it is CIFAR-10 if that is there, and otherwise [`shapes10`], unless `data` holds
/// something else that looks like images. `seed` is what drawn images are drawn from.
///
/// # Errors
/// [`Error::Config`] for an unknown name and for a path together with `shapes10`; [`Error::Data`] and [`Error::Io`]
/// if CIFAR-10 was asked for, by name or by path, and is not there or not sound, and if `data` holds what cannot be read.
pub fn open(name: Option<&str>, path: Option<&Path>, seed: u64) -> Result<Opened> {
    open_in(Path::new("data"), name, path, seed, Sizes::default())
}

/// [`open`] with another folder than `data` to look in, and other sizes for a drawn set.
///
/// # Errors
/// As [`open`].
pub fn open_in(home: &Path, name: Option<&str>, path: Option<&Path>, seed: u64, sizes: Sizes) -> Result<Opened> {
    if let Some(unknown) = name.filter(|name| !NAMES.contains(name)) {
        return Err(Error::config(format!("no data set is called `{unknown}`"), hint(unknown, &NAMES)));
    }
    let drawn = name == Some(shapes10::NAME);
    if let Some(path) = path {
        if drawn {
            let message =
                format!("{} is drawn, not read: it takes no data folder ({})", shapes10::NAME, path.display());
            return Err(Error::config(message, "leave out either the dataset or the folder"));
        }
        return Ok(Opened::read(Cifar10::open(path)?));
    }
    if drawn {
        return Ok(Opened::drawn(Shapes10::new(seed, sizes)?, Vec::new()));
    }
    if name.is_some() {
        // Asked for, it is there or an error says where it was looked for.
        if home.is_dir() {
            return Ok(Opened::read(Cifar10::open(home)?));
        }
        let hint = format!("name the folder or archive if it lies elsewhere; {}", cifar10::how_to_get(home));
        return Err(Error::data(home, "a folder with CIFAR-10", "no such folder", hint));
    }
    match Cifar10::find(home)? {
        Some(found) => Ok(Opened::read(found)),
        None => {
            let note = format!(
                "NO CIFAR-10 in {home}/: using {}, DRAWN SHAPES: results do not compare.\n\
                 Put this into {home}/: {}",
                shapes10::NAME,
                cifar10::URL,
                home = home.display(),
            );
            Ok(Opened::drawn(Shapes10::new(seed, sizes)?, vec![note]))
        }
    }
}
