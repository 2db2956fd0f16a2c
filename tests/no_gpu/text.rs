//! Text: what each sample is, by the conventions of the programs that runs are compared with, the vocabulary, and the errors for what is
//! no text.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use velograd::{
    data::{Dataset, EOS, Holdout, Split, TokensBy, Vocabulary},
    host::data::{Wanted, open, text},
};

use super::{
    blocks::{at, decoded, fails, read_all, sample},
    hostile::{bent, taken},
};
use crate::folder::{Folder, says};

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
    let long: String = (0..2_100).map(|word| format!("{word:01000}\n")).collect();
    let parts =
        ["a vocabulary that a file of weights has room for", "entries of 2100005 bytes", "'tokens' char or byte"];
    fails(at(&write(long.as_bytes()), TokensBy::Word, 8), &parts);
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
    says(&opened.notes.join("\n"), &["no text for validation beside that for training"]);
    folder.write("alone/valid.txt", b"ab");
    let opened = at(&alone, None, 8).unwrap();
    says(&opened.notes.join("\n"), &["2 token(s) to validate on are less than a block of 8"]);
    folder.write("alone/en.train.txt", b"ab");
    fails(at(&folder.0.join("alone"), None, 8), &["text for training of one set", "en.train.txt and train.txt"]);
}

/// Text that is damaged anywhere gives an error or tokens of the vocabulary.
#[test]
fn bent_text() {
    let folder = Folder::new("text-bent");
    let text = "Grüße aus Zürich,\nund £5 dazu — …\n".repeat(4);
    for by in [None, Some(TokensBy::Word)] {
        let path = folder.write("a.txt", text.as_bytes());
        bent(&path, text.as_bytes(), 500, text.len(), || taken(read_all(&path, by)));
    }
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
    let asked = Wanted { path: Some(&path), vocabulary: Some(&characters), ..Wanted::default() };
    fails(
        open(Wanted { tokens: Some(TokensBy::Byte), ..asked }),
        &["'tokens' is byte, and the weights' vocabulary is of chars", "leave it out"],
    );
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
