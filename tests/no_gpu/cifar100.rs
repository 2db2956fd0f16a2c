//! CIFAR-100: two labels, two data sets, the names of their classes.

use velograd::{
    data::{Dataset, Split},
    host::data::{
        Cifar, Opened, Wanted,
        cifar::{CIFAR100, CIFAR100_COARSE},
        open,
    },
};

use crate::folder::{Folder, says};

/// Records whose fine label is their number, and whose image tells it too.
fn records(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| [vec![(i % 20) as u8, (i % 100) as u8], vec![(i % 251) as u8; 3072]].concat()).collect()
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(vec![], flate2::Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn at(path: &std::path::Path, name: Option<&str>) -> Opened {
    open(Wanted { name, path: Some(path), ..Wanted::default() }).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn both_labels_are_read() {
    let folder = Folder::new("cifar100");
    folder.write("cifar-100-binary/train.bin", &records(130));
    folder.write("cifar-100-binary/test.bin", &records(7));
    let (fine, coarse) =
        (Cifar::open(&CIFAR100, &folder.0).unwrap(), Cifar::open(&CIFAR100_COARSE, &folder.0).unwrap());
    assert_eq!((fine.spec().classes.len(), coarse.spec().classes.len()), (100, 20));
    assert_eq!((&*fine.spec().classes[99], &*coarse.spec().classes[19]), ("worm", "vehicles_2"));
    assert_eq!((fine.len(Split::Train), fine.len(Split::Test)), (130, 7));
    assert_eq!(fine.checksum(), crc32fast::hash(&[records(130), records(7)].concat()));
    let mut image = [0; 3072];
    for index in 0..130 {
        assert_eq!(crate::support::read(&fine, Split::Train, index, &mut image).unwrap() as usize, index % 100);
        assert_eq!(crate::support::read(&coarse, Split::Train, index, &mut image).unwrap() as usize, index % 20);
        assert!(image.iter().all(|&value| usize::from(value) == index));
    }
    says(&fine.notes().join("\n"), &["not the official CIFAR-100", "test.bin"]);
}

/// A path says which set it is; the coarse labels are asked for by name.
#[test]
fn it_is_recognized() {
    let folder = Folder::new("cifar100-known");
    let (train, test) = (records(30), records(5));
    let names = "a\nb\n".repeat(50);
    let files: [(&str, &[u8]); 3] =
        [("x/fine_label_names.txt", names.as_bytes()), ("x/train.bin", &train), ("x/test.bin", &test)];
    let packed = folder.write("anything.tar.gz", &archive(&files));
    files.iter().for_each(|(name, bytes)| drop(folder.write(name, bytes)));
    for path in [&packed, &folder.0.join("x"), &folder.0.join("x/train.bin")] {
        let set = at(path, None).dataset;
        assert_eq!((&*set.spec().name, set.len(Split::Train), set.len(Split::Test)), ("cifar100", 30, 5));
        assert_eq!(set.spec().classes[1], "b", "{}", path.display());
        let coarse = at(path, Some("cifar100-coarse")).dataset;
        assert_eq!((&*coarse.spec().name, &*coarse.spec().classes[4]), ("cifar100-coarse", "fruit_and_vegetables"));
        assert_eq!(coarse.checksum(), set.checksum(), "the files are the same");
    }
    let official = folder.write("data/cifar-100-binary.tar.gz", &archive(&files));
    assert_eq!(at(&folder.0.join("data"), None).dataset.path(), Some(&*official));
    // Without a name, a first run takes CIFAR-10 or draws.
    says(&folder.refused(1, &["data"]), &["CIFAR-100, which --dataset cifar100 reads"]);
    says(&folder.works(&["data", "--dataset", "CIFAR100"]), &["cifar100, CRC-32", "and 80 more classes"]);
}

#[test]
fn labels_beyond_the_classes_are_named() {
    let folder = Folder::new("cifar100-wrong");
    for (at, label, what) in [(3074, 20, "a coarse label of 0 to 19"), (2 * 3074 + 1, 100, "a fine label of 0 to 99")] {
        let mut bytes = records(4);
        bytes[at] = label;
        let path = folder.write("cifar-100-binary/train.bin", &bytes);
        let error = Cifar::open(&CIFAR100, path.parent().unwrap()).err().unwrap().to_string();
        says(&error, &["train.bin", what, &format!("(byte {at})")]);
    }
    let path = folder.write("cifar-100-binary/train.bin", &records(2)[..5000]);
    let error = Cifar::open(&CIFAR100, path.parent().unwrap()).err().unwrap().to_string();
    says(&error, &["3,074", "1 whole record(s) and 1926 byte(s) left over", "not CIFAR-100's"]);
}
