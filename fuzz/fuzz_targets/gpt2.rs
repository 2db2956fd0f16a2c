//! Fuzzes the reader of `config.json` beside GPT-2 in Hugging Face's files: the input is that file, and the tensors are valid.
#![no_main]

mod file;

use std::{path::PathBuf, sync::OnceLock};

use libfuzzer_sys::fuzz_target;
use velograd::{
    data::Tokens,
    host::{
        huggingface,
        pretrained::{Head, Pretrained},
    },
    models::gpt,
    training::weights::Weights,
};

/// A folder with the tensors of a network of eight channels.
fn place() -> &'static PathBuf {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let set = [("block", "4"), ("width", "8"), ("depth", "1"), ("heads", "2")];
        let set = set.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = gpt::MODEL.config(Tokens { length: 4, vocabulary: 9 }, 9, &set).expect("a network");
        let place = file::folder().join("gpt2");
        let weights = |layout: &_| Ok(Weights::init(layout, 1));
        huggingface::save(&place, &gpt::MODEL, &config, weights).expect("a folder");
        place
    })
}

fuzz_target!(|bytes: &[u8]| {
    let place = place();
    file::file("gpt2/config.json", bytes);
    if let Ok(read) = Pretrained::open(place) {
        let layout = read.model.layout(&read.config);
        read.weights(&layout, Head::Load, 0).expect("the tensors that were accepted");
    }
});
