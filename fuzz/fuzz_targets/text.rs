//! Fuzzes the readers of text and of files of tokens: the input is a text, an archive of texts, a file of tokens with a header or
//! without, or the vocabulary beside one.
#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use velograd::{
    data::{Dataset, Split, TokensBy},
    host::data::{TokenFiles, text},
};

/// Reads every block, which must have tokens of the vocabulary, or fail.
fn read(set: &dyn Dataset) {
    let spec = set.spec();
    let (mut input, mut targets) = (vec![0; spec.input.bytes()], vec![0; spec.input.targets() as usize]);
    for split in [Split::Train, Split::Test] {
        for index in 0..set.len(split).min(100) {
            if set.read(split, index, &mut input, &mut targets).is_ok() {
                assert!(targets.iter().all(|&target| (target as usize) < spec.classes.len()));
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&form, bytes)) = bytes.split_first() else { return };
    let length = u32::from(form / 8) + 1;
    let by = [TokensBy::Char, TokensBy::Byte, TokensBy::Word][usize::from(form / 8) % 3];
    let tokens = |folder: &str, name: &str, beside: Option<(&str, &[u8])>| {
        std::fs::create_dir_all(file::folder().join(folder)).expect("a folder");
        for (name, bytes) in [(name, bytes)].into_iter().chain(beside) {
            file::file(&format!("{folder}/{name}"), bytes);
        }
        if let Ok(set) = TokenFiles::open(&file::folder().join(folder), length) {
            read(&set);
        }
    };
    match form % 8 {
        0..=2 => drop(text::open(&file::file("a.txt", bytes), by, length).map(|set| read(&set))),
        3 => drop(text::open(&file::file("wikitext-a.zip", bytes), by, length).map(|set| read(&set))),
        4 | 5 => tokens("shards", "a_train_0.bin", None),
        6 => tokens("plain", "train.bin", None),
        _ => tokens("meta", "meta.json", Some(("train.bin", &[1, 0].repeat(50)))),
    }
});
