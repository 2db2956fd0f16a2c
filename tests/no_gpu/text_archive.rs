//! WikiText's archive, which is read without being unpacked.

use std::{fs, io::Write as _, path::Path};

use velograd::data::Split;

use super::{
    blocks::{at, decoded, fails},
    hostile::{bent, taken},
};
use crate::folder::Folder;

/// A ZIP archive with these files, deflated.
fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut archive, mut directory) = (vec![], vec![]);
    for (name, text) in files {
        let mut packer = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::best());
        packer.write_all(text.as_bytes()).unwrap();
        let packed = packer.finish().unwrap();
        let at = archive.len() as u32;
        let sizes = [crc32fast::hash(text.as_bytes()), packed.len() as u32, text.len() as u32];
        let common = [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0], &*sizes.map(u32::to_le_bytes).concat()].concat();
        let lengths = [(name.len() as u16).to_le_bytes(), [0, 0]].concat();
        archive.extend([b"PK\x03\x04", &*common, &*lengths, name.as_bytes(), &*packed].concat());
        let rest = [&[0; 10][..], &at.to_le_bytes()].concat();
        directory.extend([b"PK\x01\x02\x14\0", &*common, &*lengths, &*rest, name.as_bytes()].concat());
    }
    let (at, size, count) = (archive.len() as u32, directory.len() as u32, (files.len() as u16).to_le_bytes());
    archive.extend(directory);
    archive
        .extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size.to_le_bytes(), &at.to_le_bytes(), &[0, 0]].concat());
    archive
}

/// The archive of WikiText, which needs no unpacking, by its own path and by the folder that it is fetched to.
#[test]
fn an_archive_of_texts() {
    let folder = Folder::new("text-zip");
    let files = [
        ("wikitext-2-raw/", ""),
        ("wikitext-2-raw/wiki.test.raw", "c"),
        ("wikitext-2-raw/wiki.valid.raw", "b a b a b"),
        ("wikitext-2-raw/wiki.train.raw", "a b a b a b a b"),
    ];
    let path = folder.write("data/wikitext-2/wikitext-2-raw-v1.zip", &zip(&files));
    let open = |path: &Path| at(path, None, 4).map(|opened| opened.dataset);
    for path in [&*path, path.parent().unwrap()] {
        let set = open(path).unwrap();
        assert_eq!((set.tokens(Split::Train), set.tokens(Split::Test)), (15, 9));
        assert_eq!(
            (set.spec().classes.concat(), decoded(set.as_ref(), Split::Train)),
            (" abc".into(), "a b a b a b ".into())
        );
    }
    let other = folder.write("wikitext-x.zip", &zip(&[("readme.txt", "")]));
    fails(at(&other, None, 4), &["wikitext-x.zip: expected text for training", "found none"]);
    fs::write(&other, "<html>").unwrap();
    fails(at(&other, None, 4), &["a ZIP archive of texts", "fetch it again"]);
    let bomb = "a b ".repeat(20 << 20);
    fs::write(&other, zip(&[("wiki.train.raw", &bomb)])).unwrap();
    fails(at(&other, None, 4), &["a hundred times as long as the archive"]);
    // What the directory states is believed where it is too much.
    let mut large = zip(&[("wiki.train.raw", "a b a b"), ("wiki.valid.raw", "a b")]);
    let size = large.len() - 22 - (46 + "wiki.valid.raw".len()) + 24;
    large[size..][..4].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    fs::write(&other, large).unwrap();
    fails(
        at(&other, None, 4),
        &[
            "wiki.valid.raw: expected text of at most 1073741824 bytes",
            "found 1073741824, beside 7 of the other files",
            "train.bin",
        ],
    );
    fs::File::create(&other).unwrap().set_len((1 << 30) + 1).unwrap();
    fails(at(&other, None, 4), &["text of at most 1073741824 bytes", "found 1073741825", "train.bin"]);
    let sound = zip(&files);
    bent(&path, &sound, 500, sound.len(), || taken(open(&path)));
}
