//! Where flags come from (the command line, recipes, presets, the run that is continued), and the errors for wrong
//! ones.

/// Recipes.
mod recipe;

use std::{fs, process::Command};

use serde_json::Value;

use crate::{
    folder::{Folder, records, says},
    support::gpu,
};

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
