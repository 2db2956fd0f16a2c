//! Which build this is: the hash of all shaders, and the commit as the build script finds it in various trees and
//! packages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use velograd::{host::identity, program::shader::SHADERS};

use super::sources::files_with;
use crate::folder::Folder;

/// FNV-1a as its authors define it, over the name and the lines of code of each shader and of each file that writes WGSL.
#[test]
fn the_hash_is_of_all_shaders() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut rust, top) = (vec![], format!("{}/", root.display()).replace('\\', "/"));
    files_with("rs", &root.join("src"), &mut rust);
    let writes = |name: &str| name == "src/program/shader" || name.starts_with("src/optim/rule/");
    // Only a shader's header counts, in which a rule says what it is, and no test.
    let code = |(path, text): &(String, String)| {
        let name = path.strip_prefix(&top)?.strip_suffix(".rs").filter(|name| writes(name))?;
        Some((name.to_owned(), text.split("#[cfg(test)]\n").next()?.to_owned(), false))
    };
    let mut files: Vec<_> = rust.iter().filter_map(code).collect();
    assert!(files.len() > 5, "{} files write WGSL", files.len());
    files.extend(SHADERS.iter().map(|(name, wgsl)| ((*name).to_owned(), (*wgsl).to_owned(), true)));
    files.sort();
    let mut text = String::new();
    for (name, code, has_header) in files {
        text += &format!("{name}\n");
        for line in code.lines() {
            let is_header = has_header && line.trim_start().starts_with("//!");
            let comment = if is_header { line.len() } else { line.find("//").unwrap_or(line.len()) };
            let code = line[..comment].trim();
            if !code.is_empty() {
                text += &format!("{code}\n");
            }
        }
    }
    let (offset, prime) = (14_695_981_039_346_656_037_u64, 1_099_511_628_211_u64);
    let hash = text.bytes().fold(offset, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(prime));
    assert_eq!(format!("{hash:016x}")[..12], *identity::KERNELS);
    assert!(SHADERS.len() > 80, "{} shaders", SHADERS.len());
}

/// The build script as a separate program, in a package with one shader.
struct Script {
    folder: Folder,
    program: PathBuf,
}

/// The script's results: kernels and commit, and the paths whose changes make it run again.
#[derive(Debug, PartialEq)]
struct Found {
    kernels: String,
    commit: Option<String>,
    watched: Vec<PathBuf>,
}

impl Script {
    fn compile(name: &str) -> Option<Self> {
        let folder = Folder::new(name);
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/build.rs");
        let program = folder.0.join("script");
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
        let compiled = rustc.args(["--edition", "2024", source, "-o"]).arg(&program).output();
        let has_git = Command::new("git").arg("--version").output().is_ok();
        if !compiled.is_ok_and(|output| output.status.success()) || !has_git {
            println!("skipped: there is no rustc or no git");
            return None;
        }
        fs::create_dir(folder.0.join("out")).unwrap();
        let script = Self { folder, program };
        script.write("package/src/main.rs", "fn main() {}");
        script.write("package/src/program/shader.rs", "fn link() {}");
        script.write("package/src/optim/rule/kernel.rs", "fn kernel() {}");
        script.write("package/shaders/one.wgsl", "// A comment.\nfn one() -> u32 { return 1u; }\n");
        script.write("package/Cargo.toml", "[package]");
        Some(script)
    }

    fn package(&self) -> PathBuf {
        self.folder.0.join("package")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run(&self) -> Found {
        let out = self.folder.0.join("out");
        let mut command = Command::new(&self.program);
        command.env("CARGO_MANIFEST_DIR", self.package()).env("OUT_DIR", &out).env("CARGO_PKG_VERSION", "1.2.3");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let watched = String::from_utf8(output.stdout).unwrap();
        let path = |line: &str| self.package().join(line.strip_prefix("cargo::rerun-if-changed=").unwrap());
        let watched: Vec<PathBuf> = watched.lines().map(path).collect();
        // Cargo would run a script again each time if it named a path that does not exist.
        assert!(watched.iter().all(|path| path.exists()), "{watched:?}");
        let identity = fs::read_to_string(out.join("identity.rs")).unwrap();
        let value = |name: &str| {
            let (_, rest) = identity.split_once(&format!("pub const {name}: ")).unwrap();
            rest.split_once("= ").unwrap().1.split_once(';').unwrap().0.to_owned()
        };
        let (kernels, commit) = (value("KERNELS"), value("COMMIT"));
        let commit = commit.split('"').nth(1).map(str::to_owned);
        Found { kernels, commit, watched }
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]).args(arguments);
    let output = command.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_commit_is_found_where_there_is_one() {
    let Some(script) = Script::compile("build-script-commit") else { return };
    let package = script.package();
    let plain = script.run();
    assert_eq!(plain.commit, None, "no tree at all");
    assert_eq!(plain, script.run(), "the same again");

    // Sources within another project's tree do not have its commit; a package that cargo made states its own.
    git(&script.folder.0, &["init", "-q"]);
    git(&script.folder.0, &["commit", "-q", "--allow-empty", "-m", "another project"]);
    assert_eq!(script.run().commit, None);
    let sha = "0123456789abcdef0123456789abcdef01234567";
    for (dirty, expected) in [("", "0123456789ab"), (", \"dirty\": true", "0123456789ab-dirty")] {
        let info = format!("{{ \"git\": {{ \"sha1\": \"{sha}\"{dirty} }}, \"path_in_vcs\": \"\" }}");
        script.write("package/.cargo_vcs_info.json", &info);
        assert_eq!(script.run().commit.as_deref(), Some(expected));
    }
    script.write("package/.cargo_vcs_info.json", "{ \"git\": { \"sha1\": \"\\\"; nonsense\" } }");
    assert_eq!(script.run().commit, None);
    fs::remove_file(package.join(".cargo_vcs_info.json")).unwrap();

    // In a tree of its own the package has the commit, dirty only if the program's sources have changed.
    git(&package, &["init", "-q"]);
    git(&package, &["add", "."]);
    git(&package, &["commit", "-q", "-m", "first"]);
    let head = || git(&package, &["rev-parse", "HEAD"])[..12].to_owned();
    let clean = script.run();
    assert_eq!(clean.commit, Some(head()));
    script.write("package/notes.txt", "not part of the program");
    assert_eq!(script.run().commit, Some(head()));
    script.write("package/src/more.rs", "");
    assert_eq!(script.run().commit, Some(head() + "-dirty"));

    // The script runs again after the next commit: git writes one of the watched files with it.
    let modified = |found: &Found| {
        let time = |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap();
        found.watched.iter().filter(|path| path.components().any(|part| part.as_os_str() == ".git")).map(time).max()
    };
    let before = modified(&clean).expect("something of git is watched");
    std::thread::sleep(std::time::Duration::from_millis(20));
    git(&package, &["add", "."]);
    git(&package, &["commit", "-q", "-m", "second"]);
    let second = script.run();
    assert!(second.commit == Some(head()) && second.commit != clean.commit, "{second:?}");
    assert!(modified(&second).unwrap() > before, "a commit changes nothing that is watched");

    // A linked worktree, and a tree whose git keeps no log of HEAD.
    git(&package, &["worktree", "add", "-q", "../linked"]);
    fs::remove_dir_all(package.join(".git/logs")).unwrap();
    git(&package, &["config", "core.logAllRefUpdates", "false"]);
    let bare = script.run();
    assert!(bare.commit == second.commit && modified(&bare).is_some(), "{bare:?}");
    fs::rename(&package, script.folder.0.join("first")).unwrap();
    fs::rename(script.folder.0.join("linked"), &package).unwrap();
    git(&script.folder.0.join("first"), &["worktree", "repair", package.to_str().unwrap()]);
    assert_eq!(script.run().commit, second.commit);
}

#[test]
fn what_computes_nothing_does_not_count() {
    let Some(script) = Script::compile("build-script-hash") else { return };
    let kernels = |text: &str| {
        script.write("package/shaders/one.wgsl", text);
        script.run().kernels
    };
    let first = kernels("// A comment.\nfn one() -> u32 { return 1u; }\n");
    assert_eq!(first, kernels("// Another.\r\n\r\n  fn one() -> u32 { return 1u; } // and one more\r\n"));
    assert_ne!(first, kernels("// A comment.\nfn one() -> u32 { return 2u; }\n"));
    let header = kernels("//! default = 1\nfn one() -> u32 { return 1u; }\n");
    assert_ne!(header, first);
    assert_ne!(header, kernels("//! default = 2\nfn one() -> u32 { return 1u; }\n"), "a header says what a rule is");
    let writes = |text: &str| {
        script.write("package/src/optim/rule/kernel.rs", text);
        script.run().kernels
    };
    let code = writes("fn kernel() {}");
    assert_ne!(code, writes("fn kernel() { one() }"), "code that writes WGSL");
    assert_eq!(code, writes("//! Of a file.\nfn kernel() {} // a comment\n#[cfg(test)]\nmod tests {}\n"));
    let moved = script.run().kernels;
    fs::rename(script.package().join("shaders/one.wgsl"), script.package().join("shaders/two.wgsl")).unwrap();
    assert_ne!(moved, script.run().kernels);
}
