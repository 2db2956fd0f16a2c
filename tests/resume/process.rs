use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use velograd::{host::checkpoint, host::identity};

use super::run::{begun, files, killed, left, place, recipe, said, same, signal};
use crate::{
    folder::{records, says},
    support::gpu,
};

/// If the newest checkpoint is damaged, it is named and the one before it is used; without any, the run starts over.
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

    // A power failure has lost rows before a checkpoint that is on the disk.
    fs::remove_dir_all(&run).unwrap();
    killed(&folder, 7);
    let steps = fs::read_to_string(run.join("steps.jsonl")).unwrap();
    let newest = checkpoint::load(list(&run).last().unwrap()).unwrap().checkpoint.position.step as usize;
    let torn: String = steps.lines().take(newest - 1).map(|line| line.to_owned() + "\n").collect();
    fs::write(run.join("steps.jsonl"), torn + "{\"step\":").unwrap();
    says(&folder.works(&["train", "--resume", "run"]), &["skipped", "not all in the logs", "continued from"]);
    same(&run, "torn logs");
}

/// A run that would not be the same is refused, and every difference is named.
#[test]
fn another_configuration_is_refused() {
    if gpu().is_none() {
        return;
    }
    let folder = place("other");
    killed(&folder, 3);
    let refused = |flags: &[&str]| folder.refused(2, &[&["train", "--resume", "run"], flags].concat());
    let said = refused(&["--width", "8", "--schedule", "linear", "--early-stop", "4"]);
    says(
        &said,
        &[
            "--model-set width: there 4, here 8",
            "--schedule: there cosine, here linear",
            "--early-stop: there 9, here 4",
        ],
    );
    says(&refused(&["--epochs", "9"]), &["--epochs: there 4, here 9", "--extend"]);
    says(&refused(&["--optimizer", "sgd"]), &["--optimizer: there velograd, here sgd"]);
    says(&refused(&["--set", "lr=0.5"]), &["velograd's lr: there 0.0015, here 0.5"]);
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

    // The same images in another place are accepted; others are not.
    folder.write("moved/data_batch_1.bin", &fs::read(folder.0.join("set/data_batch_1.bin")).unwrap());
    folder.write("set/data_batch_1.bin", &records(112));
    says(&refused(&[]), &["data set, crc32"]);
    folder.works(&["train", "--resume", "run", "--data", "moved"]);
    same(&folder.0.join("run"), "after many refusals");
}

/// A run that another build started can be continued, with one remark and one entry in run.json. A build that differs
/// only in name gives the same bits.
#[test]
fn another_build_goes_on_and_says_so() {
    if gpu().is_none() {
        return;
    }
    let folder = place("build");
    let run = folder.0.join("run");
    let read = || -> Value { serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap() };
    killed(&folder, 3);
    let begun = read();
    assert_eq!(begun["build"], identity::build());
    assert!(begun["build"]["kernels"].as_str().is_some_and(|kernels| kernels.len() == 12), "{}", begun["build"]);
    let of = |kernels: &str, commit: &str| {
        let mut other = read();
        other["build"] = serde_json::json!({ "commit": commit, "kernels": kernels });
        folder.write("run/run.json", serde_json::to_string_pretty(&other).unwrap().as_bytes());
    };
    of("0123456789ab", "abcdefabcdef");
    killed(&folder, 4); // there is a checkpoint in between
    let half = read();
    assert_eq!(half["build"]["kernels"], "0123456789ab", "what began the run stays");
    let list = half["continued_by"].as_array().expect("a build went on");
    assert_eq!((list.len(), &list[0]["build"]), (1, &identity::build()));
    let newest = files(&run.join("checkpoints")).filter(|name| name.ends_with(".safetensors")).max().unwrap();
    let loaded = checkpoint::load(&run.join("checkpoints").join(newest)).unwrap();
    assert_eq!(loaded.run["continued_by"], half["continued_by"], "a checkpoint says it too");
    killed(&folder, 3); // this build has worked on the run before
    let newest = files(&run.join("checkpoints")).filter(|name| name.ends_with(".safetensors")).max().unwrap();
    let later = checkpoint::load(&run.join("checkpoints").join(newest)).unwrap();
    assert!(later.checkpoint.position.step > loaded.checkpoint.position.step);
    for key in ["build", "continued_by"] {
        assert_eq!(later.run[key], half[key], "a checkpoint of the second continuation says it too");
    }
    let said = folder.works(&["train", "--resume", "run"]);
    assert!(said.contains("continued from") && !said.contains("kernels"), "by this build already: {said}");
    assert_eq!(read()["continued_by"], half["continued_by"]);
    same(&run, "another build in name alone");

    for (kernels, commit, remark) in [
        ("0123456789ab", "abcdefabcdef", "the kernels differ, so the bits are not those"),
        (identity::KERNELS, "abcdefabcdef", "the kernels are the same, the program around them is not"),
    ] {
        fs::remove_dir_all(&run).unwrap();
        killed(&folder, 3);
        of(kernels, commit);
        let said = folder.works(&["train", "--resume", "run"]);
        says(&said, &[&format!("(commit {commit}, kernels {kernels})"), identity::TEXT, remark]);
    }
    says(&folder.works(&["--version"]), &["velograd ", identity::TEXT]);
}

/// Resuming a run that has ended says so. Extended, it is the longer run. Its checkpoints can be evaluated.
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
}

/// A second process in a folder is refused; the lock ends with the first, however that ends.
#[test]
fn two_in_one_folder() {
    if gpu().is_none() {
        return;
    }
    let folder = place("lock");
    let mut child = begun(&folder, 1);
    // The first process must not end meanwhile.
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

/// A limit on the size of files stands for a full disk: the error says what is needed, and the good checkpoint stays.
#[cfg(unix)]
#[test]
fn no_room_for_a_checkpoint() {
    if gpu().is_none() {
        return;
    }
    let folder = place("full");
    let run = folder.0.join("run");
    // In blocks of 512 bytes: the logs fit, a checkpoint of 2 MB does not. (The driver's cache is a file too.)
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

    // A good checkpoint stays as it was, and the run can be continued from it once there is room.
    killed(&folder, 5);
    let newest = || files(&run.join("checkpoints")).filter(|n| n.ends_with(".safetensors")).max().unwrap();
    let (name, bytes) = (newest(), fs::read(run.join("checkpoints").join(newest())).unwrap());
    let output = limited(500, &["--resume", "run"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(newest() == name && fs::read(run.join("checkpoints").join(name)).unwrap() == bytes);

    // If the logs cannot grow, the partial line is cut off. Nothing else is written: the run is as it was begun, without checkpoints.
    let begun = fs::read_to_string(run.join("run.json")).unwrap();
    let without = begun.replace("\"checkpoint-every\": \"2steps\"", "\"checkpoint-every\": \"off\"");
    assert_ne!(begun, without);
    folder.write("run/run.json", without.as_bytes());
    let output = limited(1, &["--resume", "run"]);
    folder.write("run/run.json", begun.as_bytes());
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

/// If the checkpoints' folder cannot be created, the error is of the same kind.
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

/// A learning rate that is too large: with either `--on-nan` the run ends with exit code 1, and none of its weights
/// counts as the best.
#[test]
fn a_run_that_diverges_fails() {
    if gpu().is_none() {
        return;
    }
    let folder = place("diverges");
    folder.write("set/test_batch.bin", &records(20));
    let train = ["train", "--data", "set", "--width", "4", "-b", "4", "--quick", "--optimizer", "sgd", "--epochs", "2"];
    let output = folder.velograd(&[&train[..], &["--lr", "1e30", "--out", "run"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    says(
        &said(&output),
        &["the run diverged at step", "weights as the run that diverged left them: run/model.safetensors"],
    );
    assert!(!said(&output).contains("best on validation"), "{}", said(&output));
    says(&folder.refused(2, &["train", "--resume", "run", "--extend", "1"]), &["the run has diverged"]);
    says(&folder.works(&["train", "--resume", "run"]), &["has ended", "It diverged at update"]);
}

/// A learning rate that is too large: with `--on-nan stop` the run ends at the first non-finite update, and says which
/// and where.
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
