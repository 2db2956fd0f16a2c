//! Where flags come from (the command line, recipes, presets, the run that is continued), and the errors for wrong
//! ones.

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

/// What can be checked cheaply is reported before the images are read, which do not even exist here.
#[test]
fn what_is_wrong_is_said_before_the_images_are_read() {
    let folder = Folder::new("cheap");
    folder.write("taken/run.json", b"{}");
    let refused = |arguments: &[&str]| {
        let said = folder.refused(2, &[arguments, &["--data", "nowhere"]].concat());
        assert!(!said.contains("nowhere"), "{said}");
        said
    };
    says(&refused(&["train", "--set", "lr=-1"]), &["lr=-1"]);
    says(&refused(&["train", "--schedule", "cosin"]), &["did you mean `cosine`"]);
    says(&refused(&["train", "--out", "taken"]), &["taken holds a run already", "--out", "--resume taken"]);
    says(&refused(&["train", "--batch-size", "0"]), &["--batch-size is 0", "--batch-size is at least 1"]);
    says(&refused(&["train", "--extend", "1"]), &["--extend without a run", "--resume"]);
    says(&refused(&["train", "--dataset", "cifar"]), &["did you mean `cifar10`"]);
    says(&refused(&["compare", "--optimizers", "adam,sgdd", "--out", "c"]), &["did you mean `sgd`"]);
    says(&refused(&["compare", "--set", "adam:lrr=1", "--out", "c"]), &["did you mean `lr`"]);
    says(&refused(&["compare", "--seeds", "0", "--out", "c"]), &["--seeds is 0"]);
    says(&refused(&["compare"]), &["--out is missing"]);
    says(&refused(&["sweep", "--lr", "fast", "--out", "c"]), &["no list of rates"]);
    says(&refused(&["ablate", "--width", "0", "--out", "c"]), &["width=0", "from 1 to 1024"]);
    assert!(!folder.0.join("c").exists());
    // If an experiment was started with other flags, all of them are named.
    let begun = "{\"version\": \"0.1.0\", \"crc32\": \"0\", \"recipe\": {\"width\": 8, \"epochs\": 3, \"schedule\": \"cosine\"}}";
    let begun = begun.replace("0.1.0", env!("CARGO_PKG_VERSION"));
    folder.write("begun/experiment.json", begun.as_bytes());
    if gpu().is_some() {
        let said = refused(&["compare", "--preset", "quick", "--width", "4", "--out", "begun"]);
        says(
            &said,
            &[
                "begun with another recipe",
                "--model-set width: there 8, here 4",
                "--schedule: there cosine, here constant",
            ],
        );
        assert!(!said.contains("--epochs"), "{said}");
    }
}

/// `--lr` and the other short forms are settings of the optimizer, and refused if it has none of that name.
#[test]
fn short_forms_are_settings() {
    let folder = Folder::new("short");
    let refused = |arguments: &[&str]| folder.refused(2, &[&["train", "--data", "nowhere"], arguments].concat());
    says(&refused(&["--momentum", "0.9"]), &["`velograd` has no setting `momentum`", "lookahead_k"]);
    says(&refused(&["--optimizer", "Lion", "--momentum", "0.9"]), &["`lion` has no setting `momentum`", "beta1"]);
    says(&refused(&["--lr", "0.1", "--set", "lr=0.2"]), &["--lr 0.1 and --set lr=0.2", "drop one of them"]);
    says(&refused(&["--lr", "nan"]), &["--lr", "expected a number"]);
    says(&refused(&["--lr=-1"]), &["lr=-1"]);
    if gpu().is_none() {
        return;
    }
    folder.write("set/data_batch_1.bin", &records(20));
    // The command line overrides the recipe, setting by setting.
    folder.write("r.toml", b"data = 'set'\noptimizer = 'SGD'\nwidth = 4\nmax-steps = 1\nlr = 0.1\nmomentum = 0.5\n");
    let run = |arguments: &[&str], out: &str| -> Value {
        folder.works(&[&["train", "--config", "r.toml", "--quick", "-o", out], arguments].concat());
        serde_json::from_str(&fs::read_to_string(folder.0.join(out).join("run.json")).unwrap()).unwrap()
    };
    let kept = run(&["--lr", "0.25", "--weight-decay", "1e-4"], "a");
    assert_eq!((&kept["settings"]["lr"], &kept["settings"]["momentum"]), (&0.25.into(), &0.5.into()));
    assert_eq!(kept["recipe"]["set"], serde_json::json!({ "lr": 0.25, "momentum": 0.5, "weight_decay": 1e-4 }));
    assert!(kept["recipe"].get("lr").is_none());
    // With another optimizer the recipe's settings are left out, since they were not its own.
    let output = folder.velograd(&["train", "--config", "r.toml", "--quick", "-o", "b", "--optimizer", "adam"]);
    says(&String::from_utf8_lossy(&output.stderr), &["the settings of sgd are left out"]);
    let text = fs::read_to_string(folder.0.join("b/run.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["recipe"]["set"], serde_json::json!({}));
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

/// The command line overrides a recipe, which overrides a preset, which overrides the defaults; `-v` says which it was.
#[test]
fn the_nearest_layer_counts() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("layers");
    folder.write("set/data_batch_1.bin", &records(20));
    folder.write(
        "r.toml",
        b"preset = 'paper'\ndata = 'set'\nWidth = 4\nepochs = 7\nmax_steps = 1\nlabel_smoothing = 0.2\n",
    );
    let train =
        ["train", "--config", "r.toml", "--epochs", "3", "-b", "8", "--model", "ResNet18", "--schedule", "COSINE"];
    let output = folder.velograd(&[&train[..], &["-v", "-o", "run"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let run: Value = serde_json::from_str(&fs::read_to_string(folder.0.join("run/run.json")).unwrap()).unwrap();
    let recipe = &run["recipe"];
    for (key, value) in [("epochs", 3), ("batch-size", 8), ("accumulate", 2), ("warmup", 0)] {
        assert_eq!(recipe[key], value, "{key}");
    }
    assert_eq!(recipe["model-set"]["width"], 4);
    assert_eq!((recipe["model"].as_str(), recipe["schedule"].as_str()), (Some("resnet18"), Some("cosine")));
    assert_eq!((recipe["label-smoothing"].as_f64(), run["model"].as_str()), (Some(0.2), Some("resnet18")));
    let explained = String::from_utf8(output.stderr).unwrap();
    for line in ["epochs 3 command line", "model-set width 4 r.toml", "preset paper r.toml", "warmup 0 default"] {
        let words: Vec<&str> = line.split(' ').collect();
        let found = explained.lines().any(|line| line.split_whitespace().eq(words.iter().copied()));
        assert!(found, "`{line}` is not in:\n{explained}");
    }
    // `--quick` is a preset: on the command line it overrides the recipe's preset, and the recipe's own values override
    // it.
    folder.works(&["train", "--config", "r.toml", "--quick", "-o", "quick"]);
    let run: Value = serde_json::from_str(&fs::read_to_string(folder.0.join("quick/run.json")).unwrap()).unwrap();
    assert_eq!(
        (&run["recipe"]["preset"], &run["accumulate"], &run["network"]["width"]),
        (&"quick".into(), &1.into(), &4.into())
    );
    says(&folder.refused(2, &["train", "--quick", "--preset", "paper"]), &["cannot be used with"]);

    // With `-q` only results and errors are printed.
    let said = folder.works(&["train", "--config", "r.toml", "-q", "-o", "quiet"]);
    assert_eq!(said.lines().filter(|line| !line.is_empty()).count(), 3, "{said}");
    says(&said, &["training loss", "weights: quiet/model.safetensors"]);
    let output = folder.velograd(&["train", "--config", "r.toml", "-q", "-o", "quiet"]);
    says(&String::from_utf8_lossy(&output.stderr), &["error: quiet holds a run already"]);
    assert!(output.stdout.is_empty());
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

/// `-h` is short, `--help` is complete; both have headings, and the defaults that they state are true.
#[test]
fn help_is_under_headings() {
    let folder = Folder::new("help");
    let (short, long) = (folder.works(&["train", "-h"]), folder.works(&["train", "--help"]));
    let headings = [
        "Options:",
        "Data:",
        "Network:",
        "Optimizer:",
        "Schedule:",
        "Regularization:",
        "Validation:",
        "Device:",
        "Reliability:",
        "Output:",
    ];
    for text in [&short, &long] {
        let at: Vec<usize> =
            headings.iter().map(|heading| text.find(&format!("\n{heading}")).expect(heading)).collect();
        assert!(at.is_sorted(), "{at:?}");
    }
    for rare in ["--on-disk-full", "--choice", "--debug-nan", "--data-seed", "--no-decay"] {
        assert!(long.contains(rare) && !short.contains(rare), "{rare}");
    }
    assert!(short.lines().count() * 2 < long.lines().count());
    for flag in ["-b, --batch-size", "-e, --epochs", "-o, --out", "-q, --quiet", "-v, --verbose"] {
        says(&short, &[flag]);
    }
    // The stated defaults are those that hold.
    folder.write("none.toml", b"");
    if gpu().is_some() {
        folder.write("data_batch_1.bin", &records(4));
        let output = folder.velograd(&[
            "train",
            "--preset",
            "paper",
            "--data",
            ".",
            "-v",
            "--max-steps",
            "1",
            "--width",
            "2",
            "-o",
            "r",
        ]);
        let explained = String::from_utf8(output.stderr).unwrap();
        let mut checked = 0;
        for line in explained.lines().filter(|line| line.ends_with("  default")) {
            let mut words = line.split_whitespace();
            let (flag, value) = (words.next().unwrap(), words.next().unwrap());
            let text = long.replace(&format!("--{flag}["), &format!("--{flag} ["));
            let entry = text.split(&format!("--{flag} ")).nth(1).unwrap_or_else(|| panic!("--{flag} is not in --help"));
            let entry = entry.split("\n      --").next().unwrap().replace('\n', " ");
            let Some(said) = entry.split("[default: ").nth(1) else { continue };
            let said = said.split([']', ';']).next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
            let said = said.as_str();
            let number = |text: &str| text.parse::<f64>().ok();
            let same = said == value || number(said).is_some_and(|said| Some(said) == number(value));
            assert!(same || (said, value) == ("off", "false"), "--{flag}: help says {said}, and it is {value}");
            checked += 1;
        }
        assert!(checked > 15, "{checked} defaults were compared\n{explained}");
    }
}

/// A rule is found by its name in any case; for an unknown one the nearest name is suggested.
#[test]
fn a_rule_by_its_name() {
    let folder = Folder::new("rules");
    let said = folder.works(&["optimizers", "AdamW"]);
    assert!(said.starts_with("adamw: ") && !said.contains("lion: "), "{said}");
    let json: Value = serde_json::from_str(&folder.works(&["optimizers", "SGD", "lion", "--json"])).unwrap();
    assert_eq!((&json[0]["name"], &json[1]["name"]), (&"sgd".into(), &"lion".into()));
    says(&folder.refused(2, &["optimizers", "adamm"]), &["did you mean `adam`"]);
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

/// `plan` and `bench` take samples and classes of other sizes than the usual ones.
#[test]
fn samples_of_other_sizes_are_planned() {
    let folder = Folder::new("plan-samples");
    says(&folder.refused(2, &["plan", "--model", "gpt", "--image-size", "40"]), &["--image-size is about images"]);
    says(&folder.refused(2, &["plan", "--image-size", "5000"]), &["5000x5000", "1024"]);
    says(&folder.refused(2, &["plan", "--classes", "1"]), &["--classes", "2..=65536"]);
    if gpu().is_none() {
        return;
    }
    let parameters = |more: &[&str]| -> u64 {
        let small = ["plan", "--width", "4", "-b", "1", "--image-size", "24"];
        let said = folder.works(&[&small, more].concat());
        says(&said, &["height=24 width=24"]);
        let line = said.lines().find_map(|line| line.strip_prefix("params ")).expect("a line of parameters");
        line.trim().split(' ').next().and_then(|bytes| bytes.parse().ok()).expect("their bytes")
    };
    // The last layer of a width of 4 has 32 channels; a tensor is stored in whole blocks of 1,024, which a bias of either length fits.
    assert_eq!(parameters(&["--classes", "1000"]) - parameters(&["--classes", "200"]), 4 * 800 * 32);
}

/// Environment variables with meaningless values are named. The adapter's name is used, and a flag overrides it.
#[test]
fn the_environment_is_checked() {
    let folder = Folder::new("environment");
    let with = |name: &str, value: &str, arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_velograd"))
            .args(arguments)
            .env(name, value)
            .env_remove("XDG_RUNTIME_DIR")
            .current_dir(&folder.0)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (name, value, part) in [
        ("WGPU_BACKEND", "nonsense", "vulkan"),
        ("VELOGRAD_CHECKED", "yes", "1 for yes"),
        ("VELOGRAD_PORTABLE", "yes", "1 for yes"),
        ("VELOGRAD_MATRIX", "on", "1 for yes"),
        ("LP_NUM_THREADS", "all", "a number of threads"),
    ] {
        for command in [&["devices"][..], &["plan", "--width", "4"]] {
            let (code, said) = with(name, value, command);
            assert_eq!(code, Some(2), "{said}");
            says(&said, &[&format!("{name}={value}"), part]);
        }
    }
    if gpu().is_none() {
        return;
    }
    let plan = ["plan", "--width", "4", "-b", "4"];
    let (code, said) = with("WGPU_ADAPTER_NAME", "Voodoo 2", &plan);
    assert_eq!(code, Some(1));
    says(&said, &["WGPU_ADAPTER_NAME: no adapter is called `Voodoo 2`", "driver"]);
    let (code, said) = with("WGPU_ADAPTER_NAME", "Voodoo 2", &[&plan[..], &["--device", "0"]].concat());
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = with("WGPU_ADAPTER_NAME", "0", &plan);
    assert_eq!(code, Some(0), "{said}");
    // A stage that takes longer than two seconds may be printed.
    let lines: Vec<&str> = said.lines().filter(|line| *line != "opening the device").collect();
    assert!(lines.is_empty(), "nothing is said of XDG_RUNTIME_DIR either: {said}");
}

/// Adapters of the same name are listed so that they can be told apart, and the line about kernels is called
/// `kernel forms`.
#[test]
fn devices_are_told_apart() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("devices");
    let said = folder.works(&["devices"]);
    says(&said, &["kernel forms", "driver"]);
    assert!(!said.contains("matrix cores"), "{said}");
    let heads: Vec<&str> = said.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    let kinds: Vec<&str> = heads.iter().map(|line| line.split_once(": ").unwrap().1).collect();
    assert!(!kinds.is_empty() && (1..kinds.len()).all(|i| !kinds[..i].contains(&kinds[i])), "{heads:?}");
}

/// A preset of a network stands for its settings: above those of the layers below, and below those beside it.
#[test]
fn a_preset_of_a_network_stands_for_settings() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("sizes");
    folder.write("data_batch_1.bin", &records(16));
    folder.write("test_batch.bin", &records(4));
    folder.write("r.toml", b"model = 'vit'\n[model-set]\nwidth = 96\npool = 'avg'\n");
    let network = |given: &[&str]| {
        let common = ["train", "--data", ".", "--max-steps", "1", "--batch-size", "8", "--accumulate", "1", "-o", "a"];
        folder.works(&[&common[..], given].concat());
        let run: Value = serde_json::from_str(&fs::read_to_string(folder.0.join("a/run.json")).unwrap()).unwrap();
        fs::remove_dir_all(folder.0.join("a")).unwrap();
        let of = |key: &str| run["network"][key].to_string();
        ["patch", "width", "depth", "heads", "pool"].map(of).join(" ")
    };
    assert_eq!(network(&["--model", "vit", "--quick"]), "4 48 4 3 \"token\"");
    let tiny = ["--config", "r.toml", "--quick", "--model-set", "preset=tiny", "--model-set", "depth=1"];
    assert_eq!(network(&tiny), "16 192 1 3 \"avg\"");
    folder.write("r.toml", b"model = 'vit'\n[model-set]\npreset = 'tiny'\ndepth = 1\n");
    assert_eq!(network(&["--config", "r.toml", "--model-set", "width=24"]), "16 24 1 3 \"token\"");
    folder.write("r.toml", b"model = 'vit'\n[model-set]\npreset = 'tyni'\n");
    let said = folder.refused(2, &["train", "--config", "r.toml", "--data", "."]);
    says(&said, &["r.toml, line 3", "no preset is called `tyni`", "did you mean `tiny`"]);
    says(&folder.works(&["models", "vit"]), &["preset=NAME", "tiny", "patch=16 width=192"]);
}
