//! Files of images that are damaged, forged or endless.

use std::fs;

use velograd::{
    data::{Dataset, Split},
    error::Result,
    host::data::{
        Cifar, Idx, Pictures,
        cifar::{CIFAR100, CIFAR100_COARSE},
    },
    random::Rng,
};

use super::{
    folder_of_images::{cases, png},
    hostile::{bend, bent, gzip, refused_within, taken},
    idx::{idx, images, labels},
};
use crate::folder::Folder;

/// Opens a set and reads all of it.
fn read_all(set: &dyn Dataset) -> Result<()> {
    let mut image = vec![0; set.spec().input.bytes()];
    for split in [Split::Train, Split::Test] {
        for index in 0..set.len(split).min(50) {
            let label = crate::support::read(set, split, index, &mut image)?;
            assert!((label as usize) < set.spec().classes.len());
        }
    }
    Ok(())
}

#[test]
fn records_with_two_labels() {
    let folder = Folder::new("hostile-cifar100");
    let record = |i: u8| [vec![i % 20, i], vec![i; 3072]].concat();
    let (set, names) = ([record(3), record(99)].concat(), "name\n".repeat(100));
    let file = folder.write("set/train.bin", &set);
    folder.write("set/test.bin", &set);
    let open = |version| taken(Cifar::open(version, file.parent().unwrap()).and_then(|set| read_all(&set)));
    bent(&file, &set, 1000, set.len(), || open(&CIFAR100));
    fs::write(&file, &set).unwrap();
    let meta = folder.write("set/coarse_label_names.txt", b"");
    let mut rng = Rng::new(5);
    for _ in 0..300 {
        fs::write(&meta, bend(&mut rng, names.as_bytes(), names.len())).unwrap();
        assert!(open(&CIFAR100_COARSE), "class names are no reason to refuse a set");
    }
}

#[test]
fn idx_files() {
    let folder = Folder::new("hostile-idx");
    let open = || taken(Idx::open(&folder.0, None).and_then(|set| read_all(&set)));
    let (of_images, of_labels) = (images(9, 5, 4), labels(9, 10));
    let labels_path = folder.write("train-labels-idx1-ubyte", &of_labels);
    let path = folder.write("train-images-idx3-ubyte", &of_images);
    bent(&path, &of_images, 2000, 40, open);
    fs::write(&path, &of_images).unwrap();
    bent(&labels_path, &of_labels, 2000, of_labels.len(), open);
    fs::write(&labels_path, &of_labels).unwrap();
    fs::remove_file(&path).unwrap();
    let packed = gzip(&of_images);
    bent(&folder.0.join("train-images-idx3-ubyte.gz"), &packed, 2000, packed.len(), open);
}

/// Every kind of picture, changed anywhere and changed in its header: an error or pixels.
#[test]
fn pictures() {
    let folder = Folder::new("hostile-pictures");
    folder.write("b/1.png", &png(3, 3, [1, 2, 3]));
    for (name, file, _, _) in cases() {
        let path = folder.write("a/1.png", &file);
        let read = || taken(Pictures::open(&folder.0, 5).and_then(|set| read_all(&set)));
        println!("{name}");
        fs::write(&path, &file).unwrap();
        assert!(read(), "{name}");
        let mut rng = Rng::keyed(3, &[file.len() as u64]);
        for time in 0..300 {
            let reach = if time % 2 == 0 { 64 } else { file.len() };
            fs::write(&path, bend(&mut rng, &file, reach)).unwrap();
            read();
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn little_memory_for_large_pictures() {
    let folder = Folder::new("hostile-large");
    folder.write("b/1.png", &png(3, 3, [1, 2, 3]));
    let huge = |name: &str, bytes: &[u8], what: &str| {
        let _ = fs::remove_dir_all(folder.0.join("a"));
        folder.write(&format!("a/{name}"), bytes);
        refused_within(&folder, 400, "data --dataset folder --data .", what);
    };
    let mut large = png(3, 3, [1, 2, 3]);
    large[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let crc = crc32fast::hash(&large[12..29]);
    large[29..33].copy_from_slice(&crc.to_be_bytes());
    huge("1.png", &large, "65536x65536");
    // The same by the headers of a JPEG and of a WebP.
    let (_, mut jpeg, _, _) = cases().into_iter().find(|case| case.0 == "full colour.jpg").unwrap();
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    huge("1.jpg", &jpeg, "65535x65535");
    let (_, mut webp, _, _) = cases().into_iter().find(|case| case.0 == "lossless.webp").unwrap();
    webp[21..24].fill(0xff);
    webp[24] |= 0x0f;
    huge("1.webp", &webp, "a/1.webp");
    fs::remove_dir_all(folder.0.join("a")).unwrap();
    fs::File::create(folder.write("a/1.png", b"")).unwrap().set_len(1 << 40).unwrap();
    refused_within(&folder, 400, "data --dataset folder --data .", "at most 268435456 bytes");

    let promise = idx(&[2_000_000, 32, 32], &[]);
    folder.write("idx/train-labels-idx1-ubyte", &labels(9, 2));
    folder.write("idx/train-images-idx3-ubyte.gz", &gzip(&promise));
    refused_within(&folder, 200, "data --data idx", "2048000000 bytes after its header");
    let zeros = gzip(&vec![0; 1 << 24]);
    folder.write("idx/train-images-idx3-ubyte.gz", &[gzip(&promise), zeros.repeat(90)].concat());
    refused_within(&folder, 700, "data --data idx", "a hundred times its size");
}
