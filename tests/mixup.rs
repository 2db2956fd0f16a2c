//! mixup against torchvision's `MixUp` and PyTorch's cross-entropy of mixed targets (`data/mixup.py`): its shares, images, loss, gradient,
//! and the weights of a small network; its flag.

use std::mem::offset_of;

use pollster::block_on;
use serde_json::Value;
use velograd::{
    check::{
        reference,
        selftest::{Case, Expected, MixedCrossEntropyCase, MixupCase, execute},
    },
    data::{Batch, Image},
    models,
    ops::{Augment, Normalize},
    optim,
    program::{params::Layout, step::Report, target::Target},
    training::{
        mixing,
        network::{Done, Network, Place, Plans, Recipe},
        weights::{Weights, put, take},
    },
};

use crate::{
    folder::{Folder, says},
    support::{self, gpu},
};

fn golden() -> Value {
    serde_json::from_str(include_str!("data/mixup.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn whole(value: &Value) -> Vec<u32> {
    numbers(value).into_iter().map(|number| number as u32).collect()
}

fn image_of(value: &Value) -> Image {
    let [channels, height, width] = whole(value)[..] else { panic!("an image has three lengths") };
    Image { channels, height, width }
}

/// Shares are those that the same method gives elsewhere.
#[test]
fn shares_are_those_of_another_program() {
    for case in golden()["shares"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap();
        let [seed, epoch, first] = ["seed", "epoch", "first"].map(|key| case[key].as_u64().unwrap());
        let found = f64::from(mixing(number("alpha"), seed, epoch as u32, first as u32));
        assert!((found - number("share")).abs() < 1e-7, "{case}: {found}");
    }
}

/// Mixed images are torchvision's; losses, hits and gradients those of PyTorch for torchvision's targets.
#[test]
fn a_batch_is_torchvisions() {
    let Some(gpu) = gpu() else { return };
    for (nth, step) in golden()["steps"].as_array().unwrap().iter().enumerate() {
        let [n, classes] = ["n", "classes"].map(|key| step[key].as_u64().unwrap() as u32);
        let [lambda, smoothing] = ["lambda", "smoothing"].map(|key| step[key].as_f64().unwrap() as f32);
        let images = MixupCase { n, image: image_of(&step["image"]), lambda };
        let mut data = images.data();
        data.insert("x", numbers(&step["x"]));
        let outcome = block_on(execute(gpu, &gpu.target, &images, &data)).unwrap();
        let value = numbers(&step["mixed"]);
        // Values up to 1.
        let expected = Expected { port: "out", bound: vec![4e-7; value.len()], value, exempt: 0.0 };
        let rows = outcome.rows("torchvision", &[expected]);
        assert!(rows.iter().all(|row| row.passed), "{nth}: {rows:?}");

        let loss = MixedCrossEntropyCase { n, classes, scale: 4.0, smoothing, lambda };
        let mut data = loss.data();
        data.extend([("logits", numbers(&step["logits"])), ("target", numbers(&step["labels"]))]);
        let outcome = block_on(execute(gpu, &gpu.target, &loss, &data)).unwrap();
        let losses = numbers(&step["losses"]);
        let sum = data["loss_before"][0] + losses.iter().sum::<f64>();
        // The case has a loss scale of 2^5.
        let gradient: Vec<f64> = numbers(&step["gradient"]).into_iter().map(|v| 32.0 * v).collect();
        // The loss is the first word, and apart.
        let of = |byte: usize| byte / 4 - 1;
        let mut rest = data["rest_before"].clone();
        rest[of(offset_of!(Report, hits))] += step["hits"].as_f64().unwrap();
        rest[of(offset_of!(Report, targets))] += f64::from(n);
        let dominant = reference::mixup::dominant(&whole(&step["labels"]), f64::from(lambda));
        let among = reference::loss::among_top(5, classes as usize, &data["logits"], &dominant);
        rest[of(offset_of!(Report, top))] += among.iter().filter(|&&among| among).count() as f64;
        let rounded =
            |port, value: Vec<f64>, bound| Expected { port, bound: vec![bound; value.len()], value, exempt: 0.0 };
        let expected =
            [rounded("grad_logits", gradient, 1e-5), rounded("loss", vec![sum], 2e-5), Expected::exact("rest", rest)];
        let rows = outcome.rows("PyTorch", &expected);
        assert!(rows.iter().all(|row| row.passed), "{nth}: {rows:?}");
    }
}

/// Losses, hits and weights of a network that is trained on mixed images: updates of two batches and of one, a smaller last batch, and one
/// image alone, in two epochs.
#[test]
fn updates_are_pytorchs() {
    let Some(gpu) = gpu() else { return };
    let golden = golden();
    let run = &golden["run"];
    let number = |key: &str| run[key].as_f64().unwrap();
    let (image, classes) = (image_of(&run["image"]), number("classes") as u32);
    let model = models::find("mlp").unwrap();
    let set =
        [("width", run["width"].to_string()), ("depth", "1".to_owned())].map(|(key, value)| (key.to_owned(), value));
    let smoothing = number("smoothing") as f32;
    let plans = Plans {
        model,
        config: model.config(image, classes, &set).unwrap(),
        recipe: Recipe { mixup: number("alpha"), smoothing, normalize: Some(Normalize::HALF), ..Recipe::default() },
        target: gpu.target.clone(),
        train: vec![7, 3, 1],
        evaluate: vec![],
    };
    let floats = |of: &Value| numbers(of).into_iter().map(|v| v as f32).collect::<Vec<f32>>();
    let first = |layout: &Layout| {
        let mut weights = Weights::init(layout, 0);
        layout
            .params
            .iter()
            .for_each(|segment| put(&mut weights.params, segment, &floats(&run["first"][&segment.name])));
        Ok(weights)
    };
    let (optimizer, _) = optim::build("sgd", &[]).unwrap();
    let seed = number("seed") as u64;
    let mut network = block_on(Network::new(gpu, &plans, Some(optimizer), first, seed)).unwrap();
    let (pixels, labels) = (whole(&run["pixels"]), whole(&run["labels"]));
    let batch = |indices: &[u32]| {
        let bytes = |&i: &u32| &pixels[i as usize * image.bytes()..][..image.bytes()];
        let inputs = indices.iter().flat_map(bytes).map(|&byte| byte as u8).collect();
        Batch { inputs, targets: indices.iter().map(|&i| labels[i as usize]).collect(), indices: indices.to_vec() }
    };
    for (nth, update) in run["updates"].as_array().unwrap().iter().enumerate() {
        let batches: Vec<Vec<u32>> = update["batches"].as_array().unwrap().iter().map(whole).collect();
        let images = batches.iter().map(Vec::len).sum::<usize>() as u32;
        let mut done = vec![];
        for (index, indices) in batches.iter().enumerate() {
            let (first, last) = (index == 0, index + 1 == batches.len());
            let place =
                Place { first, last, images, epoch: update["epoch"].as_u64().unwrap() as u32, lr: number("lr") };
            done.extend(support::train(&mut network, &batch(indices), place).unwrap());
        }
        done.extend(block_on(network.drain()).unwrap());
        let Some(Done::Updated(report)) = done.last() else { panic!("{nth}: {done:?}") };
        let (found, expected) = (f64::from(report.loss) / f64::from(images), update["loss"].as_f64().unwrap());
        assert!((found - expected).abs() < 5e-6 * expected, "update {nth}: loss {found} is not {expected}");
        assert_eq!(
            (u64::from(report.hits), report.targets),
            (update["hits"].as_u64().unwrap(), images),
            "update {nth}"
        );
    }
    let weights = block_on(network.weights()).unwrap();
    for segment in &network.layout.params {
        let (found, expected) = (take(&weights.params, segment), numbers(&run["last"][&segment.name]));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 5e-6, "{}: {found} is not {expected}", segment.name);
        }
    }
}

/// Without mixup a network has the kernels that it had, and its evaluation always has.
#[test]
fn what_is_off_takes_no_kernel() {
    let model = models::find("mlp").unwrap();
    let calls = |mixup: f64, training: bool| -> Vec<String> {
        let recipe = Recipe { mixup, augment: Augment::PAPER, ..Recipe::default() };
        let config = model.config(Image::CIFAR, 10, &[]).unwrap();
        let plans = Plans { model, config, recipe, target: Target::portable(), train: vec![], evaluate: vec![] };
        plans.record(4, training).calls.iter().map(|call| call.spec.path.to_string()).collect()
    };
    let mixed = |calls: &[String]| calls.iter().filter(|path| path.contains("mix")).cloned().collect::<Vec<_>>();
    assert_eq!(mixed(&calls(0.4, true)), ["mixup/mix", "loss/cross_entropy_mixed"]);
    for plain in [calls(0.0, true), calls(0.4, false), calls(0.0, false)] {
        assert!(mixed(&plain).is_empty() && plain.contains(&"loss/cross_entropy".to_owned()), "{plain:?}");
    }
}

/// A run keeps the flag; values out of its range are refused, and so is text.
#[test]
fn the_flag_is_for_images() {
    let folder = Folder::new("mixup");
    for wrong in ["--mixup=-0.1", "--mixup=0.0001", "--mixup=1001"] {
        let said = folder.refused(2, &["train", "--data", "nowhere", wrong]);
        says(&said, &["--mixup", "0 for none, or from 0.001 to 1000"]);
    }
    if gpu().is_none() {
        return;
    }
    let text = ["train", "--dataset", "grammar", "--model", "gpt", "--quick", "--max-steps", "1", "--mixup", "0.2"];
    says(&folder.refused(2, &text), &["--mixup mixes images with their labels", "drop --mixup"]);
    let run = [
        "train",
        "--dataset",
        "shapes10",
        "--quick",
        "--width",
        "4",
        "-b",
        "16",
        "--max-steps",
        "3",
        "--selftest",
        "off",
    ];
    let with = |flags: &[&'static str], out| folder.works(&[&run[..], flags, &["--out", out]].concat());
    with(&["--mixup", "0.2", "--label-smoothing", "0.1"], "a");
    with(&["--label-smoothing", "0.1"], "b");
    let read = |name: &str| std::fs::read(folder.0.join(name)).unwrap();
    let json: Value = serde_json::from_slice(&read("a/run.json")).unwrap();
    assert_eq!(json["recipe"]["mixup"].as_f64(), Some(0.2));
    folder.works(&["train", "--config", "a/config.toml", "--out", "again", "--selftest", "off"]);
    assert!(read("a/model.safetensors") != read("b/model.safetensors"), "mixup has changed nothing");
    assert!(read("a/model.safetensors") == read("again/model.safetensors"), "a recipe repeats the run");
}
