//! `velograd report --watch`: the page of a run that is going on.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    folder::{Folder, records, says},
    support::gpu,
};

const RELOADS: &str = "<meta http-equiv=\"refresh\"";

fn place(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("data_batch_1.bin", &records(48));
    folder.write("test_batch.bin", &records(20));
    folder
}

fn program(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_velograd"));
    command.current_dir(&folder.0);
    command
}

/// Begins a run, which says nothing, since nobody reads it.
fn train(folder: &Folder, epochs: &str) -> Child {
    let flags = ["train", "--data", ".", "--width", "4", "-b", "16", "--quick", "--epochs", epochs, "--out", "run"];
    let child = program(folder).args(flags).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("run.json", || folder.0.join("run/run.json").is_file());
    child
}

fn watch(folder: &Folder) -> Child {
    let mut command = program(folder);
    command.args(["report", "run", "--watch"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_secs(120), "two minutes without {what}");
        sleep(Duration::from_millis(5));
    }
}

fn page(folder: &Folder) -> String {
    fs::read_to_string(folder.0.join("run/report.html")).unwrap_or_default()
}

/// The output of a watch that has ended well, and the last version of its page.
fn ended(folder: &Folder, watch: Child) -> (Output, String) {
    let (output, page) = (watch.wait_with_output().unwrap(), page(folder));
    assert!(!page.contains(RELOADS) && page.ends_with("</html>\n"), "the last version of the page stands still");
    let strays = fs::read_dir(folder.0.join("run")).unwrap().flatten();
    assert!(strays.into_iter().all(|entry| !entry.file_name().to_string_lossy().ends_with(".part")));
    (output, page)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// The page is drawn anew as the run goes on. Ctrl-C ends the watch and leaves the run alone; a run that dies ends it too.
#[cfg(unix)]
#[test]
fn a_page_follows_its_run() {
    if gpu().is_none() {
        return;
    }
    let folder = place("follows");
    let mut run = train(&folder, "2000");
    let first_watch = watch(&folder);
    wait_until("a page that reloads", || page(&folder).contains(RELOADS));
    let first = page(&folder);
    wait_until("another page", || page(&folder) != first && page(&folder).contains("of 2000 epochs"));
    signal(&first_watch, "INT");
    let (output, _) = ended(&folder, first_watch);
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(run.try_wait().unwrap().is_none(), "the run ended with the watch");

    let second = watch(&folder);
    wait_until("a page that reloads", || page(&folder).contains(RELOADS));
    run.kill().unwrap();
    run.wait().unwrap();
    let (output, page) = ended(&folder, second);
    assert!(output.status.success(), "{}", said(&output));
    says(&said(&output), &["watching run", "no process works on run", "velograd train --resume run"]);
    says(&page, &["of 2000 epochs"]);
}

/// The last version is the page of the run that has ended, as `report` draws it.
#[test]
fn a_watch_ends_with_its_run() {
    if gpu().is_none() {
        return;
    }
    let folder = place("ends");
    let mut run = train(&folder, "20");
    let watch = watch(&folder);
    assert!(run.wait().unwrap().success());
    let (output, page) = ended(&folder, watch);
    assert!(output.status.success() && !said(&output).contains("no process"), "{}", said(&output));
    says(&page, &["<td>ended</td>"]);
    assert!(is_png(&folder.0.join("run/curves.png")));
    for again in [&["report", "run"][..], &["report", "run", "--watch"]] {
        folder.works(again);
        assert!(self::page(&folder) == page, "{again:?}");
    }
    folder.write("other/run.json", &fs::read(folder.0.join("run/run.json")).unwrap());
    says(&folder.refused(2, &["report", "run", "other", "--watch"]), &["--watch follows one run, and there are 2"]);
    says(&folder.refused(1, &["report", "nowhere", "--watch"]), &["nowhere"]);
}

fn is_png(path: &Path) -> bool {
    fs::read(path).unwrap().starts_with(b"\x89PNG")
}
