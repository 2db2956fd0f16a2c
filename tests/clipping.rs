//! Gradient clipping: what it does, what the log says of it, and what it costs.

use std::{fs, sync::Arc};

use pollster::block_on;
use velograd::{
    data::{Batch, Dataset, Image, Shapes10, Sizes},
    device::Gpu,
    models::{
        self, Config,
        resnet::{self, Stem},
    },
    optim::{self, Clip},
    program::{
        Tape,
        params::{Init, Role, Shape},
        target::Target,
    },
    training::{
        Options, StepRow,
        network::{Network, Place, Plans, Recipe},
        weights::Weights,
    },
};

use crate::{
    folder::{Folder, records, says},
    support::{Rows, gpu},
};

fn tiny() -> Config {
    resnet::config(Stem::Imagenet, 8, 10)
}

const FREE: Clip = Clip { value: None, norm: None };

fn by_norm(limit: f32) -> Clip {
    Clip { norm: Some(limit), ..FREE }
}

fn set(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Two updates of two batches each: their rows, and by how much the first has moved the parameters.
fn run(gpu: &Gpu, optimizer: &str, given: &[(&str, &str)], clip: Clip) -> (Vec<StepRow>, Vec<f32>) {
    let data: Arc<dyn Dataset> = Arc::new(Shapes10::new(1, Sizes { train: 64, test: 0 }).unwrap());
    let recipe = Recipe { clip, ..Recipe::default() };
    let (optimizer, set) = (optimizer.into(), set(given));
    let options =
        Options { config: tiny(), optimizer, set, epochs: 1, batch: 16, recipe, seed: 1, ..Options::default() };
    let mut moved = vec![];
    for steps in [1, 2] {
        let options = Options { max_steps: Some(steps), ..options.clone() };
        let mut trainer =
            crate::support::trainer(gpu, data.clone(), options, |layout| Ok(Weights::init(layout, 1))).unwrap();
        let before = block_on(trainer.network.weights()).unwrap().params;
        let mut rows = Rows::default();
        block_on(trainer.run(&mut rows)).unwrap();
        if steps == 2 {
            assert_eq!(trainer.position().clipped, rows.steps.iter().filter(|row| row.clipped).count() as u64);
            return (rows.steps, moved);
        }
        let after = block_on(trainer.network.weights()).unwrap().params;
        moved = before.iter().zip(&after).map(|(before, after)| before - after).collect();
    }
    unreachable!()
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// At a learning rate of 1, SGD moves by the gradient that it is given. The logged norm is that before clipping by
/// norm: to the bit the norm of a run without clipping, which is that of its own gradient.
#[test]
fn the_norm_in_the_log_is_the_one_before_it_is_bounded() {
    let Some(gpu) = gpu() else { return };
    let sgd = |clip| run(gpu, "sgd", &[("lr", "1"), ("momentum", "0")], clip);
    let (free, gradient) = sgd(FREE);
    let length = norm(&gradient);
    assert!(length > 1.0 && free.iter().all(|row| !row.clipped), "{length} {free:?}");
    // The difference of two parameters has their rounding.
    assert!((f64::from(free[0].grad_norm) - length).abs() < 1e-4 * length, "{} {length}", free[0].grad_norm);

    let (rows, moved) = sgd(by_norm(0.5));
    assert_eq!(rows[0].grad_norm.to_bits(), free[0].grad_norm.to_bits());
    assert!(rows[0].clipped && (norm(&moved) - 0.5).abs() < 1e-4, "{}", norm(&moved));

    let (rows, moved) = sgd(by_norm(1e9));
    assert!(moved == gradient, "a bound that is not reached changes the gradient");
    let bits = |rows: &[StepRow]| rows.iter().map(|row| row.grad_norm.to_bits()).collect::<Vec<_>>();
    assert!(bits(&rows) == bits(&free) && rows.iter().all(|row| !row.clipped));

    // Elements are clipped first: the norm is that of the result.
    let limit = 1e-3;
    let bounded: Vec<f32> = gradient.iter().map(|g| g.clamp(-limit, limit)).collect();
    let (rows, moved) = sgd(Clip { value: Some(limit), norm: None });
    let close = |found: f64, expected: f64| (found - expected).abs() < 1e-3 * expected;
    assert!(
        rows[0].clipped && close(rows[0].grad_norm.into(), norm(&bounded)),
        "{} {}",
        rows[0].grad_norm,
        norm(&bounded)
    );
    assert!(moved.iter().all(|v| v.abs() < 1.001 * limit) && close(norm(&moved), norm(&bounded)));
    let (both, moved) = sgd(Clip { value: Some(limit), norm: Some(1e-2) });
    assert_eq!(both[0].grad_norm.to_bits(), rows[0].grad_norm.to_bits());
    assert!(both[0].clipped && close(norm(&moved), 1e-2), "{}", norm(&moved));
    let (rows, _) = sgd(Clip { value: Some(1e9), norm: None });
    assert!(bits(&rows) == bits(&free) && rows.iter().all(|row| !row.clipped));
}

/// Every rule logs the norm of the gradient before clipping by norm, whether or not it computes norms itself.
#[test]
fn every_rule_logs_the_same_norm() {
    let Some(gpu) = gpu() else { return };
    let free = run(gpu, "sgd", &[], FREE).0[0].grad_norm;
    for entry in optim::ALL.iter() {
        let (rows, _) = run(gpu, &entry.name, &[], by_norm(0.25));
        assert_eq!(rows[0].grad_norm.to_bits(), free.to_bits(), "{}", entry.name);
        assert!(rows[0].clipped, "{}", entry.name);
    }
}

/// AMVT's own bound is one of the norm, applied after the others.
#[test]
fn the_bound_of_a_rule_is_logged_like_the_others() {
    let Some(gpu) = gpu() else { return };
    let (free, _) = run(gpu, "amvt", &[], FREE);
    let (own, _) = run(gpu, "amvt", &[("clip", "0.5")], FREE);
    let (other, _) = run(gpu, "amvt", &[("clip", "1e9")], FREE);
    assert_eq!(own[0].grad_norm.to_bits(), free[0].grad_norm.to_bits());
    assert!(own.iter().all(|row| row.clipped) && !other.iter().any(|row| row.clipped));
    assert!(own[1].loss != free[1].loss, "the bound has no effect");
    assert_eq!(other[1].loss.to_bits(), free[1].loss.to_bits());
    // The tighter of two bounds decides: 0.5 with a bound of 2 is, to the bit, 0.5 alone.
    let (both, _) = run(gpu, "amvt", &[("clip", "0.5")], by_norm(2.0));
    let within = |a: f32, b: f32| (a - b).abs() < 1e-5 * b;
    assert!(within(both[1].loss, own[1].loss) && both[0].grad_norm == own[0].grad_norm, "{both:?} {own:?}");
}

/// An update whose gradient is not finite is skipped before any clipping, and counted once.
#[test]
fn what_is_not_finite_is_skipped_under_a_bound() {
    let Some(gpu) = gpu() else { return };
    let clips = [by_norm(1.0), Clip { value: Some(1.0), norm: None }, Clip { value: Some(1.0), norm: Some(1.0) }];
    for name in ["sgd", "velograd", "vradam", "muon", "schedulefree"] {
        for clip in clips {
            let recipe = Recipe { clip, ..Recipe::default() };
            let plans = Plans {
                model: &models::ALL[0],
                config: tiny(),
                recipe,
                train: vec![8],
                evaluate: vec![],
                target: crate::support::target(),
            };
            let (optimizer, _) = optim::build(name, &[]).unwrap();
            let poisoned = |layout: &velograd::program::params::Layout| {
                let mut weights = Weights::init(layout, 1);
                let segment = layout.params.iter().find(|s| s.name == "fc.bias").expect("ResNet has a classifier");
                weights.params[segment.offset as usize] = f32::NAN;
                Ok(weights)
            };
            let mut network = block_on(Network::new(gpu, &plans, Some(optimizer), poisoned, 0)).unwrap();
            let before = block_on(network.weights()).unwrap().params;
            for _ in 0..2 {
                let place = Place { first: true, last: true, images: 8, epoch: 1, lr: 0.1 };
                crate::support::train(&mut network, &Batch::noise(8, Image::CIFAR, 10), place).unwrap();
            }
            block_on(network.drain()).unwrap();
            let same = before
                .iter()
                .zip(&block_on(network.weights()).unwrap().params)
                .all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(network.updates().skipped == 2 && same, "{name}, {clip:?}: {}", network.updates().skipped);
        }
    }
}

/// Clipping costs one dispatch to scale the gradient. The norm is computed once, and without clipping nothing is added.
#[test]
fn a_bound_costs_one_dispatch() {
    let mut t = Tape::new(&Target::portable(), true);
    t.param("weight", Shape::Filter { k: 40, c: 60, r: 3, s: 3 }, Init::KaimingFanOut, Role::Weight);
    let kernels = |name: &str, given: &[(&str, &str)], clip| -> Vec<String> {
        let (optimizer, _) = optim::build(name, &set(given)).unwrap();
        let recording = optim::record(optimizer.as_ref(), clip, Tape::over_layout(&t.target, t.layout()));
        recording.calls.into_iter().map(|call| call.spec.path.into_owned()).collect()
    };
    assert_eq!(kernels("sgd", &[], FREE), ["norm/partial", "norm/finish", "optim/sgd"]);
    assert_eq!(kernels("sgd", &[], by_norm(1.0)), ["norm/partial", "norm/clip_norm", "norm/scale", "optim/sgd"]);
    let value = Clip { value: Some(1.0), norm: None };
    assert_eq!(kernels("sgd", &[], value), ["norm/clip_value", "norm/finish", "optim/sgd"]);
    let both = Clip { value: Some(1.0), norm: Some(1.0) };
    assert_eq!(kernels("sgd", &[], both), ["norm/clip_value", "norm/clip_norm", "norm/scale", "optim/sgd"]);
    assert_eq!(kernels("amvt", &[], FREE).len(), 3);
    let own = kernels("amvt", &[("clip", "1")], FREE);
    assert_eq!(own, ["norm/partial", "norm/clip_norm", "norm/scale", "optim/amvt"]);
    for entry in optim::ALL.iter() {
        let free = kernels(&entry.name, &[], FREE);
        assert!(free.iter().all(|path| !path.contains("clip") && path != "norm/scale"), "{}: {free:?}", entry.name);
        // Rules with norms of their own compute them of the clipped gradient.
        let own = !free.iter().any(|path| path == "norm/finish");
        let added = kernels(&entry.name, &[], by_norm(1.0)).len() - free.len();
        assert_eq!(added, if own { 3 } else { 1 }, "{}", entry.name);
    }
}

/// What a user sees of clipping: a field per update, a count in the result, a line at the end; and nothing of these
/// without it.
#[test]
fn a_run_says_how_often_it_clipped() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("clipping");
    folder.write("data_batch_1.bin", &records(48));
    let train = ["train", "--data", ".", "--width", "4", "--batch-size", "16", "--epochs", "1"];
    let steps = |out: &str| fs::read_to_string(folder.0.join(out).join("steps.jsonl")).unwrap();
    let result = |out: &str| -> serde_json::Value {
        let text = fs::read_to_string(folder.0.join(out).join("run.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["result"].take()
    };
    let tight = folder.works(&[&train[..], &["--clip-norm", "1e-3", "--out", "tight"]].concat());
    says(&tight, &["the gradient was clipped in 3 of 3 updates"]);
    assert_eq!((result("tight")["clipped"].as_u64(), steps("tight").matches("\"clipped\":true").count()), (Some(3), 3));
    let wide = folder.works(&[&train[..], &["--clip-norm", "1e9", "--out", "wide"]].concat());
    says(&wide, &["the gradient was clipped in 0 of 3 updates"]);
    assert_eq!((result("wide")["clipped"].as_u64(), steps("wide").contains("clipped")), (Some(0), false));
    let free = folder.works(&[&train[..], &["--out", "free"]].concat());
    assert!(!free.contains("clipped") && result("free")["clipped"].is_null());
    assert_eq!(steps("free"), steps("wide"), "a bound that is never reached");
    let weights = |out: &str| fs::read(folder.0.join(out).join("model.safetensors")).unwrap();
    assert!(weights("free") == weights("wide") && weights("free") != weights("tight"));
}
