//! Fetching data sets, from a small server on this machine that misbehaves in every way that servers do.

mod server;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use server::{Answer, Server};
use sha2::{Digest, Sha256};
use velograd::{
    error::{Error, Result},
    host::data::fetch::{File, Options, Outcome, Set, Watch, fetch, set},
};

use crate::folder::{Folder, says};

/// The content of the file that is fetched; no part of it looks like another.
fn content() -> Vec<u8> {
    (0..400_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn sum(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// A set of one file with that content, at these addresses.
fn made_up(mirrors: &[&Server]) -> Set {
    let bytes = content();
    let sha256 = Box::leak(sum(&bytes).into_boxed_str());
    let file = File { name: "set.bin", bytes: bytes.len() as u64, sha256 };
    let mirrors: Vec<&'static str> = mirrors.iter().map(|server| &*Box::leak(server.url().into_boxed_str())).collect();
    let (files, mirrors) = (Box::leak(Box::new([file])), mirrors.leak());
    Set { name: "made-up", folder: "sub", files, mirrors, licence: "none", page: "https://example.org" }
}

/// Keeps the remarks; stops when so many bytes are there.
#[derive(Default)]
struct Keep {
    notes: Vec<String>,
    have: u64,
    stop_at: Option<u64>,
}

impl Watch for Keep {
    fn begin(&mut self, _: &str, _: u64) {
        self.have = 0;
    }

    fn progress(&mut self, have: u64) {
        assert!(have >= self.have || have == 0, "{have} bytes after {}", self.have);
        self.have = have;
    }

    fn note(&mut self, text: String) {
        self.have = 0;
        self.notes.push(text);
    }

    fn stop(&mut self) -> bool {
        self.stop_at.is_some_and(|at| self.have >= at)
    }
}

fn options() -> Options {
    Options { from: None, patience: Duration::from_secs(2), pause: Duration::ZERO }
}

/// Fetches to the folder; the remarks too.
fn run(set: &Set, folder: &Folder) -> (Result<Outcome>, Vec<String>) {
    let mut keep = Keep::default();
    let outcome = fetch(set, &folder.0, &options(), &mut keep);
    (outcome, keep.notes)
}

fn whole(folder: &Folder) -> PathBuf {
    folder.0.join("sub/set.bin")
}

fn part(folder: &Folder) -> PathBuf {
    folder.0.join("sub/set.bin.part")
}

/// The file is in place, and nothing else is.
fn assert_whole(folder: &Folder, outcome: Result<Outcome>, before: bool) {
    let Outcome::Whole(files) = outcome.unwrap() else { panic!("stopped") };
    assert!(files.len() == 1 && files[0].path == whole(folder) && files[0].before == before, "{files:?}");
    assert!(fs::read(whole(folder)).unwrap() == content());
    assert_eq!(fs::read_dir(folder.0.join("sub")).unwrap().count(), 1, "something is left");
}

/// What the error says; the file is not in place.
fn refused(folder: &Folder, outcome: Result<Outcome>) -> String {
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    assert!(!whole(folder).exists());
    error.to_string()
}

#[test]
fn a_file_is_fetched_once() {
    let (folder, server) = (Folder::new("fetch"), Server::new(content(), [Answer::Whole]));
    let set = made_up(&[&server]);
    assert_whole(&folder, run(&set, &folder).0, false);
    assert_whole(&folder, run(&set, &folder).0, true);
    assert_eq!(server.asked(), [("/set.bin".to_owned(), None)]);
}

/// A connection that ends early is continued at once, where it ended.
#[test]
fn a_file_that_is_cut_off_is_continued() {
    let folder = Folder::new("fetch-cut");
    let server = Server::new(content(), [Answer::Cut(100_000), Answer::Cut(150_000), Answer::Whole]);
    let (outcome, notes) = run(&made_up(&[&server]), &folder);
    assert_whole(&folder, outcome, false);
    let from: Vec<Option<u64>> = server.asked().into_iter().map(|(_, from)| from).collect();
    assert_eq!(from, [None, Some(100_000), Some(250_000)], "{notes:?}");
}

/// What a stop leaves is kept, and the next start continues it.
#[test]
fn a_stop_keeps_the_part() {
    let folder = Folder::new("fetch-stop");
    let server = Server::new(content(), [Answer::Slow(Duration::from_millis(20)), Answer::Whole]);
    let set = made_up(&[&server]);
    let mut keep = Keep { stop_at: Some(50_000), ..Keep::default() };
    let outcome = fetch(&set, &folder.0, &options(), &mut keep).unwrap();
    let Outcome::Stopped { part: path, have, of } = outcome else { panic!("{outcome:?}") };
    assert!(path == part(&folder) && (50_000..400_000).contains(&have) && of == 400_000, "{have}");
    assert_eq!(fs::metadata(&path).unwrap().len(), have);
    assert!(!whole(&folder).exists());
    assert_whole(&folder, run(&set, &folder).0, false);
    assert_eq!(server.asked()[1].1, Some(have));
}

/// A server that always begins at the beginning, so that a part is of no use.
#[test]
fn a_server_without_ranges_begins_again() {
    let folder = Folder::new("fetch-ranges");
    folder.write("sub/set.bin.part", &content()[..123_456]);
    let server = Server::new(content(), [Answer::FromTheBeginning]);
    let (outcome, notes) = run(&made_up(&[&server]), &folder);
    assert_whole(&folder, outcome, false);
    says(&notes.join("\n"), &["cannot continue"]);
    assert_eq!(server.asked().into_iter().map(|(_, from)| from).collect::<Vec<_>>(), [Some(123_456), None]);
}

/// Wrong bytes are deleted, whatever they are, and the next mirror is tried.
#[test]
fn wrong_bytes_are_deleted() {
    let mut changed = content();
    changed[200_000] ^= 1;
    let cases =
        [(changed, "SHA-256"), (b"<html>sign in</html>".to_vec(), "20 bytes"), (vec![7; 500_000], "more than 400000")];
    for (bytes, words) in cases {
        let folder = Folder::new("fetch-wrong");
        let wrong = Server::new(bytes, [Answer::Whole]);
        let said = refused(&folder, run(&made_up(&[&wrong]), &folder).0);
        says(&said, &[words, "deleted", "'from'", &wrong.url()]);
        assert!(!part(&folder).exists(), "{words}");
        let right = Server::new(content(), [Answer::Whole]);
        let (outcome, notes) = run(&made_up(&[&wrong, &right]), &folder);
        assert_whole(&folder, outcome, false);
        says(&notes.join("\n"), &[words, "deleted"]);
        assert_eq!(right.asked()[0].1, None, "{words}");
    }
}

/// A part of another file is found out at the end, and the file is fetched from the beginning.
#[test]
fn a_foreign_part_is_found_out() {
    for length in [1000, 400_000, 400_001] {
        let folder = Folder::new("fetch-foreign");
        folder.write("sub/set.bin.part", &vec![9; length]);
        let server = Server::new(content(), [Answer::Whole]);
        let (outcome, notes) = run(&made_up(&[&server]), &folder);
        assert_whole(&folder, outcome, false);
        says(&notes.join("\n"), &["wrong bytes", "once more from the beginning"]);
    }
}

#[test]
fn a_mirror_that_refuses_is_passed_over() {
    let folder = Folder::new("fetch-404");
    let (missing, right) = (Server::new(vec![], [Answer::Missing]), Server::new(content(), [Answer::Whole]));
    let said = refused(&folder, run(&made_up(&[&missing]), &folder).0);
    says(&said, &["404", &missing.url(), "400000 bytes"]);
    assert_eq!(fs::read_dir(folder.0.join("sub")).unwrap().count(), 0);
    let (outcome, notes) = run(&made_up(&[&missing, &right]), &folder);
    assert_whole(&folder, outcome, false);
    assert_eq!(notes.len(), 1, "{notes:?}");
    // No server at all.
    let gone = Server::new(vec![], [Answer::Missing]).url();
    let options = Options { from: Some(gone), ..options() };
    let other = Folder::new("fetch-gone");
    refused(&other, fetch(&made_up(&[&right]), &other.0, &options, &mut Keep::default()));
}

/// A slow connection may last longer than one may carry nothing; one that carries nothing is given up, and what came is
/// kept.
#[test]
fn slow_is_not_dead() {
    let folder = Folder::new("fetch-slow");
    let slow = Server::new(content(), [Answer::Slow(Duration::from_millis(300))]);
    let begun = Instant::now();
    assert_whole(&folder, run(&made_up(&[&slow]), &folder).0, false);
    assert!(begun.elapsed() > options().patience, "the server was not slow: {:?}", begun.elapsed());

    let folder = Folder::new("fetch-dead");
    let dead = Server::new(content(), [Answer::Stall(30_000)]);
    let said = refused(&folder, run(&made_up(&[&dead]), &folder).0);
    // Each of five tries brings a little.
    says(&said, &["150000 bytes are kept", "same command"]);
    assert_eq!(fs::read(part(&folder)).unwrap(), content()[..150_000]);
}

/// What lies in the file's place is not touched, nor what lies in that of its part.
#[test]
fn nothing_of_the_users_is_lost() {
    let (folder, server) = (Folder::new("fetch-kept"), Server::new(content(), [Answer::Whole]));
    let set = made_up(&[&server]);
    for own in [&b"mine"[..], &vec![3; 400_000]] {
        folder.write("sub/set.bin", own);
        let said = run(&set, &folder).0.unwrap_err().to_string();
        says(&said, &["set.bin: expected 400000 bytes with SHA-256", "move it away"]);
        assert_eq!(fs::read(whole(&folder)).unwrap(), own);
    }
    fs::remove_file(whole(&folder)).unwrap();
    fs::create_dir(part(&folder)).unwrap();
    says(&run(&set, &folder).0.unwrap_err().to_string(), &["set.bin.part: expected an ordinary file"]);
    fs::remove_dir(part(&folder)).unwrap();
    folder.write("sub/set.bin.part", &content()[..10]);
    let other = fs::OpenOptions::new().append(true).open(part(&folder)).unwrap();
    other.try_lock().unwrap();
    let error = run(&set, &folder).0.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    says(&error.to_string(), &["another process"]);
    assert!(server.asked().is_empty());
}

#[test]
fn what_is_asked_for_wrongly_is_named() {
    says(set("MNIST").unwrap().name, &["mnist"]);
    let folder = Folder::new("fetch-words");
    says(&folder.refused(2, &["data", "--fetch", "cifar-10"]), &["cifar-10", "cifar10"]);
    says(&folder.refused(2, &["data", "--fetch", "mnist", "--from=-o x"]), &["--from", "http://"]);
    folder.refused(2, &["data", "--to", "x"]);
    folder.refused(2, &["data", "--fetch", "mnist", "--dataset", "cifar10"]);
    fs::create_dir(folder.0.join("empty")).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_velograd"))
        .args(["data", "--fetch", "mnist"])
        .env("PATH", folder.0.join("empty"))
        .current_dir(&folder.0)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    says(&String::from_utf8_lossy(&output.stderr), &["no program called `curl`", "apt install curl"]);
    assert!(!Path::new("data/mnist").exists());
}

/// Ctrl-C leaves the part and says so; the same command goes on, and finds that the bytes are wrong.
#[cfg(unix)]
#[test]
fn an_interrupted_command_goes_on() {
    let folder = Folder::new("fetch-signal");
    let text = vec![b'x'; 1_115_394];
    let server = Server::new(text, [Answer::Slow(Duration::from_millis(100)), Answer::Whole]);
    let url = server.url();
    let arguments = ["data", "--fetch", "tiny-shakespeare", "--to", "texts", "--from", &url];
    let begun = std::process::Command::new(env!("CARGO_BIN_EXE_velograd"))
        .args(arguments)
        .current_dir(&folder.0)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let part = folder.0.join("texts/tiny-shakespeare/input.txt.part");
    let since = Instant::now();
    while fs::metadata(&part).map_or(0, |part| part.len()) < 50_000 {
        assert!(since.elapsed() < Duration::from_secs(60), "no bytes came");
        std::thread::sleep(Duration::from_millis(10));
    }
    let sent = std::process::Command::new("kill").args(["-INT", &begun.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = begun.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8(output.stdout).unwrap();
    says(&said, &["licence", "github.com/karpathy/char-rnn", "stopped: ", "of 1.1 MB", "the same command goes on"]);
    let kept = fs::metadata(&part).unwrap().len();
    says(&folder.refused(1, &arguments), &["wrong bytes", "deleted", "--from"]);
    assert_eq!(server.asked()[1].1, Some(kept));
    assert!(!part.exists());
}

/// Texts lie where images are looked for, and are not taken for images.
#[test]
fn fetched_texts_are_no_images() {
    let folder = Folder::new("fetch-texts");
    for name in ["wikitext-2/wikitext-2-raw-v1.zip", "tiny-shakespeare/input.txt"] {
        folder.write(&format!("data/{name}"), b"PK\x03\x04");
    }
    says(&folder.works(&["data"]), &["NO CIFAR-10 in data/", "shapes10, CRC-32"]);
}
