//! The program as a user runs it: files it leaves, and what it says of bad input.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::gpu;

/// A folder of its own for a test, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("velograd-cli-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn velograd(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_velograd")).args(arguments).current_dir(&self.0).output().unwrap()
    }

    /// Runs, expects an error with this exit code, and returns what it said.
    pub fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.velograd(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains("error:") && !said.contains("panicked"), "{arguments:?}: {said}");
        said
    }

    pub fn works(&self, arguments: &[&str]) -> String {
        let output = self.velograd(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `count` records of CIFAR-10's format, every class in turn, the image a shade of its class.
pub fn records(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| [vec![(i % 10) as u8], vec![(i % 10 * 25) as u8; 3072]].concat()).collect()
}

pub fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

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
    for key in ["version", "device", "driver", "settings", "seed", "dataset", "batch_size", "stem", "result"] {
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
        "train_loss train_acc val_loss val_acc val_f1 val_precision val_recall seconds images_per_second".split(' ')
    {
        assert!(metrics[1][key].is_number(), "metrics.jsonl has no `{key}`");
    }

    let eval = folder.works(&["eval", "--weights", "run/model.safetensors", "--data", "set", "--json"]);
    let eval: serde_json::Value = serde_json::from_str(&eval).unwrap();
    assert_eq!(eval["accuracy"], metrics[1]["val_acc"]);
    assert_eq!(eval["f1"], metrics[1]["val_f1"]);
    assert_eq!(eval["confusion"].as_array().unwrap().len(), 10);

    // The same command again, elsewhere: the same bytes. Then on from these weights.
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
    says(&said, &["no validation"]);
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
    says(&refused(2, &["--width", "0"]), &["--width"]);
    says(&refused(2, &["--width", "100000"]), &["1024"]);
    says(&refused(2, &["--width", "wide"]), &["--width"]);
    says(&refused(2, &["--model", "resnet81"]), &["resnet18"]);
    says(&refused(2, &["--stem", "vgg"]), &["imagenet", "cifar"]);
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
        says(&folder.refused(2, &[command, "--batch-size", "4000000000"]), &["65536"]);
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

/// Everything is allocated before the first step: a thousand updates more leave the process's peak where it was.
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

/// Several runs in one folder: what has ended is not run again, other settings are refused, a run that diverges is a row.
#[test]
fn compare_and_sweep() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("compare");
    folder.write("data_batch_1.bin", &records(60));
    folder.write("test_batch.bin", &records(20));
    let common = ["--data", ".", "--width", "4", "--batch-size", "16", "--target", "5"];
    let compare =
        [&["compare"], &common[..], &["--out", "cmp", "--epochs", "6", "--optimizers", "velograd,sgd"]].concat();
    let said = folder.works(&[&compare[..], &["--seeds", "2", "--set", "sgd:lr=1e30"]].concat());
    says(&said, &["optimizer", "epochs to 5 %", "seed 0 diverged at step", "no paired t-test", "table.md"]);
    for file in ["table.md", "table.csv", "table.json", "experiment.json", "runs/velograd/seed-1/model.safetensors"] {
        assert!(folder.0.join("cmp").join(file).is_file(), "{file}");
    }
    let csv = fs::read_to_string(folder.0.join("cmp/table.csv")).unwrap();
    assert_eq!(csv.lines().count(), 5);
    let again = folder.works(&[&compare[..], &["--seeds", "2", "--set", "sgd:lr=1e30"]].concat());
    assert_eq!(again.matches("ended before").count(), 4);
    assert_eq!(csv, fs::read_to_string(folder.0.join("cmp/table.csv")).unwrap());
    says(&folder.refused(2, &[&compare[..], &["--set", "sgd:lr=1"]].concat()), &["other settings", "1e+30"]);
    let other = ["compare", "--data", ".", "--width", "8", "--out", "cmp"];
    says(&folder.refused(2, &other), &["another recipe"]);

    let bad = |arguments: &[&str]| folder.refused(2, &[&["compare", "--out", "no"], arguments].concat());
    says(&bad(&["--optimizers", "velograd,adan2"]), &["did you mean `adan`"]);
    says(&bad(&["--optimizers", "sgd,sgd"]), &["there twice"]);
    says(&bad(&["--set", "muon:lr=1"]), &["`muon` is not compared"]);
    says(&bad(&["--set", "lr=1"]), &["NAME:KEY=VALUE"]);
    says(&bad(&["--optimizers", "sgd", "--set", "sgd:betas=1", "--data", "."]), &["no setting `betas`"]);
    says(&bad(&["--seeds", "0"]), &["--seeds"]);

    let sweep =
        [&["sweep"], &common[..], &["--epochs", "1", "--out", "sweep", "--optimizers", "sgd", "--seeds", "1"]].concat();
    says(&folder.works(&[&sweep[..], &["--lr", "1e-3:1e-1:log2"]].concat()), &["sgd lr=0.001", "sgd lr=0.1"]);
    says(&folder.refused(2, &[&sweep[..], &["--lr", "fast"]].concat()), &["no list of rates"]);
}

/// A spike moves SGD in proportion to its size, and rules that divide by it hardly.
#[test]
fn probes() {
    let Some(gpu) = gpu() else { return };
    let spike = |name: &str, size: f64| velograd::probe::spike(gpu, name, &[], size, 0).unwrap();
    let (small, large) = (spike("sgd", 100.0), spike("sgd", 1000.0));
    assert!((large / small - 10.0).abs() < 0.01, "{small} {large}");
    // The spike's own part is at most (1-beta1)/(beta1 sqrt(1-beta2)) = 3.5; the momentum there was comes on top.
    assert!(spike("mvngrad", 1e4) < 3.5 + 1.2, "{}", spike("mvngrad", 1e4));
    let variance = |noise: f64| velograd::probe::conditional_variance(gpu, "sgd", &[], noise, 16, 0).unwrap();
    // SGD's update is lr * g, so its variance in units of lr^2 is the gradient's own; 16 draws of 1,024 coordinates.
    assert!((variance(0.5) - 0.25).abs() < 0.02, "{}", variance(0.5));
}
