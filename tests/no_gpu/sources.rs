//! What the sources keep to.

use std::{fs, path::Path};

fn rust_files(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push((path.display().to_string().replace('\\', "/"), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The crate denies `unsafe`, and lifts that in one file, where a reason stands before each call.
#[test]
fn unsafe_is_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
    let mut files = vec![];
    ["src", "tests", "benches", "examples"].iter().for_each(|folder| rust_files(&root.join(folder), &mut files));
    assert!(files.len() > 100);
    // Not written out here, or this file would be found too.
    let (lifted, block) = (concat!("(unsafe", "_code"), concat!("unsafe", " {"));
    let having = |text: &str| -> Vec<&str> {
        files.iter().filter(|(_, source)| source.contains(text)).map(|(path, _)| path.as_str()).collect()
    };
    for text in [lifted, block] {
        let [only] = having(text)[..] else { panic!("`{text}` is in {:?}", having(text)) };
        assert!(only.ends_with("src/device/unchecked.rs"), "`{text}` is in {only}");
    }
    let (_, unchecked) = files.iter().find(|(path, _)| path.ends_with("src/device/unchecked.rs")).unwrap();
    assert_eq!(unchecked.matches(lifted).count(), 1);
    assert_eq!(unchecked.matches(block).count(), unchecked.matches("// SAFETY: ").count());
}
