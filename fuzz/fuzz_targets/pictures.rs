//! Fuzzes the decoders of pictures, and their resize to any side.
#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use velograd::{
    data::{Dataset, Split},
    host::data::Pictures,
};

fuzz_target!(|bytes: &[u8]| {
    let Some((&form, bytes)) = bytes.split_first() else { return };
    // Large pictures take the time of a thousand small ones, and find nothing else.
    let side = u32::from(form % 40) + 1;
    for class in ["a", "b"] {
        std::fs::create_dir_all(file::folder().join(class)).expect("a folder");
        file::file(&format!("{class}/1.png"), bytes);
    }
    let set = Pictures::open(file::folder(), side).expect("two classes");
    let mut image = vec![0; set.spec().input.bytes()];
    let _ = set.read(Split::Train, 0, &mut image, &mut [0]);
});
