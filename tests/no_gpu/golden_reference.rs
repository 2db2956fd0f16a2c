//! The f64 reference against values that PyTorch, torchvision and NumPy computed.
//!
//! The files store inputs and results rounded to float32, so agreement is within a few float32 roundings: 1e-6 of the
//! tensor's largest element; for sums, also each element within the roundings of its own terms; for optimizers, whose
//! inputs are exact in float32, within the rounding of the stored result alone.

use velograd::check::reference::augment::{self, Draw, Image, Padding};
use velograd::check::reference::batchnorm::{self, BatchNorm};
use velograd::check::reference::conv2d::{self, Conv};
use velograd::check::reference::linear::{self, Linear};
use velograd::check::reference::loss::{self, CrossEntropy};
use velograd::check::reference::pool::{self, GlobalAvgPool, MaxPool};
use velograd::check::reference::{Sum, elementwise, optim};
use velograd::optim::ALL;

use crate::golden_files::{Golden, defaults, open};

/// Half a unit in the last place of float32, as a relative error.
const ROUNDING: f64 = 1.0 / 16_777_216.0;

#[track_caller]
fn agree(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    let largest = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    for i in 0..found.len() {
        let off = (found[i] - expected[i]).abs();
        assert!(off <= 1e-6 * largest, "{what}[{i}]: {} is not {}, largest {largest}", found[i], expected[i]);
    }
}

/// Allows for the rounding of both factors of every term, and of the result.
#[track_caller]
fn agree_sum(what: &str, found: &Sum, expected: &[f64]) {
    agree(what, &found.value, expected);
    for (i, &expected) in expected.iter().enumerate() {
        let bound = ROUNDING * (2.001 * found.magnitude[i] + expected.abs()) + 1e-30;
        let off = (found.value[i] - expected).abs();
        assert!(off <= bound, "{what}[{i}]: {} is not {expected} within {bound}", found.value[i]);
    }
}

/// The prefixes of the layer file's cases that begin with `start`, each with the settings in its name.
fn cases<'a>(golden: &'a Golden, start: &str) -> Vec<&'a str> {
    let cases = golden.names().filter_map(|name| name.strip_suffix("/grad_out"));
    cases.filter(|case| case.starts_with(start)).collect()
}

fn setting(case: &str, key: &str) -> f64 {
    let settings = case.rsplit('/').next().expect("rsplit yields at least one part");
    let value = settings.split(',').find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
    value.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{case} names no {key}"))
}

#[test]
fn convolutions() {
    let Some(golden) = open("layers.safetensors") else { return };
    let cases = cases(&golden, "conv_");
    assert_eq!(cases.len(), 8);
    for case in cases {
        let (x, weight, d_y) = (format!("{case}/x"), format!("{case}/weight"), format!("{case}/grad_out"));
        let (&[n, c, h, w], &[k, _, r, s]) = (golden.shape(&x), golden.shape(&weight)) else { panic!("{case}") };
        let (stride, padding) = (setting(case, "stride") as usize, setting(case, "padding") as usize);
        let shape = Conv { n, c, h, w, k, r, s, stride, padding };
        assert_eq!(golden.shape(&d_y), [n, k, shape.p(), shape.q()], "{case}");
        let (x, weight, d_y) = (golden.values(&x), golden.values(&weight), golden.values(&d_y));
        let expected = |name: &str| golden.values(&format!("{case}/{name}"));
        agree_sum(case, &conv2d::forward(&shape, x, weight), expected("out"));
        agree_sum(case, &conv2d::backward_input(&shape, d_y, weight), expected("grad_x"));
        agree_sum(case, &conv2d::backward_weight(&shape, x, d_y), expected("grad_weight"));
    }
}

#[test]
fn batch_normalization() {
    let Some(golden) = open("layers.safetensors") else { return };
    let cases = cases(&golden, "batchnorm");
    assert_eq!(cases.len(), 2);
    for case in cases {
        let &[n, c, h, w] = golden.shape(&format!("{case}/x")) else { panic!("{case}") };
        let shape = BatchNorm { n, c, h, w, eps: setting(case, "eps"), momentum: setting(case, "momentum") };
        let get = |name: &str| golden.values(&format!("{case}/{name}"));
        let outer = case.split('/').next().expect("split yields at least one part");
        let running = |name: &str| golden.values(&format!("{outer}/{name}"));
        let (x, gamma, beta, d_y) = (get("x"), get("gamma"), get("beta"), get("grad_out"));
        let (mean, variance) = (running("running_mean_before"), running("running_var_before"));

        let found = batchnorm::forward_training(&shape, x, gamma, beta, mean, variance);
        agree_sum(case, &found.y, get("out"));
        agree(case, &found.running_mean, running("running_mean_after"));
        agree(case, &found.running_variance, running("running_var_after"));
        let found = batchnorm::forward_evaluation(&shape, x, gamma, beta, mean, variance);
        agree(case, &found.value, running("eval_out"));
        let found = batchnorm::backward(&shape, x, gamma, d_y);
        agree_sum(case, &found.d_x, get("grad_x"));
        agree_sum(case, &found.d_gamma, get("grad_gamma"));
        agree_sum(case, &found.d_beta, get("grad_beta"));
    }
}

#[test]
fn pooling() {
    let Some(golden) = open("layers.safetensors") else { return };
    let cases = cases(&golden, "maxpool");
    assert_eq!(cases.len(), 2);
    for case in cases {
        let get = |name: &str| golden.values(&format!("{case}/{name}"));
        let &[n, c, h, w] = golden.shape(&format!("{case}/x")) else { panic!("{case}") };
        let (kernel, stride) = (setting(case, "kernel") as usize, setting(case, "stride") as usize);
        let shape = MaxPool { n, c, h, w, kernel, stride, padding: setting(case, "padding") as usize };
        let (y, winner) = pool::max_pool2d(&shape, get("x"));
        agree(case, &y, get("out"));
        agree_sum(case, &pool::max_pool2d_backward(&shape, &winner, get("grad_out")), get("grad_x"));
    }
    let &[n, c, h, w] = golden.shape("global_avgpool/x") else { panic!("global_avgpool") };
    let shape = GlobalAvgPool { n, c, h, w };
    let y = pool::global_avg_pool(&shape, golden.values("global_avgpool/x"));
    agree_sum("global_avgpool", &y, golden.values("global_avgpool/out"));
    let d_x = pool::global_avg_pool_backward(&shape, golden.values("global_avgpool/grad_out"));
    agree("global_avgpool", &d_x, golden.values("global_avgpool/grad_x"));
}

#[test]
fn linear_layer() {
    let Some(golden) = open("layers.safetensors") else { return };
    let get = |name: &str| golden.values(&format!("linear/{name}"));
    let (&[n, inputs], &[outputs, _]) = (golden.shape("linear/x"), golden.shape("linear/weight")) else { panic!() };
    let shape = Linear { n, inputs, outputs };
    let (x, weight, bias, d_y) = (get("x"), get("weight"), get("bias"), get("grad_out"));
    agree_sum("linear y", &linear::forward(&shape, x, weight, bias), get("out"));
    agree_sum("linear d_x", &linear::backward_input(&shape, d_y, weight), get("grad_x"));
    agree_sum("linear d_weight", &linear::backward_weight(&shape, x, d_y), get("grad_weight"));
    agree_sum("linear d_bias", &linear::backward_bias(&shape, d_y), get("grad_bias"));
}

#[test]
fn add_relu() {
    let Some(golden) = open("layers.safetensors") else { return };
    let get = |name: &str| golden.values(&format!("add_relu/{name}"));
    agree("add_relu y", &elementwise::add_relu(get("x"), get("other")), get("out"));
    let d = elementwise::add_relu_backward(get("x"), get("other"), get("grad_out"));
    agree("add_relu d_x", &d, get("grad_x"));
    agree("add_relu d_other", &d, get("grad_other"));
    let zeros = vec![0.0; get("x").len()];
    assert_eq!(elementwise::relu(get("x")), elementwise::add_relu(get("x"), &zeros));
}

#[test]
fn cross_entropy() {
    let Some(golden) = open("layers.safetensors") else { return };
    let cases = cases(&golden, "cross_entropy");
    assert_eq!(cases.len(), 4);
    for case in cases {
        let get = |name: &str| golden.values(&format!("{case}/{name}"));
        let &[n, classes] = golden.shape(&format!("{case}/logits")) else { panic!("{case}") };
        let shape = CrossEntropy { n, places: 1, classes, smoothing: setting(case, "smoothing") };
        let labels = golden.integers(&format!("{case}/target"));
        let mean = loss::row_losses(&shape, get("logits"), &labels).iter().sum::<f64>() / n as f64;
        agree(case, &[mean], get("out"));
        let scale = vec![get("grad_out")[0] / n as f64; n];
        agree(case, &loss::backward(&shape, get("logits"), &labels, &scale), get("grad_logits"));
    }
}

#[test]
fn augmentation() {
    let Some(golden) = open("augment.safetensors") else { return };
    let &[n, c, h, w] = golden.shape("images") else { panic!("images") };
    let shape = Image { c, h, w };
    let (images, expected) = (golden.bytes("images"), golden.bytes("out"));
    let (top, left) = (golden.integers("crop_top"), golden.integers("crop_left"));
    let (flip, angle) = (golden.integers("flip"), golden.values("angle_degrees"));
    let size = c * h * w;
    let mut different = 0;
    for i in 0..n {
        // The file counts from the corner of four pixels of padding.
        let (top, left) = (i64::from(top[i]) - 4, i64::from(left[i]) - 4);
        let draw = Draw { top, left, flip: flip[i] != 0, angle_degrees: angle[i], ..Draw::NONE };
        let found = augment::moved(&shape, &images[i * size..(i + 1) * size], &draw, Padding::Black);
        different += (0..size).filter(|&j| found[j] != expected[i * size + j]).count();
    }
    println!("augmentation: {different} of {} bytes differ", n * size);
    assert!(different * 1000 <= n * size, "{different} of {} bytes differ", n * size);
}

fn traces(file: &str) {
    let Some(golden) = open(file) else { return };
    let recipes: serde_json::Value = serde_json::from_str(&golden.metadata["traces"]).expect("recipes are JSON");
    let initial: Vec<Vec<f64>> = (0..4).map(|i| golden.values(&format!("inputs/param/{i}")).to_vec()).collect();
    let losses = golden.values("inputs/loss");
    let mut checked = 0;
    for (name, recipe) in recipes.as_object().expect("recipes by name") {
        let kind = recipe["optimizer"].as_str().expect("an optimizer's name");
        if !ALL.iter().any(|entry| entry.name == kind) {
            continue;
        }
        let mut settings: Vec<(String, String)> = recipe["set"]
            .as_object()
            .expect("settings by name")
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_string)))
            .collect();
        settings.extend(defaults(kind));
        let mut optimizer = optim::build(kind, &settings).unwrap_or_else(|| panic!("{name}: {settings:?}"));
        if let (Some(k), Some(alpha)) = (recipe["lookahead"][0].as_u64(), recipe["lookahead"][1].as_f64()) {
            optimizer = Box::new(optim::Lookahead::new(optimizer, k, alpha));
        }
        let shapes: Vec<_> = (0..4).map(|i| golden.shape(&format!("inputs/param/{i}")).to_vec()).collect();
        optimizer.shapes(&shapes);
        let mut params = initial.clone();
        for (t, &loss) in losses.iter().enumerate() {
            let gradient = |i: usize| &golden.values(&format!("inputs/grad/{i}"))[t * initial[i].len()..];
            let grads: Vec<Vec<f64>> = (0..4).map(|i| gradient(i)[..initial[i].len()].to_vec()).collect();
            optimizer.step(&mut params, &grads, loss);
            for (i, found) in params.iter().enumerate() {
                let stored = golden.values(&format!("{name}/param/{i}"));
                let every_update = stored.len() == losses.len() * found.len();
                if !every_update && t + 1 < losses.len() {
                    continue;
                }
                let expected = if every_update { &stored[t * found.len()..(t + 1) * found.len()] } else { stored };
                for j in 0..found.len() {
                    let bound = 1.001 * ROUNDING * expected[j].abs() + 1e-12;
                    let off = (found[j] - expected[j]).abs();
                    assert!(off <= bound, "{name} update {} [{i}][{j}]: {} is not {}", t + 1, found[j], expected[j]);
                }
            }
        }
        checked += 1;
    }
    assert!(checked >= 40, "{file}: {checked} traces checked");
}

#[test]
fn optimizer_traces() {
    traces("optimizer_traces.safetensors");
}

#[test]
fn optimizer_traces_large() {
    traces("optimizer_traces_large.safetensors");
}
