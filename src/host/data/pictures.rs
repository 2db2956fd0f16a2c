//! Pictures in a folder for each class: PNG, JPEG, WebP and BMP files, as torchvision's `ImageFolder` has them.
//!
//! Opening lists the files and opens none of them, so that a set of a million pictures is open in seconds. A picture is
//! decoded when it is read, and brought to one size as torchvision does for evaluation: its shorter side is resized to
//! 256/224 of the side that is asked for, and the centre is cut out. A picture that already has this size is taken as it
//! is. For training, a random part of the whole picture may be taken instead ([`Parts`]) and brought to this size.
//!
//! The folders `train` and `val` (or `test`) have a folder for each class; without `train`, the folder's own folders are
//! the classes, and there is nothing to validate on. Classes are in the byte order of their names.

mod colours;
mod decode;
mod list;
pub mod loose;
mod resize;

use std::path::{Path, PathBuf};

use crate::{
    data::{Dataset, Image, MOST_SIDE, Parts, Spec, Split},
    error::{Error, Result},
};

use decode::Rgb;
use list::Manifest;

pub use decode::{FILE_LIMIT, MOST_PIXELS};

/// The name of such a set.
pub const NAME: &str = "folder";
/// The side of the images if none is asked for, in pixels.
pub const USUAL_SIDE: u32 = 224;
/// The folder of training images.
pub(super) const TRAIN: &str = "train";
/// The folders of test images, the first that is there.
const TEST: [&str; 2] = ["val", "test"];
/// The endings of files that are read, in lower case.
const ENDINGS: [&str; 5] = [".png", ".jpg", ".jpeg", ".webp", ".bmp"];

/// Whether a file of this name is a picture that can be read. Hidden files belong to tools.
pub(super) fn is_named(name: &str) -> bool {
    let end = name.as_bytes();
    let ends = |ending: &str| {
        let at = end.len().checked_sub(ending.len());
        at.is_some_and(|at| end[at..].eq_ignore_ascii_case(ending.as_bytes()))
    };
    !name.starts_with('.') && ENDINGS.into_iter().any(ends)
}

/// Pictures in a folder for each class.
pub struct Pictures {
    spec: Spec,
    root: PathBuf,
    manifest: Manifest,
}

impl Pictures {
    /// Lists the pictures below `root`, which are read as images of `side` x `side` pixels in three colours.
    ///
    /// # Errors
    /// [`Error::Config`] if `side` is not from 1 to [`MOST_SIDE`]; [`Error::Data`] if there are fewer than two classes or
    /// more than [`MOST_CLASSES`](crate::data::MOST_CLASSES), a class without pictures, a class of test images that has
    /// no training images, or a name that cannot be printed; [`Error::Io`] if a folder cannot be listed.
    pub fn open(root: &Path, side: u32) -> Result<Self> {
        if !(1..=MOST_SIDE).contains(&side) {
            return Err(Error::setting("image_size", side, format!("from 1 to {MOST_SIDE}")));
        }
        let mut manifest = Manifest::of(root)?;
        let image = Image { channels: 3, height: side, width: side };
        let spec = Spec::new(NAME, image, std::mem::take(&mut manifest.classes));
        Ok(Self { spec, root: root.to_owned(), manifest })
    }

    /// Decodes a picture, and has it brought to planes of the set's side by `fit`.
    fn read_by(
        &self,
        split: Split,
        index: usize,
        image: &mut [u8],
        targets: &mut [u32],
        fit: impl Fn(&Rgb, usize, &mut [u8]),
    ) -> Result<()> {
        assert_eq!(image.len(), self.spec.input.bytes(), "Pictures::read: an image of another size");
        let picture = &self.manifest.pictures(split)[index];
        let path = self.root.join(&*picture.path);
        let decoded = decode::decode(&path, Some(picture.size))?;
        fit(&decoded, self.spec.image()?.width as usize, image);
        targets.copy_from_slice(&[picture.label]);
        Ok(())
    }

    /// The path of picture `index` of `split`, below the folder of the set.
    ///
    /// # Panics
    /// If there is no such picture.
    pub fn name(&self, split: Split, index: usize) -> &str {
        &self.manifest.pictures(split)[index].path
    }
}

impl Dataset for Pictures {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self, split: Split) -> usize {
        self.manifest.pictures(split).len()
    }

    /// The CRC-32 of the list of pictures: of each its path below the folder of the set, a zero byte, the size of its
    /// file (eight bytes, little-endian) and its label (four bytes).
    fn checksum(&self) -> u32 {
        self.manifest.checksum
    }

    fn notes(&self) -> &[String] {
        &self.manifest.notes
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn decodes(&self) -> bool {
        true
    }

    fn cuts_parts(&self) -> bool {
        true
    }

    fn read_part(
        &self,
        split: Split,
        index: usize,
        parts: &Parts,
        image: &mut [u8],
        targets: &mut [u32],
    ) -> Result<()> {
        self.read_by(split, index, image, targets, |picture, side, planes| {
            let part = parts.of(index as u32, [picture.height, picture.width]);
            resize::fit_part(picture, part, side, planes);
        })
    }

    fn read(&self, split: Split, index: usize, image: &mut [u8], targets: &mut [u32]) -> Result<()> {
        self.read_by(split, index, image, targets, resize::fit)
    }
}
