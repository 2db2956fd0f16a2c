//! Fuzzes the reader of IDX files: the input is the file of images, as it is or compressed, or the file of labels.
#![no_main]

mod file;

use std::io::Write as _;

use libfuzzer_sys::fuzz_target;
use velograd::{
    data::{Dataset, Split},
    host::data::Idx,
};

/// Five images of 4x3 pixels, and their labels.
const IMAGES: [u8; 16] = [0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 4];
const LABELS: [u8; 13] = [0, 0, 8, 1, 0, 0, 0, 5, 0, 1, 2, 3, 4];

fuzz_target!(|bytes: &[u8]| {
    let Some((&form, bytes)) = bytes.split_first() else { return };
    let sound = [&IMAGES[..], &[7; 60]].concat();
    let (mut images, labels) = if form & 1 == 1 { (bytes.to_vec(), &LABELS[..]) } else { (sound, bytes) };
    if form & 2 == 2 {
        let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::none());
        packed.write_all(&images).expect("memory");
        images = packed.finish().expect("memory");
    }
    file::file("train-images-idx3-ubyte", &images);
    file::file("train-labels-idx1-ubyte", labels);
    if let Ok(set) = Idx::open(file::folder(), None) {
        let mut image = vec![0; set.spec().input.bytes()];
        for index in 0..set.len(Split::Train).min(100) {
            let mut label = [u32::MAX];
            set.read(Split::Train, index, &mut image, &mut label).expect("an image that was accepted");
            assert!((label[0] as usize) < set.spec().classes.len());
        }
    }
});
