//! The program as a user runs it: the files that it leaves, and its errors for bad input.

use std::{fs, path::Path, process::Command};

use crate::{
    folder::{Folder, records, says},
    support::gpu,
};

#[test]
fn a_run_leaves_its_files() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("run");
    folder.write("set/data_batch_1.bin", &records(50));
    folder.write("set/data_batch_2.bin", &records(30));
    folder.write("set/test_batch.bin", &records(20));
    let train = ["train", "--data", "set", "--width", "8", "--epochs", "2", "--batch-size", "16", "--accumulate", "2"];
    let said = folder.works(&[&train[..], &["--out", "run", "--shuffle", "off", "--augment", "none"]].concat());
    says(&said, &["80", "20", "epoch  2/2", "training loss", "weighted F1", "loss variance"]);

    let read = |name: &str| fs::read_to_string(folder.0.join("run").join(name)).unwrap();
    let run: serde_json::Value = serde_json::from_str(&read("run.json")).unwrap();
    for key in
        ["version", "device", "driver", "settings", "seed", "dataset", "batch_size", "network", "image", "result"]
    {
        assert!(!run[key].is_null(), "run.json has no `{key}`");
    }
    assert_eq!(run["dataset"]["train"], 80);
    assert_eq!(run["dataset"]["crc32"].as_str().unwrap().len(), 8);
    // 80 images are 5 batches of 16: two updates of 32 images and one of 16 per epoch.
    let rows = |name: &str| -> Vec<serde_json::Value> {
        read(name).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let steps = rows("steps.jsonl");
    assert_eq!(steps.iter().map(|s| s["step"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(steps.iter().all(|s| s["loss"].is_f64() && s["grad_norm"].is_f64() && s["lr"] == 0.0015));
    let metrics = rows("metrics.jsonl");
    for key in
        "train_loss train_acc val_loss val_acc val_top5 val_f1 val_precision val_recall seconds images_per_second"
            .split(' ')
    {
        assert!(metrics[1][key].is_number(), "metrics.jsonl has no `{key}`");
    }

    let eval = folder.works(&["eval", "--weights", "run/model.safetensors", "--data", "set", "--json"]);
    let eval: serde_json::Value = serde_json::from_str(&eval).unwrap();
    assert_eq!(eval["accuracy"], metrics[1]["val_acc"]);
    assert_eq!(eval["top5_accuracy"], metrics[1]["val_top5"]);
    assert_eq!(eval["f1"], metrics[1]["val_f1"]);
    assert_eq!(eval["confusion"].as_array().unwrap().len(), 10);

    // The same command in another folder gives the same bytes. Another run then starts from these weights.
    folder.works(&[&train[..], &["--out", "again", "--shuffle", "off", "--augment", "none"]].concat());
    let bytes = |run: &str| fs::read(folder.0.join(run).join("model.safetensors")).unwrap();
    assert!(bytes("run") == bytes("again"), "two runs of one seed differ");
    folder.works(&["train", "--data", "set", "--init", "run/model.safetensors", "--max-steps", "1", "--out", "on"]);
    let said = folder.refused(2, &[&train[..], &["--out", "run"]].concat());
    says(&said, &["holds a run already"]);
}

#[test]
fn without_test_images_a_line_says_so() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("no-test");
    folder.write("data_batch_1.bin", &records(20));
    let said = folder.works(&["train", "--data", ".", "--width", "4", "--epochs", "1", "--out", "run"]);
    says(&said, &["no test_batch.bin", "there are no test images: there will be no validation"]);
}

/// `--no-decay`, from a file and from the command line, is in `run.json` and in every run of a comparison.
#[test]
fn what_weight_decay_leaves_out_is_recorded() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("decay");
    folder.write("data_batch_1.bin", &records(20));
    folder.write("recipe.toml", b"data = '.'\nwidth = 4\nmax-steps = 2\nno-decay = ['norm', 'bias']\n");
    let run = |arguments: &[&str], file: &str| -> serde_json::Value {
        folder.works(arguments);
        serde_json::from_str(&fs::read_to_string(folder.0.join(file)).unwrap()).unwrap()
    };
    let from_file = run(&["train", "--config", "recipe.toml", "--out", "a"], "a/run.json");
    assert_eq!(from_file["no_decay"], "norm,bias");
    assert_eq!(from_file["recipe"]["no-decay"], "norm,bias");
    let overridden = run(&["train", "--config", "recipe.toml", "--no-decay", "none", "--out", "b"], "b/run.json");
    assert_eq!(overridden["no_decay"], "none");
    assert_eq!(overridden["recipe"]["no-decay"], "none");
    let weights = |run: &str| fs::read(folder.0.join(run).join("model.safetensors")).unwrap();
    assert!(weights("a") != weights("b"), "decay left nothing out");
    let compare = ["compare", "--config", "recipe.toml", "--optimizers", "adamw", "--seeds", "1", "--out", "c"];
    assert_eq!(run(&compare, "c/runs/adamw/seed-0/run.json")["no_decay"], "norm,bias");
    let said = folder.refused(2, &[&compare[..], &["--no-decay", "norm"]].concat());
    says(&said, &["another recipe", "--no-decay: there norm,bias, here norm"]);
    for command in ["compare", "sweep", "ablate"] {
        says(&folder.refused(2, &[command, "--out", "d", "--no-decay", "biases"]), &["did you mean `bias`"]);
    }
}

#[test]
fn bad_data() {
    let folder = Folder::new("data");
    folder.write("empty/readme.txt", b"");
    folder.write("cut/data_batch_1.bin", &records(3)[..7000]);
    folder.write("nothing/data_batch_1.bin", b"");
    let mut label = records(4);
    label[3073 * 2] = 10;
    folder.write("label/data_batch_1.bin", &label);
    folder.write("garbage.tar.gz", b"this is no archive");
    if gpu().is_none() {
        return;
    }
    let train = |data: &str| folder.refused(1, &["train", "--data", data, "--out", "run"]);
    says(&train("missing"), &["missing"]);
    says(&train("empty"), &["empty", "data_batch"]);
    says(&train("cut"), &["data_batch_1.bin", "3,073 bytes", "2 whole"]);
    says(&train("nothing"), &["data_batch_1.bin"]);
    says(&train("label"), &["data_batch_1.bin", "10"]);
    says(&train("garbage.tar.gz"), &["garbage.tar.gz"]);
    says(&folder.refused(1, &["train", "--dataset", "cifar10"]), &["cifar-10-binary.tar.gz", "curl"]);
    says(&folder.refused(2, &["train", "--dataset", "cifar"]), &["cifar10"]);
    assert!(!folder.0.join("run").exists(), "a refused run leaves no folder");
}

#[test]
fn bad_flags() {
    let folder = Folder::new("flags");
    let refused = |code, arguments: &[&str]| folder.refused(code, &[&["train"], arguments].concat());
    says(&refused(2, &["--optimizer", "velogard"]), &["`velograd`"]);
    says(&refused(2, &["--set", "lr=-1"]), &["lr=-1", "at least 0"]);
    says(&refused(2, &["--set", "lrr=1"]), &["did you mean `lr`"]);
    says(&refused(2, &["--set", "lr"]), &["KEY=VALUE"]);
    says(&refused(2, &["--width", "0"]), &["width=0", "from 1 to 1024"]);
    says(&refused(2, &["--width", "100000"]), &["1024"]);
    says(&refused(2, &["--width", "wide"]), &["--width"]);
    says(&refused(2, &["--model", "resnet81"]), &["resnet18"]);
    says(&refused(2, &["--stem", "vgg"]), &["imagenet", "cifar"]);
    says(&refused(2, &["--no-decay", "norms"]), &["`norms`", "did you mean `norm`", "norm, bias, none"]);
    says(&refused(2, &["--no-decay", "norm,weight"]), &["`weight`", "norm, bias, none"]);
    if gpu().is_none() {
        return;
    }
    says(&refused(2, &["--batch-size", "0"]), &["--batch-size"]);
    says(&refused(2, &["--epochs", "0"]), &["--epochs"]);
    says(&refused(2, &["--accumulate", "0"]), &["--accumulate"]);
    says(&refused(2, &["--max-steps", "0"]), &["--max-steps"]);
    says(&refused(1, &["--device", "Voodoo 2"]), &["Voodoo 2", "there is 0:"]);
    says(&refused(1, &["--device", "99"]), &["99"]);
    says(&refused(2, &["--batch-size", "5000000000"]), &["--batch-size"]);
    for command in ["plan", "bench"] {
        says(&folder.refused(2, &[command, "--batch-size", "4000000000"]), &["65535"]);
        says(&folder.refused(2, &[command, "--batch-size", "0"]), &["--batch-size"]);
    }
    let said = refused(1, &["--width", "64", "--batch-size", "10000"]);
    says(&said, &["does not fit", "largest batch that fits is"]);
    folder.write("file", b"");
    says(&refused(1, &["--epochs", "1", "--out", "file/run"]), &["file/run"]);
}

#[test]
fn bad_weights() {
    let folder = Folder::new("weights");
    folder.write("test_batch.bin", &records(10));
    folder.write("data_batch_1.bin", &records(10));
    folder.write("garbage.safetensors", &[7; 100]);
    folder.write("huge.safetensors", &[0xff; 16]);
    let eval = |weights: &str| folder.refused(1, &["eval", "--weights", weights, "--data", "."]);
    says(&eval("missing.safetensors"), &["missing.safetensors"]);
    says(&eval("garbage.safetensors"), &["garbage.safetensors", "a safetensors file"]);
    says(&eval("huge.safetensors"), &["a safetensors file"]);
    let tensor = |name: &str, shape: &[usize]| -> Vec<u8> {
        let zeros = vec![0; 4 * shape.iter().product::<usize>()];
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), &zeros).unwrap();
        safetensors::serialize([(name.to_owned(), view)], None).unwrap()
    };
    folder.write("other.safetensors", &tensor("encoder.weight", &[3, 3]));
    says(&eval("other.safetensors"), &["conv1.weight"]);
    folder.write("shape.safetensors", &tensor("conv1.weight", &[16, 3, 7, 7]));
    says(&eval("shape.safetensors"), &["fc.weight"]);
    says(&folder.refused(1, &["train", "--init", "garbage.safetensors"]), &["a safetensors file"]);
}

/// Where the loader finds no driver, the error names the package that brings lavapipe.
#[test]
fn no_adapter_at_all() {
    let folder = Folder::new("adapter");
    let output = Command::new(env!("CARGO_BIN_EXE_velograd"))
        .args(["train", "--dataset", "shapes10"])
        .envs([("VK_DRIVER_FILES", "/nonexistent.json"), ("VK_ICD_FILENAMES", "/nonexistent.json")])
        .env("WGPU_BACKEND", "vulkan")
        .current_dir(&folder.0)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    says(&String::from_utf8_lossy(&output.stderr), &["no graphics adapter", "mesa-vulkan-drivers"]);
}

#[test]
fn what_it_says_of_itself() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("itself");
    let json = |arguments: &[&str]| -> serde_json::Value { serde_json::from_str(&folder.works(arguments)).unwrap() };
    let devices = json(&["devices", "--json"]);
    assert_eq!(devices.as_array().unwrap().iter().filter(|d| d["chosen"] == true).count(), 1);
    says(&folder.works(&["devices"]), &["driver", "subgroup"]);

    let bench = json(&["bench", "--width", "8", "--batch-size", "8", "--steps", "2", "--json"]);
    let keys = "device driver model stem width batch optimizer precision ms_per_step ms_forward ms_backward ms_optimizer \
                ms_host images_per_second peak_device_bytes peak_host_bytes";
    for key in keys.split_whitespace() {
        assert!(bench.get(key).is_some(), "bench has no `{key}`");
    }
    let (planned, measured) =
        (bench["planned_device_bytes"].as_f64().unwrap(), bench["peak_device_bytes"].as_f64().unwrap());
    assert!((measured - planned).abs() <= 0.1 * planned, "planned {planned}, measured {measured}");

    let plan = folder.works(&["plan"]);
    says(&plan, &["conv2d/forward", "layer4.1.conv2", "optim/velograd_update", "peak"]);
    let dispatches: usize =
        plan.lines().filter_map(|l| l.strip_suffix(" dispatches")?.rsplit(' ').next()?.parse::<usize>().ok()).sum();
    assert!((1..=250).contains(&dispatches), "{dispatches} dispatches per update");

    says(
        &folder.works(&["data", "--dataset", "shapes10", "--preview", "sheet.png"]),
        &["10000", "2000", "mean", "sheet.png"],
    );
    assert!(fs::read(folder.0.join("sheet.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(Path::new(&folder.0.join("sheet.png")).is_file());
}

/// A small `bench --suite`: every configuration with its time and its own memory, and the ceilings, as a table and as
/// JSON.
#[test]
fn the_suite_is_a_table() {
    let Some(gpu) = gpu() else { return };
    let folder = Folder::new("suite");
    let suite = ["bench", "--suite", "--width", "4", "--steps", "1"];
    let json: serde_json::Value = serde_json::from_str(&folder.works(&[&suite[..], &["--json"]].concat())).unwrap();
    for key in ["bytes_per_second", "flop_per_second", "dispatch_seconds"] {
        assert!(json["ceilings"][key].as_f64().unwrap() > 0.0, "{key}");
    }
    let rows = json["rows"].as_array().unwrap();
    let has = |key: &str, value: &str| rows.iter().any(|row| row[key].to_string().trim_matches('"') == value);
    assert!(has("stem", "imagenet") && has("stem", "cifar") && has("optimizer", "velograd") && has("optimizer", "sgd"));
    assert_eq!(has("precision", "mixed"), gpu.features.f16);
    for row in rows {
        assert_eq!((row["steps"].as_u64(), row["width"].as_u64()), (Some(1), Some(4)), "{row}");
        let number = |key: &str| row[key].as_f64().unwrap_or_else(|| panic!("{row} has no {key}"));
        let rate = 1e3 * number("batch") / number("ms_per_step");
        assert!((number("images_per_second") / rate - 1.0).abs() < 1e-6, "{row}");
        // wgpu has half a megabyte of its own. The network before took at least four, which must not be counted again.
        let (planned, measured) = (number("planned_device_bytes"), number("peak_device_bytes"));
        assert!((measured - planned).abs() < 1e6, "{row}");
    }

    let said = folder.works(&suite);
    says(&said, &["GB/s", "GFLOP/s", json["list"].as_str().unwrap(), "images/s", "memory MB"]);
    assert_eq!(
        said.lines().filter(|l| l.starts_with("imagenet") || l.starts_with("cifar")).count(),
        rows.len(),
        "{said}"
    );
    says(&folder.refused(2, &[&suite[..], &["--optimizer", "adam"]].concat()), &["--suite", "cannot be used with"]);
    says(&folder.refused(2, &["bench", "--suite", "--steps", "0"]), &["--steps is at least 1"]);
    says(&folder.refused(2, &["bench", "--suite", "--width", "0"]), &["width=0"]);
}

/// Everything is allocated before the first step: a thousand more updates do not raise the process's peak memory.
#[test]
fn a_thousand_updates_leave_memory_where_it_was() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("memory");
    let peak = |steps: &str, key: &str| {
        let said = folder.works(&["bench", "--width", "4", "--batch-size", "2", "--steps", steps, "--json"]);
        serde_json::from_str::<serde_json::Value>(&said).unwrap()[key].as_f64()
    };
    // A leak of 100 bytes per dispatch would be 20 MB.
    if let (Some(few), Some(many)) = (peak("20", "peak_host_bytes"), peak("1020", "peak_host_bytes")) {
        assert!(many - few < 5e6, "{few} bytes after 20 updates, {many} after 1,020");
    }
    assert_eq!(peak("1", "peak_device_bytes"), peak("50", "peak_device_bytes"));
}

/// The driver's compiled pipelines are kept, and a damaged file is replaced.
#[test]
fn the_pipeline_cache_survives_damage() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("cache");
    let bench = ["bench", "--width", "4", "--batch-size", "2", "--steps", "1"];
    folder.works(&bench);
    let files = || fs::read_dir(folder.0.join("cache")).map(|f| f.map(|e| e.unwrap().path()).collect::<Vec<_>>());
    let Ok(files) = files() else {
        println!("skipped: the device has no pipeline cache");
        return;
    };
    assert_eq!(files.len(), 1, "{files:?}");
    let whole = fs::read(&files[0]).unwrap();
    for damaged in [whole[..whole.len() / 2].to_vec(), vec![0xff; 100], vec![]] {
        fs::write(&files[0], &damaged).unwrap();
        folder.works(&bench);
        assert!(fs::read(&files[0]).unwrap() != damaged, "the damaged file was kept");
    }
}

#[test]
fn schedules_are_drawn() {
    let folder = Folder::new("schedule");
    let cosine = ["schedule", "--schedule", "cosine", "--warmup", "2", "--max-steps", "4", "--lr", "0.1"];
    let said = folder.works(&[&cosine[..], &["--plot", "out.svg"]].concat());
    says(&said, &["1       0.050000", "2       0.100000", "3       0.100000", "4       0.050000", "out.svg"]);
    assert!(fs::read_to_string(folder.0.join("out.svg")).unwrap().starts_with("<svg"));
    folder.works(&[&cosine[..], &["--plot", "out.png"]].concat());
    assert!(fs::read(folder.0.join("out.png")).unwrap().starts_with(b"\x89PNG"));
    says(&folder.refused(2, &[&cosine[..], &["--plot", "out.pdf"]].concat()), &[".svg or .png"]);
    says(&folder.refused(1, &[&cosine[..], &["--plot", "no/out.svg"]].concat()), &["no/out.svg"]);
    says(&folder.refused(2, &["schedule", "--schedule", "cosin"]), &["did you mean `cosine`"]);
    says(&folder.refused(2, &["schedule", "--max-steps", "0"]), &["at least 1"]);
    says(&folder.refused(2, &["schedule", "--lr", "nan"]), &["--lr"]);
}

/// Mixed precision from the command line: its traces in the files, and that those files repeat the run.
#[test]
fn mixed_precision() {
    let Some(gpu) = gpu().filter(|gpu| gpu.features.f16) else { return };
    let folder = Folder::new("mixed");
    folder.write("set/data_batch_1.bin", &records(64));
    folder.write("set/test_batch.bin", &records(20));
    let flags = ["train", "--data", "set", "--width", "8", "--batch-size", "32", "--accumulate", "1", "--epochs", "1"];
    let output = folder.velograd(&[&flags[..], &["--precision", "auto", "--out", "run"]].concat());
    says(&String::from_utf8_lossy(&output.stderr), &["precision mixed", &gpu.info.name]);
    assert!(output.status.success());
    let read = |name: &str| fs::read_to_string(folder.0.join("run").join(name)).unwrap();
    let run: serde_json::Value = serde_json::from_str(&read("run.json")).unwrap();
    assert_eq!(run["precision"], "mixed");
    says(&read("config.toml"), &["precision = \"mixed\""]);
    let step: serde_json::Value = serde_json::from_str(read("steps.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!(step["scale"], 65536.0);

    folder.works(&["train", "--config", "run/config.toml", "--out", "again"]);
    let bytes = |run: &str| fs::read(folder.0.join(run).join("model.safetensors")).unwrap();
    assert!(bytes("run") == bytes("again"), "the configuration makes another run");

    let small = ["--width", "8", "--batch-size", "4", "--precision", "mixed"];
    says(
        &folder.works(&[&["plan"], &small[..]].concat()),
        &["conv2d/forward f16", "scaler/adjust", "saves", "state.scaler"],
    );
    let bench = folder.works(&[&["bench", "--json", "--steps", "1"], &small[..]].concat());
    let bench: serde_json::Value = serde_json::from_str(&bench).unwrap();
    assert_eq!(bench["precision"], "mixed");
    assert!(bench["planned_device_bytes"].as_u64() < bench["planned_device_bytes_in_f32"].as_u64());
    says(&folder.refused(2, &[&["train", "--precision", "f64"], &flags[1..]].concat()), &["f32, mixed, auto"]);
}
