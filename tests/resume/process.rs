use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;
use velograd::{checkpoint, random::Rng};

use crate::{
    folder::{Folder, records, says},
    support::gpu,
};

/// 96 images are six batches: three updates per epoch, twelve in all.
const RECIPE: &str = "--data set --width 4 --epochs 4 --batch-size 16 --accumulate 2 --preset quick --seed 3 \
                      --schedule cosine --warmup 2 --dropout 0.1 --label-smoothing 0.1 --early-stop 9 --val-split 16 \
                      --checkpoint-every 2steps";

fn recipe() -> Vec<&'static str> {
    RECIPE.split_whitespace().collect()
}

/// A folder with the images, where runs are made.
fn place(name: &str) -> Folder {
    let folder = Folder::new(name);
    let mut images = records(112);
    // Not all images of a class alike.
    let mut rng = Rng::new(9);
    images.chunks_mut(3073).for_each(|record| record[1..].iter_mut().for_each(|v| *v ^= rng.u32() as u8 & 31));
    folder.write("set/data_batch_1.bin", &images);
    folder
}

/// What a run leaves that must be the same, less its times.
#[derive(PartialEq)]
struct Left {
    weights: Vec<u8>,
    steps: String,
    metrics: Vec<Value>,
    result: Value,
}

fn left(run: &Path) -> Left {
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

/// What the recipe leaves where nobody disturbs it.
fn whole(optimizer: &str) -> Left {
    let folder = place(&format!("undisturbed-{optimizer}"));
    folder.works(&[&["train", "--out", "run", "--optimizer", optimizer], &recipe()[..]].concat());
    left(&folder.0.join("run"))
}

/// The same under VeloGrad, made once.
fn undisturbed() -> &'static Left {
    static LEFT: OnceLock<Left> = OnceLock::new();
    LEFT.get_or_init(|| whole("velograd"))
}

fn same(run: &Path, what: &str) {
    equal(run, undisturbed(), what);
}

fn equal(run: &Path, expected: &Left, what: &str) {
    let found = left(run);
    assert_eq!(found.steps, expected.steps, "{what}");
    assert_eq!(found.metrics, expected.metrics, "{what}");
    assert_eq!(found.result, expected.result, "{what}");
    assert!(found.weights == expected.weights, "{what}: other weights");
    let strays: Vec<_> = files(run).chain(files(&run.join("checkpoints"))).filter(|p| p.ends_with(".part")).collect();
    assert!(strays.is_empty(), "{what}: {strays:?}");
}

fn files(folder: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned())
}

/// The run in `folder/run`: begun, or continued if it was.
fn start(folder: &Folder) -> Child {
    start_under(folder, "velograd")
}

fn start_under(folder: &Folder, optimizer: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_velograd"));
    command.arg("train").current_dir(&folder.0).stdout(Stdio::piped()).stderr(Stdio::piped());
    if folder.0.join("run/run.json").exists() {
        command.args(["--resume", "run"]);
    } else {
        command.args(["--out", "run", "--optimizer", optimizer]).args(recipe());
    }
    command.spawn().unwrap()
}

fn rows(run: &Path) -> usize {
    fs::read(run.join("steps.jsonl")).map_or(0, |bytes| bytes.iter().filter(|&&b| b == b'\n').count())
}

/// Waits for something about the run in `folder/run`. False if the process ended before.
fn wait_for(child: &mut Child, mut happened: impl FnMut() -> bool) -> bool {
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

/// Begins a run, or continues it, and waits for so many rows more than there were.
fn begun(folder: &Folder, more: usize) -> Child {
    let run = folder.0.join("run");
    let until = rows(&run) + more;
    let mut child = start(folder);
    assert!(wait_for(&mut child, || rows(&run) >= until), "the run ended before update {until}");
    child
}

fn killed(folder: &Folder, more: usize) {
    let mut child = begun(folder, more);
    child.kill().unwrap();
    child.wait().unwrap();
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// SIGKILL at random moments: at a time, after a row, at the sight of a checkpoint that is half written. As often as
/// `VELOGRAD_KILLS` says under each optimizer, a dozen times by default; every run that ends is compared, and another begins.
#[test]
fn killed_anywhere() {
    if gpu().is_some() {
        ["velograd", "muon", "sgd"].into_iter().for_each(killed_anywhere_under);
    }
}

fn killed_anywhere_under(optimizer: &str) {
    let kills: u32 = std::env::var("VELOGRAD_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut rng = Rng::new(seed);
    let (folder, expected) = (place(&format!("killed-{optimizer}")), whole(optimizer));
    let (mut done, mut ended, mut torn) = (0, 0, 0);
    let (run, checkpoints) = (folder.0.join("run"), folder.0.join("run/checkpoints"));
    while done < kills {
        let mut child = start_under(&folder, optimizer);
        let way = rng.u32() % 3;
        let alive = match way {
            0 => {
                sleep(Duration::from_millis(u64::from(rng.u32() % 900)));
                child.try_wait().unwrap().is_none()
            }
            1 => {
                let until = rows(&run) + 1 + rng.u32() as usize % 4;
                wait_for(&mut child, || rows(&run) >= until)
            }
            _ => {
                // The leftovers of the last kill go when the run is continued.
                let old: Vec<_> = files(&checkpoints).collect();
                let fresh = |name: &String| name.ends_with(".part") && !old.contains(name);
                wait_for(&mut child, || files(&checkpoints).any(|name| fresh(&name)))
            }
        };
        if alive {
            child.kill().unwrap();
            done += 1;
        }
        let output = child.wait_with_output().unwrap();
        assert!(!said(&output).contains("panicked"), "{optimizer}, seed {seed}, kill {done}: {}", said(&output));
        torn += u32::from(files(&checkpoints).any(|name| name.ends_with(".part")));
        if !alive {
            assert!(output.status.success(), "{optimizer}, seed {seed}, kill {done}: {}", said(&output));
            equal(&run, &expected, &format!("{optimizer}, seed {seed}, {done} kills"));
            fs::remove_dir_all(&run).unwrap();
            ended += 1;
        }
    }
    let output = start_under(&folder, optimizer).wait_with_output().unwrap();
    assert!(output.status.success(), "{optimizer}, seed {seed}: {}", said(&output));
    equal(&run, &expected, &format!("{optimizer}, seed {seed}, {done} kills"));
    println!("{optimizer}: {done} kills, {torn} of them within a checkpoint; {} runs ended the same", ended + 1);
}

/// The update is finished and a checkpoint written; the exit code is the signal's. A second signal leaves at once.
#[cfg(unix)]
#[test]
fn signals_stop_a_run() {
    if gpu().is_none() {
        return;
    }
    let folder = place("signals");
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let child = begun(&folder, 2);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        says(&said(&output), &["stopping", "stopped after update", "velograd train --resume run"]);
        // All that was logged is in the checkpoint.
        let newest = files(&folder.0.join("run/checkpoints")).max().unwrap();
        let loaded = checkpoint::load(&folder.0.join("run/checkpoints").join(newest)).unwrap();
        assert_eq!(loaded.checkpoint.position.step as usize, rows(&folder.0.join("run")));
    }
    let child = begun(&folder, 1);
    (0..2).for_each(|_| signal(&child, "INT"));
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    assert!(start(&folder).wait().unwrap().success());
    same(&folder.0.join("run"), "after three signals");
}

/// A newest checkpoint that is damaged is named, and the one before it taken; without any the run begins anew.
#[test]
fn a_damaged_checkpoint_is_skipped() {
    if gpu().is_none() {
        return;
    }
    let folder = place("damaged");
    let run = folder.0.join("run");
    killed(&folder, 7);
    let list = |run: &Path| {
        let mut list: Vec<_> = files(&run.join("checkpoints")).filter(|n| n.ends_with(".safetensors")).collect();
        list.sort();
        list.into_iter().map(|name| run.join("checkpoints").join(name)).collect::<Vec<PathBuf>>()
    };
    let all = list(&run);
    let (newest, before) = (all.last().unwrap(), &all[all.len() - 2]);
    let mut bytes = fs::read(newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(newest, bytes).unwrap();
    let said = folder.works(&["train", "--resume", "run"]);
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    says(&said, &["skipped", &name(newest), "it is damaged", "continued from", &name(before)]);
    same(&run, "a damaged checkpoint");

    fs::remove_dir_all(&run).unwrap();
    killed(&folder, 5);
    list(&run).iter().for_each(|path| fs::write(path, b"{}").unwrap());
    says(&folder.works(&["train", "--resume", "run"]), &["skipped", "begins anew"]);
    same(&run, "no checkpoint");

    // Rows that a power failure took along, though the checkpoint after them is there.
    fs::remove_dir_all(&run).unwrap();
    killed(&folder, 7);
    let steps = fs::read_to_string(run.join("steps.jsonl")).unwrap();
    let newest = checkpoint::load(list(&run).last().unwrap()).unwrap().checkpoint.position.step as usize;
    let torn: String = steps.lines().take(newest - 1).map(|line| line.to_owned() + "\n").collect();
    fs::write(run.join("steps.jsonl"), torn + "{\"step\":").unwrap();
    says(&folder.works(&["train", "--resume", "run"]), &["skipped", "not all in the logs", "continued from"]);
    same(&run, "torn logs");
}

/// What would not be the same run is refused, and every difference named.
#[test]
fn another_configuration_is_refused() {
    if gpu().is_none() {
        return;
    }
    let folder = place("other");
    killed(&folder, 3);
    let refused = |flags: &[&str]| folder.refused(2, &[&["train", "--resume", "run"], flags].concat());
    let said = refused(&["--width", "8", "--schedule", "linear", "--early-stop", "4"]);
    says(&said, &["--width: there 4, here 8", "--schedule: there \"cosine\", here \"linear\"", "--early-stop"]);
    says(&refused(&["--epochs", "9"]), &["--epochs: there 4, here 9", "--extend"]);
    says(&refused(&["--optimizer", "sgd"]), &["--optimizer", "settings"]);
    says(&refused(&["--set", "lr=0.5"]), &["settings", "0.5"]);
    says(&refused(&["--seed", "4"]), &["--seed"]);
    says(&refused(&["--out", "elsewhere"]), &["--resume"]);
    says(&folder.refused(2, &["train", "--extend", "3", "--out", "new"]), &["--resume"]);
    says(&refused(&["--extend", "0"]), &["--extend"]);
    for wrong in ["hourly", "0steps", "3"] {
        says(&refused(&["--checkpoint-every", wrong]), &["10min"]);
    }
    says(&folder.refused(1, &["train", "--resume", "set"]), &["set", "no run.json"]);
    says(&folder.refused(1, &["train", "--resume", "nowhere"]), &["nowhere", "no run.json"]);
    folder.write("broken/run.json", b"{ \"version\": ");
    says(&folder.refused(1, &["train", "--resume", "broken"]), &["broken/run.json"]);
    folder.write("empty/run.json", b"{}");
    says(&folder.refused(1, &["train", "--resume", "empty"]), &["a recipe"]);

    let text = fs::read_to_string(folder.0.join("run/run.json")).unwrap();
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    folder.write("run/run.json", text.replace(&version, "\"version\": \"0.0.1\"").as_bytes());
    says(&refused(&[]), &["version: there 0.0.1"]);
    folder.write("run/run.json", text.as_bytes());

    // The same images elsewhere are the same; others are not.
    folder.write("moved/data_batch_1.bin", &fs::read(folder.0.join("set/data_batch_1.bin")).unwrap());
    folder.write("set/data_batch_1.bin", &records(112));
    says(&refused(&[]), &["data set, crc32"]);
    folder.works(&["train", "--resume", "run", "--data", "moved"]);
    same(&folder.0.join("run"), "after many refusals");
}

/// A run that has ended says so. Trained on, it is the longer run. Its checkpoints are weights to evaluate.
#[test]
fn ended_and_extended() {
    if gpu().is_none() {
        return;
    }
    let folder = place("extended");
    folder.write("set/test_batch.bin", &records(20));
    let recipe = "train --data set --width 4 --batch-size 16 --preset quick --optimizer schedulefree".split(' ');
    let recipe: Vec<_> = recipe.collect();
    let train = |epochs: &str, out: &str| folder.works(&[&recipe[..], &["--epochs", epochs, "--out", out]].concat());
    train("1", "run");
    says(&folder.works(&["train", "--resume", "run"]), &["has ended", "--extend"]);
    let said = folder.works(&["train", "--resume", "run", "--extend", "1"]);
    says(&said, &["continued from", "1 whole epochs", "epoch  2/2", "best on validation"]);
    train("2", "long");
    let (run, long) = (left(&folder.0.join("run")), left(&folder.0.join("long")));
    assert!(run == long, "one epoch and one more are not two: {} {}", run.result, long.result);
    says(&folder.refused(2, &[&recipe[..], &["--out", "run"]].concat()), &["holds a run already", "--resume"]);

    for (row, name) in run.metrics.iter().zip(["step-000000007.safetensors", "step-000000014.safetensors"]) {
        let weights = format!("run/checkpoints/{name}");
        let said = folder.works(&["eval", "--weights", &weights, "--data", "set", "--json"]);
        let found: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&found["accuracy"], &found["f1"]), (&row["val_acc"], &row["val_f1"]), "{name}");
    }
    let from = ["--init", "run/checkpoints/step-000000007.safetensors", "--max-steps", "1", "--out", "from"];
    folder.works(&[&["train", "--data", "set", "--preset", "quick"], &from[..]].concat());
    says(&folder.refused(2, &["train", "--resume", "from", "--extend", "1"]), &["--max-steps"]);
}

/// The second process in a folder is refused; the lock goes with the first, however it ends.
#[test]
fn two_in_one_folder() {
    if gpu().is_none() {
        return;
    }
    let folder = place("lock");
    let mut child = begun(&folder, 1);
    // It may not end meanwhile.
    #[cfg(unix)]
    signal(&child, "STOP");
    let again = [&["train", "--out", "run"], &recipe()[..]].concat();
    says(&folder.refused(2, &again), &["run is in use by another process"]);
    says(&folder.refused(2, &["train", "--resume", "run"]), &["in use"]);
    child.kill().unwrap();
    child.wait().unwrap();
    folder.works(&["train", "--resume", "run"]);
    same(&folder.0.join("run"), "after a lock");
}

/// A limit on the size of files stands for a full disk: the run says what it needs, and the good checkpoint stays.
#[cfg(unix)]
#[test]
fn no_room_for_a_checkpoint() {
    if gpu().is_none() {
        return;
    }
    let folder = place("full");
    let run = folder.0.join("run");
    // In blocks of 512 bytes: the logs fit, a checkpoint of 2 MB does not. (The driver's cache is a file as well.)
    let limited = |blocks: u32, flags: &[&str]| {
        let script = format!("ulimit -f {blocks} && exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_velograd"), "train"]).args(flags);
        command.current_dir(&folder.0).env("MESA_SHADER_CACHE_DISABLE", "1").output().unwrap()
    };
    let begin = [&["--out", "run"], &recipe()[..]].concat();
    let output = limited(500, &begin);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    says(&said(&output), &["run/checkpoints/step-", "room for a checkpoint of 2.", "MB", "File too large", "continue"]);
    let strays = files(&run.join("checkpoints")).count();
    assert_eq!(strays, 0, "something was left of a checkpoint that was not written");

    // With a good one there: it is as it was, and the run goes on from it once there is room.
    killed(&folder, 5);
    let newest = || files(&run.join("checkpoints")).filter(|n| n.ends_with(".safetensors")).max().unwrap();
    let (name, bytes) = (newest(), fs::read(run.join("checkpoints").join(newest())).unwrap());
    let output = limited(500, &["--resume", "run"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(newest() == name && fs::read(run.join("checkpoints").join(name)).unwrap() == bytes);

    // Logs that cannot grow: the torn line is cut.
    let output = limited(1, &["--resume", "run", "--checkpoint-every", "off"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    says(&said(&output), &[".jsonl: expected room for", "File too large"]);
    for name in ["steps.jsonl", "metrics.jsonl"] {
        let log = fs::read_to_string(run.join(name)).unwrap();
        let sound = |line: &str| serde_json::from_str::<Value>(line).is_ok();
        assert!(log.ends_with('\n') && log.lines().all(sound), "a line is torn: {log}");
    }

    let output = limited(500, &["--resume", "run", "--on-disk-full", "continue"]);
    assert!(output.status.success(), "{}", said(&output));
    says(&said(&output), &["NO CHECKPOINT WAS WRITTEN, the run goes on"]);
    same(&run, "without room for checkpoints");
}

/// A place for checkpoints that is none is an error of the same kind.
#[test]
fn checkpoints_that_cannot_be_placed() {
    if gpu().is_none() {
        return;
    }
    let folder = place("unplaced");
    folder.write("run/checkpoints", b"a file where the folder should be");
    let said = folder.refused(1, &[&["train", "--out", "run"], &recipe()[..]].concat());
    says(&said, &["run/checkpoints", "room for a checkpoint"]);
}

/// `compare` goes on within the run that was interrupted.
#[cfg(unix)]
#[test]
fn an_experiment_goes_on_within_a_run() {
    if gpu().is_none() {
        return;
    }
    let folder = place("experiment");
    let compare = |out: &'static str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_velograd"));
        command.args("compare --data set --width 4 --epochs 2 --batch-size 16 --preset quick --seeds 1".split(' '));
        command.args(["--optimizers", "sgd,velograd", "--checkpoint-every", "1steps", "--out", out]);
        command.current_dir(&folder.0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    assert!(compare("whole").wait_with_output().unwrap().status.success());
    let mut child = compare("cut");
    let run = folder.0.join("cut/runs/velograd/seed-0");
    assert!(wait_for(&mut child, || rows(&run) >= 3));
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    says(&said(&output), &["the same command again goes on"]);
    let mut child = compare("cut");
    assert!(wait_for(&mut child, || rows(&run) >= 6));
    child.kill().unwrap();
    child.wait().unwrap();
    let output = compare("cut").wait_with_output().unwrap();
    says(&said(&output), &["sgd, seed 0: ended before", "continued from"]);
    for name in ["sgd", "velograd"] {
        let run = |of: &str| folder.0.join(of).join("runs").join(name).join("seed-0");
        assert!(left(&run("whole")) == left(&run("cut")), "{name}");
        assert!(!run("cut").join("checkpoints").exists(), "the checkpoints of a run that has ended");
    }
}

/// A rate that blows up: with `--on-nan stop` the run ends at the first update that is not finite, and says which and where.
#[test]
fn on_nan_stop() {
    if gpu().is_none() {
        return;
    }
    let folder = place("nan");
    let train =
        ["train", "--data", "set", "--width", "4", "--batch-size", "16", "--preset", "quick", "--optimizer", "sgd"];
    let output = folder.velograd(&[&train[..], &["--set", "lr=1e30", "--on-nan", "stop", "--out", "run"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let run: Value = serde_json::from_str(&fs::read_to_string(folder.0.join("run/run.json")).unwrap()).unwrap();
    let step = run["result"]["diverged"].as_u64().expect("the first step that was not finite");
    let once_more = "once more: the first output that is not finite is that of ";
    says(&said(&output), &[&format!("diverged at step {step}"), once_more]);
    let steps = fs::read_to_string(folder.0.join("run/steps.jsonl")).unwrap();
    let first = steps.lines().position(|line| line.contains("\"skipped\":true")).unwrap() as u64 + 1;
    assert_eq!(first, step);
    assert_eq!(run["result"]["first_skip"], step);
}
