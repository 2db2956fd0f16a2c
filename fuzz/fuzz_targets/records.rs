//! Fuzzes the reader of CIFAR-10's files of records, with the input as it is or padded to whole records.
#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use velograd::{data::{Dataset, Image, Split}, host::data::Cifar10};

fuzz_target!(|bytes: &[u8]| {
    let Some((&form, bytes)) = bytes.split_first() else { return };
    let mut records = bytes.to_vec();
    // A fuzzer seldom makes inputs of 3,073 bytes.
    if form & 1 == 1 && !bytes.is_empty() {
        records.resize(3073 * (1 + bytes.len() / 3073), bytes[0]);
    }
    file::file("data_batch_1.bin", &records);
    file::file("batches.meta.txt", if form & 2 == 2 { bytes } else { b"" });
    if let Ok(set) = Cifar10::open(file::folder()) {
        let mut image = [0; Image::CIFAR.bytes()];
        for index in 0..set.len(Split::Train) {
            let mut label = [u32::MAX];
            set.read(Split::Train, index, &mut image, &mut label).expect("a record that was accepted");
            assert!(label[0] < 10);
        }
    }
});
