//! Which data set, from where.
//!
//! [`open`] chooses it. CIFAR-10 is not ours to ship, so where its files are missing the program still has to do
//! something useful on a first run: it draws [`shapes10`] instead, and says so loudly, since an accuracy on drawn shapes
//! must never be mistaken for one on CIFAR-10. Asked for by name, CIFAR-10 is either found or an error.

pub mod cifar10;

use std::{path::Path, sync::Arc};

pub use cifar10::Cifar10;

use crate::{
    data::{Dataset, Shapes10, Sizes, shapes10},
    error::{Error, Result, suggest::hint},
    host::threads::on_all_cores,
};

/// The names [`open`] knows.
pub const NAMES: [&str; 2] = [cifar10::NAME, shapes10::NAME];

/// A set, and what to tell the user about how it was chosen.
pub struct Opened {
    /// The set.
    pub dataset: Arc<dyn Dataset>,
    /// Remarks to print before the run, the set's own included; each may have several lines.
    pub notes: Vec<String>,
}

impl Opened {
    fn new(dataset: impl Dataset + 'static, mut notes: Vec<String>) -> Self {
        notes.extend_from_slice(dataset.notes());
        Self { dataset: Arc::new(dataset), notes }
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("dataset", self.dataset.spec()).field("notes", &self.notes).finish()
    }
}

/// Opens the set called `name`, or the best there is for `None`; CIFAR-10 from `path` (a folder or an archive), or
/// from the folder `data` for `None`. `seed` is what drawn images are drawn from.
///
/// # Errors
/// [`Error::Config`] for an unknown name and for a path together with `shapes10`; [`Error::Data`] and [`Error::Io`]
/// if CIFAR-10 was asked for, by name or by path, and is not there or not sound.
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
        return Ok(Opened::new(Cifar10::open(path)?, Vec::new()));
    }
    if drawn {
        return Ok(Opened::new(Shapes10::spread(seed, sizes, on_all_cores)?, Vec::new()));
    }
    let fetch = fetch_commands(home);
    match (cifar10::find_default(home), name) {
        (Some(found), _) => Ok(Opened::new(Cifar10::open(&found)?, Vec::new())),
        (None, None) => {
            let note = format!(
                "NO CIFAR-10 FOUND in {}: using {}, a built-in set of DRAWN SHAPES.\n\
                 Its accuracies cannot be compared with anyone's on CIFAR-10.\n\
                 For the real images (163 MB) run these two commands, then this program again:\n{fetch}",
                home.display(),
                shapes10::NAME,
            );
            Ok(Opened::new(Shapes10::spread(seed, sizes, on_all_cores)?, vec![note]))
        }
        (None, Some(_)) => Err(Error::data(
            home,
            format!("{}/ or {}", cifar10::FOLDER, cifar10::ARCHIVE),
            "neither",
            format!("fetch CIFAR-10 (163 MB) with these two commands:\n{fetch}"),
        )),
    }
}

/// The two shell commands that put CIFAR-10 where [`open_in`] looks for it in `home`, a line each.
pub fn fetch_commands(home: &Path) -> String {
    let home = home.display();
    format!("    mkdir -p {home}\n    curl -L -o {home}/{} {}", cifar10::ARCHIVE, cifar10::URL)
}
