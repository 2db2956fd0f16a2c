//! Pictures that belong to no set: those that a path names, read at the size that a network takes.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use super::list::left_out;
use super::{decode, list, resize};
use crate::data::Image;
use crate::error::{Error, Result};
use crate::host::threads::on_all_cores;

/// The pictures of a path.
pub struct Found {
    /// Their paths: in a folder, its own files by name, then those of each folder below it in the order of the folders' paths.
    pub pictures: Vec<PathBuf>,
    /// How many pictures of kinds that are not read are left out.
    pub left_out: usize,
}

/// Lists the pictures in a folder and below it. Anything but a folder is taken for a picture, which [`read`] looks at.
///
/// # Errors
/// [`Error::Data`] for a folder without pictures, or with a name that cannot be printed; [`Error::Io`] if a folder cannot be
/// listed.
pub fn find(path: &Path) -> Result<Found> {
    if !path.is_dir() {
        return Ok(Found { pictures: vec![path.to_owned()], left_out: 0 });
    }
    let (pictures, left_out) = list::below(path)?;
    if pictures.is_empty() {
        return Err(Error::data(path, "PNG, JPEG, WebP or BMP files", "none", ""));
    }
    Ok(Found { pictures: pictures.iter().map(|picture| path.join(&*picture.path)).collect(), left_out })
}

/// Reads a picture: a plane for each colour, brought to this size as those of a [set](super) are. For one channel its colours
/// become grey as by Pillow's `convert("L")`. Images that are no squares are taken as they are, and have to have the size.
///
/// # Errors
/// [`Error::Data`] with the path if the file is damaged, no picture, or of a size that cannot be brought to that of the network;
/// [`Error::Io`] if it cannot be read.
pub fn read(path: &Path, image: Image) -> Result<Vec<u8>> {
    let Image { channels, height, width } = image;
    let mut picture = decode::decode(path, None)?;
    if channels == 1 {
        picture.make_grey();
    }
    let mut planes = vec![0; 3 * image.pixels()];
    if (picture.width, picture.height) == (width as usize, height as usize) {
        resize::to_planes(&picture.pixels, &mut planes);
    } else if width == height {
        resize::fit(&picture, width as usize, &mut planes);
    } else {
        let found = format!("one of {}x{}", picture.width, picture.height);
        let hint = "resize it: a picture is only brought to squares";
        return Err(Error::data(path, format!("a picture of {width}x{height} pixels"), found, hint));
    }
    planes.truncate(image.bytes());
    Ok(planes)
}

/// [`read`] for several pictures, on all cores.
pub fn read_all(paths: &[PathBuf], image: Image) -> Vec<Result<Vec<u8>>> {
    let places: Vec<OnceLock<Result<Vec<u8>>>> = paths.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    on_all_cores(paths.len(), &|| {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(at) else { return };
            // Each place is drawn once.
            let _ = places[at].set(read(path, image));
        }
    });
    places.into_iter().map(|place| place.into_inner().expect("every place was drawn")).collect()
}
