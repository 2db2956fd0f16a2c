//! What a user sees of runs: the list, the page, unfinished runs, and that everything fits a terminal.

use std::fs;

use velograd::{
    lab::{
        comparison::{Comparison, Pairs},
        experiment::{Ended, Variant},
        sweep::{self, Sweep},
    },
    training::EpochRow,
};

use crate::{
    folder::{Folder, records, says},
    support::gpu,
};

/// A list of runs, the page of one, two runs in the same axes, and a run that has not ended.
#[test]
fn runs_are_listed_and_drawn() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("report");
    folder.write("data_batch_1.bin", &records(48));
    folder.write("test_batch.bin", &records(20));
    let train = ["train", "--data", ".", "--width", "4", "--batch-size", "16", "--quick", "--epochs", "2"];
    folder.works(&[&train[..], &["--out", "runs/one", "--optimizer", "sgd"]].concat());
    folder.works(&[&train[..], &["--out", "runs/more/two", "--optimizer", "adam"]].concat());

    let said = folder.works(&["runs"]);
    says(&said, &["one", "more/two", "sgd", "adam", "ended", "accuracy %"]);
    let json = folder.works(&["runs", "--json"]);
    let rows: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), &rows[1]["epochs"], &rows[1]["state"]), (2, &2.into(), &"ended".into()));

    says(&folder.works(&["report", "runs/one"]), &["wrote report.html", "runs/one"]);
    let page = fs::read_to_string(folder.0.join("runs/one/report.html")).unwrap();
    let parts =
        ["<svg", "Training loss over updates", "Learning rate", "Norm of the gradient", "over time", "momentum="];
    says(&page, &parts);
    says(
        &page,
        &["by the command", "train --data .", "begun 20", "on host", "48 training images, 20 validation images"],
    );
    folder.works(&["report", "runs", "--out", "both"]);
    let both = fs::read_to_string(folder.0.join("both/report.html")).unwrap();
    says(&both, &["Runs: adam, sgd", "Settings of adam", "Settings of sgd"]);
    assert!(fs::read(folder.0.join("both/curves.png")).unwrap().starts_with(b"\x89PNG"));

    // A run that was killed in its second epoch, in the middle of a line.
    let mut run: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.0.join("runs/one/run.json")).unwrap()).unwrap();
    run["result"].take();
    let metrics = fs::read_to_string(folder.0.join("runs/one/metrics.jsonl")).unwrap();
    let cut = metrics.lines().next().unwrap().len() + 20;
    folder.write("killed/run.json", run.to_string().as_bytes());
    folder.write("killed/metrics.jsonl", &metrics.as_bytes()[..cut]);
    says(&folder.works(&["runs", "killed"]), &["1 of 2 epochs"]);
    folder.works(&["report", "killed"]);
    // A run that was killed before that.
    folder.write("young/run.json", run.to_string().as_bytes());
    folder.write("young/metrics.jsonl", b"");
    let young = folder.works(&["runs", "young"]);
    assert!(young.contains("0 of 2 epochs") && !young.contains("-0.0"), "{young}");
    says(&folder.refused(1, &["report", "nowhere"]), &["nowhere"]);
    says(&folder.refused(1, &["runs", "nowhere"]), &["a folder with runs"]);
    fs::create_dir(folder.0.join("empty")).unwrap();
    says(&folder.refused(1, &["report", "empty"]), &["the folder of a run, or one with runs in it"]);
    folder.write("broken/run.json", b"{}");
    folder.write("broken/metrics.jsonl", b"{\"epoch\": \"one\"}\n");
    says(&folder.refused(1, &["report", "broken"]), &["metrics.jsonl", "line 1"]);
    folder.write("runs/broken/run.json", b"{");
    let output = folder.velograd(&["runs"]);
    says(&String::from_utf8_lossy(&output.stdout), &["more/two", "one"]);
    assert!(output.status.success(), "one damaged run hides the others");
    says(&String::from_utf8_lossy(&output.stderr), &["broken/run.json"]);
}

/// Completion scripts and manual pages are generated from the flags.
#[test]
fn completions_and_manual() {
    let folder = Folder::new("shell");
    says(&folder.works(&["completions", "bash"]), &["velograd", "--optimizer", "compare"]);
    says(&folder.works(&["completions", "zsh"]), &["#compdef velograd"]);
    says(&folder.works(&["man"]), &[".TH velograd 1", "train"]);
    folder.works(&["man", "--out", "man1"]);
    says(&fs::read_to_string(folder.0.join("man1/velograd-train.1")).unwrap(), &["velograd\\-train", "batch\\-size"]);
}

/// `eval` names the columns of its confusion matrix, and its lines fit 80 columns.
#[test]
fn a_confusion_matrix_has_headings() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("confusion");
    folder.write("data_batch_1.bin", &records(32));
    folder.write("test_batch.bin", &records(20));
    let train = ["train", "--data", ".", "--width", "4", "--batch-size", "16", "--quick", "--max-steps", "1"];
    folder.works(&[&train[..], &["--out", "run"]].concat());
    let said = folder.works(&["eval", "run"]);
    says(&said, &["airpl", "autom", "truck", "a column per predicted class"]);
    let matrix = said.lines().skip_while(|line| !line.contains("airpl"));
    assert!(matrix.clone().count() == 11 && matrix.clone().all(|line| line.chars().count() <= 80), "{said}");
}

fn row(epoch: u32, accuracy: f64) -> EpochRow {
    EpochRow {
        epoch,
        train_loss: 1.0 / f64::from(epoch),
        train_acc: 50.0,
        val_loss: Some(1.0),
        val_acc: Some(accuracy),
        val_top5: Some(90.0),
        val_f1: Some(0.5),
        val_precision: Some(0.5),
        val_recall: Some(0.5),
        seconds: 1.0,
        images_per_second: 1.0,
    }
}

fn variant(name: &str) -> Variant {
    Variant { label: name.into(), optimizer: name.into(), set: vec![] }
}

fn ended(label: &str, seed: u64, accuracies: &[f64]) -> Ended {
    let epochs = (1..).zip(accuracies).map(|(epoch, &accuracy)| row(epoch, accuracy)).collect();
    Ended { label: label.into(), seed, epochs, diverged: None, device_bytes: 1_000_000, run: serde_json::Value::Null }
}

/// A comparison says first that runs are missing, and in its table; it says that two are equal, and gives no variance
/// of two epochs.
#[test]
fn an_unfinished_or_tied_comparison_says_so() {
    let variants = ["adam", "sgd", "lion"].map(variant);
    let runs = [ended("adam", 0, &[40.0, 45.0]), ended("sgd", 0, &[40.0, 45.0]), ended("adam", 1, &[41.0, 46.0])];
    let comparison = Comparison::new(&variants, &runs, 2, None, Pairs::All);
    let table = comparison.table();
    let column = |name: &str| table.header.iter().position(|title| title == name).unwrap();
    let cells = |name: &str| table.rows.iter().map(|row| row[column(name)].as_str()).collect::<Vec<_>>();
    assert_eq!(cells("seeds"), ["2", "1 of 2", "0 of 2"]);
    assert_eq!(cells("loss variance"), ["-", "-", "-"], "of two epochs");
    assert_eq!((cells("MB on the device"), cells("accuracy %")[2]), (vec!["1", "1", "-"], "-"));
    let first = &comparison.lines()[0];
    says(first, &["Unfinished: 3 of 6 runs have ended", "sgd has 1 of 2", "lion has 0 of 2", "So far:"]);
    assert!(!first.contains("adam has"), "{first}");
    says(&comparison.json()["unfinished"].to_string(), &["3 of 6"]);

    let runs = ["adam", "sgd"].map(|name| ended(name, 0, &[40.0, 45.0, 50.0]));
    let comparison = Comparison::new(&variants[..2], &runs, 1, None, Pairs::All);
    says(&comparison.lines()[0], &["Tied: adam and sgd have the same best mean accuracy, 50.00 %"]);
    assert!(comparison.unfinished().is_none());
    assert!(comparison.table().rows.iter().all(|row| row[7].parse::<f64>().is_ok()), "three epochs have a variance");
    let comparison = Comparison::new(&variants[2..], &[], 1, None, Pairs::All);
    says(&comparison.lines()[0], &["0 of 1 runs", "No run has ended with an accuracy"]);

    let runs = [ended(&sweep::label("sgd", 0.1), 0, &[45.0])];
    let sweep = Sweep { optimizers: &["sgd".to_owned()], rates: &[0.1, 0.2], runs: &runs, seeds: 1 };
    says(&sweep.lines()[0], &["Unfinished: 1 of 2 runs"]);
}

/// A comparison says which of its runs it makes.
#[test]
fn a_comparison_counts_its_runs() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("counts");
    folder.write("data_batch_1.bin", &records(20));
    let compare = ["compare", "--data", ".", "--width", "4", "--batch-size", "16", "--max-steps", "1", "--seeds", "2"];
    let said = folder.works(&[&compare[..], &["--optimizers", "sgd,adam", "--out", "c"]].concat());
    says(&said, &["sgd, seed 0 (run 1 of 4)", "adam, seed 1 (run 4 of 4)", "1 of 4 runs have ended, about"]);
}
