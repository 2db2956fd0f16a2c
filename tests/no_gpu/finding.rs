//! Where CIFAR-10 may be and is found, and the errors for everything else that may be there.

use std::{fs, path::Path};

use velograd::{
    data::{Dataset, Sizes, Split},
    error::{Error, Result},
    host::data::{Cifar10, Opened, Wanted, open_in},
};

use crate::folder::{Folder, records, says};

type Tar = tar::Builder<Vec<u8>>;

/// Name and content.
type File<'a> = (&'a str, &'a [u8]);

fn header(bytes: &[u8]) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// A tar of these files; names beyond a hundred characters are in GNU's entries.
fn tar_of(files: &[File<'_>]) -> Vec<u8> {
    let mut builder = Tar::new(vec![]);
    files.iter().for_each(|(name, bytes)| builder.append_data(&mut header(bytes), name, *bytes).unwrap());
    builder.into_inner().unwrap()
}

/// The same with names only in pax records; the header's name is of no use.
fn pax_of(files: &[File<'_>]) -> Vec<u8> {
    let mut builder = Tar::new(vec![]);
    for (name, bytes) in files {
        let size = bytes.len().to_string();
        builder.append_pax_extensions([("path", name.as_bytes()), ("size", size.as_bytes())]).unwrap();
        builder.append_data(&mut header(bytes), "PaxHeaders/0", *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// Opens what a first run opens in the folder `data`, or what a run opens that asks for a set by name or by path.
fn open(folder: &Folder, name: Option<&str>, path: Option<&str>) -> Result<Opened> {
    let path = path.map(|path| folder.0.join(path));
    let wanted = Wanted { name, path: path.as_deref(), ..Wanted::default() };
    open_in(&folder.0.join("data"), wanted, Sizes { train: 10, test: 0 })
}

fn train_images(opened: &Opened) -> usize {
    assert_eq!(opened.dataset.spec().name, "cifar10", "{:?}", opened.notes);
    opened.dataset.len(Split::Train)
}

/// Each of these alone is found by a first run, by name, and by the path of the folder searched; and it is known where
/// it was read from.
#[test]
fn whatever_can_be_read_is_found() {
    let set = records(3);
    let official: &[(&str, &[u8])] = &[("cifar-10-batches-bin/data_batch_1.bin", &set)];
    let plain = tar_of(official);
    let packed = gzip(&plain);
    let cases: [(&str, &[u8], &str); 13] = [
        ("data/data_batch_1.bin", &set, "data"),
        ("data/cifar-10-batches-bin/data_batch_1.bin", &set, "data/cifar-10-batches-bin"),
        (
            "data/cifar-10-batches-bin/cifar-10-batches-bin/data_batch_1.bin",
            &set,
            "cifar-10-batches-bin/cifar-10-batches-bin",
        ),
        ("data/cifar/data_batch_1.bin", &set, "data/cifar"),
        ("data/cifar/cifar-10-batches-bin/data_batch_1.bin", &set, "data/cifar/cifar-10-batches-bin"),
        ("data/a/b/data_batch_1.bin", &set, "data/a/b"),
        ("data/cifar-10-binary.tar.gz", &packed, "data/cifar-10-binary.tar.gz"),
        ("data/cifar-10-binary.tgz", &packed, "data/cifar-10-binary.tgz"),
        ("data/cifar-10-binary.tar", &plain, "data/cifar-10-binary.tar"),
        // One browser unpacked the archive and kept the name, another did the opposite.
        ("data/cifar-10-binary.tar.gz", &plain, "data/cifar-10-binary.tar.gz"),
        ("data/cifar-10-binary.tar", &packed, "data/cifar-10-binary.tar"),
        ("data/downloads/cifar-10-binary.tar.gz", &packed, "data/downloads/cifar-10-binary.tar.gz"),
        ("data/CIFAR10 (1).tar.gz", &packed, "data/CIFAR10 (1).tar.gz"),
    ];
    for (place, bytes, from) in cases {
        let folder = Folder::new("found");
        folder.write(place, bytes);
        folder.write("data/README.md", b"a text is no data set");
        for (name, path) in [(None, None), (Some("cifar10"), None), (None, Some("data"))] {
            let opened = open(&folder, name, path).unwrap_or_else(|e| panic!("{place}: {e}"));
            assert_eq!(train_images(&opened), 3, "{place}");
            let path = opened.dataset.path().unwrap();
            assert!(path.ends_with(from), "{place} is read from {}", path.display());
        }
    }
}

/// The nearest set is used; of equally near ones, unpacked files before an archive; an empty folder is passed over.
#[test]
fn the_nearest_is_taken() {
    let folder = Folder::new("nearest");
    folder.write("data/x/data_batch_1.bin", &records(1));
    assert_eq!(train_images(&open(&folder, None, None).unwrap()), 1);
    let archive = |count| tar_of(&[("data_batch_1.bin", &records(count))]);
    folder.write("data/cifar-10-binary.tar", &archive(2));
    fs::create_dir_all(folder.0.join("data/cifar-10-batches-bin")).unwrap();
    assert_eq!(train_images(&open(&folder, None, None).unwrap()), 2, "the folder is empty, the archive is not");
    folder.write("data/cifar-10-binary.tar.gz", &gzip(&archive(3)));
    assert_eq!(train_images(&open(&folder, None, None).unwrap()), 3, "the official name");
    folder.write("data/cifar-10-batches-bin/data_batch_1.bin", &records(4));
    assert_eq!(train_images(&open(&folder, None, None).unwrap()), 4);
    folder.write("data/data_batch_1.bin", &records(5));
    assert_eq!(train_images(&open(&folder, None, None).unwrap()), 5);
}

/// A path may name a folder, an archive, or one of the files in a folder.
#[test]
fn a_path_names_what_is_there() {
    let folder = Folder::new("path");
    folder.write("set/data_batch_1.bin", &records(3));
    folder.write("set/data_batch_2.bin", &records(2));
    let by_file = open(&folder, None, Some("set/data_batch_1.bin")).unwrap();
    assert_eq!(train_images(&by_file), 5, "all files of the folder");
    says(&by_file.notes.join("\n"), &["images from", "set"]);
    folder.write("any.name", &tar_of(&[("data_batch_1.bin", &records(4))]));
    assert_eq!(train_images(&open(&folder, None, Some("any.name")).unwrap()), 4, "known by its content");
    let other = folder.write("train.bin", &records(2));
    says(&Cifar10::open(&other).err().unwrap().to_string(), &["under another name", "data_batch_*.bin"]);
    folder.write("far/a/b/c/data_batch_1.bin", &records(1));
    says(&open(&folder, None, Some("far")).unwrap_err().to_string(), &["far", "searched:"]);
    folder.write("two/a/data_batch_1.bin", &records(1));
    folder.write("two/b/data_batch_1.bin", &records(1));
    says(&open(&folder, None, Some("two")).unwrap_err().to_string(), &["one data set", "two/a", "two/b"]);
}

/// Names beyond a header's hundred characters, in GNU's and pax's way, with the folders that make them long.
#[test]
fn long_names_in_archives() {
    let folder = Folder::new("long");
    let deep = format!("{}/cifar-10-batches-bin", "a-folder-with-a-long-name/".repeat(8).trim_end_matches('/'));
    let [first, test] = ["data_batch_1.bin", "test_batch.bin"].map(|name| format!("{deep}/{name}"));
    let (three, two) = (records(3), records(2));
    let files: &[(&str, &[u8])] = &[(&first, &three), (&test, &two), ("batches.meta.txt", b"x\n")];
    for (name, bytes) in [("gnu.tar", tar_of(files)), ("pax.tar", pax_of(files))] {
        let path = folder.write(name, &bytes);
        let set = Cifar10::open(&path).unwrap();
        assert_eq!((set.len(Split::Train), set.len(Split::Test)), (3, 2), "{name}");
    }
    // `tar -S` writes sparse files so; the data are not those of the file.
    let mut builder = Tar::new(vec![]);
    builder.append_pax_extensions([("GNU.sparse.major", &b"1"[..])]).unwrap();
    builder.append_data(&mut header(&three), "data_batch_1.bin", &three[..]).unwrap();
    let path = folder.write("sparse.tar", &builder.into_inner().unwrap());
    says(&Cifar10::open(&path).err().unwrap().to_string(), &["data_batch_1.bin as a sparse file", "--sparse"]);
    let within = folder.write("outer.tar", &tar_of(&[("x/cifar-10-binary.tar.gz", &gzip(&tar_of(files)))]));
    says(&Cifar10::open(&within).err().unwrap().to_string(), &["another archive, cifar-10-binary.tar.gz", "unpack it"]);
    // A link is not a file, and a note says so.
    let mut link = tar::Header::new_gnu();
    link.set_size(0);
    link.set_entry_type(tar::EntryType::Symlink);
    let mut builder = Tar::new(vec![]);
    builder.append_link(&mut link, "data_batch_2.bin", "data_batch_1.bin").unwrap();
    builder.append_data(&mut header(&three), "data_batch_1.bin", &three[..]).unwrap();
    let set = Cifar10::open(&folder.write("link.tar", &builder.into_inner().unwrap())).unwrap();
    says(&set.notes().join("\n"), &["data_batch_2.bin is a link"]);
}

/// If `data` holds something that looks like images and cannot be read, that is an error and no reason to use drawn
/// ones.
#[test]
fn what_cannot_be_read_is_named() {
    let pickle = b"\x80\x02}q\x01".as_slice();
    let python = tar_of(&[("cifar-10-batches-py/data_batch_1", pickle)]);
    let hundred = tar_of(&[("cifar-100-binary/train.bin", &records(1))]);
    let image = |i: usize| format!("data/train/cat/{i}.png");
    let images: Vec<String> = (0..10).map(image).collect();
    let images: Vec<(&str, &[u8])> = images.iter().map(|name| (&name[..], &b"\x89PNG"[..])).collect();
    let cases: [(&[File<'_>], &str); 12] = [
        (
            &[("data/cifar-10-batches-py/data_batch_1", pickle), ("data/cifar-10-batches-py/test_batch", pickle)],
            "Python",
        ),
        (&[("data/data_batch_1", pickle)], "Python"),
        (&[("data/cifar-10-python.tar.gz", &gzip(&python))], "Python"),
        (&[("data/cifar10.tar", &python)], "data_batch_1: the Python version"),
        (&[("data/cifar-100-binary.tar.gz", &gzip(&hundred))], "CIFAR-100"),
        (&[("data/cifar-10-batches-bin/readme.html", b"")], "interrupted unpacking"),
        (&[("data/cifar-10-binary.tar.gz.part", b"\x1f\x8b")], "not finished"),
        (&[("data/cifar-10-binary.tar.gz.1", b"\x1f\x8b")], "an archive of another name"),
        (&[("data/train-images-idx3-ubyte.gz", b"\x1f\x8b")], "MNIST"),
        (&images, "image files"),
        (&[("data/images.zip", b"PK\x03\x04")], "an archive"),
        (&[("data/cifar-10-binary.tar.gz", b"<html>404</html>")], "a web page"),
    ];
    for (files, what) in cases {
        let folder = Folder::new("suspect");
        files.iter().for_each(|(name, bytes)| drop(folder.write(name, bytes)));
        for (name, path) in [(None, None), (Some("cifar10"), None), (None, Some("data"))] {
            let error = open(&folder, name, path).expect_err(what);
            assert!(matches!(error, Error::Data { .. }), "{error:?}");
            // A path alone may be of any form, so that its error is that of the form.
            if path.is_none() || !["MNIST", "image files"].contains(&what) {
                says(&error.to_string(), &[what]);
            }
        }
        assert!(open(&folder, Some("shapes10"), None).is_ok(), "{what}: asked for by name");
    }
    let folder = Folder::new("no-suspect");
    for name in ["README.md", ".gitignore", "notes.txt", "sheet.png", ".cache/data_batch_1.bin"] {
        folder.write(&format!("data/{name}"), b"");
    }
    assert_eq!(open(&folder, None, None).unwrap().dataset.spec().name, "shapes10");
}

/// A first run without images uses drawn ones, and says so in two lines that fit a terminal.
#[test]
fn without_images_two_lines_say_so() {
    let folder = Folder::new("first-run");
    let said = folder.works(&["data"]);
    let lines: Vec<&str> = said.lines().take(3).collect();
    says(lines[0], &["NO CIFAR-10 in data/", "shapes10, DRAWN SHAPES"]);
    says(lines[1], &["Put this into data/: https://"]);
    assert!(lines[2].starts_with("shapes10, CRC-32") && lines.iter().all(|line| line.len() <= 80), "{said}");
    folder.write("data/cifar-10-batches-py/data_batch_1", b"");
    says(&folder.refused(1, &["data"]), &["the Python version", "curl"]);
    says(&folder.works(&["data", "--dataset", "shapes10"]), &["shapes10, CRC-32"]);
}

/// The error lists what was searched, and the commands that put the images where they are looked for.
#[test]
fn what_was_searched_is_listed() {
    let folder = Folder::new("searched");
    folder.write("my data/sub/readme.txt", b"");
    let said = open(&folder, None, Some("my data")).unwrap_err().to_string();
    says(
        &said,
        &["searched: ", "my data/", "my data/sub/", "curl -L -o '", "my data/cifar-10-binary.tar.gz' https://"],
    );
    assert!(!said.contains("mkdir"), "the folder is there: {said}");
    let said = open(&folder, Some("cifar10"), None).unwrap_err().to_string();
    says(&said, &["mkdir -p ", "curl -L -o "]);
    folder.write("data/cifar-10-batches-py/data_batch_1", b"");
    let said = open(&folder, None, None).unwrap_err().to_string();
    says(&said, &["searched: ", "data/cifar-10-batches-py/", "shapes10 is drawn", "curl"]);
    folder.write("empty/readme.txt", b"");
    let cifar10 = Wanted { name: Some("cifar10"), ..Wanted::default() };
    let said = open_in(&folder.0.join("empty"), cifar10, Sizes::default()).unwrap_err().to_string();
    says(&said, &["neither", "searched: ", "empty/", "curl"]);
    let cut = folder.write("cut/cifar-10-binary.tar.gz", &gzip(&records(9))[..40]);
    says(
        &Cifar10::open(&cut).err().unwrap().to_string(),
        &["cut short", "curl -L -o ", "cut/cifar-10-binary.tar.gz https://"],
    );
    // Following the hint leads to a set.
    let archive = gzip(&tar_of(&[("cifar-10-batches-bin/data_batch_1.bin", &records(2))]));
    folder.write("data/cifar-10-binary.tar.gz", &archive);
    assert_eq!(train_images(&open(&folder, None, None).unwrap()), 2);
}

/// Searching many folders and many files is bounded, and circular links come to an end.
#[test]
fn a_search_ends() {
    let folder = Folder::new("many");
    for i in 0..1200 {
        fs::create_dir_all(folder.0.join(format!("data/{i:04}"))).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.0.join("data"), folder.0.join("data/0000/back")).unwrap();
    assert_eq!(open(&folder, None, None).unwrap().dataset.spec().name, "shapes10");
    let said = open(&folder, None, Some("data")).unwrap_err().to_string();
    says(&said, &["more folders"]);
    assert!(said.len() < 2000, "{said}");
    assert!(!Path::new("data/0000").exists());
}
