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

/// The crate denies `unsafe`, which is allowed in one file of the library and in `main.rs` alone. A reason stands
/// before each block.
#[test]
fn unsafe_is_in_two_places() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
    let mut files = vec![];
    ["src", "tests", "benches", "examples"].iter().for_each(|folder| files_with("rs", &root.join(folder), &mut files));
    assert!(files.len() > 100);
    // Not written out, or this file would be found too.
    let (lifted, block) = (concat!("(unsafe", "_code"), concat!("unsafe", " {"));
    let having = |text: &str| -> Vec<&str> {
        files.iter().filter(|(_, source)| source.contains(text)).map(|(path, _)| path.as_str()).collect()
    };
    for text in [lifted, block] {
        let mut found = having(text);
        found.sort_unstable();
        let [library, program] = found[..] else { panic!("`{text}` is in {found:?}") };
        assert!(library.ends_with("src/device/unchecked.rs"), "`{text}` is in {library}");
        assert!(program.ends_with("src/main.rs"), "`{text}` is in {program}");
    }
    for (path, blocks) in [("src/device/unchecked.rs", 3), ("src/main.rs", 2)] {
        let (_, source) = files.iter().find(|(found, _)| found.ends_with(path)).unwrap();
        assert!((1..=blocks).contains(&source.matches(lifted).count()), "{path}");
        assert_eq!(source.matches(block).count(), source.matches("// SAFETY: ").count(), "{path}");
        assert_eq!(source.matches(block).count(), blocks, "{path}");
    }
}
