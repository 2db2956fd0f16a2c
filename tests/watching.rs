//! `velograd report --watch`: the page of a run that is going on.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use crate::{
    folder::{Folder, records, says},
    resume::run::{said, signal, wait_for},
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
    let mut child = program(folder).args(flags).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(wait_for(&mut child, || folder.0.join("run/run.json").is_file()), "the run ended before it began");
    child
}

fn watch(folder: &Folder) -> Child {
    let mut command = program(folder);
    command.args(["report", "run", "--watch"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
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

/// Waits for a version of the page, which the watch has to live to draw.
fn drawn(folder: &Folder, watch: &mut Child, wanted: impl Fn(&str) -> bool) -> String {
    assert!(wait_for(watch, || wanted(&page(folder))), "the watch ended before it drew the page");
    page(folder)
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
    let mut first_watch = watch(&folder);
    let first = drawn(&folder, &mut first_watch, |page| page.contains(RELOADS));
    drawn(&folder, &mut first_watch, |page| page != first && page.contains("of 2000 epochs"));
    signal(&first_watch, "INT");
    let (output, _) = ended(&folder, first_watch);
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(run.try_wait().unwrap().is_none(), "the run ended with the watch");

    let mut second = watch(&folder);
    drawn(&folder, &mut second, |page| page.contains(RELOADS));
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
