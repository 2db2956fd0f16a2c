//! Lists `shaders/**/*.wgsl` into one table, so that adding a file is enough.

use std::{env, fmt::Write as _, fs, path::Path};

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("shaders");
    println!("cargo::rerun-if-changed=shaders");
    let mut rows = Vec::new();
    list(&root, &root, &mut rows);
    rows.sort();
    let mut table = String::from("/// Every shader: path below `shaders/` without the suffix, and its text.\n");
    table.push_str("pub static SHADERS: &[(&str, &str)] = &[\n");
    for (name, path) in rows {
        writeln!(table, "    ({name:?}, include_str!({path:?})),").expect("writing to a string");
    }
    table.push_str("];\n");
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("shaders.rs");
    fs::write(out, table).expect("OUT_DIR is writable");
}

fn list(root: &Path, folder: &Path, rows: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("shaders/ is part of the package") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            list(root, &path, rows);
        } else if path.extension().is_some_and(|e| e == "wgsl") {
            let name = path.strip_prefix(root).expect("below the root").with_extension("");
            let name = name.to_string_lossy().replace('\\', "/");
            rows.push((name, path.to_string_lossy().into_owned()));
        }
    }
}
