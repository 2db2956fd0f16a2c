//! Lists `shaders/**/*.wgsl` in one table, so that a new shader needs nothing but its file, and records the identity of
//! the build: a hash of that table and of the code that generates WGSL, and the commit if there is one.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The sources of the program. Changes elsewhere (tests, documents) do not make a tree dirty.
const PROGRAM: [&str; 5] = ["src", "shaders", "build.rs", "Cargo.toml", "Cargo.lock"];

/// The code that generates WGSL: the linker of shaders, and the generator of a rule's kernels.
const WRITERS: [&str; 2] = ["src/program/shader.rs", "src/optim/rule"];

fn main() {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    // Cargo would run this script each time if it named a path that does not exist.
    PROGRAM.iter().filter(|path| package.join(path).exists()).for_each(rerun_if_changed);

    let root = package.join("shaders");
    let mut rows = Vec::new();
    list(&root, &root, "wgsl", &mut rows);
    rows.sort();
    assert!(!rows.is_empty(), "shaders/ is part of the package");
    let mut table = String::from("/// Every shader: path below `shaders/` without the suffix, and its text.\n");
    table.push_str("pub static SHADERS: &[(&str, &str)] = &[\n");
    for (name, path) in &rows {
        writeln!(table, "    ({name:?}, include_str!({path:?})),").expect("writing to a string");
    }
    table.push_str("];\n");
    fs::write(out.join("shaders.rs"), table).expect("OUT_DIR is writable");

    for writer in WRITERS {
        let before = rows.len();
        list(&package, &package.join(writer), "rs", &mut rows);
        assert!(rows.len() > before, "{writer} is part of the package");
    }
    rows.sort();
    let (version, kernels) = (env::var("CARGO_PKG_VERSION").expect("cargo sets it"), hash(&rows));
    let commit = git_commit(&package).or_else(|| packaged_commit(&package));
    let text = match &commit {
        Some(commit) => format!("{version} (commit {commit}, kernels {kernels})"),
        None => format!("{version} (kernels {kernels})"),
    };
    let identity = format!(
        "/// A hash of all shaders, and of the code that writes WGSL.\npub const KERNELS: &str = {kernels:?};\n\
         /// The commit, and `-dirty` where the program's sources had changed since; `None` where it is not known.\n\
         pub const COMMIT: Option<&str> = {commit:?};\n\
         /// Version, commit and kernels in words.\npub const TEXT: &str = {text:?};\n"
    );
    fs::write(out.join("identity.rs"), identity).expect("OUT_DIR is writable");
}

fn rerun_if_changed(path: impl AsRef<Path>) {
    println!("cargo::rerun-if-changed={}", path.as_ref().display());
}

/// Lists the files with the extension `ending` at and below `place`: their paths below `root` without the extension,
/// and the paths to read them by.
fn list(root: &Path, place: &Path, ending: &str, rows: &mut Vec<(String, String)>) {
    let below = fs::read_dir(place).into_iter().flatten().map(|entry| entry.expect("a readable entry").path());
    for path in std::iter::once(place.to_owned()).filter(|path| path.is_file()).chain(below) {
        if path.is_dir() {
            list(root, &path, ending, rows);
        } else if path.extension().is_some_and(|e| e == ending) {
            let name = path.strip_prefix(root).expect("below the root").with_extension("");
            let name = name.to_string_lossy().replace('\\', "/");
            rows.push((name, path.to_string_lossy().into_owned()));
        }
    }
}

/// FNV-1a in 64 bits (Fowler, Noll, Vo) over names and texts, as 12 hexadecimal digits. Only code counts: comments
/// (except a shader's header, `//!`), blank lines, indentation, line endings and tests of Rust code are left out.
fn hash(rows: &[(String, String)]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([b'\n']) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, path) in rows {
        add(name);
        let text = fs::read_to_string(path).expect("a shader or code is text");
        let header = path.ends_with(".wgsl");
        for line in text.lines().map(str::trim).take_while(|line| *line != "#[cfg(test)]") {
            let code =
                if header && line.starts_with("//!") { line } else { line.split("//").next().unwrap_or("").trim_end() };
            if !code.is_empty() {
                add(code);
            }
        }
    }
    format!("{:012x}", hash >> 16)
}

/// The commit of the working tree whose root is the package. A package within another project's tree (a registry's
/// cache below a home directory that is kept in git, vendored sources) does not have that tree's commit.
fn git_commit(package: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["--no-optional-locks"]).args(arguments).current_dir(package);
        // If a git hook runs the build, its variables must not select another tree.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        let output = command.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let below_the_top = git(&["rev-parse", "--show-prefix"])?;
    if !below_the_top.is_empty() {
        return None;
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // The log of HEAD grows with every commit and checkout. Without a log, HEAD and the refs that it may point at are
    // watched.
    let inside =
        |name: &str| Some(package.join(git(&["rev-parse", "--git-path", name])?)).filter(|path| path.is_file());
    match inside("logs/HEAD") {
        Some(log) => rerun_if_changed(log),
        None => {
            let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
            let files = ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref());
            files.filter_map(inside).for_each(rerun_if_changed);
        }
    }
    let changed = git(&[&["status", "--porcelain", "--"], &PROGRAM[..]].concat())?;
    Some(if changed.is_empty() { commit } else { commit + "-dirty" })
}

/// The commit that `cargo package` wrote into the package.
fn packaged_commit(package: &Path) -> Option<String> {
    let path = package.join(".cargo_vcs_info.json");
    let text = fs::read_to_string(&path).ok()?;
    rerun_if_changed(&path);
    let (_, rest) = text.split_once("\"sha1\"")?;
    let sha = rest.split('"').nth(1)?;
    let whole = sha.len() >= 12 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    let dirty = if text.contains("\"dirty\": true") { "-dirty" } else { "" };
    whole.then(|| format!("{}{dirty}", &sha[..12]))
}
