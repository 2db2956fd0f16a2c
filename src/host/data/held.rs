//! Data sets of files that are in memory, as a page gets them from its visitor. There is no folder to look around in, so what they
//! are is told by their names and their first bytes alone; they are read by the readers of [files](super).

use std::path::Path;

use super::{Cifar, Idx, Opened, cifar::layout, find::Suspect, idx, text};
use crate::{
    data::Split,
    error::{Error, Result},
    host::file_type::{FIRST_BYTES, FileType, is_text},
};

/// A file's name and its bytes.
pub type File = (String, Vec<u8>);

/// Most bytes of all files together, which are in memory beside what is unpacked from them.
pub const LIMIT: u64 = 1 << 30;

/// What messages call the place of the files.
const PLACE: &str = "files";

const EXPECTED: &str = "an archive of CIFAR's binary version or its .bin files, MNIST's IDX files of images and of labels, or text \
                        in UTF-8";

/// Opens images: the archive of CIFAR-10 or CIFAR-100 or its files of records, or IDX files, packed by gzip or not. `None` if the
/// files are text, which [`text()`] opens.
///
/// # Errors
/// [`Error::Data`] for files that are none of these, are damaged, or have nothing to learn from or to test on.
pub fn images(files: &[File]) -> Result<Option<Opened>> {
    images_of(files).map_err(plainly)?.map(|opened| whole(opened, "images")).transpose()
}

/// Refuses a set without samples to learn from or to test on, of which a page shows some.
fn whole(opened: Opened, samples: &str) -> Result<Opened> {
    let [train, test] = [Split::Train, Split::Test].map(|split| opened.dataset.len(split));
    let (missing, found, of) = match (train, test) {
        (0, _) => ("to learn from", format!("{test} to test on alone"), "training"),
        (_, 0) => ("to test on", format!("{train} to learn from alone"), "testing"),
        _ => return Ok(opened),
    };
    let hint = format!("give the files for {of} as well");
    Err(Error::data(Path::new(PLACE), format!("{samples} {missing}"), found, hint))
}

/// Opens text as characters, in blocks of `length` tokens.
///
/// # Errors
/// As for a [file](super::open) of text.
pub fn text(files: &[File], length: u32) -> Result<Opened> {
    whole(text::held(Path::new(PLACE), files, length).map(Opened::read).map_err(plainly)?, "blocks of text")
}

fn images_of(files: &[File]) -> Result<Option<Opened>> {
    let place = Path::new(PLACE);
    let total: u64 = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    if total > LIMIT {
        return Err(Error::data(
            place,
            format!("at most {LIMIT} bytes"),
            total.to_string(),
            "use the program for them",
        ));
    }
    if files.iter().any(|(name, _)| idx::is_named(name)) {
        return Idx::held(place, files).map(|set| Some(Opened::read(set)));
    }
    let records = |layout: &&&'static layout::Layout| files.iter().any(|(name, _)| layout.is_records(name));
    if let Some(layout) = layout::ALL.iter().find(records) {
        return Cifar::held(layout, place, files).map(|set| Some(Opened::read(set)));
    }
    if !files.is_empty() && files.iter().all(|(_, bytes)| is_text(&bytes[..bytes.len().min(1 << 12)])) {
        return match files.iter().find_map(|(name, bytes)| Some((name, web_page(bytes)?))) {
            Some((name, found)) => Err(Error::data(&place.join(name), EXPECTED, found, "fetch it again")),
            None => Ok(None),
        };
    }
    let Some((name, bytes)) = files.iter().find(|(_, bytes)| !is_text(&bytes[..bytes.len().min(1 << 12)])) else {
        return Err(Error::data(place, EXPECTED, "none", ""));
    };
    let kind = FileType::of(&bytes[..bytes.len().min(FIRST_BYTES)]);
    let suspect = Suspect::of(name, false);
    match (kind, files.len(), suspect) {
        (Some(FileType::Gzip | FileType::Tar), 1, suspect) if suspect != Some(Suspect::Python) => {
            Cifar::held_archive(&place.join(name), bytes).map(|set| Some(Opened::read(set)))
        }
        _ => {
            let found = match (suspect, kind) {
                (Some(Suspect::Images), _) => "an image file",
                (Some(suspect), _) if suspect != Suspect::Arrays => suspect.words(),
                (_, Some(kind)) => kind.name(),
                _ if bytes.is_empty() => "an empty file",
                _ => "a file of another kind or name",
            };
            Err(Error::data(&place.join(name), EXPECTED, found, ""))
        }
    }
}

/// What a failed download leaves, which is text as well.
fn web_page(bytes: &[u8]) -> Option<&'static str> {
    FileType::of(&bytes[..bytes.len().min(FIRST_BYTES)]).map(FileType::name)
}

/// An error without hints for a command line, which a page has not.
fn plainly(error: Error) -> Error {
    match error {
        Error::Data { path, expected, found, hint } => {
            let hint = match hint.split_once("'model_set'") {
                Some(_) => "give more text, or take a network of a smaller block".to_owned(),
                None if hint.contains("'data'") || hint.contains("'tokens'") || hint.contains("curl") => {
                    "give the files of one set, as they were fetched".to_owned()
                }
                None => hint,
            };
            Error::Data {
                path: path.strip_prefix(PLACE).map_or_else(|_| path.clone(), Path::to_owned),
                expected,
                found,
                hint,
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &[u8])]) -> String {
        let files: Vec<File> = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        match images(&files) {
            Ok(Some(opened)) => opened.dataset.spec().name.clone(),
            Ok(None) => "text".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn files_are_told_by_name_and_content() {
        let labels = [0, 0, 8, 1, 0, 0, 0, 2, 7, 3];
        let pictures = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[1, 2, 3, 4]].concat();
        let record = [&[9][..], &[5; 3072]].concat();
        let (images, of_images) = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte");
        let test = [("t10k-images-idx3-ubyte", &pictures[..]), ("t10k-labels-idx1-ubyte", &labels)];
        assert_eq!(found(&[(images, &pictures), (of_images, &labels), test[0], test[1]]), "mnist");
        assert_eq!(found(&[("data_batch_1.bin", &record), ("test_batch.bin", &record)]), "cifar10");
        assert_eq!(found(&[("anything", "Zwölf".as_bytes())]), "text");
        for (files, expected) in [
            (&[][..], "found none"),
            (&[(images, &pictures[..])], "found train-images-idx3-ubyte alone"),
            (&[(images, &pictures), (of_images, &labels[..9])], "train-labels-idx1-ubyte: expected 2 bytes after"),
            (&[("data_batch_1.bin", &record[1..])], "data_batch_1.bin: expected whole records of 3,073 bytes"),
            (&[("test_batch.bin", &record)], "expected images to learn from, found 1 to test on alone"),
            (&[("data_batch_1.bin", &record)], "expected images to test on, found 1 to learn from alone"),
            (&[("cifar-10-python.tar.gz", &[0x1f, 0x8b, 8, 0])], "the Python version of CIFAR"),
            (&[("cifar-10-binary.tar.gz", &[0x1f, 0x8b, 8, 0])], "expected a tar archive"),
            (&[("cat.png", b"\x89PNG\r\n\x1a\n\0")], "found an image file"),
            (&[("model.pt", &[0x80, 2, 0x8a, 0])], "a Python pickle"),
            (&[("input.txt", b"<!doctype html><p>404")], "found a web page"),
        ] {
            let text = found(files);
            assert!(text.contains(expected), "{text}");
            assert!(!text.contains("'data'") && !text.contains("curl"), "{text}");
        }
    }
}
