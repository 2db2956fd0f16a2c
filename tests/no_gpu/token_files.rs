//! Files of tokens: nanoGPT's, llm.c's and modded-nanogpt's, and the errors for what is none.

use std::fs;

use serde_json::Value;
use velograd::{data::Split, error::Error};

use super::{
    blocks::{at, decoded, fails, read_all, sample, u16s},
    hostile::{bent, taken},
};
use crate::folder::{Folder, says};

fn shard(magic: i32, version: i32, count: i32, tokens: &[u32]) -> Vec<u8> {
    let width = if version == 7 { 4 } else { 2 };
    let words = [magic, version, count].into_iter().chain(std::iter::repeat_n(0, 253));
    let body = tokens.iter().flat_map(|token| token.to_le_bytes()[..width].to_vec());
    words.flat_map(i32::to_le_bytes).chain(body).collect()
}

/// nanoGPT's files: tokens of two bytes, with the vocabulary beside them or of GPT-2's size.
#[test]
fn tokens_of_nanogpt() {
    let folder = Folder::new("tokens");
    let path = folder.write("set/train.bin", &u16s(0..50));
    let set = path.parent().unwrap();
    let opened = at(set, None, 8).unwrap();
    says(&opened.notes.join("\n"), &["GPT-2's size, 50257: no meta.json", "no text to validate on"]);
    let dataset = opened.dataset;
    assert_eq!((&*dataset.spec().name, dataset.spec().classes.len()), ("tokens", 50_257));
    assert_eq!((dataset.len(Split::Train), dataset.len(Split::Test)), (6, 0));
    assert_eq!(sample(dataset.as_ref(), Split::Train, 5).unwrap(), ((40..48).collect(), (41..49).collect()));

    folder.write("set/val.bin", &u16s((0..17).rev()));
    let list: Vec<String> = (0..50).map(|token| format!(" {token}")).collect();
    let map: serde_json::Map<String, Value> =
        list.iter().enumerate().map(|(token, text)| (token.to_string(), text.clone().into())).collect();
    for meta in [
        serde_json::json!({"vocab_size": 50, "itos": list}),
        serde_json::json!({"vocab_size": 50, "itos": map, "stoi": {}}),
    ] {
        folder.write("set/meta.json", meta.to_string().as_bytes());
        for path in [set, &path] {
            let opened = at(path, None, 8).unwrap();
            assert!(opened.notes.is_empty(), "{:?}", opened.notes);
            assert_eq!((&opened.dataset.spec().classes, opened.dataset.len(Split::Test)), (&list, 2));
            assert_eq!(decoded(opened.dataset.as_ref(), Split::Test), " 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1");
        }
    }
    let before = at(set, None, 8).unwrap().dataset.checksum();
    folder.write("set/val.bin", &u16s(0..18));
    assert_ne!(at(set, None, 8).unwrap().dataset.checksum(), before);
}

/// Shards of both kinds are one stream, and blocks go on from one to the next.
#[test]
fn shards_are_one_stream() {
    let folder = Folder::new("shards");
    let tokens: Vec<u32> = (0..40).map(|token| token * 7 % 40).collect();
    for (magic, version) in [(20_240_520, 1), (20_240_801, 7)] {
        let parts = [0..13, 13..14, 14..40];
        for (number, part) in parts.into_iter().enumerate() {
            let bytes = shard(magic, version, part.len() as i32, &tokens[part]);
            folder.write(&format!("set/fineweb_train_{number:06}.bin"), &bytes);
        }
        let val = folder.write("set/fineweb_val_000000.bin", &shard(magic, version, 9, &tokens[..9]));
        for path in [val.parent().unwrap(), &val] {
            let set = at(path, None, 6).unwrap().dataset;
            assert_eq!((set.len(Split::Train), set.len(Split::Test), set.tokens(Split::Train)), (6, 1, 40));
            for index in 0..6 {
                let (input, targets) = sample(set.as_ref(), Split::Train, index).unwrap();
                assert_eq!((&input[..], &targets[..]), (&tokens[index * 6..][..6], &tokens[index * 6 + 1..][..6]));
            }
        }
    }
    folder.write("set/other_train_1.bin", &shard(20_240_520, 1, 40, &tokens));
    fails(
        at(&folder.0.join("set"), None, 6),
        &["the tokens of one set", "fineweb_train_000000.bin, other_train_1.bin"],
    );
    assert_eq!(at(&folder.0.join("set/other_train_1.bin"), None, 6).unwrap().dataset.len(Split::Train), 6);
}

#[test]
fn what_are_no_tokens_is_refused() {
    let folder = Folder::new("tokens-wrong");
    let train = |bytes: &[u8]| folder.write("set/train.bin", bytes);
    let open = || at(&folder.0.join("set"), None, 8);
    folder.write("set/meta.json", b"{\"vocab_size\": 20}");
    train(&u16s(0..40)[..79]);
    fails(open(), &["train.bin: expected two bytes for each token, found 79 bytes"]);
    train(b"");
    fails(open(), &["at least 9 tokens for training", "found 0"]);
    train(&u16s((0..20).chain(18..40)));
    let set = open().unwrap().dataset;
    assert!(sample(set.as_ref(), Split::Train, 1).is_ok());
    let error = sample(set.as_ref(), Split::Train, 2).unwrap_err().to_string();
    says(
        &error,
        &["train.bin: expected tokens below 20, the size of the vocabulary, found 20 at position 22", "meta.json"],
    );
    for (meta, what) in [
        ("[1]", "invalid type"),
        ("", "EOF"),
        ("{\"vocab_size\": 1}", "a vocab_size of 1"),
        ("{\"vocab_size\": 65537}", "a vocab_size of 65537"),
        ("{\"vocab_size\": -3}", "-3"),
        ("{\"vocab_size\": 3, \"itos\": [\"a\"]}", "a vocab_size of 3 and an itos of 1"),
        ("{\"vocab_size\": 2, \"itos\": {\"0\": \"a\", \"2\": \"b\"}}", "an itos without 1"),
        (
            "{\"vocab_size\": 2, \"itos\": {\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}}",
            "a vocab_size of 2 and an itos with `2`",
        ),
    ] {
        folder.write("set/meta.json", meta.as_bytes());
        fails(open(), &["meta.json: expected {\"vocab_size\": N} with N from 2 to 65536", what]);
    }
    let long = |count: usize| {
        let itos: Vec<String> = (0..count).map(|token| format!("{token:01000}")).collect();
        folder.write("set/meta.json", serde_json::json!({"vocab_size": count, "itos": itos}).to_string().as_bytes());
    };
    long(2_100);
    fails(open(), &["meta.json: expected {\"vocab_size\": N}", "an itos with entries of 2100000 bytes"]);
    // A file of more than 4 MiB is not read.
    long(4_400);
    fails(open(), &["meta.json", "leave out itos: tokens are then called by their numbers"]);

    let name = folder.write("shards/a_train_1.bin", b"");
    let open = |bytes: &[u8]| {
        fs::write(&name, bytes).unwrap();
        at(name.parent().unwrap(), None, 8)
    };
    let tokens: Vec<u32> = (0..40).collect();
    fails(open(&[0; 600]), &["a header of 256 words", "600 bytes"]);
    fails(open(&shard(20_240_520, 7, 40, &tokens)), &["20240520 1 (tokens of two bytes)", "found 20240520 7"]);
    fails(open(&u16s(0..1000)), &["a header of 256 words", "found 65536", "called train.bin and val.bin"]);
    for count in [41, 39, -1, i32::MAX, i32::MIN] {
        let expected = format!("expected {count} tokens, as the header says, found 40 in 1104 bytes");
        fails(open(&shard(20_240_520, 1, count, &tokens)), &[&expected, "cut short"]);
    }
    let set = open(&shard(20_240_801, 7, 9, &[u32::MAX; 9])).unwrap().dataset;
    says(&sample(set.as_ref(), Split::Train, 0).unwrap_err().to_string(), &["4294967295 at position 0"]);
    let set = open(&shard(20_240_520, 1, 40, &tokens)).unwrap().dataset;
    fs::write(&name, b"cut").unwrap();
    assert!(matches!(sample(set.as_ref(), Split::Train, 0), Err(Error::Io { .. })));
}

/// Files that are damaged anywhere give an error or tokens of the vocabulary.
#[test]
fn bent_files() {
    let folder = Folder::new("tokens-bent");
    let sound = shard(20_240_520, 1, 40, &(0..40).collect::<Vec<_>>());
    let path = folder.write("b/x_train_0.bin", &sound);
    bent(&path, &sound, 500, 1100, || taken(read_all(&path, None)));
    folder.write("c/train.bin", &u16s(0..30));
    let meta = br#"{"vocab_size": 30, "itos": null}"#;
    let path = folder.write("c/meta.json", meta);
    bent(&path, meta, 500, meta.len(), || taken(read_all(path.parent().unwrap(), None)));
}
