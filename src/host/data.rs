//! Chooses and opens a data set.
//!
//! CIFAR-10 is not shipped with the program. So that a first run without its files does something useful, [`open`] then
//! falls back on the synthetic set [`shapes10`], and says so prominently, since an accuracy on drawn shapes must never
//! be mistaken for one on CIFAR-10. If CIFAR-10 was asked for by name, missing files are an error.

pub mod cifar10;
pub mod fetch;

use std::{path::Path, sync::Arc};

pub use cifar10::Cifar10;

use crate::{
    data::{DRAWN, Dataset, Digits28, Shapes10, Sizes, digits28, shapes10},
    error::{Error, Result, suggest::hint},
    host::threads::on_all_cores,
};

/// The names [`open`] knows.
pub const NAMES: [&str; 3] = [cifar10::NAME, shapes10::NAME, digits28::NAME];

/// A set, and what to tell the user about how it was chosen.
pub struct Opened {
    /// The set.
    pub dataset: Arc<dyn Dataset>,
    /// Remarks to print before the run, the set's own included; each may have several lines.
    pub notes: Vec<String>,
}

impl Opened {
    fn read(set: Cifar10) -> Self {
        Self { notes: set.notes().to_vec(), dataset: Arc::new(set) }
    }

    /// The set of this name, if it is one that is drawn.
    fn drawn(name: &str, seed: u64, sizes: Sizes) -> Result<Option<Self>> {
        let dataset: Arc<dyn Dataset> = match name {
            shapes10::NAME => Arc::new(Shapes10::spread(seed, sizes, on_all_cores)?),
            digits28::NAME => Arc::new(Digits28::spread(seed, sizes, on_all_cores)?),
            _ => return Ok(None),
        };
        Ok(Some(Self { dataset, notes: Vec::new() }))
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("dataset", self.dataset.spec()).field("notes", &self.notes).finish()
    }
}

/// The name in [`NAMES`] that equals `name`, regardless of upper and lower case.
///
/// # Errors
/// [`Error::Config`] with the nearest name and the list.
pub fn known(name: &str) -> Result<&'static str> {
    let found = NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
    found.ok_or_else(|| Error::config(format!("no data set is called `{name}`"), hint(name, &NAMES)))
}

/// Opens the data set called `name`.
///
/// CIFAR-10 is read from `path` (a folder, an archive, or a file in a folder), or, if that is `None`, from wherever it
/// is in the folder `data`. Without a name, CIFAR-10 is opened if it is there, and otherwise [`shapes10`], unless
/// `data` holds something else that looks like images. `seed` is the seed of the drawn images.
///
/// # Errors
/// [`Error::Config`] for an unknown name and for a path together with a drawn set; [`Error::Data`] and [`Error::Io`] if
/// CIFAR-10 was asked for, by name or by path, and is missing or damaged, and if `data` holds images that cannot be
/// read.
pub fn open(name: Option<&str>, path: Option<&Path>, seed: u64) -> Result<Opened> {
    open_in(Path::new("data"), name, path, seed, Sizes::default())
}

/// [`open`] with the folder `home` in place of `data`, and with `sizes` for a drawn set.
///
/// # Errors
/// As [`open`].
pub fn open_in(home: &Path, name: Option<&str>, path: Option<&Path>, seed: u64, sizes: Sizes) -> Result<Opened> {
    let name = name.map(known).transpose()?;
    let drawn = name.filter(|name| DRAWN.contains(name));
    if let Some(path) = path {
        if let Some(name) = drawn {
            let message = format!("{name} is drawn, not read: it takes no data folder ({})", path.display());
            return Err(Error::config(message, "leave out either the dataset or the folder"));
        }
        return Ok(Opened::read(Cifar10::open(path)?));
    }
    if let Some(opened) = drawn.map(|name| Opened::drawn(name, seed, sizes)).transpose()?.flatten() {
        return Ok(opened);
    }
    if name.is_some() {
        // CIFAR-10 was asked for by name, so it is an error if it is missing.
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
            let set = Shapes10::spread(seed, sizes, on_all_cores)?;
            Ok(Opened { dataset: Arc::new(set), notes: vec![note] })
        }
    }
}
