//! Which set a path is: text, tokens or images; and settings that have no meaning for it.

use velograd::{
    data::Sizes,
    host::data::{Wanted, open, open_in},
};

use super::blocks::{at, fails, u16s};
use crate::folder::{Folder, says};

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
    // A file alone is of what is needed.
    folder.write("lone/train.bin", &u16s(0..200));
    assert_eq!(at(&folder.0.join("lone/train.bin"), None, 8).unwrap().dataset.spec().name, "tokens");
    // Files of nanoGPT are not CIFAR-100's for the folder's name, or for a file of class names.
    for (place, file) in [("cifar-tokens", "README"), ("named", "fine_label_names.txt")] {
        folder.write(&format!("{place}/train.bin"), &u16s(0..200));
        folder.write(&format!("{place}/val.bin"), &u16s(0..200));
        folder.write(&format!("{place}/{file}"), b"a");
        assert_eq!(name(place).unwrap().0, "tokens", "{place}");
    }
    // Files of nanoGPT may have a third one beside them.
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
    // Beside images of another form, a text is their description.
    folder.write("pickles/README.txt", b"read me");
    folder.write("pickles/data_batch_1", b"12");
    let error = open(None, "pickles", None).unwrap_err().to_string();
    assert!(error.contains("curl -L") && !error.contains("a text is a file"), "{error}");
    fails(open(None, "pickles", Some(8)), &["a text is a file, such as 'data' ", "README.txt"]);
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
    for file in ["shakespeare/input.txt", "README.txt"] {
        folder.write(&format!("data/{file}"), &b"some text ".repeat(99));
    }
    let first = || open_in(&folder.0.join("data"), Wanted::default(), Sizes { train: 10, test: 0 });
    assert_eq!(first().unwrap().dataset.spec().name, "shapes10");
    folder.write("data/other/train.bin", b"12");
    says(&first().unwrap_err().to_string(), &["other/train.bin", "data of another format or name"]);
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
