//! Disks that are full: a command that cannot write says which file and what helps, leaves what was there as it was and nothing half
//! written, and works once there is room.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use velograd::training::weights::Weights;

use super::{
    logs::{LOGS, records, same_rows},
    run::{equal, files, left, place, recipe, said},
};
use crate::{
    folder::{Folder, records as images, says},
    support::gpu,
};

/// The exit code of a script that could not mount its disk.
const NO_DISK: i32 = 77;

/// Runs a script in a folder in which `disk` is a file system with room for so many kilobytes, while the script runs; `$0` is the
/// program. `None` where the system does not let users mount.
#[cfg(target_os = "linux")]
fn on_a_disk(folder: &Folder, kilobytes: u64, script: &str) -> Option<Output> {
    fs::create_dir_all(folder.0.join("disk")).unwrap();
    let script = format!("mount -t tmpfs -o size={kilobytes}k none disk || exit {NO_DISK}\n{script}");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, env!("CARGO_BIN_EXE_velograd")]);
    command.env("VELOGRAD_CACHE", folder.0.join("cache")).current_dir(&folder.0);
    let output = command.output().ok()?;
    let refused = output.status.code() == Some(NO_DISK) || said(&output).contains("unshare failed");
    if refused {
        eprintln!("skipped: this system lets nobody mount a small disk: {}", said(&output));
    }
    (!refused).then_some(output)
}

/// Runs the program with files limited to this many blocks of 512 bytes, which stands for a full disk where none can be mounted.
#[cfg(unix)]
fn limited(folder: &Folder, blocks: u32, arguments: &[&str]) -> Output {
    let script = format!("ulimit -f {blocks} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_velograd")]).args(arguments);
    // The driver's cache is a file too.
    command.current_dir(&folder.0).env("VELOGRAD_CACHE", "off").env("MESA_SHADER_CACHE_DISABLE", "1").output().unwrap()
}

/// Asserts that an error names a file and says what helps.
fn explained(code: Option<i32>, said: &str) {
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: ") && said.contains("hint: ") && !said.contains("panicked"), "{said}");
}

/// Asserts that everything in a run's folder is whole: lines of logs, records for TensorBoard, and what is written at once.
fn whole(run: &Path) {
    for name in files(run) {
        let bytes = fs::read(run.join(&name)).unwrap_or_default();
        match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
            _ if name.contains(".tfevents.") => assert!(!records(&bytes).is_empty(), "{name} is empty"),
            "jsonl" => {
                let lines = String::from_utf8(bytes).unwrap();
                let sound = |line: &str| serde_json::from_str::<Value>(line).is_ok();
                assert!(lines.is_empty() || lines.ends_with('\n') && lines.lines().all(sound), "{name}: {lines}");
            }
            "csv" => {
                assert!(bytes.ends_with(b"\n"), "{name} ends within a line");
                csv::Reader::from_reader(&bytes[..]).records().for_each(|row| drop(row.unwrap()));
            }
            "json" => drop(serde_json::from_slice::<Value>(&bytes).unwrap()),
            "safetensors" => drop(safetensors::SafeTensors::deserialize(&bytes).unwrap()),
            _ => {}
        }
        assert!(!name.starts_with(".velograd-"), "{name} was left");
    }
}

/// A run with every log, on disks of many sizes, each of which is full at another file. With more room it is made to the end, from
/// where its folder allows, and has the bits and rows of one that had room at once.
#[cfg(target_os = "linux")]
#[test]
fn a_run_on_a_disk_of_any_size() {
    if gpu().is_none() {
        return;
    }
    // 96 updates: every log grows beyond a page of the disk.
    let more = ["--batch-size", "4", "--accumulate", "1", "--checkpoint-every", "off"];
    let flags = [&recipe()[..], &LOGS, &more].concat();
    let folder = place("disk-of-any-size");
    folder.works(&[&["train", "--out", "run"], &flags[..]].concat());
    let (expected, flags) = (left(&folder.0.join("run")), flags.join(" "));
    let script = format!(
        "\"$0\" train --out disk/run {flags} > first 2>&1; code=$?\n\
         cp -r disk full && mount -o remount,size=64m disk || exit {NO_DISK}\n\
         if [ -e disk/run/run.json ]; then set -- --resume disk/run; else set -- --out disk/run {flags}; fi\n\
         \"$0\" train \"$@\" > second 2>&1 || exit 76\n\
         cp -r disk whole; exit $code"
    );
    let mut named = BTreeSet::new();
    for kilobytes in SIZES {
        let folder = place(&format!("disk-{kilobytes}"));
        let Some(output) = on_a_disk(&folder, kilobytes, &script) else { return };
        let text = |name: &str| fs::read_to_string(folder.0.join(name)).unwrap_or_default();
        let first = text("first");
        assert_ne!(output.status.code(), Some(76), "{kilobytes} kB:\n{first}{}", text("second"));
        explained(output.status.code(), &first);
        says(&first, &["No space left on device"]);
        whole(&folder.0.join("full/run"));
        let known = [
            "run.json",
            "config.toml",
            "steps.jsonl",
            "metrics.jsonl",
            "steps.csv",
            "metrics.csv",
            "tfevents",
            "model.safetensors",
        ];
        let line = first.lines().find(|line| line.contains("error: ")).unwrap();
        named.insert(known.into_iter().find(|name| line.contains(name)).unwrap_or_else(|| panic!("{line}")));
        let run = folder.0.join("whole/run");
        equal(&run, &expected, &format!("a disk of {kilobytes} kB"));
        same_rows(&run);
    }
    let expected = ["config.toml", "metrics.jsonl", "model.safetensors", "steps.csv", "steps.jsonl", "tfevents"];
    assert!(expected.iter().all(|name| named.contains(name)), "{named:?}");
}

/// Sizes of disks in kilobytes: most are full when a log begins or grows by a page, the last two at the run's end.
const SIZES: [u64; 11] = [4, 8, 12, 16, 20, 32, 36, 44, 52, 200, 256];

/// A checkpoint, a page, tables and a network for other programs are there as a whole or as they were before.
#[cfg(unix)]
#[test]
fn no_room_for_what_is_made_of_a_run() {
    if gpu().is_none() {
        return;
    }
    let folder = place("no-room");
    folder.write("set/test_batch.bin", &images(20));
    folder.works(&[&["train", "--out", "run"], &recipe()[..]].concat());
    let commands: [(&[&str], &str); 6] = [
        (&["report", "run", "--out", "page"], "page/curves.png"),
        (&["export", "run", "--onnx", "net.onnx"], "net.onnx"),
        (&["eval", "run", "--logits", "logits.csv"], "logits.csv"),
        (&["eval", "run", "--logits", "logits.safetensors"], "logits.safetensors"),
        (&["schedule", "--plot", "schedule.svg"], "schedule.svg"),
        (&["optimizers", "--new", "mine.wgsl"], "mine.wgsl"),
    ];
    for (arguments, file) in commands {
        let path = folder.0.join(file);
        let output = limited(&folder, 1, arguments);
        explained(output.status.code(), &said(&output));
        says(&said(&output), &[file, "File too large", "ulimit -f"]);
        let strays: Vec<_> = files(path.parent().unwrap()).filter(|name| name.starts_with(".velograd-")).collect();
        assert!(!path.exists() && strays.is_empty(), "{arguments:?} left {strays:?}");
        folder.works(arguments);
        let before = fs::read(&path).unwrap();
        if arguments[0] != "optimizers" {
            assert_eq!(limited(&folder, 1, arguments).status.code(), Some(1), "{arguments:?}");
            assert!(fs::read(&path).unwrap() == before, "{arguments:?} harmed what was there");
        }
    }
}

/// A folder for transformers that has weights and no settings would be in the way of the next attempt.
#[cfg(target_os = "linux")]
#[test]
fn no_room_for_a_folder_of_weights() {
    let folder = Folder::new("no-room-gpt2");
    let model = velograd::models::find("gpt").unwrap();
    let tokens = velograd::data::Tokens { length: 4, vocabulary: 16 };
    let settings = [("block", "4"), ("width", "8"), ("depth", "2"), ("heads", "1")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let config = model.config(tokens, 16, &settings).unwrap();
    let (layout, path) = (model.layout(&config), folder.0.join("w.safetensors"));
    velograd::host::weights::save(&Weights::init(&layout, 1), &path, &layout, None).unwrap();
    folder.works(&["export", "w.safetensors", "--huggingface", "before"]);
    // Room for the weights to the page, and for nothing else.
    let pages = fs::metadata(folder.0.join("before/model.safetensors")).unwrap().len().div_ceil(4096);
    let script = "\"$0\" export w.safetensors --huggingface disk/one; code=$?\n\
                  ls -A disk/one > left; mount -o remount,size=1m disk\n\
                  \"$0\" export w.safetensors --huggingface disk/one || exit 76\n\
                  cp -r disk/one after; exit $code";
    let Some(output) = on_a_disk(&folder, 4 * pages, script) else { return };
    explained(output.status.code(), &said(&output));
    says(&said(&output), &["disk/one/config.json", "No space left on device"]);
    assert_eq!(fs::read_to_string(folder.0.join("left")).unwrap(), "");
    for name in ["model.safetensors", "config.json"] {
        let of = |place: &str| fs::read(folder.0.join(place).join(name)).unwrap();
        assert!(of("before") == of("after"), "{name}");
    }
}
