//! The recipes that come with the program: the command on the first line of each works.

use std::fs;

use crate::{
    folder::{Folder, idx, records, says},
    no_gpu::folder_of_images::png,
    support::gpu,
};

#[test]
fn every_recipe_runs() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("recipes");
    few_samples(&folder);
    let recipes = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes");
    let mut seen = 0;
    for entry in fs::read_dir(recipes).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let file = path.file_name().unwrap().to_str().unwrap();
        let command: Vec<&str> = text.lines().next().unwrap().split(' ').collect();
        assert_eq!(command[..2], ["#", "velograd"], "{file} begins with its command");
        assert_eq!(command[3..5], ["--config", &format!("recipes/{file}")], "{file} names itself");
        let mut arguments = vec![command[2], "--config", path.to_str().unwrap()];
        // Another command first of all refuses the recipe and says whose it is.
        let other = if command[2] == "train" { "compare" } else { "train" };
        let said = folder.refused(2, &[other, "--config", path.to_str().unwrap()]);
        assert!(said.contains(&format!("a recipe of `velograd {}`", command[2])), "{file}: {said}");
        // The recipe's own settings, with few images and a small network.
        let recipe: toml::Table = text.parse().unwrap();
        let set = match recipe.get("dataset").map(|name| name.as_str().unwrap()) {
            Some("mnist") => "idx",
            Some("cifar100") => "hundred",
            _ => "set",
        };
        let word = |key: &str| recipe.get(key).and_then(|value| value.as_str()).unwrap_or("");
        let small = ["--model-set", "block=16", "--model-set", "depth=1"];
        arguments.extend(match (word("model"), word("dataset")) {
            ("gpt" | "seq2seq" | "bert" | "lstm", "grammar") => vec![],
            ("gpt", "tokens") => [&["--data", "tokens"], &small[..]].concat(),
            ("gpt" | "bert" | "lstm" | "seq2seq", _) => [&["--data", "text.txt"], &small[..]].concat(),
            ("vit", _) => vec!["--data", "folder", "--image-size", "32", "--model-set", "depth=1"],
            (_, "folder") => vec!["--data", "folder", "--image-size", "32"],
            _ => vec!["--data", set],
        });
        // Each head of a transformer has a share of the width.
        let width = match word("model") {
            "gpt" | "bert" | "vit" => "48",
            "seq2seq" => "64",
            _ => "4",
        };
        arguments.extend(["--width", width, "--batch-size", "16", "--epochs", "1", "--max-steps", "1"]);
        if command[2] == "train" {
            let split: &[&str] = if text.contains("val-split") { &["--val-split", "10"] } else { &[] };
            folder.works(&[&arguments[..], split, &["--out", file]].concat());
            let run = fs::read_to_string(folder.0.join(file).join("run.json")).unwrap();
            let run: serde_json::Value = serde_json::from_str(&run).unwrap();
            assert_eq!(run["optimizer"], recipe["optimizer"].as_str().unwrap(), "{file}");
            for (key, value) in recipe["set"].as_table().unwrap() {
                let found = &run["settings"][key];
                match value.as_str() {
                    Some(word) => assert_eq!(found, word, "{file}: {key}"),
                    None => {
                        let given = value.as_float().or(value.as_integer().map(|v| v as f64)).unwrap();
                        assert_eq!(found.as_f64(), Some(given), "{file}: {key}");
                    }
                }
            }
        } else {
            let rates: &[&str] = if command[2] == "sweep" { &["--lr", "0.01"] } else { &[] };
            folder.works(&[&arguments[..], rates, &["--seeds", "1", "--out", file]].concat());
            let table = fs::read_to_string(folder.0.join(file).join("table.md")).unwrap();
            for optimizer in recipe["optimizers"].as_str().unwrap().split(',') {
                assert!(table.contains(&format!("| {optimizer} |")), "{file}: {optimizer} is not in\n{table}");
            }
        }
        seen += 1;
    }
    assert!(seen >= 10, "{seen} recipes");
}

/// Every recipe has a variant for a first look, on data that the program draws: it is one itself, or has a table `[quick]`. The networks
/// of these variants are built, and trained on few samples.
#[test]
fn every_recipe_has_a_quick_variant() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("quick-recipes");
    few_samples(&folder);
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/recipes")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let recipe: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        let Some(quick) = recipe.get("quick").map(|quick| quick.as_table().unwrap()) else {
            assert_eq!(recipe["dataset"].as_str(), Some("grammar"), "{file} has no [quick]");
            continue;
        };
        let data = match quick["dataset"].as_str() {
            Some("shapes10") => "set",
            Some("digits28") => "idx",
            Some("grammar") => "text.txt",
            other => panic!("{file}: the data set of [quick] is {other:?}"),
        };
        let mut arguments = vec![recipe["command"].as_str().unwrap(), "--config", path.to_str().unwrap(), "--quick"];
        arguments.extend(["--data", data, "--batch-size", "8", "--max-steps", "1", "--out", file]);
        if quick.contains_key("val-split") {
            arguments.extend(["--val-split", "10"]);
        }
        folder.works(&arguments);
        let rule = recipe.get("optimizers").map(|names| names.as_str().unwrap().split(',').next().unwrap());
        let run = match (arguments[0], rule) {
            ("train", _) => file.to_owned(),
            (_, Some(rule)) => runs_of(&folder, &format!("{file}/runs"), rule),
            other => panic!("{file}: {other:?}"),
        };
        let run = fs::read_to_string(folder.0.join(run).join("run.json")).unwrap();
        let run: serde_json::Value = serde_json::from_str(&run).unwrap();
        let kept = &run["recipe"];
        assert_eq!(kept["preset"], "quick", "{file}");
        let set = quick.get("model-set").map(|set| set.as_table().unwrap().clone()).unwrap_or_default();
        for (key, value) in &set {
            let (found, expected) = (&kept["model-set"][key], serde_json::to_value(value).unwrap());
            assert_eq!(found, &expected, "{file}: {key}");
        }
        for key in ["schedule", "epochs", "warmup", "accumulate", "zero-grad"] {
            if let Some(value) = quick.get(key).or(recipe.get(key)) {
                assert_eq!(kept[key], serde_json::to_value(value).unwrap(), "{file}: {key}");
            }
        }
    }
}

/// The first seed's run of a rule; those of a sweep have their rate in the name.
fn runs_of(folder: &Folder, runs: &str, rule: &str) -> String {
    let names = fs::read_dir(folder.0.join(runs)).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> =
        names.map(|name| name.into_string().unwrap()).filter(|name| name.starts_with(rule)).collect();
    names.sort_unstable();
    format!("{runs}/{}/seed-0", names[0])
}

/// The table `[quick]` counts where the preset is quick, and the command line counts more.
#[test]
fn the_table_quick_counts_with_its_preset() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("quick-table");
    few_samples(&folder);
    let recipe = "preset = 'paper'\nwidth = 4\nepochs = 1\nbatch-size = 16\nmax-steps = 2\ndata = 'set'\noptimizer = 'adam'\n\
                  lr = 0.5\n[quick]\nwidth = 2\nmax-steps = 1\n[quick.set]\nlr = 0.25\n";
    folder.write("r.toml", recipe.as_bytes());
    let found = |more: &[&str]| {
        let _ = fs::remove_dir_all(folder.0.join("run"));
        folder.works(&[&["train", "--config", "r.toml", "--out", "run"], more].concat());
        let run: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(folder.0.join("run/run.json")).unwrap()).unwrap();
        let recipe = &run["recipe"];
        let number = |value: &serde_json::Value| value.as_f64().unwrap();
        (number(&recipe["model-set"]["width"]), number(&recipe["max-steps"]), number(&run["settings"]["lr"]))
    };
    assert_eq!(found(&[]), (4.0, 2.0, 0.5));
    assert_eq!(found(&["--quick"]), (2.0, 1.0, 0.25));
    assert_eq!(found(&["--preset", "QUICK", "--width", "3", "--set", "lr=0.125"]), (3.0, 1.0, 0.125));
    // It may state the preset itself; and what is wrong in it is said with its line, whether it counts or not.
    folder.write("r.toml", recipe.replace("paper", "quick").as_bytes());
    assert_eq!(found(&[]), (2.0, 1.0, 0.25));
    for (line, parts) in [
        ("widht = 2", &["r.toml, line 3", "did you mean `width`"]),
        ("width = 'two'", &["r.toml, line 3: `width`", "two"]),
        ("preset = 'paper'", &["r.toml, line 3: `preset` in [quick]", "in front of [quick]"]),
        ("command = 'train'", &["r.toml, line 3: `command` in [quick]", "in front of [quick]"]),
        ("[quick.quick]", &["r.toml, line 3: `quick` is no flag", "`velograd train`"]),
    ] {
        folder.write("r.toml", format!("width = 4\n[quick]\n{line}\n").as_bytes());
        says(&folder.refused(2, &["train", "--config", "r.toml", "--data", "nowhere"]), parts);
    }
    folder.write("r.toml", b"width = 4\n[quick]\nepochs = 0\n");
    says(
        &folder.refused(2, &["train", "--config", "r.toml", "--quick", "--data", "nowhere"]),
        &["r.toml, line 3: `epochs` is 0"],
    );
}

/// Few samples of every kind that recipes are about.
fn few_samples(folder: &Folder) {
    folder.write("set/data_batch_1.bin", &records(60));
    folder.write("set/test_batch.bin", &records(20));
    folder.write("hundred/train.bin", &of_cifar100(60));
    folder.write("hundred/test.bin", &of_cifar100(20));
    for (part, count) in [("train", 60), ("t10k", 20)] {
        folder.write(&format!("idx/{part}-images-idx3-ubyte"), &idx(&[count, 28, 28]));
        folder.write(&format!("idx/{part}-labels-idx1-ubyte"), &idx(&[count]));
    }
    for (part, count) in [("train", 40), ("val", 8)] {
        for class in ["cat", "dog"] {
            for picture in 0..count / 2 {
                folder.write(&format!("folder/{part}/{class}/{picture}.png"), &png(36, 36, [90, 120, 60]));
            }
        }
    }
    let tokens = |count: u32| (0..count).flat_map(|i| ((i * i % 100) as u16).to_le_bytes()).collect::<Vec<u8>>();
    for (part, count) in [("train", 2000), ("val", 600)] {
        folder.write(&format!("tokens/{part}.bin"), &tokens(count));
    }
    folder.write("tokens/meta.json", br#"{"vocab_size": 100}"#);
    folder.write("text.txt", "A text of which a block is a part.\n".repeat(40).as_bytes());
}

/// Records of CIFAR-100: a coarse label, a fine label, an image.
fn of_cifar100(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| [vec![(i % 20) as u8, (i % 100) as u8], vec![(i * 4) as u8; 3072]].concat()).collect()
}

/// A recipe's settings for one optimizer are left out if the command line names others.
#[test]
fn flags_override_a_recipe() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("override");
    folder.write("data_batch_1.bin", &records(40));
    folder.write("test_batch.bin", &records(20));
    folder.write(
        "r.toml",
        b"optimizers = \"adam,sgd\"\nset = [\"adam:lr=0.1\", \"sgd:lr=0.2\"]\nseeds = 2\nwidth = 4\nepochs = 1\n",
    );
    let compare = ["compare", "--data", ".", "--batch-size", "16", "--config", "r.toml"];
    let said = folder.works(&[&compare[..], &["--optimizers", "sgd,lion", "--seeds=1", "--out", "a"]].concat());
    assert!(said.contains("lion") && !said.contains("adam"), "{said}");
    let json = fs::read_to_string(folder.0.join("a/runs/sgd/seed-0/run.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["settings"]["lr"], 0.2);
    assert!(!folder.0.join("a/runs/sgd/seed-1").exists());
}
