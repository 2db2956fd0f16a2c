//! The normalization of images: asked for, recorded, read back, and stated.

use std::{fs, process::Output};

use safetensors::SafeTensors;
use serde_json::Value;
use velograd::{
    data::{Split, summary},
    host::{
        data::Cifar10,
        pretrained::{Head, Pretrained},
        weights::save,
    },
    models::{
        self,
        resnet::{self, Stem},
    },
    ops::Normalize,
    random::Rng,
    training::{weights::Weights, whiten::first_weights},
};

use crate::{
    folder::{Folder, says},
    support::gpu,
};

/// A set of 60 and 30 images whose colours differ in mean and deviation.
fn set(folder: &Folder) {
    let mut rng = Rng::new(8);
    let mut images = |count: usize| -> Vec<u8> {
        let mut plane = |base: u32, reach: u32| (0..1024).map(|_| (base + rng.below(reach)) as u8).collect::<Vec<u8>>();
        (0..count).flat_map(|i| [vec![(i % 10) as u8], plane(90, 150), plane(20, 200), plane(0, 60)].concat()).collect()
    };
    folder.write("set/data_batch_1.bin", &images(60));
    folder.write("set/test_batch.bin", &images(30));
}

const TRAIN: &[&str] = &["train", "--data", "set", "--width", "4", "--batch-size", "16", "--epochs", "1"];

/// Runs `velograd train` with these flags beside the usual ones; it must succeed.
fn train(folder: &Folder, flags: &[&str]) -> String {
    folder.works(&[TRAIN, &["--selftest", "off", "--augment", "none", "--set", "lr=0.01"], flags].concat())
}

/// The remarks of `velograd eval`, and the object that it prints.
fn eval(folder: &Folder, flags: &[&str]) -> (String, Value) {
    let Output { status, stdout, stderr } = folder.velograd(&[&["eval", "--json"], flags].concat());
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{flags:?}: {said}");
    (said, serde_json::from_slice(&stdout).unwrap())
}

fn run_json(folder: &Folder, run: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.0.join(run).join("run.json")).unwrap()).unwrap()
}

fn normalize_of(value: &Value) -> Normalize {
    serde_json::from_value(value["normalize"].clone()).unwrap()
}

/// Asserts that two results agree, up to the order of sums in batches of another size.
fn close(found: &Value, row: &Value) {
    let (found, expected) = (found["loss"].as_f64().unwrap(), row["val_loss"].as_f64().unwrap());
    assert!((found - expected).abs() < 1e-6 * expected, "{found} {expected}");
}

/// Copies a file's tensors without its metadata.
fn stripped(folder: &Folder, from: &str, to: &str) {
    let bytes = fs::read(folder.0.join(from)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    fs::write(folder.0.join(to), safetensors::serialize(file.tensors(), None).unwrap()).unwrap();
}

/// Mean and deviation of the training images are recorded in `run.json` and in the files. `eval` takes them from there
/// and gets the run's validation result, from weights and from the checkpoint. Without them a line states what is
/// assumed.
#[test]
fn what_was_used_is_recorded_and_read_back() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("normalize");
    set(&folder);
    let said = train(&folder, &["--normalize", "dataset", "--out", "run"]);
    let images = Cifar10::open(&folder.0.join("set")).unwrap();
    let numbers = summary(&images, Split::Train).unwrap();
    let own = Normalize::of_channels(&numbers.mean, &numbers.std);
    says(&said, &["normalized: mean 0.6", "(dataset)"]);
    let run = run_json(&folder, "run");
    assert_eq!(normalize_of(&run), own, "the numbers themselves");
    assert_eq!(run["dataset"]["classes"][3], "cat");
    assert_eq!(run["recipe"]["normalize"], own.to_string());

    let row = fs::read_to_string(folder.0.join("run/metrics.jsonl")).unwrap();
    let row: Value = serde_json::from_str(row.lines().last().unwrap()).unwrap();
    let checkpoint = fs::read_dir(folder.0.join("run/checkpoints")).unwrap().next().unwrap().unwrap().path();
    for weights in ["run/model.safetensors", checkpoint.to_str().unwrap()] {
        let (said, found) = eval(&folder, &["--weights", weights, "--data", "set"]);
        says(&said, &["normalized: mean 0.6", "(the weights' own)"]);
        close(&found, &row);
        assert_eq!(normalize_of(&found), own);
        assert_eq!(said.lines().filter(|line| line.contains("normal")).count(), 1, "{said}");
    }
    // What is asked for is used, and a line states the weights' own that is not.
    let (said, half) = eval(&folder, &["--weights", "run/model.safetensors", "--data", "set", "--normalize", "half"]);
    says(&said, &["normalized: mean 0.5 0.5 0.5, std 0.5 0.5 0.5 (half)", "the weights' own is mean 0.6"]);
    let far = half["loss"].as_f64().unwrap() - row["val_loss"].as_f64().unwrap();
    assert!(far.abs() > 1e-3, "{far}");
    // The same numbers are no contradiction, however they are asked for.
    for same in ["dataset", &own.to_string()] {
        let (said, found) =
            eval(&folder, &["--weights", "run/model.safetensors", "--data", "set", "--normalize", same]);
        assert!(!said.contains("the weights' own"), "{said}");
        close(&found, &row);
    }
    stripped(&folder, "run/model.safetensors", "bare.safetensors");
    let (said, bare) = eval(&folder, &["--weights", "bare.safetensors", "--data", "set"]);
    says(&said, &["normalized: mean 0.5 0.5 0.5, std 0.5 0.5 0.5 (assumed; --normalize sets it)"]);
    assert_eq!(bare["loss"], half["loss"]);
    for line in said.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

/// Weights bring their normalization along when they are trained further, and the run keeps it when it is resumed and
/// extended; a flag overrides both. Every run of a comparison has the normalization that the comparison was asked for.
#[test]
fn it_goes_with_the_weights() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("normalize-init");
    set(&folder);
    train(&folder, &["--normalize", "imagenet", "--out", "first"]);
    let init = ["--init", "first/model.safetensors"];
    says(&train(&folder, &[&init[..], &["--out", "second"]].concat()), &["(the weights' own)"]);
    assert_eq!(normalize_of(&run_json(&folder, "second")), Normalize::IMAGENET);
    let own = Pretrained::open(&folder.0.join("second/model.safetensors")).unwrap();
    assert_eq!(own.normalize(), Some(Normalize::IMAGENET));
    folder.works(&["train", "--resume", "second", "--extend", "1"]);
    assert_eq!(normalize_of(&run_json(&folder, "second")), Normalize::IMAGENET);
    let said = train(&folder, &[&init[..], &["--normalize", "half", "--out", "third"]].concat());
    says(&said, &["(half)", "the weights' own is mean 0.485 0.456 0.406, std 0.229 0.224 0.225"]);
    assert_eq!(normalize_of(&run_json(&folder, "third")), Normalize::HALF);
    stripped(&folder, "first/model.safetensors", "bare.safetensors");
    says(&train(&folder, &["--init", "bare.safetensors", "--out", "fourth"]), &["assumed; --normalize sets it"]);

    // The recipe of a run repeats the run, whatever happens to the images.
    let recipe = fs::read_to_string(folder.0.join("second/config.toml")).unwrap();
    says(&recipe, &["normalize = \"0.485,0.456,0.406/0.229,0.224,0.225\""]);
    let compare =
        ["compare", "--data", "set", "--width", "4", "--epochs", "1", "--batch-size", "16", "--optimizers", "sgd"];
    folder.works(&[&compare[..], &["--normalize", "dataset", "--seeds", "1", "--out", "all"]].concat());
    let images = Cifar10::open(&folder.0.join("set")).unwrap();
    let mean = summary(&images, Split::Train).unwrap().mean;
    assert_eq!(normalize_of(&run_json(&folder, "all/runs/sgd/seed-0")).mean[..], mean);
    says(
        &folder.refused(2, &[&compare[..], &["--seeds", "1", "--out", "all"]].concat()),
        &["--normalize: there ", "here none"],
    );
}

/// airbench's whitening filters are computed from images normalized as the run's are; its default is CIFAR-10's
/// numbers.
#[test]
fn whitening_sees_the_same_images() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("normalize-whiten");
    set(&folder);
    let images = Cifar10::open(&folder.0.join("set")).unwrap();
    let model = models::find("airbench94").unwrap();
    let config = resnet::config(Stem::Cifar, 4, 10);
    let layout = model.layout(&config);
    let filters = |weights: &Weights| -> Vec<f32> {
        let segment = layout.params.iter().find(|s| s.name == "whiten.weight").unwrap();
        weights.params[segment.offset as usize..][..segment.shape.stored() as usize].to_vec()
    };
    for (flags, by) in [(&[][..], Normalize::CIFAR10), (&["--normalize", "imagenet"], Normalize::IMAGENET)] {
        let out = format!("run-{}", flags.len());
        let own = ["--model", "airbench94", "--max-steps", "1", "--out", &out];
        train(&folder, &[&own[..], flags].concat());
        let file = Pretrained::open(&folder.0.join(&out).join("model.safetensors")).unwrap();
        assert_eq!(file.normalize(), Some(by));
        let expected = first_weights(&layout, 0, &images, by).unwrap();
        assert!(filters(&file.weights(&layout, Head::Load, 0).unwrap()) == filters(&expected), "{by}");
    }
}

/// An invalid normalization is refused before anything is opened, and images from which none can be computed are named.
#[test]
fn what_is_no_normalization() {
    let folder = Folder::new("normalize-wrong");
    for (value, parts) in [
        ("mean", &["`mean` is no normalization", "half, dataset, imagenet"][..]),
        ("0.5,0.5/0.5,0.5,0.5", &["means and standard deviations, one or three of each", "as in 0.4914"]),
        ("0.5,0.5,0.5", &["one or three of each"]),
        ("0.5,0.5,0.5/0.5,0.5,x", &["one or three of each"]),
        ("125.3,123,113.9/63,62.1,66.7", &["cannot be normalized by 125.3,123,113.9/63,62.1,66.7", "divide by 255"]),
        ("0.5,0.5,0.5/0,0.5,0.5", &["cannot be normalized", "0.001 to 1"]),
        ("0.5,0.5,nan/0.5,0.5,0.5", &["cannot be normalized"]),
    ] {
        for command in [&["train"][..], &["eval", "--weights", "w"], &["data"], &["compare", "--out", "c"]] {
            says(&folder.refused(2, &[command, &["--normalize", value]].concat()), &[parts, &["--normalize"]].concat());
        }
    }
    if gpu().is_none() {
        return;
    }
    folder.write("grey/data_batch_1.bin", &[vec![0], vec![7; 3072]].concat());
    folder.write("grey/test_batch.bin", &[vec![0], vec![7; 3072]].concat());
    let said = folder.refused(2, &["train", "--data", "grey", "--normalize", "dataset", "--width", "4"]);
    says(&said, &["of one colour", "/0,0,0"]);
    folder.write("test/test_batch.bin", &crate::folder::records(10));
    let said = folder.refused(2, &["data", "--data", "test", "--normalize", "dataset", "--preview", "x.png"]);
    says(&said, &["of the training images: the data set has none", "give the numbers"]);
}

/// The sheet goes through the device with the normalization asked for, and the range of values that a network would see
/// is printed.
#[test]
fn a_preview_says_what_the_network_sees() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("normalize-preview");
    set(&folder);
    let sheet = |flags: &[&str]| {
        let said =
            folder.works(&[&["data", "--data", "set", "--augment", "none", "--preview", "x.png"], flags].concat());
        (said, fs::read(folder.0.join("x.png")).unwrap())
    };
    let (half, usual) = sheet(&[]);
    // With black and white they would be from -1 to 1; these images are from 0 to 239.
    says(&half, &["normalized by mean 0.5 0.5 0.5, std 0.5 0.5 0.5", "values from -1.000 to 0.875"]);
    let (own, same) = sheet(&["--normalize", "0,0,0/1,1,1"]);
    says(&own, &["values from 0.000 to 0.937"]);
    assert!(usual == same, "the sheet shows the images, whatever they are normalized by");
}

/// Weights of one data set on images of another: a prominent remark if the classes have other names, an error if their
/// number differs. Without a flag, the set that the weights were trained on is used, drawn from the same seed.
#[test]
fn weights_of_another_data_set() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("normalize-other");
    set(&folder);
    let drawn =
        ["train", "--dataset", "shapes10", "--seed", "3", "--width", "4", "--max-steps", "1", "--selftest", "off"];
    folder.works(&[&drawn[..], &["--batch-size", "16", "--preset", "quick", "--out", "shapes"]].concat());
    let weights = ["--weights", "shapes/model.safetensors"];
    let (said, found) = eval(&folder, &weights);
    assert!(!said.contains("NO CIFAR-10") && !said.contains("ANOTHER") && !said.contains("other images"), "{said}");
    let row = fs::read_to_string(folder.0.join("shapes/metrics.jsonl")).unwrap();
    let row: Value = serde_json::from_str(row.lines().last().unwrap()).unwrap();
    close(&found, &row);
    assert_eq!(found["dataset"], "shapes10");
    let (said, _) = eval(&folder, &[&weights[..], &["--data", "set"]].concat());
    says(
        &said,
        &["ANOTHER DATA SET: the weights tell apart shapes10 (disc, ring, square, ...)", "airplane, automobile"],
    );
    let (said, _) = eval(&folder, &[&weights[..], &["--dataset", "shapes10", "--seed", "4"]].concat());
    says(&said, &["other images of shapes10 than the weights were trained on"]);
    let init = ["--init", "shapes/model.safetensors", "--max-steps", "1"];
    says(&train(&folder, &[&init[..], &["--out", "on"]].concat()), &["ANOTHER DATA SET"]);

    // Weights for seven classes are refused for evaluation, and can be trained further with a new last layer.
    let model = models::find("resnet18").unwrap();
    let config = resnet::config(Stem::Imagenet, 4, 7);
    let layout = model.layout(&config);
    save(&Weights::init(&layout, 1), &folder.0.join("seven.safetensors"), &layout, None).unwrap();
    let seven = ["--weights", "seven.safetensors", "--data", "set"];
    let said = folder.refused(1, &[&["eval"], &seven[..]].concat());
    says(&said, &["a network of 10 classes, as cifar10 has", "7 classes", "--init-head skip"]);
    let init = ["--init", "seven.safetensors", "--max-steps", "1"];
    let said = folder.refused(2, &[TRAIN, &init].concat());
    says(&said, &["the weights tell apart 7 classes, cifar10 has 10", "--init-head skip"]);
    let skip = [&init[..], &["--init-head", "skip", "--out", "ten"]].concat();
    says(&train(&folder, &skip), &["the last layer (fc.*, of 7 classes) is left out and drawn from seed 0"]);
    assert_eq!(run_json(&folder, "ten")["recipe"]["init-head"], "skip");
    assert_eq!(Pretrained::open(&folder.0.join("ten/model.safetensors")).unwrap().config.classes, 10);
    says(&folder.refused(2, &[TRAIN, &["--init-head", "skip"]].concat()), &["--init"]);
}
