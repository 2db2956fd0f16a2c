//! Text and files of tokens: what each sample is, by the conventions of the programs that runs are compared with, and the errors
//! for what is no text.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use velograd::{
    data::{Dataset, EOS, Holdout, Sizes, Split, TokensBy, Vocabulary, excerpt, grammar},
    error::{Error, Result},
    host::data::{Opened, Wanted, open, open_in, text},
};

use super::hostile::{bent, taken};
use crate::folder::{Folder, says};

/// Opens the text at a path, in blocks of so many tokens.
fn at(path: &Path, tokens: impl Into<Option<TokensBy>>, length: u32) -> Result<Opened> {
    open(Wanted { path: Some(path), tokens: tokens.into(), length: Some(length), ..Wanted::default() })
}

/// The tokens and the targets of a sample.
fn sample(set: &dyn Dataset, split: Split, index: usize) -> Result<(Vec<u32>, Vec<u32>)> {
    let input = set.spec().input;
    let (mut bytes, mut targets) = (vec![0; input.bytes()], vec![0; input.targets() as usize]);
    set.read(split, index, &mut bytes, &mut targets)?;
    let tokens = bytes.chunks_exact(4).map(|token| u32::from_le_bytes(token.try_into().unwrap()));
    Ok((tokens.collect(), targets))
}

/// The whole samples of a split as text, checked to be shifted by one and to follow one another.
fn decoded(set: &dyn Dataset, split: Split) -> String {
    let (mut all, mut next) = (vec![], None);
    for index in 0..set.len(split) {
        let (tokens, targets) = sample(set, split, index).unwrap();
        assert_eq!(tokens[1..], targets[..targets.len() - 1]);
        assert!(next.is_none_or(|next| next == tokens[0]), "sample {index} does not follow the one before");
        next = targets.last().copied();
        all.extend(tokens);
    }
    Vocabulary::of(&set.spec().classes).decode(&all)
}

fn fails(result: Result<Opened>, parts: &[&str]) {
    let error = result.expect_err(parts[0]);
    assert!(!matches!(error, Error::Io { .. }), "{error}");
    says(&error.to_string(), parts);
}

fn shard(magic: i32, version: i32, count: i32, tokens: &[u32]) -> Vec<u8> {
    let width = if version == 7 { 4 } else { 2 };
    let words = [magic, version, count].into_iter().chain(std::iter::repeat_n(0, 253));
    let body = tokens.iter().flat_map(|token| token.to_le_bytes()[..width].to_vec());
    words.flat_map(i32::to_le_bytes).chain(body).collect()
}

fn u16s(tokens: impl IntoIterator<Item = u16>) -> Vec<u8> {
    tokens.into_iter().flat_map(u16::to_le_bytes).collect()
}

/// A ZIP archive with these files, deflated.
fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut archive, mut directory) = (vec![], vec![]);
    for (name, text) in files {
        let mut packer = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::best());
        packer.write_all(text.as_bytes()).unwrap();
        let packed = packer.finish().unwrap();
        let at = archive.len() as u32;
        let sizes = [crc32fast::hash(text.as_bytes()), packed.len() as u32, text.len() as u32];
        let common = [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0], &*sizes.map(u32::to_le_bytes).concat()].concat();
        let lengths = [(name.len() as u16).to_le_bytes(), [0, 0]].concat();
        archive.extend([b"PK\x03\x04", &*common, &*lengths, name.as_bytes(), &*packed].concat());
        let rest = [&[0; 10][..], &at.to_le_bytes()].concat();
        directory.extend([b"PK\x01\x02\x14\0", &*common, &*lengths, &*rest, name.as_bytes()].concat());
    }
    let (at, size, count) = (archive.len() as u32, directory.len() as u32, (files.len() as u16).to_le_bytes());
    archive.extend(directory);
    archive
        .extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size.to_le_bytes(), &at.to_le_bytes(), &[0, 0]].concat());
    archive
}

/// Characters are sorted by code point, and the last tenth of them, rounded as Python rounds, is for validation.
#[test]
fn characters_of_one_file() {
    let folder = Folder::new("text-char");
    let text = "zażółć gęślą jaźń, 東京! 🙂\n".repeat(7) + "ab";
    let path = folder.write("set/input.txt", text.as_bytes());
    for path in [&path, &folder.0.join("set")] {
        let opened = at(path, None, 8).unwrap();
        assert!(opened.notes.is_empty(), "{:?}", opened.notes);
        let set = opened.dataset;
        let mut sorted: Vec<char> = text.chars().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let classes: Vec<String> = sorted.iter().map(char::to_string).collect();
        assert_eq!((&*set.spec().name, &set.spec().classes), ("text", &classes));
        let characters: Vec<char> = text.chars().collect();
        // int(n * 0.9) of n = 177.
        let n = (characters.len(), (characters.len() as f64 * 0.9) as u64);
        assert_eq!((n, set.tokens(Split::Train), set.tokens(Split::Test)), ((177, 159), 159, 18));
        assert_eq!((set.len(Split::Train), set.len(Split::Test)), (19, 2));
        assert_eq!(decoded(set.as_ref(), Split::Train), characters[..152].iter().collect::<String>());
        assert_eq!(decoded(set.as_ref(), Split::Test), characters[159..175].iter().collect::<String>());
        let token = |at: usize| sorted.binary_search(&characters[at]).unwrap() as u32;
        let (tokens, targets) = sample(set.as_ref(), Split::Train, 3).unwrap();
        assert_eq!((tokens, targets), ((24..32).map(token).collect(), (25..33).map(token).collect()));
        assert_eq!(set.path(), Some(&*folder.0.join("set/input.txt")));
    }
    // The number of blocks is that of whole ones: 160 tokens have 19 with a target behind each token, and 161 have 20.
    for (characters, blocks) in [(179, 20), (178, 19)] {
        let path = folder.write("count.txt", &"ab".repeat(100).as_bytes()[..characters]);
        assert_eq!(at(&path, None, 8).unwrap().dataset.len(Split::Train), blocks, "{characters}");
    }
}

/// Bytes are their own numbers, of any file.
#[test]
fn bytes_of_any_file() {
    let folder = Folder::new("text-byte");
    let bytes: Vec<u8> = (0..=255).cycle().take(1003).collect();
    let path = folder.write("a.txt", &bytes);
    let set = at(&path, TokensBy::Byte, 100).unwrap().dataset;
    assert_eq!((set.spec().classes.len(), &*set.spec().classes[10], &*set.spec().classes[65]), (256, "\\x0a", "A"));
    assert_eq!((set.tokens(Split::Train), set.tokens(Split::Test), set.len(Split::Test)), (902, 101, 1));
    let (tokens, targets) = sample(set.as_ref(), Split::Train, 1).unwrap();
    assert_eq!((tokens, targets), ((100..200).collect(), (101..201).collect()));
}

/// Words are numbered as they come, in training, validation and testing, with a token for every line's end.
#[test]
fn words_of_a_folder() {
    let folder = Folder::new("text-word");
    for (names, given) in [
        (["ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"], ""),
        (["wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"], "wiki.train.tokens"),
        (["train.txt", "val.txt", "test.txt"], ""),
    ] {
        let texts = [" the cat \n\n <unk> sat on the mat \n", "a cat sat", "the dog\n"];
        let _ = fs::remove_dir_all(folder.0.join("set"));
        names.iter().zip(texts).for_each(|(name, text)| drop(folder.write(&format!("set/{name}"), text.as_bytes())));
        let set = at(&folder.0.join("set").join(given), TokensBy::Word, 3).unwrap().dataset;
        assert_eq!(set.spec().classes, ["the", "cat", EOS, "<unk>", "sat", "on", "mat", "a", "dog"]);
        assert_eq!((set.tokens(Split::Train), set.tokens(Split::Test)), (10, 4), "each line has an end, the last too");
        assert_eq!(sample(set.as_ref(), Split::Train, 1).unwrap(), (vec![2, 3, 4], vec![3, 4, 5]));
        assert_eq!(sample(set.as_ref(), Split::Test, 0).unwrap(), (vec![7, 1, 4], vec![1, 4, 2]));
        assert_eq!(decoded(set.as_ref(), Split::Train), "the cat\n\n<unk> sat on the mat");
    }
    // A file of the set stands for it, with a remark if it is neither for training nor for validation.
    for (name, remark) in
        [("train.txt", ""), ("val.txt", ""), ("test.txt", "training is on train.txt, validation on val.txt")]
    {
        let opened = at(&folder.0.join("set").join(name), TokensBy::Word, 3).unwrap();
        assert_eq!((opened.dataset.tokens(Split::Train), opened.dataset.tokens(Split::Test)), (10, 4), "{name}");
        says(&opened.notes.join("\n"), &[remark]);
        assert_eq!(opened.notes.is_empty(), remark.is_empty(), "{:?}", opened.notes);
    }
    let alone = at(&folder.write("alone/test.txt", &b"a b\n".repeat(20)), TokensBy::Word, 3).unwrap();
    assert_eq!(alone.dataset.tokens(Split::Train), 18 * 3);
    says(&alone.notes.join("\n"), &["no text for training beside test.txt: its first nine tenths"]);
    // Characters of all three files, as the vocabulary of a text for testing counts too.
    let set = at(&folder.0.join("set"), None, 3).unwrap().dataset;
    assert_eq!(set.spec().classes.concat(), "\n <>acdeghkmnostu");
    // One text is divided by lines.
    let lines = (0..25).map(|line| format!("line {line}\n")).collect::<String>();
    let set = at(&folder.write("lines.txt", lines.as_bytes()), TokensBy::Word, 3).unwrap().dataset;
    assert_eq!((set.tokens(Split::Train), set.tokens(Split::Test)), (22 * 3, 3 * 3));
    // A text of one line is divided by its words: int(25 * 0.9) and an end, and the rest with its end.
    let set = at(&folder.write("line.txt", " a  bc\td é ff".repeat(5).as_bytes()), TokensBy::Word, 3).unwrap().dataset;
    assert_eq!((set.tokens(Split::Train), set.tokens(Split::Test)), (22 + 1, 3 + 1));
    assert!(decoded(set.as_ref(), Split::Train).ends_with("ff a"));
}

/// The archive of WikiText, which needs no unpacking, by its own path and by the folder that it is fetched to.
#[test]
fn an_archive_of_texts() {
    let folder = Folder::new("text-zip");
    let files = [
        ("wikitext-2-raw/", ""),
        ("wikitext-2-raw/wiki.test.raw", "c"),
        ("wikitext-2-raw/wiki.valid.raw", "b a b a b"),
        ("wikitext-2-raw/wiki.train.raw", "a b a b a b a b"),
    ];
    let path = folder.write("data/wikitext-2/wikitext-2-raw-v1.zip", &zip(&files));
    let open = |path: &Path| at(path, None, 4).map(|opened| opened.dataset);
    for path in [&*path, path.parent().unwrap()] {
        let set = open(path).unwrap();
        assert_eq!((set.tokens(Split::Train), set.tokens(Split::Test)), (15, 9));
        assert_eq!(
            (set.spec().classes.concat(), decoded(set.as_ref(), Split::Train)),
            (" abc".into(), "a b a b a b ".into())
        );
    }
    let other = folder.write("wikitext-x.zip", &zip(&[("readme.txt", "")]));
    fails(at(&other, None, 4), &["wikitext-x.zip: expected text for training", "found none"]);
    fs::write(&other, "<html>").unwrap();
    fails(at(&other, None, 4), &["a ZIP archive of texts", "fetch it again"]);
    let bomb = "a b ".repeat(20 << 20);
    fs::write(&other, zip(&[("wiki.train.raw", &bomb)])).unwrap();
    fails(at(&other, None, 4), &["a hundred times as long as the archive"]);
    // What the directory states is believed where it is too much.
    let mut large = zip(&[("wiki.train.raw", "a b a b"), ("wiki.valid.raw", "a b")]);
    let size = large.len() - 22 - (46 + "wiki.valid.raw".len()) + 24;
    large[size..][..4].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    fs::write(&other, large).unwrap();
    fails(
        at(&other, None, 4),
        &[
            "wiki.valid.raw: expected text of at most 1073741824 bytes",
            "found 1073741824, beside 7 of the other files",
            "train.bin",
        ],
    );
    fs::File::create(&other).unwrap().set_len((1 << 30) + 1).unwrap();
    fails(at(&other, None, 4), &["text of at most 1073741824 bytes", "found 1073741825", "train.bin"]);
    let sound = zip(&files);
    bent(&path, &sound, 500, sound.len(), || taken(open(&path)));
}

/// nanoGPT's files: tokens of two bytes, with the vocabulary beside them or of GPT-2's size.
#[test]
fn tokens_of_nanogpt() {
    let folder = Folder::new("tokens");
    let path = folder.write("set/train.bin", &u16s(0..50));
    let set = path.parent().unwrap();
    let opened = at(set, None, 8).unwrap();
    says(
        &opened.notes.join("\n"),
        &["GPT-2's size, 50257: no meta.json", "no text to validate on: there will be no validation"],
    );
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
fn what_is_no_text_is_refused() {
    let folder = Folder::new("text-wrong");
    let write = |bytes: &[u8]| folder.write("a.txt", bytes);
    fails(at(&write(b""), None, 8), &["a.txt: expected text with at least two kinds of tokens, found none"]);
    fails(at(&write(&b"a".repeat(99)), None, 8), &["at least two kinds", "found one, `a`"]);
    fails(
        at(&write(b"ababab"), None, 8),
        &["at least 9 tokens for training, a block of 8 and one more, found 5", "smaller block"],
    );
    let wrong = [&b"na\xc3\xafve "[..], b"caf\xe9 ", &b"ab".repeat(30)].concat();
    fails(at(&write(&wrong), None, 8), &["UTF-8", "the byte 0xe9 at offset 10", "'tokens' byte"]);
    assert!(at(&write(&wrong), TokensBy::Byte, 8).is_ok());
    let words = |count: u32| (0..count).map(|word| format!("w{word}\n")).collect::<String>();
    // With the ends of lines, there are 65,536.
    assert_eq!(at(&write(words(65_535).as_bytes()), TokensBy::Word, 8).unwrap().dataset.spec().classes.len(), 1 << 16);
    let parts = ["at most 65536 different words, found more", "'tokens' char or byte", "wikitext-2-v1"];
    fails(at(&write(words(65_536).as_bytes()), TokensBy::Word, 8), &parts);
    fails(at(&write("ab".repeat(999).as_bytes()), TokensBy::Word, 8), &["words of at most 1024 bytes", "one of 1998"]);
    for length in [0, 65_537] {
        assert_eq!(at(&write(words(9).as_bytes()), None, length).unwrap_err().exit_code(), 2);
    }
    fs::File::create(folder.0.join("a.txt")).unwrap().set_len((1 << 30) + 1).unwrap();
    fails(
        at(&folder.0.join("a.txt"), None, 8),
        &["text of at most 1073741824 bytes, which is read whole", "1073741825"],
    );
    folder.write("two/train.txt", &b"ab".repeat(50));
    folder.write("two/valid.txt", b"");
    fs::File::create(folder.0.join("two/valid.txt")).unwrap().set_len((1 << 30) - 99).unwrap();
    fails(at(&folder.0.join("two"), None, 8), &["two/valid.txt", "found 1073741725, beside 100 of the other files"]);

    folder.write("none/valid.txt", b"text");
    let by_name = |name| open(Wanted { name: Some(name), path: Some(&folder.0.join("none")), ..Wanted::default() });
    fails(by_name("text"), &["expected text: input.txt, train.txt", "searched: "]);
    fails(by_name("tokens"), &["expected files of tokens: train.bin", "searched: "]);
    let alone = folder.write("alone/train.txt", &b"abc\n".repeat(20));
    let opened = at(&alone, None, 8).unwrap();
    says(&opened.notes.join("\n"), &["no text for validation beside that for training: there will be no validation"]);
    folder.write("alone/valid.txt", b"ab");
    let opened = at(&alone, None, 8).unwrap();
    says(
        &opened.notes.join("\n"),
        &["2 token(s) to validate on are less than a block of 8: there will be no validation"],
    );
    folder.write("alone/en.train.txt", b"ab");
    fails(at(&folder.0.join("alone"), None, 8), &["text for training of one set", "en.train.txt and train.txt"]);
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
    let folder = Folder::new("text-bent");
    let read_all = |path: &Path, by: Option<TokensBy>| {
        let set = at(path, by, 5)?.dataset;
        for split in [Split::Train, Split::Test] {
            for index in 0..set.len(split) {
                let (tokens, targets) = sample(set.as_ref(), split, index)?;
                assert!(tokens.iter().chain(&targets).all(|&token| (token as usize) < set.spec().classes.len()));
            }
        }
        Ok(())
    };
    let text = "Grüße aus Zürich,\nund £5 dazu — …\n".repeat(4);
    for by in [None, Some(TokensBy::Word)] {
        let path = folder.write("a.txt", text.as_bytes());
        bent(&path, text.as_bytes(), 500, text.len(), || taken(read_all(&path, by)));
    }
    let sound = shard(20_240_520, 1, 40, &(0..40).collect::<Vec<_>>());
    let path = folder.write("b/x_train_0.bin", &sound);
    bent(&path, &sound, 500, 1100, || taken(read_all(&path, None)));
    folder.write("c/train.bin", &u16s(0..30));
    let meta = br#"{"vocab_size": 30, "itos": null}"#;
    let path = folder.write("c/meta.json", meta);
    bent(&path, meta, 500, meta.len(), || taken(read_all(path.parent().unwrap(), None)));
}

/// Which set a folder is: text beside other things, CIFAR-100's file of nanoGPT's name.
#[test]
fn text_is_recognized() {
    let folder = Folder::new("text-known");
    let text = b"some text of a few characters, and a little more of it".repeat(9);
    let name = |path: &str| {
        let opened = open(Wanted { path: Some(&folder.0.join(path)), ..Wanted::default() });
        opened.map(|opened| (opened.dataset.spec().name.clone(), opened.notes.join("\n")))
    };
    folder.write("data/shakespeare/input.txt", &text);
    folder.write("data/README.txt", b"read me");
    let (found, notes) = name("data").unwrap();
    assert_eq!(found, "text");
    says(&notes, &["text from ", "input.txt"]);
    folder.write("data/shakespeare/train.bin", &u16s(0..200));
    says(&name("data").unwrap_err().to_string(), &["(text)", "(tokens)", "'data' or 'dataset'"]);
    let record = [vec![1, 2], vec![3; 3072]].concat();
    folder.write("c/train.bin", &record);
    folder.write("c/test.bin", &record);
    assert_eq!(name("c").unwrap().0, "cifar100");
    assert_eq!(name("c/train.bin").unwrap().0, "cifar100");
    // nanoGPT's, with a third file.
    for beside in ["val.bin", "meta.pkl"] {
        let place = format!("gpt-{beside}");
        for file in ["train.bin", "test.bin", beside] {
            folder.write(&format!("{place}/{file}"), &u16s(0..200));
        }
        assert_eq!(name(&place).unwrap().0, "tokens", "{beside}");
        // A name that is given says what they are.
        let by_name = |name| open(Wanted { name: Some(name), path: Some(&folder.0.join(&place)), ..Wanted::default() });
        says(&by_name("cifar100").unwrap_err().to_string(), &["expected whole records of 3,074 bytes"]);
    }
    // A first run looks for images alone.
    assert_eq!(name("data/shakespeare/input.txt").unwrap().0, "text");
    says(&folder.works(&["data", "--dataset", "shapes10"]), &["shapes10, CRC-32"]);
}

/// Pictures may have a list of their files beside them; text beside classes could be meant itself.
#[test]
fn pictures_have_lists_beside_them() {
    let folder = Folder::new("text-pictures");
    let name = |path: &str, name| {
        open(Wanted { name, path: Some(&folder.0.join(path)), ..Wanted::default() })
            .map(|opened| opened.dataset.spec().name.clone())
    };
    let list = b"cat/1.png 0\ndog/1.png 1\n".repeat(9);
    for file in ["train.txt", "input.txt"] {
        for class in ["cat", "dog"] {
            folder.write(&format!("{file}-a/train/{class}/1.png"), b"");
            folder.write(&format!("{file}-b/{class}/1.png"), b"");
        }
        folder.write(&format!("{file}-a/{file}"), &list);
        folder.write(&format!("{file}-b/{file}"), &list);
        assert_eq!(name(&format!("{file}-a"), None).unwrap(), "folder");
        assert_eq!(name(&format!("{file}-a"), Some("text")).unwrap(), "text");
        let error = name(&format!("{file}-b"), None).unwrap_err().to_string();
        says(&error, &["(text)", "(pictures)", "'dataset'"]);
        assert_eq!(name(&format!("{file}-b"), Some("folder")).unwrap(), "folder");
    }
}

/// Text whose name tells nothing is named in the hint, and not taken for images.
#[test]
fn text_of_other_names_is_told() {
    let folder = Folder::new("text-unknown");
    let text = "Grüße, and more of a text.\n".repeat(300);
    for file in ["books/a.txt", "books/b.txt", "notes.md", "BOOK.TXT"] {
        folder.write(file, text.as_bytes());
    }
    let open =
        |name, path: &str, length| open(Wanted { name, path: Some(&folder.0.join(path)), length, ..Wanted::default() });
    for length in [None, Some(8)] {
        assert_eq!(open(None, "BOOK.TXT", length).unwrap().dataset.spec().name, "text");
        fails(open(None, "notes.md", length), &["notes.md", "found text of another name", "'dataset' text reads it"]);
        for name in [None, Some("text")] {
            fails(open(name, "books", length), &["a text is a file, such as 'data' ", "books/a.txt", "valid.txt"]);
        }
    }
    folder.write("a.dat", b"\0\x01");
    fails(open(None, "a.dat", Some(8)), &["a file of another name", "'dataset' text reads it", "'tokens' byte"]);
    let error = open(None, "a.dat", None).unwrap_err().to_string();
    assert!(!error.contains("'dataset' text"), "{error}");
}

/// Tokens in `data/` are no images, so that a first run draws its own.
#[test]
fn tokens_are_no_images() {
    let folder = Folder::new("text-first");
    for file in ["owt/train.bin", "owt/val.bin", "owt/meta.pkl", "fineweb/fineweb_train_000001.bin"] {
        folder.write(&format!("data/{file}"), b"12");
    }
    let first = || open_in(&folder.0.join("data"), Wanted::default(), Sizes { train: 10, test: 0 });
    assert_eq!(first().unwrap().dataset.spec().name, "shapes10");
    folder.write("data/other/train.bin", b"12");
    says(&first().unwrap_err().to_string(), &["other/train.bin", "data of another format or name"]);
}

/// Text is encoded by a vocabulary that is given, and what that does not have is named with its place.
#[test]
fn a_vocabulary_is_given() {
    let folder = Folder::new("text-given");
    let by = |path: &Path, vocabulary: &Vocabulary| {
        open(Wanted { path: Some(path), vocabulary: Some(vocabulary), length: Some(2), ..Wanted::default() })
    };
    let characters = Vocabulary::characters(&["zyxwcba\n"]).unwrap();
    let path = folder.write("a.txt", b"abc\nabc\nabcab");
    let opened = by(&path, &characters).unwrap();
    assert_eq!((&opened.dataset.spec().classes[..], opened.notes.len()), (characters.entries(), 1));
    assert_eq!(sample(opened.dataset.as_ref(), Split::Train, 1).unwrap(), (vec![3, 0], vec![0, 1]));
    // The last tenth has lines of its own, counted from the file's beginning.
    let path = folder.write("b.txt", &[&b"abc\n".repeat(20)[..], "abé\n".as_bytes()].concat());
    fails(
        by(&path, &characters),
        &["b.txt: expected the 8 characters of the weights' vocabulary", "found `é` in line 21"],
    );
    assert_eq!(by(&path, &Vocabulary::bytes()).unwrap().dataset.spec().classes.len(), 256);

    let texts =
        [("set/train.txt", "the cat\nthe dog\nox\n"), ("set/valid.txt", "a cat\nthe ox"), ("set/test.txt", "?")];
    texts.iter().for_each(|(name, text)| drop(folder.write(name, text.as_bytes())));
    let words = |text: &str| Vocabulary::words(&[text]).unwrap();
    let opened = by(&folder.0.join("set"), &words("the cat <unk>\n")).unwrap();
    assert_eq!(decoded(opened.dataset.as_ref(), Split::Train), "the cat\nthe <unk>\n");
    says(
        &opened.notes.join("\n"),
        &["2 word(s) for training and 2 for validation are none of the vocabulary", "as <unk>"],
    );
    fails(by(&folder.0.join("set"), &words("the cat dog ox\n")), &["set/valid.txt", "5 words", "`a` in line 1"]);
    let numbers: Vec<String> = (0..12).map(|token| token.to_string()).collect();
    fails(by(&folder.0.join("set"), &Vocabulary::of(&numbers)), &["only the tokenizer of the weights", "train.bin"]);
    // What has tokens of its own keeps them.
    let drawn = Wanted { name: Some("grammar"), vocabulary: Some(&characters), ..Wanted::default() };
    assert_eq!(open(drawn).unwrap().dataset.spec().classes.len(), 29);
}

/// Sets that differ in where training ends, or in what a letter stands for, are not the same.
#[test]
fn a_checksum_tells_sets_apart() {
    let folder = Folder::new("text-sum");
    let sum = |train: &str, valid: &str| {
        folder.write("train.txt", train.as_bytes());
        folder.write("valid.txt", valid.as_bytes());
        at(&folder.0, None, 2).unwrap().dataset.checksum()
    };
    let sums = [("abcabc", "abcabc"), ("abcabca", "bcabc"), ("abdabd", "abdabd"), ("abcabcabcabc", "")];
    let sums = sums.map(|(train, valid)| sum(train, valid));
    assert_eq!(sums.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{sums:x?}");
    let tokens = [0, 1, 2, 0, 1, 2].map(u16::to_le_bytes).concat();
    let split = [&6_u64.to_le_bytes()[..], &tokens].concat();
    assert_eq!(sums[0], crc32fast::hash(&[b"a\0b\0c\0", &split[..], &split].concat()));
}

/// What has no meaning for a set is refused, with the flag to leave out.
#[test]
fn settings_of_other_sets_are_refused() {
    let folder = Folder::new("text-settings");
    folder.write("a.txt", &b"abcd".repeat(100));
    folder.write("train.bin", &u16s(0..200));
    folder.write("val.bin", &u16s(0..200));
    let refused =
        |arguments: &[&str], parts: &[&str]| says(&folder.refused(2, &[&["data"], arguments].concat()), parts);
    refused(
        &["--dataset", "shapes10", "--tokens", "char"],
        &["--tokens is char, and shapes10 has images", "leave it out"],
    );
    refused(&["--data", "train.bin", "--tokens", "byte"], &["--tokens is byte, and tokens has tokens of its own"]);
    refused(&["--dataset", "grammar", "--tokens", "word"], &["--tokens is word, and grammar has tokens of its own"]);
    refused(&["--data", "a.txt", "--image-size", "9"], &["--image-size is 9, and text is no image"]);
    refused(&["--data", "a.txt", "--preview", "a.png"], &["text has text", "pictures are needed"]);
    let drawn = Wanted { name: Some("shapes10"), length: Some(8), ..Wanted::default() };
    fails(open(drawn), &["blocks of 8 tokens are needed, and shapes10 has images", "name text by 'data'"]);
}

/// The words for a set of text, and the object.
#[test]
fn the_program_describes_text() {
    let folder = Folder::new("text-described");
    let text = "to be, or not to be:\n".repeat(60);
    folder.write("a.txt", text.as_bytes());
    let said = folder.works(&["data", "--data", "a.txt"]);
    says(&said, &["text, CRC-32 ", "read from /", "train: 1134 tokens, 17 blocks of 64 tokens, of 10 kinds"]);
    says(
        &said,
        &[
            "validation: 126 tokens, 1 blocks",
            "begins with \"to be, or not to be:\\nto be",
            "` `",
            "most frequent of 1088",
        ],
    );
    let words = folder.works(&["data", "--data", "a.txt", "--tokens", "word", "--json"]);
    let json: Value = serde_json::from_str(&words).unwrap();
    assert_eq!(
        (&json["dataset"], &json["tokens"]["vocabulary"], &json["train"]["tokens"]),
        (&"text".into(), &6.into(), &378.into())
    );
    assert_eq!(
        (&json["train"]["frequent"][0]["token"], &json["train"]["frequent"][0]["count"]),
        (&"to".into(), &92.into())
    );
    assert_eq!((&json["test"]["blocks"], &json["least_loss"]), (&0.into(), &Value::Null));
    let images: Value = serde_json::from_str(&folder.works(&["data", "--dataset", "shapes10", "--json"])).unwrap();
    assert_eq!((&images["image"]["width"], &images["train"]["count"]), (&32.into(), &10_000.into()));
    let grammar = folder.works(&["data", "--dataset", "grammar"]);
    says(
        &grammar,
        &[
            "train: 500000 tokens, 7812 blocks of 64 tokens, of 29 kinds",
            "the least possible loss is 0.",
            "nats per character",
        ],
    );
}

/// The drawn language: other text for validation, the same for a seed on every machine, and a loss that none is below.
#[test]
fn a_grammar_is_drawn() {
    let sizes = velograd::data::Sizes { train: 20_000, test: 5_000 };
    let set = grammar::grammar(3, 50, sizes).unwrap();
    let again = grammar::grammar(3, 50, sizes).unwrap();
    assert_eq!((set.checksum(), set.seed()), (again.checksum(), Some(3)));
    assert_ne!(set.checksum(), grammar::grammar(4, 50, sizes).unwrap().checksum());
    let (train, test) = (decoded(&set, Split::Train), decoded(&set, Split::Test));
    assert_eq!((train.len(), test.len(), train.starts_with(&test[..200])), (19_950, 4_950, false));
    assert_eq!(set.least_loss(), Some(grammar::entropy_rate()));
    let loss = grammar::entropy_rate();
    assert!((0.3..1.0).contains(&loss), "{loss}");
    // Single characters are worth far more than text.
    let numbers = excerpt(&set, Split::Train, 29).unwrap();
    let single: f64 =
        numbers.frequent.iter().map(|f| f.count as f64 / numbers.counted as f64).map(|p| -p * p.ln()).sum();
    assert!(single > 2.5 * loss, "{single} {loss}");
    for wrong in [velograd::data::Sizes { train: 50, test: 0 }, velograd::data::Sizes { train: usize::MAX, test: 1 }] {
        assert_eq!(grammar::grammar(0, 50, wrong).err().unwrap().exit_code(), 2);
    }
}

/// Blocks can be held out for validation, as images can.
#[test]
fn blocks_are_held_out() {
    let folder = Folder::new("text-holdout");
    let path: PathBuf = folder.write("a.txt", &b"abcdefghij".repeat(100));
    let set: Arc<dyn Dataset> = Arc::new(text::open(&path, TokensBy::Char, 9).unwrap());
    let split = Holdout::new(set.clone(), 10, 1).unwrap();
    assert_eq!((split.len(Split::Train), split.len(Split::Test)), (set.len(Split::Train) - 10, 10));
    let held: Vec<_> = (0..10).map(|index| sample(&split, Split::Test, index).unwrap()).collect();
    let all: Vec<_> =
        (0..set.len(Split::Train)).map(|index| sample(set.as_ref(), Split::Train, index).unwrap()).collect();
    assert!(held.iter().all(|block| all.contains(block)));
    assert_eq!(Holdout::new(set, 1000, 1).err().unwrap().exit_code(), 2);
}
