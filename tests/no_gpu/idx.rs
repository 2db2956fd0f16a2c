//! IDX files: what is read, how a set is told, and what is refused.

use std::{io::Write as _, path::Path};

use velograd::{
    data::{Dataset, Image, Split},
    host::data::{Idx, Opened, Wanted, idx::Family, open},
};

use crate::folder::{Folder, says};

/// A file of these axes.
pub fn idx(axes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let header = [0, 0, 8, axes.len() as u8].into_iter();
    header.chain(axes.iter().flat_map(|axis| axis.to_be_bytes())).chain(bytes.iter().copied()).collect()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `count` images of `width` x `height` whose bytes are their number.
pub fn images(count: u32, height: u32, width: u32) -> Vec<u8> {
    let bytes: Vec<u8> = (0..count).flat_map(|i| vec![(i % 256) as u8; (height * width) as usize]).collect();
    idx(&[count, height, width], &bytes)
}

pub fn labels(count: u32, classes: u32) -> Vec<u8> {
    idx(&[count], &(0..count).map(|i| (i % classes) as u8).collect::<Vec<_>>())
}

fn at(path: &Path, name: Option<&str>) -> velograd::error::Result<Opened> {
    open(Wanted { name, path: Some(path), ..Wanted::default() })
}

#[test]
fn images_and_labels_belong_together() {
    let folder = Folder::new("idx");
    let names =
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
    let files = [images(25, 7, 5), labels(25, 10), images(12, 7, 5), labels(12, 10)];
    for (name, bytes) in names.iter().zip(&files) {
        folder.write(&format!("plain/{name}"), bytes);
        folder.write(&format!("packed/{name}.gz"), &gzip(bytes));
        folder.write(&format!("dots/{}", name.replace("-idx", ".idx")), bytes);
    }
    let mut sums = vec![];
    for name in ["plain", "packed", "dots", "plain/train-labels-idx1-ubyte", "packed/t10k-images-idx3-ubyte.gz"] {
        let set = at(&folder.0.join(name), None).unwrap().dataset;
        assert_eq!(set.spec().image().unwrap(), Image { channels: 1, height: 7, width: 5 });
        assert_eq!((set.len(Split::Train), set.len(Split::Test), set.spec().classes.len()), (25, 12, 10));
        let mut image = [0; 35];
        for (split, index) in [(Split::Train, 24), (Split::Test, 11), (Split::Train, 0)] {
            assert_eq!(crate::support::read(&*set, split, index, &mut image).unwrap() as usize, index % 10);
            assert_eq!(image, [index as u8; 35]);
        }
        sums.push(set.checksum());
    }
    let record = |i: u8| [vec![i % 10], vec![i; 35]].concat();
    let all: Vec<u8> = (0..25).chain(0..12).flat_map(record).collect();
    assert_eq!(sums, [crc32fast::hash(&all); 5]);
}

/// Which set it is, is told by a name, by a folder, or by EMNIST's files.
#[test]
fn sets_are_told_apart() {
    let folder = Folder::new("idx-families");
    let write = |place: &str, classes| {
        folder.write(&format!("{place}train-images-idx3-ubyte.gz"), &gzip(&images(30, 4, 4)));
        folder.write(&format!("{place}train-labels-idx1-ubyte"), &labels(30, classes));
    };
    for place in ["MNIST/raw/", "FashionMNIST/raw/", "KMNIST/raw/", "plain/"] {
        write(place, 10);
    }
    for (place, name, expected, first) in [
        ("plain", None, "mnist", "0 - zero"),
        ("plain", Some("kmnist"), "kmnist", "o"),
        ("FashionMNIST", None, "fashion-mnist", "T-shirt/top"),
        ("KMNIST/raw", None, "kmnist", "o"),
        // Below the folder of several sets, the one of this name.
        ("", Some("fashion-mnist"), "fashion-mnist", "T-shirt/top"),
    ] {
        if place.is_empty() {
            std::fs::remove_dir_all(folder.0.join("plain")).unwrap();
        }
        let opened = at(&folder.0.join(place), name).unwrap();
        let spec = opened.dataset.spec();
        assert_eq!((&*spec.name, &*spec.classes[0], spec.classes.len()), (expected, first, 10), "{place}");
        says(&opened.notes.join("\n"), &["no t10k-images-idx3-ubyte"]);
    }
    says(&at(&folder.0, None).unwrap_err().to_string(), &["one data set", "MNIST/raw", "KMNIST/raw", "'dataset'"]);
    write("em/emnist-letters-", 27);
    write("em/emnist-digits-", 10);
    says(&at(&folder.0.join("em"), None).unwrap_err().to_string(), &["emnist-digits-", "emnist-letters-", "'data'"]);
    let path = folder.0.join("em/emnist-letters-train-labels-idx1-ubyte");
    let opened = at(&path, None).unwrap();
    let spec = opened.dataset.spec();
    assert_eq!((&*spec.name, &*spec.classes[26], opened.dataset.path()), ("emnist", "z", Some(&*path)));
    says(&opened.notes.join("\n"), &["rows and columns exchanged"]);
    write("more/", 12);
    let opened = at(&folder.0.join("more"), None).unwrap();
    assert_eq!(opened.dataset.spec().classes[9..], ["9 - nine", "10", "11"]);
    says(&opened.notes.join("\n"), &["labels go up to 11"]);
}

/// The ending of the file of images, both files, and what the error says.
type Case<'a> = (&'a str, Vec<u8>, Vec<u8>, &'a [&'a str]);

#[test]
fn what_a_header_says_is_checked() {
    let folder = Folder::new("idx-wrong");
    let bomb = {
        let zeros = gzip(&vec![0; 1 << 24]);
        [gzip(&idx(&[2048, 1024, 1000], &[])), zeros.repeat(80)].concat()
    };
    let cut = {
        let packed = gzip(&images(9, 30, 30));
        packed[..packed.len() - 9].to_vec()
    };
    let long = [images(3, 2, 2), vec![0]].concat();
    let cases: [Case<'_>; 14] = [
        ("", images(3, 2, 2), labels(2, 2), &["labels", "as many labels as there are images, 3", "2"]),
        ("", labels(3, 2), labels(3, 2), &["images", "0 0 8 3", "0 0 8 1"]),
        ("", vec![], labels(3, 2), &["images", "an empty file"]),
        ("", vec![0, 0, 8, 3, 0], labels(3, 2), &["5 bytes of a header of 16"]),
        ("", images(3, 2, 2)[..20].to_vec(), labels(3, 2), &["12 bytes after its header of 3x2x2", "4"]),
        ("", long.clone(), labels(3, 2), &["12 bytes after", "13"]),
        (".gz", gzip(&long), labels(3, 2), &["12 bytes after", "more"]),
        (".gz", gzip(&images(3, 2, 2)[..20]), labels(3, 2), &["12 bytes after", "4"]),
        (".gz", cut, labels(9, 2), &["images", "a gzip file"]),
        (".gz", bomb, labels(9, 2), &["a hundred times its size"]),
        ("", idx(&[0, 2, 2], &[]), labels(3, 2), &["at least one element", "0x2x2"]),
        ("", idx(&[u32::MAX, u32::MAX, u32::MAX], &[]), labels(3, 2), &["at most 2147483648 bytes"]),
        ("", idx(&[1, 1, 1025], &[0; 1025]), labels(1, 1), &["sides of 1 to 1024", "1025x1"]),
        ("", b"<!doctype html><html>".to_vec(), labels(3, 2), &["a web page"]),
    ];
    for (ending, of_images, of_labels, what) in cases {
        let set = Folder::new("idx-wrong-set");
        set.write(&format!("train-images-idx3-ubyte{ending}"), &of_images);
        set.write("train-labels-idx1-ubyte", &of_labels);
        let error = Idx::open(&set.0, None).err().unwrap().to_string();
        says(&error, what);
        says(&error, &["idx"]);
    }
    folder.write("t10k-labels-idx1-ubyte", &labels(3, 2));
    says(&Idx::open(&folder.0, None).err().unwrap().to_string(), &["t10k-labels-idx1-ubyte alone"]);
    folder.write("t10k-images-idx3-ubyte", &images(3, 2, 2));
    assert_eq!(Idx::open(&folder.0, Some(Family::Kuzushiji)).unwrap().len(Split::Train), 0);
    folder.write("train-labels-idx1-ubyte", &labels(3, 2));
    folder.write("train-images-idx3-ubyte", &images(3, 2, 3));
    says(&Idx::open(&folder.0, None).err().unwrap().to_string(), &["3x2 pixels", "2x2 pixels", "one size"]);
}
