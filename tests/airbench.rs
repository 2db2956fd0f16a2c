//! The network of airbench94 against PyTorch, and its parts: whitening, frozen weights, test-time augmentation.

use std::sync::Arc;

use serde_json::Value;

use pollster::block_on;
use velograd::{
    check::{
        reference::augment::{self as reference, Padding},
        selftest::targets,
    },
    data::{Dataset, Image, Inline, Shapes10, Sizes, Spec, Split},
    device::runtime::Runtime,
    error::Result,
    host::{
        pretrained::{Head, Pretrained},
        weights::save,
    },
    models::{
        self, Config,
        airbench::{self, MODEL},
    },
    ops::{self, Augment, Normalize, VIEWS},
    optim::{self, Stepper},
    program::{
        BufferKind, Input, Tape,
        params::{Init, Segment},
        step::Step,
    },
    training::{
        evaluate::{evaluate, evaluator},
        network::{Plans, Recipe},
        weights::Weights,
        whiten::first_weights,
    },
};

use crate::{
    folder::{Folder, records, says},
    support::gpu,
};

/// Bytes of an image.
const IMAGE_BYTES: usize = Image::CIFAR.bytes();

const BATCH: u32 = 6;
const CLASSES: u32 = 10;
fn size() -> Config {
    airbench::config(2, CLASSES)
}

fn golden() -> Value {
    serde_json::from_str(include_str!("data/airbench94.json")).expect("the committed file is JSON")
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

/// The same generator as in `data/airbench94.py`.
fn bits(count: usize, seed: u64) -> Vec<u64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..count).map(|_| next()).collect()
}

/// The same values as in `data/airbench94.py`.
fn values(count: usize, seed: u64) -> Vec<f32> {
    bits(count, seed).into_iter().map(|b| ((b % (1 << 21)) as f32 - (1 << 20) as f32) / (1 << 20) as f32).collect()
}

/// The same images as in `data/airbench94.py`.
fn images(count: usize, seed: u64) -> Vec<u8> {
    let noise: Vec<u64> = bits(count * IMAGE_BYTES, seed).into_iter().map(|b| b % 256).collect();
    let coarse = |i: usize| noise[i - i % 1024 + i % 1024 / 256 * 256 + i % 32 / 8 * 8];
    (0..noise.len()).map(|i| ((3 * coarse(i) + noise[i]) / 4) as u8).collect()
}

/// Every tensor agrees within 1e-4 of its largest element: f32 through eight layers, with batch norm over 54 values in
/// the deepest.
fn agree(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 1e-4 * largest, "{what}[{i}]: {found} is not {expected}");
    }
}

fn read(segment: &Segment, arena: &[f32]) -> Vec<f64> {
    let stored = &arena[segment.offset as usize..][..segment.shape.stored() as usize];
    segment.shape.from_stored(stored).into_iter().map(f64::from).collect()
}

/// Logits, loss, every gradient and running statistic of a training step, and the logits of an evaluation after it, are
/// PyTorch's, with every kind of kernel.
#[test]
fn a_step_is_pytorchs() {
    let Some(gpu) = gpu() else { return };
    let golden = golden();
    for target in targets(gpu) {
        let record = |training: bool| {
            let mut t = Tape::new(&target, training);
            let draws = ops::draw(&mut t, BATCH, Image::CIFAR, Augment::NONE);
            let x = ops::augment(&mut t, BATCH, Image::CIFAR, draws, Augment::NONE, MODEL.normalize);
            let logits = (MODEL.record)(&mut t, x, &size());
            t.keep(logits);
            ops::cross_entropy(&mut t, logits, if training { 0.2 } else { 0.0 });
            t.backward();
            (t.finish(), logits)
        };
        let ((train, logits), (evaluate, logits_after)) = (record(true), record(false));
        let layout = train.layout.clone();
        let runtime = block_on(Runtime::new(gpu, &[train, evaluate], true)).unwrap();
        let mut params = vec![0.0; layout.param_floats() as usize];
        for (seed, segment) in (1..).zip(&layout.params) {
            let len = segment.shape.elements();
            let one = segment.name.contains("norm") && segment.name.ends_with("weight");
            let stored = segment.shape.to_stored(&if one { vec![1.0; len] } else { values(len, seed) });
            params[segment.offset as usize..][..stored.len()].copy_from_slice(&stored);
        }
        runtime.write(runtime.buffer(&BufferKind::Params), &params);
        runtime.write(runtime.buffer(&BufferKind::Running), &Weights::init(&layout, 0).running);
        runtime.write(runtime.buffer(&BufferKind::Input(Input::Samples)), &images(BATCH as usize, 100));
        let labels: Vec<u32> = bits(BATCH as usize, 200).into_iter().map(|b| b as u32 % CLASSES).collect();
        runtime.write(runtime.buffer(&BufferKind::Input(Input::Targets)), &labels);
        runtime.set_step(&Step { loss_scale: 1.0 / BATCH as f32, ..Step::default() });
        let rows = |program, logits| -> Vec<f64> {
            let stored: Vec<f32> =
                block_on(runtime.read(runtime.tensor(program, logits), 12 * BATCH as usize)).unwrap();
            stored.chunks(12).flat_map(|row| row[..CLASSES as usize].iter().map(|&v| f64::from(v))).collect()
        };

        block_on(runtime.run(&[0])).unwrap();
        agree("logits", &rows(0, logits), &list(&golden["logits"]));
        let report: velograd::program::step::Report =
            block_on(runtime.read(runtime.buffer(&BufferKind::Report), 1)).unwrap()[0];
        agree("loss", &[f64::from(report.loss) / f64::from(BATCH)], &[golden["loss"].as_f64().unwrap()]);
        let grads: Vec<f32> =
            block_on(runtime.read(runtime.buffer(&BufferKind::Grads), layout.param_floats() as usize)).unwrap();
        let mut trained = 0;
        for segment in &layout.params {
            let found = read(segment, &grads);
            if segment.frozen() {
                assert!(found.iter().all(|g| *g == 0.0), "{} is frozen and has a gradient", segment.name);
            } else {
                agree(&segment.name, &found, &list(&golden["gradients"][&segment.name]));
                trained += 1;
            }
        }
        assert_eq!(trained, golden["gradients"].as_object().unwrap().len());
        let running: Vec<f32> =
            block_on(runtime.read(runtime.buffer(&BufferKind::Running), layout.running_floats() as usize)).unwrap();
        for segment in &layout.running {
            agree(&segment.name, &read(segment, &running), &list(&golden["running"][&segment.name]));
        }
        block_on(runtime.run(&[1])).unwrap();
        agree("logits after", &rows(1, logits_after), &list(&golden["logits_after"]));
    }
}

/// The images of `data/airbench94.py` as a data set.
struct Patterns(Vec<u8>, Spec);

impl Dataset for Patterns {
    fn spec(&self) -> &Spec {
        &self.1
    }
    fn len(&self, split: Split) -> usize {
        if split == Split::Train { self.0.len() / IMAGE_BYTES } else { 0 }
    }
    fn checksum(&self) -> u32 {
        0
    }
    fn notes(&self) -> &[String] {
        &[]
    }
    fn read(&self, _: Split, index: usize, image: &mut [u8], targets: &mut [u32]) -> Result<()> {
        image.copy_from_slice(&self.0[index * IMAGE_BYTES..][..IMAGE_BYTES]);
        targets.fill(0);
        Ok(())
    }
}

/// The layout of a small network.
fn layout() -> velograd::program::params::Layout {
    let plans = Plans {
        model: &MODEL,
        config: size(),
        recipe: Recipe::default(),
        train: vec![],
        evaluate: vec![],
        target: velograd::program::target::Target::portable(),
    };
    plans.record(4, true).layout
}

/// An eigenvector is determined up to its sign, and here a filter and its negative may change places.
#[test]
fn whitening_is_pytorchs() {
    let spec = Spec::new("patterns", Image::CIFAR, [""; 0]);
    let (layout, dataset) = (layout(), Patterns(images(20, 300), spec));
    let weights = first_weights(&layout, 0, &dataset, Normalize::CIFAR10).unwrap();
    let segment = &layout.params[0];
    assert_eq!((segment.name.as_str(), segment.init), ("whiten.weight", Init::Whiten));
    let (found, expected) = (read(segment, &weights.params), list(&golden()["whitening"]));
    for (i, expected) in expected[..144].chunks(12).enumerate() {
        let [one, other] = [i, 12 + i].map(|filter| &found[12 * filter..][..12]);
        let same = one.iter().zip(expected).map(|(a, b)| a * b).sum::<f64>() > 0.0;
        agree(&format!("filter {i}"), if same { one } else { other }, expected);
        assert!(one.iter().zip(other).all(|(a, b)| *a == -b), "filter {i} and its negative");
    }
}

/// The first filters have PyTorch's `dirac_`, the head has standard deviation 1, and all else is as the layers
/// initialize it.
#[test]
fn first_weights_are_airbenchs() {
    let layout = layout();
    let weights = Weights::init(&layout, 3);
    for segment in &layout.params {
        let (values, dims) = (read(segment, &weights.params), segment.shape.dims());
        match segment.init {
            Init::Dirac => {
                for (at, value) in values.iter().enumerate() {
                    let (k, c, tap) = (at / 9 / dims[1], at / 9 % dims[1], at % 9);
                    let bound = 1.0 / (9.0 * dims[1] as f64).sqrt();
                    match k < dims[1] {
                        true => assert_eq!(*value, f64::from(u8::from(k == c && tap == 4)), "{} {at}", segment.name),
                        false => assert!(value.abs() <= bound && *value != 0.0, "{} {at}: {value}", segment.name),
                    }
                }
            }
            Init::UnitVariance => {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
                assert!((squares / (values.len() - 1) as f64 - 1.0).abs() < 1e-6, "{}", segment.name);
            }
            Init::Constant(value) => assert!(segment.name.contains("norm") && (value == 0.0 || segment.frozen())),
            _ => assert!(segment.name.starts_with("whiten"), "{}", segment.name),
        }
    }
    let named = |name: &str| layout.params.iter().find(|s| s.name == name).map(|s| s.shape.dims());
    assert_eq!(named("layers.2.conv1.weight").unwrap(), [8, 2, 3, 3], "six filters are no identity");
    assert_eq!(named("head.weight").unwrap(), [10, 8]);
}

/// The logits are the weighted mean of those of six evaluations, each of images that were shifted and mirrored
/// beforehand.
#[test]
fn tta_is_the_mean_over_views() {
    let Some(gpu) = gpu() else { return };
    let n = 5;
    let record = |views: Augment| {
        let mut t = Tape::new(&gpu.target, false);
        let draws = ops::draw(&mut t, n, Image::CIFAR, views);
        let x = ops::augment(&mut t, n, Image::CIFAR, draws, views, MODEL.normalize);
        let logits = (MODEL.record)(&mut t, x, &size());
        let logits = if views.views { ops::average_views(&mut t, logits) } else { logits };
        t.keep(logits);
        (t.finish(), logits)
    };
    let ((plain, one), (views, mean)) = (record(Augment::NONE), record(Augment::VIEWS));
    let layout = plain.layout.clone();
    let runtime = block_on(Runtime::new(gpu, &[plain, views], true)).unwrap();
    let weights = Weights::init(&layout, 4);
    runtime.write(runtime.buffer(&BufferKind::Params), &weights.params);
    runtime.write(runtime.buffer(&BufferKind::Running), &weights.running);
    let images = images(n as usize, 7);
    let logits = |program: usize, tensor, images: &[u8]| -> Vec<f32> {
        runtime.write(runtime.buffer(&BufferKind::Input(Input::Samples)), images);
        block_on(runtime.run(&[program])).unwrap();
        block_on(runtime.read(runtime.tensor(program, tensor), 12 * n as usize)).unwrap()
    };
    let shape = reference::Image { c: 3, h: 32, w: 32 };
    let mut expected = vec![0.0; 12 * n as usize];
    let mut apart = 0.0_f64;
    for (draw, weight) in reference::VIEWS {
        let moved = |image: &[u8]| reference::moved(&shape, image, &draw, Padding::Reflect);
        let seen: Vec<u8> = images.chunks(IMAGE_BYTES).flat_map(moved).collect();
        let found = logits(0, one, &seen);
        apart = apart.max(found.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max));
        expected.iter_mut().zip(found).for_each(|(sum, v)| *sum += weight * f64::from(v));
    }
    assert!(apart > 1e-3, "views make no difference: {apart}");
    for (i, (found, expected)) in logits(1, mean, &images).iter().zip(&expected).enumerate() {
        assert!((f64::from(*found) - expected).abs() <= 1e-5 * apart, "logit {i}: {found} is not {expected}");
    }
    assert_eq!(reference::VIEWS.len(), VIEWS as usize);
    assert!((reference::VIEWS.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-15);
}

/// An evaluation with test-time augmentation counts every image once, whatever the batch size.
#[test]
fn tta_counts_every_image_once() {
    let Some(gpu) = gpu() else { return };
    let data: Arc<dyn Dataset> = Arc::new(Shapes10::new(1, Sizes { train: 10, test: 23 }).unwrap());
    let run = |batch: u32| {
        let init = |layout: &_| Ok(Weights::init(layout, 2));
        let recipe = Recipe { tta: true, ..Recipe::default() };
        let mut network = block_on(evaluator(gpu, data.as_ref(), (&MODEL, &size()), batch, recipe, init)).unwrap();
        block_on(evaluate(&mut network, &Inline(data.clone()), &mut |_, _| ())).unwrap().unwrap()
    };
    let (whole, small) = (run(60), run(3));
    assert_eq!(whole.confusion.iter().flatten().flatten().sum::<u64>(), 23);
    assert_eq!(whole.confusion, small.confusion);
    assert!((whole.loss - small.loss).abs() < 1e-5 * small.loss, "{} {}", whole.loss, small.loss);
}

/// Every rule, with weight decay on, leaves frozen parameters unchanged to the bit and moves all others. As in the network, frozen
/// parameters have a gradient of zeros.
#[test]
fn no_optimizer_moves_what_is_frozen() {
    let Some(gpu) = gpu() else { return };
    let plans = Plans {
        model: &MODEL,
        config: size(),
        recipe: Recipe::default(),
        train: vec![4],
        evaluate: vec![],
        target: gpu.target.clone(),
    };
    let layout = || plans.record(4, true).layout;
    let segments = layout().params;
    let some = |nth: usize, size: f32| -> Vec<Vec<f32>> {
        let value = |i: usize| size * ((i + 7 * nth) as f32 + 0.5).sin();
        segments.iter().map(|segment| (0..segment.shape.elements()).map(value).collect()).collect()
    };
    assert!(segments.iter().any(|segment| segment.frozen()) && !segments.iter().all(|segment| segment.frozen()));
    for entry in optim::ALL.iter() {
        let decays = ["weight_decay", "aux_weight_decay", "head_weight_decay"];
        let decays = entry.settings.iter().filter(|s| decays.contains(&s.key.as_str()));
        let mut set: Vec<_> = decays.map(|s| (s.key.clone(), "0.01".to_owned())).collect();
        if entry.name == "muon" {
            set.push(("variant".into(), "airbench".into()));
        }
        let (optimizer, _) = entry.build(&set).unwrap();
        let first = some(0, 0.3);
        let mut stepper = block_on(Stepper::over(gpu, &gpu.target, optimizer, layout(), &first)).unwrap();
        for nth in 1..=6 {
            let mut grads = some(nth, 0.01);
            for (grad, _) in grads.iter_mut().zip(&segments).filter(|(_, segment)| segment.frozen()) {
                grad.fill(0.0);
            }
            let report = block_on(stepper.step(&grads, 1.0)).unwrap();
            assert_eq!(report.skip, 0, "{}", entry.name);
        }
        let last = block_on(stepper.evaluation_params()).unwrap();
        for ((segment, before), after) in segments.iter().zip(&first).zip(&last) {
            assert_eq!(before == after, segment.frozen(), "{}: {}", entry.name, segment.name);
        }
    }
}

/// The tensors of a file tell its model and width.
#[test]
fn weights_are_recognized() {
    let folder = Folder::new("recognized");
    for model in models::ALL {
        let config = crate::support::small(model, 3, 7);
        let plans = Plans {
            model,
            config: config.clone(),
            recipe: Recipe::default(),
            train: vec![],
            evaluate: vec![],
            target: velograd::program::target::Target::portable(),
        };
        let layout = plans.record(2, false).layout;
        let path = folder.0.join(model.name);
        save(&Weights::init(&layout, 1), &path, &layout, None).unwrap();
        let found = Pretrained::open(&path).unwrap();
        let mut told = found.config.clone();
        if (model.untold)(&config.settings).contains(&"block") {
            let block = config.settings.whole("block").to_string();
            told = model.with(&told.on(config.input), &[("block".into(), block)]).unwrap();
        }
        assert_eq!((found.model.name, &told), (model.name, &config));
        let loaded = found.weights(&layout, Head::Load, 0).unwrap();
        assert!(loaded == Weights::init(&layout, 1));
    }
}

/// Training, evaluation with and without test-time augmentation, further training; and the errors for files and flags
/// of another network.
#[test]
fn by_hand() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("airbench");
    folder.write("set/data_batch_1.bin", &records(48));
    folder.write("set/test_batch.bin", &records(20));
    let train = ["train", "--model", "airbench94", "--data", "set", "--batch-size", "16"];
    let small = ["--preset", "quick", "--width", "4", "--epochs", "3", "--augment", "airbench"];
    let own = ["--tta", "--validate-every", "2", "--out", "run"];
    folder.works(&[&train[..], &small, &own].concat());
    let text = std::fs::read_to_string(folder.0.join("run/run.json")).unwrap();
    let run: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&run["model"], &run["augment"], &run["tta"]), (&"airbench94".into(), &"airbench".into(), &true.into()));
    assert!(run["recipe"]["model-set"]["stem"].is_null(), "{}", run["recipe"]);
    let metrics = std::fs::read_to_string(folder.0.join("run/metrics.jsonl")).unwrap();
    let rows: Vec<Value> = metrics.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let validated: Vec<bool> = rows.iter().map(|row| row["val_acc"].is_number()).collect();
    assert_eq!(validated, [false, true, true], "every second epoch, and the last");

    let eval = ["eval", "--weights", "run/model.safetensors", "--data", "set"];
    says(&folder.works(&eval), &["airbench94, width 4, on 20 test images"]);
    says(&folder.works(&[&eval[..], &["--tta"]].concat()), &["airbench94, width 4, six views, on 20"]);
    let json = folder.works(&[&eval[..], &["--tta", "--json"]].concat());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["accuracy"], rows[2]["val_acc"]);
    let said = folder.refused(1, &[&eval[..], &["--model", "resnet18"]].concat());
    says(&said, &["weights of resnet18", "those of airbench94", "--model airbench94"]);

    folder.works(&["train", "--resume", "run", "--extend", "1", "--data", "set"]);
    let init = ["--init", "run/model.safetensors", "--max-steps", "1", "--selftest", "off"];
    folder.works(&[&train[..], &init, &["--preset", "quick", "--out", "on"]].concat());
    let said = folder.refused(1, &[&["train", "--data", "set"], &init[..]].concat());
    says(&said, &["weights of resnet18", "--model airbench94"]);
    let said = folder.refused(2, &[&train[..], &["--stem", "cifar"]].concat());
    says(&said, &["`airbench94` has no setting `stem`"]);
    says(&folder.refused(2, &[&train[..], &["--validate-every", "0"]].concat()), &["--validate-every is at least 1"]);
}
