//! Conventions of the sources.

use std::{fs, path::Path};

/// The files below a folder whose names have an extension, as paths and texts.
pub fn files_with(extension: &str, folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_with(extension, &path, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push((path.display().to_string().replace('\\', "/"), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Where `unsafe` is allowed, and how many blocks there are: in one file of the library, in `main.rs`, and in a test's that calls Vulkan.
const UNSAFE: [(&str, usize); 3] =
    [("src/device/unchecked.rs", 3), ("src/main.rs", 2), ("tests/amd/null_device.rs", 3)];

/// The crate denies `unsafe`, which is allowed in three files alone. A reason stands before each block.
#[test]
fn unsafe_is_in_three_places() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
    let mut files = vec![];
    ["src", "tests", "benches", "examples"].iter().for_each(|folder| files_with("rs", &root.join(folder), &mut files));
    assert!(files.len() > 100);
    // Not written out, or this file would be found too.
    let (lifted, block) = (concat!("(unsafe", "_code"), concat!("unsafe", " {"));
    for text in [lifted, block] {
        let mut found: Vec<&str> =
            files.iter().filter(|(_, source)| source.contains(text)).map(|(path, _)| path.as_str()).collect();
        found.sort_unstable();
        let expected =
            found.len() == UNSAFE.len() && found.iter().zip(UNSAFE).all(|(path, (end, _))| path.ends_with(end));
        assert!(expected, "`{text}` is in {found:?}, expected are {UNSAFE:?}");
    }
    for (path, blocks) in UNSAFE {
        let (_, source) = files.iter().find(|(found, _)| found.ends_with(path)).unwrap();
        assert!((1..=blocks).contains(&source.matches(lifted).count()), "{path}");
        assert_eq!(source.matches(block).count(), source.matches("// SAFETY: ").count(), "{path}");
        assert_eq!(source.matches(block).count(), blocks, "{path}");
    }
}
