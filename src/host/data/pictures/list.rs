//! Lists the pictures of a set: their paths, the sizes of their files, and their classes.
//!
//! The order is that of torchvision's `ImageFolder`: class by class in the byte order of their names; within a class the
//! folders in the order of their paths, and the files of each by name. Links are followed, but not back into a folder
//! that is being listed.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{TEST, TRAIN, is_named};
use crate::data::{MOST_CLASSES, Split};
use crate::error::{Error, Result};

/// Most pictures of a set.
const MOST_PICTURES: usize = 1 << 24;
/// Most folders that are listed, so that links to folders with links come to an end.
const MOST_FOLDERS: usize = 1 << 20;
/// Endings of pictures that are not read, in lower case.
const OTHERS: [&str; 9] = [".ppm", ".pgm", ".pbm", ".tif", ".tiff", ".gif", ".avif", ".heic", ".jp2"];

/// A file of the set.
pub(super) struct Picture {
    /// Its path below the folder of the set, with `/` between the names.
    pub(super) path: Box<str>,
    /// Bytes of the file.
    pub(super) size: u64,
    pub(super) label: u32,
}

/// All files of a set.
pub(super) struct Manifest {
    /// The names of the classes in the order of their labels.
    pub(super) classes: Vec<String>,
    train: Vec<Picture>,
    test: Vec<Picture>,
    /// CRC-32 of the list.
    pub(super) checksum: u32,
    pub(super) notes: Vec<String>,
}

impl Manifest {
    pub(super) fn of(root: &Path) -> Result<Self> {
        let mut lister = Lister { root, folders: 0, left_out: 0 };
        let divided = root.join(TRAIN).is_dir();
        let top = if divided { TRAIN } else { "" };
        let classes = lister.classes(top)?;
        check_classes(&lister.at(top), &classes)?;
        let train = lister.pictures(top, &classes, true)?;
        let mut notes = vec![];
        let there: Vec<&str> = TEST.into_iter().filter(|name| divided && root.join(name).is_dir()).collect();
        let test = match there[..] {
            [] if divided => {
                notes.push("no val/ or test/ beside train/".to_owned());
                vec![]
            }
            [] => {
                notes.push("no train/ and val/: all pictures are for training".to_owned());
                vec![]
            }
            [name, ref others @ ..] => {
                others
                    .iter()
                    .for_each(|other| notes.push(format!("test images are those of {name}/, not of {other}/")));
                let found = known(&lister.classes(name)?, &classes, &root.join(name))?;
                lister.pictures(name, &found, false)?
            }
        };
        notes.extend(left_out(lister.left_out));
        let mut checksum = crc32fast::Hasher::new();
        for Picture { path, size, label } in train.iter().chain(&test) {
            checksum.update(path.as_bytes());
            checksum.update(&[0]);
            checksum.update(&size.to_le_bytes());
            checksum.update(&label.to_le_bytes());
        }
        let classes = classes.into_iter().map(|(name, _)| name).collect();
        Ok(Self { classes, train, test, checksum: checksum.finalize(), notes })
    }

    pub(super) fn pictures(&self, split: Split) -> &[Picture] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

/// Says how many pictures are left out because of their kind, if any are.
pub fn left_out(count: usize) -> Option<String> {
    (count > 0).then(|| format!("{count} picture(s) of other kinds are left out: PNG, JPEG, WebP and BMP are read"))
}

/// Names of classes with their labels, in byte order.
type Classes = Vec<(String, u32)>;

/// The pictures in a folder and below it, which have no class, and how many of other kinds are left out.
pub(super) fn below(root: &Path) -> Result<(Vec<Picture>, usize)> {
    let (mut lister, mut pictures) = (Lister { root, folders: 0, left_out: 0 }, vec![]);
    lister.class(String::new(), 0, &mut pictures)?;
    Ok((pictures, lister.left_out))
}

/// The path of what lies in a folder of the set; the set's own has no name.
fn inside(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Refuses sets that leave nothing to tell apart.
fn check_classes(folder: &Path, classes: &Classes) -> Result<()> {
    let expected = format!("a folder for each of 2 to {MOST_CLASSES} classes");
    let hint = "pictures of a class are in a folder of its name; these folders are in train/, or in the folder itself";
    match &classes[..] {
        [] => Err(Error::data(folder, expected, "no folder", hint)),
        [(one, _)] => Err(Error::data(folder, expected, format!("one, `{one}`"), hint)),
        many if many.len() > MOST_CLASSES => Err(Error::data(folder, expected, format!("{}", many.len()), hint)),
        _ => Ok(()),
    }
}

/// The classes of test images with the labels that they have for training.
fn known(found: &Classes, classes: &Classes, folder: &Path) -> Result<Classes> {
    let label = |(name, _): &(String, u32)| match classes.binary_search_by(|(class, _)| class.cmp(name)) {
        Ok(at) => Ok((name.clone(), classes[at].1)),
        Err(_) => {
            let hint = "rename the folder, or move it elsewhere";
            Err(Error::data(folder, "the classes of train/", format!("`{name}`, which is none of them"), hint))
        }
    };
    found.iter().map(label).collect()
}

/// Goes through the folders below one.
struct Lister<'a> {
    root: &'a Path,
    /// Folders listed so far.
    folders: usize,
    /// Pictures of kinds that are not read.
    left_out: usize,
}

/// A folder that is being listed, and those that it lies in.
struct Within {
    /// The path without links.
    canonical: PathBuf,
    outer: Option<Rc<Within>>,
}

impl Within {
    fn has(&self, canonical: &Path) -> bool {
        self.canonical == canonical || self.outer.as_ref().is_some_and(|outer| outer.has(canonical))
    }
}

/// A name of a folder, and whether a folder or a file has it.
struct Entry {
    name: String,
    is_folder: bool,
    entry: DirEntry,
}

impl Lister<'_> {
    /// The path of a folder of the set; it has no slash at its end if that is the set's own.
    fn at(&self, folder: &str) -> PathBuf {
        if folder.is_empty() { self.root.to_owned() } else { self.root.join(folder) }
    }

    /// The class folders in the folder `top`, in byte order.
    fn classes(&mut self, top: &str) -> Result<Classes> {
        let entries = self.entries(&self.at(top))?;
        let mut names: Vec<String> = entries.into_iter().filter(|e| e.is_folder).map(|e| e.name).collect();
        names.sort_unstable();
        Ok(names.into_iter().zip(0..).collect())
    }

    /// The pictures in the class folders in `top`; `all` classes must have some.
    fn pictures(&mut self, top: &str, classes: &Classes, all: bool) -> Result<Vec<Picture>> {
        let mut pictures = vec![];
        for (class, label) in classes {
            let before = pictures.len();
            let folder = inside(top, class);
            self.class(folder.clone(), *label, &mut pictures)?;
            if all && pictures.len() == before {
                let hint = "remove the folder if it is no class";
                let expected = "PNG, JPEG, WebP or BMP files";
                return Err(Error::data(&self.root.join(folder), expected, "none", hint));
            }
        }
        Ok(pictures)
    }

    /// Adds the pictures in `folder` and below it, in torchvision's order.
    fn class(&mut self, folder: String, label: u32, pictures: &mut Vec<Picture>) -> Result<()> {
        let mut found: Vec<(Rc<str>, String, u64)> = vec![];
        let mut waiting: Vec<(String, Option<Rc<Within>>)> = vec![(folder, None)];
        while let Some((folder, outer)) = waiting.pop() {
            let path = self.at(&folder);
            let canonical = fs::canonicalize(&path).map_err(Error::io("read", &path))?;
            if outer.as_ref().is_some_and(|outer| outer.has(&canonical)) {
                continue;
            }
            let within = Rc::new(Within { canonical, outer });
            let shared: Rc<str> = folder.as_str().into();
            for Entry { name, is_folder, entry } in self.entries(&path)? {
                if is_folder {
                    waiting.push((inside(&folder, &name), Some(within.clone())));
                } else if is_named(&name) {
                    found.push((shared.clone(), name, size(&entry)?));
                } else if OTHERS.iter().any(|ending| name.to_ascii_lowercase().ends_with(ending)) {
                    self.left_out += 1;
                }
            }
            if pictures.len() + found.len() > MOST_PICTURES {
                return Err(Error::data(self.root, format!("at most {MOST_PICTURES} pictures"), "more", ""));
            }
        }
        found.sort_unstable();
        let picture =
            |(folder, name, size): (Rc<str>, String, u64)| Picture { path: inside(&folder, &name).into(), size, label };
        pictures.extend(found.into_iter().map(picture));
        Ok(())
    }

    /// The files and folders in a folder, without hidden ones, which belong to tools.
    fn entries(&mut self, folder: &Path) -> Result<Vec<Entry>> {
        self.folders += 1;
        if self.folders > MOST_FOLDERS {
            let hint = "a link may lead to folders with further links";
            return Err(Error::data(self.root, format!("at most {MOST_FOLDERS} folders"), "more", hint));
        }
        let mut entries = vec![];
        for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
            let entry = entry.map_err(Error::io("list", folder))?;
            let name = entry.file_name().into_string();
            let name = match name {
                Ok(name) if name.starts_with('.') => continue,
                Ok(name) if !name.contains(char::is_control) => name,
                Ok(name) => return Err(unprintable(folder, &format!("{name:?}"))),
                Err(name) => return Err(unprintable(folder, &format!("{name:?}"))),
            };
            // Links are followed; for everything else the directory entry states the type.
            let kind = entry.file_type().map_err(Error::io("read", folder))?;
            let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
            entries.push(Entry { name, is_folder, entry });
        }
        Ok(entries)
    }
}

/// The size of a file in bytes. Anything else under the name of a picture is refused, as reading it might never end.
fn size(entry: &DirEntry) -> Result<u64> {
    let path = entry.path();
    let linked = entry.file_type().is_ok_and(|kind| kind.is_symlink());
    let metadata = if linked { fs::metadata(&path) } else { entry.metadata() };
    let metadata = metadata.map_err(Error::io("read", &path))?;
    if metadata.is_file() { Ok(metadata.len()) } else { Err(Error::data(&path, "a picture", "a pipe or a device", "")) }
}

fn unprintable(folder: &Path, name: &str) -> Error {
    let hint = "rename the file or folder";
    Error::data(folder, "names in UTF-8 without control characters", name, hint)
}

#[cfg(test)]
mod tests {
    use super::{MOST_CLASSES, check_classes};
    use std::path::Path;

    #[test]
    fn classes_are_counted() {
        let check = |count: u32| {
            let classes = (0..count).map(|label| (label.to_string(), label)).collect();
            check_classes(Path::new("set"), &classes).map_err(|error| error.to_string())
        };
        let most = MOST_CLASSES as u32;
        assert!(check(2).is_ok() && check(most).is_ok());
        assert!(check(most + 1).unwrap_err().contains("2 to 65536 classes, found 65537"));
    }
}
