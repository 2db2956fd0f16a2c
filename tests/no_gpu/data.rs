//! Data sets: what is read, in which order, and what is refused.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use velograd::{
    data::{Dataset, Image, Shapes10, Sizes, Split, order, summary},
    error::{Error, Result},
    host::{
        data::{Cifar, Cifar10, Wanted, open_in},
        loader::Loader,
    },
};

use super::linear::linear_model;

/// Bytes of an image.
const IMAGE_BYTES: usize = Image::CIFAR.bytes();

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("velograd-data-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Records whose image tells their number: `first`, `first + 1`, ...
fn records(first: usize, count: usize) -> Vec<u8> {
    let record = |i: usize| [vec![(i % 10) as u8], vec![(i % 251) as u8; IMAGE_BYTES]].concat();
    (first..first + count).flat_map(record).collect()
}

fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// A header with a correct checksum that states a size of 8 GiB, and one record after it.
fn archive_that_promises_8_gib() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("data_batch_1.bin").unwrap();
    header.set_size(8 << 30);
    header.set_cksum();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(header.as_bytes()).unwrap();
    gzip.write_all(&records(0, 1)).unwrap();
    gzip.finish().unwrap()
}

fn refused(path: &Path) -> String {
    match Cifar10::open(path) {
        Ok(_) => panic!("{} was accepted", path.display()),
        Err(error) => {
            assert_eq!(error.exit_code(), 1);
            assert!(matches!(error, Error::Data { .. } | Error::Io { .. }), "{error:?}");
            error.to_string()
        }
    }
}

/// Files are ordered by number, not by name, images and labels by index; a note states what differs from the official
/// set.
#[test]
fn a_folder_is_read_in_order() {
    let folder = Folder::new("order");
    folder.file("data_batch_10.bin", &records(5, 3));
    folder.file("data_batch_2.bin", &records(0, 5));
    folder.file("test_batch.bin", &records(40, 2));
    let set = Cifar10::open(&folder.0).unwrap();
    assert_eq!((set.len(Split::Train), set.len(Split::Test)), (8, 2));
    let mut image = [0; IMAGE_BYTES];
    for index in 0..8 {
        assert_eq!(crate::support::read(&set, Split::Train, index, &mut image).unwrap() as usize, index % 10);
        assert_eq!(usize::from(image[77]), index);
    }
    assert_eq!(crate::support::read(&set, Split::Test, 1, &mut image).unwrap(), 1);
    assert_eq!(set.notes().len(), 1, "{:?}", set.notes());
    assert_eq!(set.checksum(), crc32fast::hash(&[records(0, 8), records(40, 2)].concat()));
}

#[test]
fn an_archive_is_the_same_as_its_folder() {
    let folder = Folder::new("archive");
    let files = [
        ("cifar-10-batches-bin/data_batch_1.bin", records(0, 4)),
        ("cifar-10-batches-bin/test_batch.bin", records(7, 3)),
    ];
    let path = folder.file("cifar-10-binary.tar.gz", &archive(&files));
    files.iter().for_each(|(name, bytes)| drop(folder.file(name, bytes)));
    let (packed, plain) = (Cifar10::open(&path).unwrap(), Cifar10::open(&folder.0).unwrap());
    assert_eq!(packed.checksum(), plain.checksum());
    assert_eq!(packed.len(Split::Test), 3);
    let read = |set: &Cifar, index| {
        let mut image = [0; IMAGE_BYTES];
        let label = crate::support::read(set, Split::Train, index, &mut image).unwrap();
        (label, image)
    };
    assert!((0..4).all(|i| read(&packed, i) == read(&plain, i)));
    assert!(Cifar10::open_archive(&path, 10_000).is_err(), "an archive larger than its limit");
}

#[test]
fn what_is_wrong_is_named() {
    let folder = Folder::new("wrong");
    let says = |text: String, parts: &[&str]| {
        parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is not in: {text}"));
    };
    says(refused(&folder.0.join("missing")), &["missing"]);
    says(refused(&folder.0), &["data_batch_*.bin"]);
    folder.file("cut/data_batch_1.bin", &records(0, 3)[..7000]);
    says(refused(&folder.0.join("cut")), &["data_batch_1.bin", "3,073", "2 "]);
    folder.file("none/data_batch_1.bin", b"");
    says(refused(&folder.0.join("none")), &["data_batch_1.bin"]);
    let mut bad = records(0, 4);
    bad[2 * 3073] = 10;
    folder.file("label/data_batch_1.bin", &bad);
    says(refused(&folder.0.join("label")), &["data_batch_1.bin", "10", "2"]);
    says(refused(&folder.file("garbage.tar.gz", &[7; 500])), &["garbage.tar.gz"]);
    let mut cut = archive(&[("data_batch_1.bin", records(0, 9))]);
    cut.truncate(cut.len() / 2);
    refused(&folder.file("cut.tar.gz", &cut));
    refused(&folder.file("empty.tar.gz", b""));
    // A header that states far more than there is must not be believed.
    refused(&folder.file("lying.tar.gz", &archive_that_promises_8_gib()));
    fs::create_dir_all(folder.0.join("dir/data_batch_1.bin")).unwrap();
    refused(&folder.0.join("dir"));
}

/// A changed byte anywhere in a small archive give a set or an error, never a panic.
#[test]
fn a_damaged_archive_is_no_panic() {
    let folder = Folder::new("damaged-data");
    let sound = archive(&[("data_batch_1.bin", records(0, 2)), ("batches.meta.txt", b"a\nb\n".to_vec())]);
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x55;
        let _ = Cifar10::open(&folder.file("a.tar.gz", &bytes));
    }
}

#[test]
fn which_set_is_opened() {
    let folder = Folder::new("choice");
    let sizes = Sizes { train: 20, test: 10 };
    let open = |name: Option<&str>, path: Option<&Path>| {
        open_in(&folder.0.join("data"), Wanted { name, path, ..Wanted::default() }, sizes)
    };
    let drawn = open(None, None).unwrap();
    assert_eq!(drawn.dataset.spec().name, "shapes10");
    let lines: Vec<&str> = drawn.notes.iter().flat_map(|note| note.lines()).collect();
    assert!(lines.len() == 2 && lines[0].contains("DRAWN") && lines[1].contains("https://"), "{lines:?}");
    assert!(open(Some("shapes10"), None).unwrap().notes.is_empty());
    let missing = open(Some("cifar10"), None).unwrap_err().to_string();
    assert!(missing.contains("no such folder") && missing.contains("curl -L"), "{missing}");
    assert!(open(Some("cifar"), None).unwrap_err().to_string().contains("cifar10"));
    assert_eq!(open(Some("shapes10"), Some(&folder.0)).unwrap_err().exit_code(), 2);
    folder.file("data/cifar-10-batches-bin/data_batch_1.bin", &records(0, 2));
    let found = open(None, None).unwrap();
    assert_eq!(found.dataset.spec().name, "cifar10");
    assert!(found.notes.iter().any(|n| n.contains("no test_batch.bin")), "{:?}", found.notes);
}

#[test]
fn an_epoch_visits_each_image_once() {
    let sorted = |mut list: Vec<u32>| {
        list.sort_unstable();
        list
    };
    assert_eq!(order(5, None), [0, 1, 2, 3, 4]);
    let (first, again, second) = (order(1000, Some((1, 1))), order(1000, Some((1, 1))), order(1000, Some((1, 2))));
    assert_eq!(sorted(first.clone()), order(1000, None));
    assert_eq!(first, again);
    assert!(first != second && first != order(1000, Some((2, 1))) && first != order(1000, None));
}

#[test]
fn the_loader_reads_every_image_in_order() {
    let set: Arc<dyn Dataset> = Arc::new(Shapes10::new(3, Sizes { train: 50, test: 10 }).unwrap());
    let order = order(50, Some((1, 1)));
    let batches: Result<Vec<_>> = Loader::new(set.clone(), Split::Train, order.clone(), 16).unwrap().collect();
    let batches = batches.unwrap();
    assert_eq!(batches.iter().map(|b| b.len()).collect::<Vec<_>>(), [16, 16, 16, 2]);
    let indices: Vec<u32> = batches.iter().flat_map(|b| b.indices.clone()).collect();
    assert_eq!(indices, order);
    let mut image = [0; IMAGE_BYTES];
    for batch in &batches {
        for (i, &index) in batch.indices.iter().enumerate() {
            let label = crate::support::read(&*set, Split::Train, index as usize, &mut image).unwrap();
            assert_eq!(label, batch.targets[i]);
            assert_eq!(image, batch.inputs[i * IMAGE_BYTES..][..IMAGE_BYTES]);
        }
    }
    // If the loader is dropped early, its thread ends: this returns.
    let mut dropped = Loader::new(set, Split::Train, order, 1).unwrap();
    dropped.next();
    drop(dropped);
}

#[test]
fn drawn_images_are_a_function_of_seed_and_index() {
    let make = |seed, train| Shapes10::new(seed, Sizes { train, test: 20 }).unwrap();
    let (a, b, other, longer) = (make(1, 200), make(1, 200), make(2, 200), make(1, 400));
    assert_eq!(a.checksum(), b.checksum());
    assert_ne!(a.checksum(), other.checksum());
    let image = |set: &Shapes10, split, index| {
        let mut image = [0; IMAGE_BYTES];
        crate::support::read(set, split, index, &mut image).unwrap();
        image
    };
    assert_eq!(image(&a, Split::Train, 150), image(&longer, Split::Train, 150));
    assert_ne!(image(&a, Split::Train, 5), image(&a, Split::Test, 5));
    let numbers = summary(&a, Split::Train).unwrap();
    assert_eq!(numbers.per_class, [20; 10]);
    assert!(numbers.count == 200 && numbers.mean.iter().all(|m| (0.2..0.8).contains(m)), "{numbers:?}");
}

/// If a linear model solved the set, the set would show nothing.
#[test]
fn a_linear_model_stays_under_sixty_percent() {
    let set = Shapes10::new(0, Sizes { train: 4000, test: 1000 }).unwrap();
    let (seen, unseen) = linear_model(&set);
    assert!(seen > 25.0, "the model has learned nothing: {seen} %");
    assert!(unseen < 60.0, "shapes10 is too easy: {unseen} %");
}

/// The same bytes on every machine and in every version.
#[test]
fn shapes_stay_the_same() {
    assert_eq!(Shapes10::new(0, Sizes::default()).unwrap().checksum(), 0x4e86_6aed);
}

#[test]
fn files_are_replaced_whole_or_not_at_all() {
    let folder = Folder::new("atomic");
    let path = folder.file("x", b"old");
    velograd::host::files::write_atomically(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert!(velograd::host::files::write_atomically(&folder.0.join("no/such/folder"), b"x").is_err());
    assert!(velograd::host::files::write_atomically(&folder.0, b"x").is_err());
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "a temporary file is left");
}

/// Held-out images are no longer trained on; both parts together are the training set.
#[test]
fn a_holdout_takes_images_from_training_alone() {
    let inner: Arc<dyn Dataset> = Arc::new(Shapes10::new(3, Sizes { train: 60, test: 10 }).unwrap());
    let split = velograd::data::Holdout::new(inner.clone(), 15, 4).unwrap();
    assert_eq!((split.len(Split::Train), split.len(Split::Test)), (45, 15));
    let images = |set: &dyn Dataset, which| -> Vec<Vec<u8>> {
        let read = |i| {
            let mut image = vec![0; IMAGE_BYTES];
            crate::support::read(set, which, i, &mut image).unwrap();
            image
        };
        (0..set.len(which)).map(read).collect()
    };
    let mut both = [images(&split, Split::Train), images(&split, Split::Test)].concat();
    let mut all = images(inner.as_ref(), Split::Train);
    both.sort();
    all.sort();
    assert!(both == all);
    for wrong in [0, 60, 61] {
        let error = velograd::data::Holdout::new(inner.clone(), wrong, 4).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("from 1 to 59"), "{error}");
    }
    let one: Arc<dyn Dataset> = Arc::new(Shapes10::new(3, Sizes { train: 1, test: 0 }).unwrap());
    let error = velograd::data::Holdout::new(one, 1, 4).err().unwrap().to_string();
    assert!(error.contains("too few"), "{error}");
}
