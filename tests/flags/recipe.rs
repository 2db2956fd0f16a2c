//! Recipes: files of flags, their errors by line, and the one that a run keeps.

use std::{fs, process::Command};

use serde_json::Value;

use crate::{
    folder::{Folder, records, says},
    support::gpu,
};

/// The error of `velograd train` for a recipe of this text.
fn refused_recipe(folder: &Folder, text: &str) -> String {
    folder.write("r.toml", text.as_bytes());
    folder.refused(2, &["train", "--config", "r.toml", "--data", "nowhere"])
}

/// Errors in a recipe name file, line and key.
#[test]
fn a_recipe_is_refused_by_its_line() {
    let folder = Folder::new("toml");
    let refused = |text: &str, parts: &[&str]| says(&refused_recipe(&folder, text), parts);
    refused("width = 4\nepochs = \n", &["r.toml, line 2"]);
    refused(
        "width = 4\n\nwidht = 8\n",
        &["r.toml, line 3", "`widht` is no flag of `velograd train`", "did you mean `width`"],
    );
    refused("# a\nwidth = \"wide\"\n", &["r.toml, line 2: `width`", "wide", "expected a whole number"]);
    refused("width = -1\n", &["r.toml, line 1: `width`", "-1", "whole number of at least 0"]);
    refused("width = 99999999999999999999999999\n", &["r.toml, line 1: `width`"]);
    refused("precision = \"f64\"\n", &["r.toml, line 1: `precision`", "f64", "`mixed`"]);
    refused("tta = 1\n", &["r.toml, line 1: `tta`", "expected true or false"]);
    refused("shuffle = \"perhaps\"\n", &["r.toml, line 1: `shuffle`", "expected on or off"]);
    refused("clip_norm = nan\n", &["r.toml, line 1: `clip_norm`", "no finite number"]);
    refused("lookahead = \"0,1\"\n", &["r.toml, line 1: `lookahead`", "K,ALPHA"]);
    refused("lookahead = { k = 5 }\n", &["r.toml, line 1: `lookahead`", "expected text"]);
    refused("shuffle = { a = 1 }\n", &["r.toml, line 1: `shuffle`", "expected on or off"]);
    refused("[max-steps]\nn = 5\n", &["r.toml, line 1: `max-steps`", "expected a whole number"]);
    refused("set = 5\n", &["r.toml, line 1: `set`", "a table of settings"]);
    refused("set = [\"lr\"]\n", &["r.toml, line 1: `set`", "KEY=VALUE"]);
    refused("no-decay = [\"norms\"]\n", &["r.toml, line 1: `no-decay`", "did you mean `norm`"]);
    refused("checkpoint-every = \"hourly\"\n", &["r.toml, line 1", "10min"]);
    refused("batch-size = 8\nbatch_size = 8\n", &["r.toml, line 2: `batch_size` is `batch-size` once more"]);
    // Values that only the library finds wrong are reported with their line too.
    refused("epochs = 1\nbatch_size = 0\n", &["r.toml, line 2: `batch-size` is 0", "at least 1"]);
    refused("width = 5000\n", &["r.toml, line 1: resnet18: width=5000", "1024"]);
    refused("epochs = 1\n[model-set]\nstem = \"vgg\"\n", &["r.toml, line 3: resnet18: stem=vgg", "imagenet, cifar"]);
    refused("model = \"vgg11\"\nstem = \"cifar\"\n", &["r.toml, line 2: `vgg11` has no setting `stem`", "batchnorm"]);
    refused("width = 4\nmodel_set = [\"width=8\"]\n", &["r.toml, line 1: `width = 4`, and `width = 8` in `model-set`"]);
    refused("dropout = 1.5\n", &["r.toml, line 1: `dropout` is 1.5", "below 1"]);
    refused("keep = 0\n", &["r.toml, line 1: `keep` is 0"]);
    refused("schedule = \"cosin\"\n", &["r.toml, line 1: ", "did you mean `cosine`"]);
    refused("\nmodel = \"resnet81\"\n", &["r.toml, line 2: ", "resnet18"]);
    refused("\noptimizer = \"adm\"\n", &["r.toml, line 2: ", "did you mean `adam`"]);
    refused("width = 4\n[set]\nlr = 0.1\nlrr = 1\n", &["r.toml, line 4: ", "did you mean `lr`"]);
    refused("width = 4\n[set]\nlr = 0.1\nbeta1 = 1.5\n", &["r.toml, line 4: ", "beta1=1.5"]);
    refused("lr = 0.1\nset = { lr = 0.2 }\n", &["r.toml, line 1: `lr = 0.1`", "`lr = 0.2` in `set`"]);
    folder.write("c.toml", b"optimizers = 'adam,sgd'\n[set.adam]\nlr = 1\n[set.sgd]\nmomentun = 0.9\n");
    let said = folder.refused(2, &["compare", "--config", "c.toml", "--data", "nowhere", "--out", "c"]);
    says(&said, &["c.toml, line 5: ", "did you mean `momentum`"]);
    // A flag of another command, and a recipe of another command.
    refused("seeds = 3\n", &["`seeds` is no flag of `velograd train`", "`velograd compare`"]);
    let said = refused_recipe(&folder, "command = \"compare\"\nseeds = 3\n");
    says(
        &said,
        &["is a recipe of `velograd compare`, not of `velograd train`", "velograd compare --config r.toml --out DIR"],
    );
    refused("quick = true\n", &["r.toml, line 1", "preset = \"quick\""]);
    refused("config = \"s.toml\"\n", &["r.toml, line 1", "no other recipe"]);
    refused("out = \"a\"\nresume = \"b\"\n", &["r.toml, line 1: `out` beside --resume"]);
    refused("command = \"trian\"\n", &["no such command", "did you mean `train`"]);
    folder.write("r.toml", b"command = \"train\"\nwidth = 4\n");
    let said = folder.refused(2, &["sweep", "--config", "r.toml", "--out", "s"]);
    says(&said, &["velograd train --config r.toml"]);
    assert!(!folder.0.join("s").exists());
}

/// The commands that examine a network name the line of a recipe as `train` does.
#[test]
fn a_recipe_of_a_network_is_refused_by_its_line() {
    let folder = Folder::new("toml-plan");
    let refused = |text: &str, parts: &[&str]| {
        folder.write("r.toml", text.as_bytes());
        says(&folder.refused(2, &["plan", "--config", "r.toml"]), parts);
    };
    refused("width = 4\nmodel = \"resnet19\"\n", &["r.toml, line 2", "did you mean `resnet18`"]);
    refused("optimizer = \"adma\"\n", &["r.toml, line 1", "did you mean `adam`"]);
    refused("optimizer = \"adam\"\n[set]\nbeta3 = 1\n", &["r.toml, line 3", "no setting `beta3`"]);
}

/// A run keeps a file that repeats it, from any folder and whatever `data` holds by then.
#[test]
fn config_toml_makes_the_run_again() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("again");
    folder.write("here/data/cifar-10-batches-bin/data_batch_1.bin", &records(24));
    folder.write("here/w.toml", b"width = 4\nbatch-size = 8\naccumulate = 1\nepochs = 2\n[set]\nlr = 0.01\n");
    let run = |at: &str, arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_velograd"))
            .args(arguments)
            .env("VELOGRAD_CACHE", folder.0.join("cache"))
            .current_dir(folder.0.join(at))
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    // The set was found in `data`, not named.
    run("here", &["train", "--config", "w.toml", "--out", "run"]);
    let text = fs::read_to_string(folder.0.join("here/run/config.toml")).unwrap();
    let data = folder.0.canonicalize().unwrap().join("here/data");
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["dataset"].as_str(), Some("cifar10"));
    let named = fs::canonicalize(table["data"].as_str().unwrap()).unwrap();
    assert!(named.starts_with(&data), "{text}");
    says(&text, &["# velograd train --config run/config.toml", "command = \"train\"", "[set]\nlr = 0.01"]);
    // From another folder, with other images in `data`, the result is the same.
    folder.write("there/data/data_batch_1.bin", &records(10));
    run("there", &["train", "--config", "../here/run/config.toml", "--out", "run"]);
    let left = |run: &str| {
        let steps = fs::read_to_string(folder.0.join(run).join("steps.jsonl")).unwrap();
        (steps, fs::read(folder.0.join(run).join("model.safetensors")).unwrap())
    };
    assert!(left("here/run") == left("there/run"), "config.toml makes another run");
    assert_eq!(
        text.replace("run/", ""),
        fs::read_to_string(folder.0.join("there/run/config.toml")).unwrap().replace("run/", "")
    );

    // Drawn images, and those held out, are repeated by their seed; this seed exceeds TOML's integers.
    let seed = u64::MAX.to_string();
    let drawn =
        ["train", "--dataset", "Shapes10", "--width", "2", "-b", "16", "--max-steps", "2", "--val-split", "9970"];
    run("there", &[&drawn[..], &["--seed", &seed, "--out", "drawn"]].concat());
    run("there", &["train", "--config", "drawn/config.toml", "--out", "drawn-again"]);
    assert!(left("there/drawn") == left("there/drawn-again"), "config.toml draws other images");

    // The same for an experiment, and for one of its runs.
    let compare = ["compare", "--data", "data", "--width", "2", "-b", "5", "-e", "1", "--seeds", "2"];
    run("there", &[&compare[..], &["--optimizers", "SGD", "--set", "Sgd:momentum=0.5", "--out", "cmp"]].concat());
    run("there", &["compare", "--config", "cmp/config.toml", "--out", "cmp-again"]);
    let second = "runs/sgd/seed-1";
    assert!(left(&format!("there/cmp/{second}")) == left(&format!("there/cmp-again/{second}")));
    run("there", &["train", "--config", &format!("cmp/{second}/config.toml"), "--out", "single"]);
    assert!(left(&format!("there/cmp/{second}")) == left("there/single"), "a run of an experiment, alone");
    let text = fs::read_to_string(folder.0.join("there/cmp/config.toml")).unwrap();
    says(
        &text,
        &[
            "# velograd compare --config cmp/config.toml --out DIR",
            "command = \"compare\"",
            "seeds = 2",
            "\"sgd:momentum\" = 0.5",
        ],
    );
}

/// A recipe may write settings as a table of tables. Those of one optimizer are left out when others are named.
#[test]
fn settings_of_several_optimizers() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("settings");
    folder.write("data_batch_1.bin", &records(20));
    folder.write("r.toml", b"optimizers = ['adam', 'sgd']\nseeds = 1\nwidth = 2\nmax-steps = 1\n[set.sgd]\nlr = 0.2\n[set.adam]\nlr = 0.1\n");
    folder.works(&["compare", "--config", "r.toml", "--quick", "--data", ".", "--optimizers", "sgd", "--out", "a"]);
    let run = fs::read_to_string(folder.0.join("a/runs/sgd/seed-0/run.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&run).unwrap()["settings"]["lr"], 0.2);
    let said = folder.refused(2, &["compare", "--config", "r.toml", "--data", ".", "--set", "lion:lr=1", "--out", "b"]);
    says(&said, &["--set lion:lr=1: `lion` is not compared", "adam, sgd"]);
}

/// The network, batch and optimizer of a recipe can be used to examine them.
#[test]
fn a_recipe_serves_to_plan() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("plan");
    folder.write(
        "r.toml",
        b"command = 'train'\nmodel = 'airbench94'\nwidth = 8\nbatch-size = 16\nepochs = 4\noptimizer = 'muon'\n",
    );
    says(&folder.works(&["plan", "--config", "r.toml"]), &["whiten", "muon"]);
    let said = folder.works(&["bench", "--config", "r.toml", "--steps", "1", "-b", "4", "--json"]);
    let row: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&row["model"], &row["width"], &row["batch"]), (&"airbench94".into(), &8.into(), &4.into()));
    folder.write("r.toml", b"widht = 8\n");
    says(&folder.refused(2, &["plan", "--config", "r.toml"]), &["r.toml, line 1", "did you mean `width`"]);
    folder.write("r.toml", b"model = 'resnet50'\nwidth = 8\nbatch-size = 1\nimage-size = 40\n");
    says(&folder.works(&["plan", "--config", "r.toml"]), &["height=40 width=40"]);
}
