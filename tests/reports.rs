//! What a user sees of runs: the list, the page, unfinished runs, and that everything fits a terminal.

use std::fs;

use velograd::{
    lab::{
        comparison::{Comparison, Pairs},
        experiment::{Ended, Variant},
        sweep::{self, Sweep},
    },
    training::{EpochRow, Per, Score},
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

fn row(epoch: u32, accuracy: f64, loss: f64) -> EpochRow {
    EpochRow {
        epoch,
        train_loss: 1.0 / f64::from(epoch),
        train_acc: 50.0,
        val_loss: Some(loss),
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
    let epochs = (1..).zip(accuracies).map(|(epoch, &accuracy)| row(epoch, accuracy, 1.0)).collect();
    Ended { label: label.into(), seed, epochs, diverged: None, device_bytes: 1_000_000, run: serde_json::Value::Null }
}

/// A comparison says first that runs are missing, and in its table; it says that two are equal, and gives no variance
/// of two epochs.
#[test]
fn an_unfinished_or_tied_comparison_says_so() {
    let variants = ["adam", "sgd", "lion"].map(variant);
    let runs = [ended("adam", 0, &[40.0, 45.0]), ended("sgd", 0, &[40.0, 45.0]), ended("adam", 1, &[41.0, 46.0])];
    let comparison = Comparison::new(&variants, &runs, 2, Score::Accuracy, None, Pairs::All);
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
    let comparison = Comparison::new(&variants[..2], &runs, 1, Score::Accuracy, None, Pairs::All);
    says(&comparison.lines()[0], &["Tied: adam and sgd have the same best mean accuracy, 50.00 %"]);
    assert!(comparison.unfinished().is_none());
    assert!(comparison.table().rows.iter().all(|row| row[7].parse::<f64>().is_ok()), "three epochs have a variance");
    let comparison = Comparison::new(&variants[2..], &[], 1, Score::Accuracy, None, Pairs::All);
    says(&comparison.lines()[0], &["0 of 1 runs", "No run has ended with an accuracy"]);

    let runs = [ended(&sweep::label("sgd", 0.1), 0, &[45.0])];
    let (optimizers, score) = (["sgd".to_owned()], Score::Accuracy);
    let sweep = Sweep { optimizers: &optimizers, rates: &[0.1, 0.2], runs: &runs, seeds: 1, score };
    says(&sweep.lines()[0], &["Unfinished: 1 of 2 runs"]);
}

/// Runs of text with these validation losses, whose accuracies rise with the loss.
fn of_text(label: &str, seed: u64, losses: &[f64]) -> Ended {
    let epochs = (1..).zip(losses).map(|(epoch, &loss)| row(epoch, 10.0 * loss, loss)).collect();
    Ended { epochs, ..ended(label, seed, &[]) }
}

/// Optimizers are ranked by the loss where text is learned, and less is better: in the verdict, in tests of pairs, in the epochs to a
/// target, and in figures. The accuracies would say the opposite.
#[test]
fn text_is_compared_by_its_loss() {
    let variants = ["adam", "sgd"].map(variant);
    let runs: Vec<Ended> = (0..4)
        .flat_map(|seed| {
            let more = 0.01 * seed as f64;
            [of_text("adam", seed, &[2.0, 1.5 + more]), of_text("sgd", seed, &[2.5, 2.0 + 2.0 * more])]
        })
        .collect();
    let of = |per, target| Comparison::new(&variants, &runs, 4, Score::Loss(per), target, Pairs::All);
    let comparison = of(Per::Character, Some(1.52));
    let lines = comparison.lines();
    says(&lines[0], &["best mean validation loss is that of adam, 1.5150.", "adam is better than sgd by 0.5150 nats"]);
    says(&lines[1], &["adam: mean 1.5150, within 1.50", "(95 %"]);
    says(&lines[3], &["adam against sgd: -0.5150 nats, paired t(3)"]);
    assert!(!lines.concat().contains("accuracy") && !lines.concat().contains("points"), "{lines:?}");
    let table = comparison.table();
    let cell = |title: &str, row: usize| {
        let at = table.header.iter().position(|name| name == title).unwrap_or_else(|| panic!("{title}: {table:?}"));
        table.rows[row][at].clone()
    };
    assert_eq!(cell("validation loss", 0), "1.5150 ± 0.0129");
    assert_eq!(cell("bits per character", 0), "2.1857 ± 0.0186");
    assert_eq!([0, 1].map(|row| cell("epochs to loss 1.52", row)), ["2.0 ± 0.0 (3 of 4)", "- (0 of 4)"]);
    says(&comparison.json()["statistics"]["of"].to_string(), &["validation loss, nats per character"]);
    let figure = comparison.curves().drawing().svg() + &comparison.dots().drawing().svg();
    says(
        &figure,
        &["Validation loss", "Bits per character", "Validation loss after the last epoch", "nats per character:"],
    );
    assert!(!figure.contains("ccuracy") && !figure.contains("F1"), "{figure}");

    for (per, unit, title) in [
        (Per::Byte, "nats per byte", "bits per byte"),
        (Per::Token, "nats per token", "perplexity"),
        (Per::Hidden, "nats per hidden token", "perplexity"),
    ] {
        assert!(of(per, None).table().header.iter().any(|column| column == title), "{title}");
        says(&of(per, None).dots().drawing().svg(), &[unit]);
    }
    assert_eq!(of(Per::Token, None).csv().lines().next().unwrap().split(',').nth(5), Some("perplexity"));
    let equal = ["adam", "sgd"].map(|name| of_text(name, 0, &[1.25]));
    let tied = Comparison::new(&variants, &equal, 1, Score::Loss(Per::Token), None, Pairs::All);
    says(&tied.lines()[0], &["Tied: adam and sgd have the same best mean validation loss, 1.2500."]);
    let none = Comparison::new(&variants, &[], 1, Score::Loss(Per::Token), None, Pairs::All);
    says(&none.lines()[0], &["No run has ended with a validation loss."]);
}

/// The best rate of a network for text is that of the least loss.
#[test]
fn rates_are_ranked_by_the_loss_of_text() {
    let at = |rate, loss| of_text(&sweep::label("sgd", rate), 0, &[loss]);
    let runs = [at(0.1, 1.54), at(0.2, 1.5), at(0.4, 1.6)];
    let (optimizers, score) = (["sgd".to_owned()], Score::Loss(Per::Byte));
    let sweep = Sweep { optimizers: &optimizers, rates: &[0.1, 0.2, 0.4], runs: &runs, seeds: 1, score };
    let line = "sgd: best at lr 0.2 with loss 1.5000, bits per byte 2.1640 on validation; 2 of 3 rates come within 0.05 nats of it";
    assert_eq!(sweep.lines(), [line]);
    let table = sweep.table();
    assert_eq!(table.rows[0], ["sgd", "1.5400", "1.5000", "1.6000", "0.2", "2 of 3"]);
    assert_eq!(table.header.last().unwrap(), "rates within 0.05 nats");
    assert_eq!(
        sweep.csv().lines().next().unwrap(),
        "optimizer,lr,seed,diverged_at,val_loss,bits_per_byte,accuracy,loss"
    );
    let json = sweep.json();
    assert_eq!(
        (&json["optimizers"][0]["best_lr"], &json["optimizers"][0]["best_val_loss"]),
        (&0.2.into(), &1.5.into())
    );
    let figure = sweep.figure().drawing().svg();
    says(&figure, &["Validation loss", "nats per byte"]);
    assert!(!figure.contains("ccuracy"), "{figure}");
}

/// Runs of images and of text in one list have their own numbers each, and axes of their own in one page.
#[test]
fn a_list_has_runs_of_images_and_of_text() {
    let folder = Folder::new("listed");
    let rows = |values: [(f64, f64); 2]| -> String {
        let rows = (1..).zip(values).map(|(epoch, (accuracy, loss))| row(epoch, accuracy, loss));
        rows.map(|row| serde_json::to_string(&row).unwrap() + "\n").collect()
    };
    let tokens = serde_json::json!({ "length": 4, "vocabulary": 2 });
    let result = serde_json::json!({ "epochs": 2 });
    for (name, run, values) in [
        (
            "pictures",
            serde_json::json!({ "model": "cnn", "optimizer": "sgd", "result": result }),
            [(60.0, 0.5), (50.0, 0.25)],
        ),
        (
            "text",
            serde_json::json!({ "model": "gpt", "optimizer": "adam", "result": result, "tokens": tokens,
                                "dataset": { "name": "t", "classes": ["a", "b"], "train": 7, "test": 3 } }),
            [(20.0, 1.25), (30.0, 1.5)],
        ),
    ] {
        folder.write(&format!("all/{name}/run.json"), run.to_string().as_bytes());
        folder.write(&format!("all/{name}/metrics.jsonl"), rows(values).as_bytes());
    }
    let cells = |said: &str, name: &str| -> Vec<String> {
        let blocks = said.lines().filter(|line| line.starts_with(name));
        blocks
            .flat_map(|line| line.split("  ").map(|cell| cell.trim().to_owned()).skip(1))
            .filter(|c| !c.is_empty())
            .collect()
    };
    let said = folder.works(&["runs", "all"]);
    assert_eq!(cells(&said, "pictures")[4..8], ["50.00", "-", "-", "60.00 %"], "{said}");
    assert_eq!(cells(&said, "text")[4..8], ["-", "1.5000", "2.1640", "1.2500"], "{said}");
    says(&said, &["accuracy %", "validation loss", "bits per character", "best  "]);
    let said = folder.works(&["runs", "all/text"]);
    says(&said, &["best loss"]);
    assert!(!said.contains("accuracy"), "{said}");
    let json: serde_json::Value = serde_json::from_str(&folder.works(&["runs", "all/text", "--json"])).unwrap();
    assert_eq!((&json["judged_by"], &json["best"], &json["val_loss"]), (&"val_loss".into(), &1.25.into(), &1.5.into()));

    folder.works(&["report", "all", "--out", "both"]);
    let both = fs::read_to_string(folder.0.join("both/report.html")).unwrap();
    says(
        &both,
        &[
            "Validation accuracy over epochs",
            "Validation loss over epochs",
            "Validation loss over time",
            "nats per character",
        ],
    );
    folder.works(&["report", "all/text"]);
    let page = fs::read_to_string(folder.0.join("all/text/report.html")).unwrap();
    says(&page, &["Validation loss over epochs", "7 training blocks, 3 validation blocks"]);
    assert!(!page.contains("ccuracy"), "{page}");
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
