//! Kernels and the whole network against the golden files, within the bounds that come with those.

use pollster::block_on;
use velograd::models::resnet::{self, Stem, resnet18};
use velograd::ops::{self, Augment, Conv2d, Normalize};
use velograd::program::params::Segment;
use velograd::program::{Recording, Tape, Tensor};
use velograd::{
    check::selftest::{
        BatchNormCase, Case, Conv2dCase, CrossEntropyCase, Data, Expected, GlobalAvgPoolCase, LinearCase, MaxPoolCase,
        Outcome, ReluCase, execute, targets,
    },
    data::Image,
    program::{BufferKind, Input},
};
use velograd::{
    device::{Gpu, runtime::Runtime},
    program::{step::Step, target::Target},
};

use crate::golden_files::{Golden, open};
use crate::support;

/// Runs a case on every target with the file's inputs, and compares all its outputs that the file has under `prefix`.
fn compare(gpu: &Gpu, golden: &Golden, prefix: &str, case: &dyn Case, outputs: &[&'static str]) {
    let inputs = ["x", "other", "weight", "bias", "gamma", "beta", "grad_out", "logits", "target"];
    let stored = |name: &str| Some(format!("{prefix}/{name}")).filter(|key| golden.names().any(|name| name == key));
    let value = |name: &'static str| stored(name).map(|key| (name, golden.values(&key).to_vec()));
    let data: Data = inputs.into_iter().filter_map(value).collect();
    for target in targets(gpu) {
        let outcome = block_on(execute(gpu, &target, case, &data)).unwrap_or_else(|fault| panic!("{prefix}: {fault}"));
        for output in outputs {
            agree(prefix, &outcome, output, golden.values(&format!("{prefix}/{output}")), 1.0);
        }
    }
}

/// Asserts agreement within 1e-4 + 1e-4 |ref|, times `scale`.
fn agree(prefix: &str, outcome: &Outcome, port: &'static str, value: &[f64], scale: f64) {
    let bound = value.iter().map(|value| scale * (1e-4 + 1e-4 * value.abs())).collect();
    let expected = Expected { port, value: value.to_vec(), bound, exempt: 0.0 };
    for row in outcome.rows(prefix, &[expected]) {
        println!("{} {}: {:.3} of the bound", row.kernel, row.case, row.worst);
        assert!(row.passed, "{} {}: {} of the bound", row.kernel, row.case, row.worst);
    }
}

/// The value of `key` in a case's name `.../key=value,...`.
fn setting(case: &str, key: &str) -> f64 {
    let settings = case.rsplit('/').next().expect("rsplit yields at least one part");
    let value = settings.split(',').find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
    value.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{case} names no {key}"))
}

/// The prefixes of cases that begin with `start`.
fn prefixes<'a>(golden: &'a Golden, start: &str, count: usize) -> Vec<&'a str> {
    let all = golden.names().filter_map(|name| name.strip_suffix("/grad_out"));
    let found: Vec<_> = all.filter(|case| case.starts_with(start)).collect();
    assert_eq!(found.len(), count, "cases of {start}");
    found
}

/// The shape `[n, c, h, w]` or `[n, c]` of a tensor as the tape's `[n, h, w, c]`.
fn shape(golden: &Golden, name: &str) -> [u32; 4] {
    match golden.shape(name) {
        &[n, c, h, w] => [n, h, w, c].map(|d| d as u32),
        &[n, c] => [n as u32, 1, 1, c as u32],
        other => panic!("{name} has the shape {other:?}"),
    }
}

#[test]
fn convolutions() {
    let (Some(gpu), Some(golden)) = (support::gpu(), open("layers.safetensors")) else { return };
    for prefix in prefixes(&golden, "conv_", 8) {
        let &[outputs, _, kernel, _] = golden.shape(&format!("{prefix}/weight")) else { panic!("{prefix}") };
        let (stride, padding) = (setting(prefix, "stride") as u32, setting(prefix, "padding") as u32);
        let conv = Conv2d { outputs: outputs as u32, kernel: kernel as u32, stride, padding };
        let case = Conv2dCase { input: shape(&golden, &format!("{prefix}/x")), conv, shared: false };
        compare(gpu, &golden, prefix, &case, &["out", "grad_x", "grad_weight"]);
    }
}

#[test]
fn batch_normalizations() {
    let (Some(gpu), Some(golden)) = (support::gpu(), open("layers.safetensors")) else { return };
    for prefix in prefixes(&golden, "batchnorm", 2) {
        let input = shape(&golden, &format!("{prefix}/x"));
        let outer = prefix.split('/').next().expect("split yields at least one part");
        let get = |name: &str| golden.values(name).to_vec();
        let statistic = |name: &str, when: &str| get(&format!("{outer}/running_{name}_{when}"));
        let mut data = Data::from([
            ("running_mean_before", statistic("mean", "before")),
            ("running_var_before", statistic("var", "before")),
        ]);
        for name in ["x", "gamma", "beta", "grad_out"] {
            data.insert(name, get(&format!("{prefix}/{name}")));
        }
        for (target, training) in targets(gpu).iter().flat_map(|target| [(target, true), (target, false)]) {
            let mean_range = [0.0, 1.0]; // for the inputs that are not used
            let case = BatchNormCase {
                input,
                training,
                add: false,
                activation: ops::Activation::None,
                airbench: false,
                shared: false,
                mean_range,
            };
            let outcome = block_on(execute(gpu, target, &case, &data)).expect("the device runs the case");
            if !training {
                agree(prefix, &outcome, "out", &get(&format!("{outer}/eval_out")), 1.0);
                continue;
            }
            for output in ["out", "grad_x", "grad_gamma", "grad_beta"] {
                agree(prefix, &outcome, output, &get(&format!("{prefix}/{output}")), 1.0);
            }
            agree(prefix, &outcome, "running_mean", &statistic("mean", "after"), 1.0);
            agree(prefix, &outcome, "running_var", &statistic("var", "after"), 1.0);
        }
    }
}

#[test]
fn pooling() {
    let (Some(gpu), Some(golden)) = (support::gpu(), open("layers.safetensors")) else { return };
    for prefix in prefixes(&golden, "maxpool", 2) {
        let [kernel, stride, padding] = ["kernel", "stride", "padding"].map(|key| setting(prefix, key) as u32);
        let input = shape(&golden, &format!("{prefix}/x"));
        let case = MaxPoolCase { input, kernel, stride, padding, ties: false, shared: false };
        compare(gpu, &golden, prefix, &case, &["out", "grad_x"]);
    }
    let case = GlobalAvgPoolCase { input: shape(&golden, "global_avgpool/x"), shared: false };
    compare(gpu, &golden, "global_avgpool", &case, &["out", "grad_x"]);
}

#[test]
fn linear_and_add_relu() {
    let (Some(gpu), Some(golden)) = (support::gpu(), open("layers.safetensors")) else { return };
    let ([n, _, _, inputs], [outputs, ..]) = (shape(&golden, "linear/x"), shape(&golden, "linear/weight"));
    let case = LinearCase { n, places: 1, inputs, outputs };
    compare(gpu, &golden, "linear", &case, &["out", "grad_x", "grad_weight", "grad_bias"]);
    let case = ReluCase { shape: shape(&golden, "add_relu/x"), add: true, shared: false, training: true };
    compare(gpu, &golden, "add_relu", &case, &["out", "grad_x", "grad_other"]);
}

#[test]
fn cross_entropy() {
    let (Some(gpu), Some(golden)) = (support::gpu(), open("layers.safetensors")) else { return };
    for prefix in prefixes(&golden, "cross_entropy", 4) {
        let [n, _, _, classes] = shape(&golden, &format!("{prefix}/logits"));
        let smoothing = setting(prefix, "smoothing") as f32;
        let case = CrossEntropyCase { n, places: [1, 1], classes, scale: 1.0, smoothing, counted: 1 };
        compare(gpu, &golden, prefix, &case, &["grad_logits"]);
        let get = |name: &str| golden.values(&format!("{prefix}/{name}")).to_vec();
        let data = Data::from([("logits", get("logits")), ("target", get("target"))]);
        let outcome = block_on(execute(gpu, &gpu.target, &case, &data)).expect("the device runs the case");
        // The report holds the sum over the images, the file their mean.
        agree(prefix, &outcome, "loss", &[get("out")[0] * f64::from(n)], f64::from(n));
    }
}

/// At least 99.9 % of the bytes are equal to torchvision's.
#[test]
fn augmentation() {
    let (Some(gpu), Some(golden)) = (support::gpu(), open("augment.safetensors")) else { return };
    let n = golden.shape("images")[0];
    let word = |b: &[u8]| f64::from(u32::from_le_bytes(b.try_into().expect("four bytes")));
    let draws = ["crop_top", "crop_left", "flip", "angle_degrees"].map(|name| golden.values(name));
    let data = Data::from([
        ("images", golden.bytes("images").chunks(4).map(word).collect()),
        ("draws", (0..n).flat_map(|i| [draws[0][i] - 4.0, draws[1][i] - 4.0, draws[2][i], draws[3][i]]).collect()),
    ]);
    let case = velograd::check::selftest::AugmentCase {
        n: n as u32,
        image: Image::CIFAR,
        rotate: true,
        augment: Augment::PAPER,
    };
    let outcome = block_on(execute(gpu, &gpu.target, &case, &data)).expect("the device runs the case");
    let value: Vec<f64> = golden.values("out").iter().map(|byte| (byte / 255.0 - 0.5) / 0.5).collect();
    let different = outcome.values("out").iter().zip(&value).filter(|(a, b)| (*a - *b).abs() > 1e-3).count();
    println!("{different} of {} bytes differ", value.len());
    let bound = vec![1e-6; value.len()];
    let expected = Expected { port: "out", value, bound, exempt: 0.001 };
    assert!(outcome.rows("augment", &[expected]).iter().all(|row| row.passed), "{different} bytes differ");
}

const BATCH: u32 = 6;

fn record(target: &Target, stem: Stem) -> (Recording, Tensor) {
    let mut t = Tape::new(target, true);
    let draws = ops::draw(&mut t, BATCH, Image::CIFAR, Augment::NONE);
    let images = ops::augment(&mut t, BATCH, Image::CIFAR, draws, Augment::NONE, Normalize::HALF);
    let logits = resnet18(&mut t, images, &resnet::config(stem, 8, 10));
    t.keep(logits);
    ops::cross_entropy(&mut t, logits, 0.0);
    t.backward();
    (t.finish(), logits)
}

/// An arena with the file's values, in the stored order.
fn arena(golden: &Golden, floats: u32, segments: &[Segment]) -> Vec<f32> {
    let mut arena = vec![0.0; floats as usize];
    for segment in segments {
        let values: Vec<f32> = golden.values(&format!("before/{}", segment.name)).iter().map(|&v| v as f32).collect();
        let stored = segment.shape.to_stored(&values);
        arena[segment.offset as usize..][..stored.len()].copy_from_slice(&stored);
    }
    arena
}

/// Logits and loss agree within 1e-4, gradients within 1e-5 of the tensor's largest element and 1e-3 of their own
/// value.
fn first_step(file: &str, stem: Stem) {
    let (Some(gpu), Some(golden)) = (support::gpu(), open(file)) else { return };
    for target in targets(gpu) {
        let (recording, logits) = record(&target, stem);
        let layout = recording.layout.clone();
        let runtime = block_on(Runtime::new(gpu, &[recording], true)).expect("the device holds the network");
        let write_arena = |kind: &BufferKind, floats: u32, segments: &[Segment]| {
            runtime.write(runtime.buffer(kind), &arena(&golden, floats, segments));
        };
        write_arena(&BufferKind::Params, layout.param_floats(), &layout.params);
        write_arena(&BufferKind::Running, layout.running_floats(), &layout.running);
        let image_bytes = BATCH as usize * Image::CIFAR.bytes();
        runtime.write(runtime.buffer(&BufferKind::Input(Input::Samples)), &golden.bytes("images")[..image_bytes]);
        runtime.write(runtime.buffer(&BufferKind::Input(Input::Targets)), &golden.integers("labels")[..BATCH as usize]);
        runtime.set_step(&Step { loss_scale: 1.0 / BATCH as f32, ..Step::default() });
        block_on(runtime.run(&[0])).expect("the device runs the network");

        let found: Vec<f32> = block_on(runtime.read(runtime.tensor(0, logits), 12 * BATCH as usize)).expect("logits");
        for (i, expected) in golden.values("logits_step1").iter().enumerate() {
            let found = f64::from(found[i / 10 * 12 + i % 10]);
            assert!((found - expected).abs() <= 1e-4 + 1e-4 * expected.abs(), "logit {i}: {found} is not {expected}");
        }
        let loss: Vec<f32> = block_on(runtime.read(runtime.buffer(&BufferKind::Report), 1)).expect("the report");
        let (loss, expected) = (f64::from(loss[0]) / f64::from(BATCH), golden.values("losses")[0]);
        assert!((loss - expected).abs() <= 1e-4 * expected, "loss {loss} is not {expected}");

        let grads: Vec<f32> =
            block_on(runtime.read(runtime.buffer(&BufferKind::Grads), layout.param_floats() as usize))
                .expect("gradients");
        for segment in &layout.params {
            let stored = &grads[segment.offset as usize..][..segment.shape.stored() as usize];
            let expected = golden.values(&format!("grad_step1/{}", segment.name));
            gradients_agree(&segment.name, &segment.shape.from_stored(stored), expected);
        }
    }
}

fn gradients_agree(name: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{name}: length");
    let largest = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    for (i, (&found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (f64::from(found) - expected).abs();
        assert!(off <= 1e-5 * largest + 1e-3 * expected.abs(), "{name}[{i}]: {found} is not {expected}");
    }
}

#[test]
fn resnet_with_imagenet_stem() {
    first_step("resnet18_width8_imagenet_stem.safetensors", Stem::Imagenet);
}

#[test]
fn resnet_with_cifar_stem() {
    first_step("resnet18_width8_cifar_stem.safetensors", Stem::Cifar);
}
