//! A run as a process, and its results.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use velograd::random::Rng;

use crate::folder::{Folder, records};

/// 96 images are six batches: three updates per epoch, twelve in all.
pub const RECIPE: &str = "--data set --width 4 --epochs 4 --batch-size 16 --accumulate 2 --preset quick --seed 3 \
                      --schedule cosine --warmup 2 --dropout 0.1 --label-smoothing 0.1 --early-stop 9 --val-split 16 \
                      --checkpoint-every 2steps";

pub fn recipe() -> Vec<&'static str> {
    RECIPE.split_whitespace().collect()
}

/// A folder with the images, where runs are made.
pub fn place(name: &str) -> Folder {
    let folder = Folder::new(name);
    let mut images = records(112);
    // The images of a class are not all alike.
    let mut rng = Rng::new(9);
    images.chunks_mut(3073).for_each(|record| record[1..].iter_mut().for_each(|v| *v ^= rng.u32() as u8 & 31));
    folder.write("set/data_batch_1.bin", &images);
    folder
}

/// The results of a run that must be the same, without its times.
#[derive(PartialEq)]
pub struct Left {
    pub weights: Vec<u8>,
    pub steps: String,
    pub metrics: Vec<Value>,
    pub result: Value,
}

pub fn left(run: &Path) -> Left {
    let text = |name: &str| fs::read_to_string(run.join(name)).unwrap();
    let timeless = |mut row: Value| {
        for key in ["seconds", "images_per_second"] {
            row.as_object_mut().unwrap().remove(key);
        }
        row
    };
    let metrics = text("metrics.jsonl").lines().map(|line| timeless(serde_json::from_str(line).unwrap())).collect();
    let result = timeless(serde_json::from_str::<Value>(&text("run.json")).unwrap()["result"].take());
    Left { weights: fs::read(run.join("model.safetensors")).unwrap(), steps: text("steps.jsonl"), metrics, result }
}

/// The results of the recipe in an uninterrupted run.
pub fn whole(optimizer: &str) -> Left {
    let folder = place(&format!("undisturbed-{optimizer}"));
    folder.works(&[&["train", "--out", "run", "--optimizer", optimizer], &recipe()[..]].concat());
    left(&folder.0.join("run"))
}

/// The same under VeloGrad, computed once.
pub fn undisturbed() -> &'static Left {
    static LEFT: OnceLock<Left> = OnceLock::new();
    LEFT.get_or_init(|| whole("velograd"))
}

pub fn same(run: &Path, what: &str) {
    equal(run, undisturbed(), what);
}

pub fn equal(run: &Path, expected: &Left, what: &str) {
    let found = left(run);
    assert_eq!(found.steps, expected.steps, "{what}");
    assert_eq!(found.metrics, expected.metrics, "{what}");
    assert_eq!(found.result, expected.result, "{what}");
    assert!(found.weights == expected.weights, "{what}: other weights");
    let strays: Vec<_> = files(run).chain(files(&run.join("checkpoints"))).filter(|p| p.ends_with(".part")).collect();
    assert!(strays.is_empty(), "{what}: {strays:?}");
}

pub fn files(folder: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned())
}

/// Starts the run in `folder/run`, or continues it.
pub fn start(folder: &Folder) -> Child {
    start_with(folder, &[])
}

/// Starts the run with these flags besides the recipe's, or continues it.
pub fn start_with(folder: &Folder, flags: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_velograd"));
    command.arg("train").current_dir(&folder.0).stdout(Stdio::piped()).stderr(Stdio::piped());
    if folder.0.join("run/run.json").exists() {
        command.args(["--resume", "run"]);
    } else {
        command.args(["--out", "run"]).args(recipe()).args(flags);
    }
    command.spawn().unwrap()
}

pub fn rows(run: &Path) -> usize {
    fs::read(run.join("steps.jsonl")).map_or(0, |bytes| bytes.iter().filter(|&&b| b == b'\n').count())
}

/// Waits until something has happened to the run in `folder/run`; false if the process ended before.
pub fn wait_for(child: &mut Child, mut happened: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !happened() {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "nothing happened for two minutes");
        sleep(Duration::from_micros(200));
    }
    true
}

/// Starts or continues a run, and waits for `more` rows than there were.
pub fn begun(folder: &Folder, more: usize) -> Child {
    let run = folder.0.join("run");
    let until = rows(&run) + more;
    let mut child = start(folder);
    assert!(wait_for(&mut child, || rows(&run) >= until), "the run ended before update {until}");
    child
}

/// Kills a run after so many updates more, as soon as it has a whole checkpoint, which a thread of its own writes.
pub fn killed(folder: &Folder, more: usize) {
    let mut child = begun(folder, more);
    let checkpoints = folder.0.join("run/checkpoints");
    let whole = || files(&checkpoints).any(|name| !name.ends_with(".part"));
    assert!(wait_for(&mut child, whole), "the run ended without a checkpoint");
    child.kill().unwrap();
    child.wait().unwrap();
}

pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
