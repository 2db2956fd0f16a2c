//! The whole trainer: it learns, it repeats itself to the bit, and how a batch is cut matters for speed alone.

use std::sync::Arc;

use pollster::block_on;
use velograd::{
    data::{Batch, Dataset, Image, Inline, Shapes10, Sizes, Split},
    host::{
        pretrained::{Head, Pretrained},
        weights::save,
    },
    models::{
        self, Config,
        resnet::{self, Stem},
    },
    optim,
    training::{
        Options,
        evaluate::{evaluate, evaluator},
        network::{Done, Network, Place, Plans, Recipe},
        schedule::Schedule,
        weights::Weights,
    },
};

use crate::{
    golden_files,
    support::{Rows, gpu},
};

/// Runs that pause, and go on.
mod pauses;

/// Bytes of an image.
const IMAGE_BYTES: usize = Image::CIFAR.bytes();

/// The learning rate of the optimizer under test, which `Place` carries.
const LR: f64 = 0.01;

fn tiny() -> Config {
    resnet::config(Stem::Imagenet, 8, 10)
}

fn plans(config: Config, train: &[u32], evaluate: &[u32]) -> Plans<'static> {
    let (train, evaluate) = (train.to_vec(), evaluate.to_vec());
    Plans {
        model: &models::ALL[0],
        config,
        recipe: Recipe::default(),
        target: crate::support::target(),
        train,
        evaluate,
    }
}

fn options(config: Config) -> Options {
    Options { config, epochs: 1, batch: 32, seed: 1, ..Options::default() }
}

fn updated(done: Vec<Done>) -> Vec<velograd::program::step::Report> {
    done.into_iter()
        .filter_map(|d| match d {
            Done::Updated(report) => Some(report),
            _ => None,
        })
        .collect()
}

#[test]
fn one_batch_overfits() {
    let Some(gpu) = gpu() else { return };
    for (optimizer, set, lr) in [
        ("velograd", vec![], 0.0015),
        ("sgd", vec![("momentum", "0.9")], 0.02),
        ("muon", vec![], 0.02),
        ("schedulefree", vec![], 0.0025),
    ] {
        let name = optimizer;
        let set: Vec<_> = set.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let (optimizer, _) = optim::build(optimizer, &set).unwrap();
        let init = |layout: &_| Ok(Weights::init(layout, 2));
        let mut network = block_on(Network::new(gpu, &plans(tiny(), &[16], &[]), Some(optimizer), init, 0)).unwrap();
        let place = Place { first: true, last: true, images: 16, epoch: 1, lr };
        let mut last = f32::INFINITY;
        for _ in 0..400 {
            let done = crate::support::train(&mut network, &Batch::noise(16, Image::CIFAR, 10), place).unwrap();
            last = updated(done).last().map_or(last, |r| r.loss / 16.0);
            if last < 0.01 {
                break;
            }
        }
        assert!(last < 0.01, "{name}: 16 images of noise: loss {last} after 400 updates");
    }
}

/// The same seed on the same device gives the same bytes of weights and the same rows, whatever the loader's thread
/// does.
#[test]
fn a_run_repeats_itself_to_the_bit() {
    let Some(gpu) = gpu() else { return };
    let data: Arc<dyn Dataset> = Arc::new(Shapes10::new(1, Sizes { train: 300, test: 50 }).unwrap());
    let run = |seed: u64| {
        let options = Options { seed, ..options(tiny()) };
        let init = |layout: &_| Ok(Weights::init(layout, seed));
        let mut trainer = crate::support::trainer(gpu, data.clone(), options, init).unwrap();
        let mut rows = Rows::default();
        block_on(trainer.run(&mut rows)).unwrap();
        let losses: Vec<u32> = rows.steps.iter().map(|r| r.loss.to_bits()).collect();
        (block_on(trainer.network.weights()).unwrap(), losses, rows)
    };
    let ((first, losses, rows), (second, again, _), (other, ..)) = (run(7), run(7), run(8));
    assert!(first == second && losses == again, "two runs of one seed differ");
    assert!(first != other, "the seed has no effect");
    // 300 images are 10 batches of at most 32, and 5 updates; none is dropped.
    assert_eq!(rows.steps.len(), 5);
    assert_eq!(first.batches, 10);
    assert!(rows.epochs[0].val_acc.is_some_and(|a| (0.0..=100.0).contains(&a)));
}

/// Schedule-Free is evaluated and saved at its average, with the batch-norm statistics of that point, and continues
/// training from where it was, to the bit.
#[test]
fn evaluation_at_an_average_leaves_no_trace() {
    let Some(gpu) = gpu() else { return };
    let data: Arc<dyn Dataset> = Arc::new(Shapes10::new(1, Sizes { train: 300, test: 50 }).unwrap());
    let run = |evaluate: bool| {
        let (optimizer, _) = optim::build("schedulefree", &[]).unwrap();
        let init = |layout: &_| Ok(Weights::init(layout, 2));
        let mut network = block_on(Network::new(gpu, &plans(tiny(), &[16], &[]), Some(optimizer), init, 0)).unwrap();
        let (batch, place) =
            (Batch::noise(16, Image::CIFAR, 10), Place { first: true, last: true, images: 16, epoch: 1, lr: 0.0025 });
        let mut average = None;
        for update in 0..8 {
            if evaluate && update == 5 {
                let (y, begun) = (block_on(network.weights()).unwrap(), network.updates());
                assert!(network.enter_evaluation() && network.enter_evaluation());
                for nth in 1..=3 {
                    block_on(network.make_room()).unwrap();
                    network.collect_statistics(&batch, nth, 1).unwrap();
                }
                block_on(network.drain()).unwrap();
                let x = block_on(network.weights()).unwrap();
                network.leave_evaluation();
                assert!(block_on(network.weights()).unwrap().params == y.params && network.updates() == begun);
                assert!(x.params != y.params && x.running != y.running);
                average = Some(x);
            }
            crate::support::train(&mut network, &batch, place).unwrap();
        }
        block_on(network.drain()).unwrap();
        (block_on(network.weights()).unwrap().params, average, network)
    };
    let ((plain, ..), (evaluated, average, mut network)) = (run(false), run(true));
    assert!(plain == evaluated, "evaluation changed the run");

    // The statistics of one batch taken three times are those of it taken once: they are a mean, not a moving average.
    let (x, layout) = (average.unwrap(), network.layout.clone());
    let (optimizer, _) = optim::build("sgd", &[("lr".to_owned(), "0".to_owned())]).unwrap();
    let at_x = |_: &_| Ok(Weights { running: vec![7.0; layout.running_floats() as usize], ..x.clone() });
    network = block_on(Network::new(gpu, &plans(tiny(), &[16], &[]), Some(optimizer), at_x, 0)).unwrap();
    assert!(!network.enter_evaluation(), "SGD has one point for everything");
    block_on(network.make_room()).unwrap();
    network.collect_statistics(&Batch::noise(16, Image::CIFAR, 10), 1, 1).unwrap();
    block_on(network.drain()).unwrap();
    let once = block_on(network.weights()).unwrap().running;
    for segment in &layout.running {
        let of = |running: &[f32]| running[segment.offset as usize..][..segment.shape.elements()].to_vec();
        for (found, expected) in of(&once).into_iter().zip(of(&x.running)) {
            assert!((found - expected).abs() <= 1e-5 * expected.abs() + 1e-6, "{}: {found}, {expected}", segment.name);
        }
    }

    let mut options = options(tiny());
    options.optimizer = "schedulefree".into();
    let mut trainer = crate::support::trainer(gpu, data, options, |layout| Ok(Weights::init(layout, 1))).unwrap();
    let mut rows = Rows::default();
    block_on(trainer.run(&mut rows)).unwrap();
    assert!(rows.epochs.iter().all(|row| row.val_loss.is_some_and(f64::is_finite)));
}

/// Without batch norm, the mean over an effective batch does not depend on how it is cut. One image is repeated here,
/// so that every cut has the same batch statistics.
#[test]
fn accumulation_takes_the_mean_of_the_effective_batch() {
    let Some(gpu) = gpu() else { return };
    let one = Batch::noise(4, Image::CIFAR, 10);
    let twice = Batch { inputs: one.inputs.repeat(2), targets: one.targets.repeat(2), indices: one.indices.repeat(2) };
    let norm = |batches: &[&Batch], images: u32| {
        let (optimizer, _) = optim::build("sgd", &[]).unwrap();
        let init = |layout: &_| Ok(Weights::init(layout, 2));
        let mut network = block_on(Network::new(gpu, &plans(tiny(), &[4, 8], &[]), Some(optimizer), init, 0)).unwrap();
        for (i, batch) in batches.iter().enumerate() {
            let place = Place { first: i == 0, last: i + 1 == batches.len(), images, epoch: 1, lr: LR };
            assert!(updated(crate::support::train(&mut network, batch, place).unwrap()).is_empty());
        }
        updated(block_on(network.drain()).unwrap())[0]
    };
    let (whole, cut) = (norm(&[&twice], 8), norm(&[&one, &one], 8));
    assert_eq!((whole.targets, cut.targets), (8, 8));
    assert!((whole.loss - cut.loss).abs() <= 1e-4 * whole.loss, "{whole:?} {cut:?}");
    assert!((whole.grad_norm - cut.grad_norm).abs() <= 1e-3 * whole.grad_norm, "{whole:?} {cut:?}");
    let remainder = norm(&[&one], 4);
    assert!((remainder.grad_norm - cut.grad_norm).abs() <= 1e-3 * cut.grad_norm, "{remainder:?} {cut:?}");
}

/// An evaluation in batches of 32, the last of 18, counts every image once and equals one in single images.
#[test]
fn evaluation_does_not_depend_on_the_batch() {
    let Some(gpu) = gpu() else { return };
    let data: Arc<dyn Dataset> = Arc::new(Shapes10::new(1, Sizes { train: 10, test: 50 }).unwrap());
    let run = |batch: u32| {
        let init = |layout: &_| Ok(Weights::init(layout, 2));
        let recipe = Recipe::default();
        let mut network =
            block_on(evaluator(gpu, data.as_ref(), (&models::ALL[0], &tiny()), batch, recipe, init)).unwrap();
        block_on(evaluate(&mut network, &Inline(data.clone()), &mut |_, _| ())).unwrap().unwrap()
    };
    let (whole, single) = (run(32), run(1));
    assert_eq!(whole.confusion.iter().flatten().flatten().sum::<u64>(), 50);
    assert_eq!(whole.confusion, single.confusion);
    assert!((whole.loss - single.loss).abs() < 1e-5 * single.loss, "{} {}", whole.loss, single.loss);
}

#[test]
fn weights_survive_the_disk() {
    let path = std::env::temp_dir().join(format!("velograd-weights-{}.safetensors", std::process::id()));
    for config in [tiny(), resnet::config(Stem::Cifar, 6, 10)] {
        let layout = plans(config.clone(), &[2], &[]).record(2, true).layout;
        let mut weights = Weights::init(&layout, 3);
        weights.batches = 41;
        save(&weights, &path, &layout, None).unwrap();
        let read = Pretrained::open(&path).unwrap();
        assert_eq!(read.config, config);
        assert!(read.weights(&layout, Head::Load, 0).unwrap() == weights);
        let wider = plans(resnet::config(Stem::Imagenet, 12, 10), &[2], &[]).record(2, true).layout;
        let error = read.weights(&wider, Head::Load, 0).unwrap_err().to_string();
        assert!(error.contains("conv1.weight") && error.contains("[12, 3,"), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
}

/// A network of width 16 learns to distinguish drawn shapes, far above the one in ten of guessing.
#[test]
fn a_small_network_learns() {
    let Some(gpu) = gpu() else { return };
    let data: Arc<dyn Dataset> = Arc::new(Shapes10::new(0, Sizes { train: 4000, test: 500 }).unwrap());
    let config = resnet::config(Stem::Imagenet, 16, 10);
    let options = Options { epochs: 6, batch: 64, accumulate: 1, ..options(config) };
    let init = |layout: &_| Ok(Weights::init(layout, 1));
    let mut trainer = crate::support::trainer(gpu, data, options, init).unwrap();
    let mut rows = Rows::default();
    block_on(trainer.run(&mut rows)).unwrap();
    let accuracy = rows.epochs.last().and_then(|e| e.val_acc).unwrap();
    assert!(accuracy > 70.0, "validation accuracy {accuracy} %");
    assert!(rows.epochs[5].train_loss < rows.epochs[0].train_loss);
}

/// Five updates of SGD from torchvision's weights give the losses, weights and evaluation that PyTorch computed in f64.
#[test]
fn five_updates_as_in_pytorch() {
    let Some(gpu) = gpu() else { return };
    for (file, stem) in [("imagenet", Stem::Imagenet), ("cifar", Stem::Cifar)] {
        let name = format!("resnet18_width8_{file}_stem.safetensors");
        let Some(golden) = golden_files::open(&name) else { return };
        let config = resnet::config(stem, 8, 10);
        let set = [("lr", "0.01"), ("momentum", "0.9"), ("weight_decay", "1e-4")];
        let set: Vec<_> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let (optimizer, _) = optim::build("sgd", &set).unwrap();
        let weights = |layout: &velograd::program::params::Layout| Ok(golden_weights(&golden, layout, "before"));
        let mut network = block_on(Network::new(gpu, &plans(config, &[6], &[]), Some(optimizer), weights, 0)).unwrap();
        let (images, labels) = (golden.bytes("images"), golden.integers("labels"));
        let place = Place { first: true, last: true, images: 6, epoch: 1, lr: LR };
        for (step, &expected) in golden.values("losses").iter().enumerate() {
            let size = 6 * IMAGE_BYTES;
            let batch = Batch {
                inputs: images[step * size..][..size].to_vec(),
                targets: labels[step * 6..][..6].to_vec(),
                indices: (0..6).collect(),
            };
            crate::support::train(&mut network, &batch, place).unwrap();
            let loss = f64::from(updated(block_on(network.drain()).unwrap())[0].loss) / 6.0;
            assert!((loss - expected).abs() <= 1e-4 * expected, "{name}, update {}: {loss} {expected}", step + 1);
        }
        let (found, expected) =
            (block_on(network.weights()).unwrap(), golden_weights(&golden, &network.layout, "after"));
        compare(&name, &network.layout.params, &found.params, &expected.params);
        compare(&name, &network.layout.running, &found.running, &expected.running);
        assert_eq!(found.batches, 5);
        same_names_and_shapes(&golden, &found, &network.layout);
    }
}

/// As `load_state_dict(strict=True)`: every name of torchvision's state dict and no other, each with its shape.
fn same_names_and_shapes(golden: &golden_files::Golden, weights: &Weights, layout: &velograd::program::params::Layout) {
    let path = std::env::temp_dir().join(format!("velograd-strict-{}.safetensors", std::process::id()));
    save(weights, &path, layout, None).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut ours: Vec<_> = file.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec())).collect();
    let theirs =
        golden.names().filter_map(|name| Some((name.strip_prefix("after/")?.to_owned(), golden.shape(name).to_vec())));
    let mut theirs: Vec<_> = theirs.collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    assert_eq!(file.tensor("bn1.num_batches_tracked").unwrap().dtype(), safetensors::Dtype::I64);
}

fn golden_weights(golden: &golden_files::Golden, layout: &velograd::program::params::Layout, when: &str) -> Weights {
    let mut weights = Weights::init(layout, 0);
    for (segments, arena) in [(&layout.params, &mut weights.params), (&layout.running, &mut weights.running)] {
        for segment in segments {
            let values = golden.values(&format!("{when}/{}", segment.name));
            let stored = segment.shape.to_stored(&values.iter().map(|&v| v as f32).collect::<Vec<_>>());
            arena[segment.offset as usize..][..stored.len()].copy_from_slice(&stored);
        }
    }
    weights
}

/// Agreement within 1e-3 of the tensor's largest element after five updates, the bound of the golden gradients.
fn compare(name: &str, segments: &[velograd::program::params::Segment], found: &[f32], expected: &[f32]) {
    for segment in segments {
        let range = segment.offset as usize..(segment.offset + segment.shape.stored()) as usize;
        let largest = expected[range.clone()].iter().fold(0.0_f32, |a, v| a.max(v.abs()));
        for i in range {
            let error = (found[i] - expected[i]).abs();
            let bound = 1e-5 + 1e-3 * largest;
            assert!(error <= bound, "{name}: {} at {i}: {} {}", segment.name, found[i], expected[i]);
        }
    }
}

/// If the test split is empty, there is no validation and nothing else changes.
#[test]
fn no_validation_without_test_images() {
    let Some(gpu) = gpu() else { return };
    let data: Arc<dyn Dataset> = Arc::new(Shapes10::new(1, Sizes { train: 40, test: 0 }).unwrap());
    assert_eq!(data.len(Split::Test), 0);
    let init = |layout: &_| Ok(Weights::init(layout, 1));
    let mut trainer =
        crate::support::trainer(gpu, data, Options { max_steps: Some(1), ..options(tiny()) }, init).unwrap();
    let rows = block_on(trainer.run(&mut Rows::default())).unwrap();
    assert!(rows[0].val_acc.is_none() && rows[0].train_loss.is_finite());
}

fn rows_of(options: Options, data: &Arc<dyn Dataset>) -> Option<(Rows<'_>, Weights)> {
    let gpu = gpu()?;
    let init = |layout: &_| Ok(Weights::init(layout, 1));
    let mut trainer = crate::support::trainer(gpu, data.clone(), options, init).unwrap();
    let mut rows = Rows::default();
    block_on(trainer.run(&mut rows)).unwrap();
    Some((rows, block_on(trainer.network.weights()).unwrap()))
}

fn shapes(train: usize, test: usize) -> Arc<dyn Dataset> {
    Arc::new(Shapes10::new(1, Sizes { train, test }).unwrap())
}

/// A scheduled learning rate is the one that is logged and applied: at a rate of 0 nothing moves.
#[test]
fn a_schedule_reaches_the_update() {
    let schedule = Schedule::parse("linear:end=0", 2).unwrap();
    let base = Options { schedule, epochs: 2, batch: 16, accumulate: 1, ..options(tiny()) };
    let data = shapes(48, 0);
    let Some((rows, _)) = rows_of(base.clone(), &data) else { return };
    let found: Vec<f64> = rows.steps.iter().map(|r| r.lr / 0.0015).collect();
    let expected = [0.5, 1.0, 1.0, 0.75, 0.5, 0.25];
    assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-12), "{found:?}");
    let still = Options { set: vec![("lr".into(), "0".into())], ..base };
    let (_, weights) = rows_of(still, &data).unwrap();
    let layout = plans(tiny(), &[2], &[]).record(2, true).layout;
    assert!(weights.params == Weights::init(&layout, 1).params, "weights moved at a rate of 0");
}

/// Label smoothing and dropout change training and leave evaluation alone.
#[test]
fn smoothing_and_dropout_act_in_training_alone() {
    let data = shapes(64, 50);
    let run = |recipe: Recipe| {
        let set = vec![("lr".to_owned(), "0".to_owned())];
        let (rows, _) = rows_of(Options { recipe, set, ..options(tiny()) }, &data)?;
        Some((rows.epochs[0].train_loss, rows.epochs[0].val_loss.unwrap()))
    };
    let Some((train, validation)) = run(Recipe::default()) else { return };
    for recipe in [Recipe { dropout: 0.5, ..Recipe::default() }, Recipe { smoothing: 0.2, ..Recipe::default() }] {
        let (other, same) = run(recipe).unwrap();
        assert!((other - train).abs() > 1e-4, "{recipe:?} changed nothing: {other} {train}");
        assert_eq!(same, validation, "{recipe:?} changed the evaluation");
    }
}

/// At a learning rate of 0 the validation loss becomes constant, and the run ends after its patience.
#[test]
fn a_run_stops_early() {
    let data = shapes(32, 20);
    let set = vec![("lr".to_owned(), "0".to_owned())];
    // Running statistics converge to f32's last digit within 60 batches, or not at all; the first rise counts.
    let base =
        Options { epochs: 40, batch: 16, early_stop: Some(2), set, recipe: Recipe::default(), ..options(tiny()) };
    let Some((rows, _)) = rows_of(base.clone(), &data) else { return };
    let losses: Vec<f64> = rows.epochs.iter().map(|e| e.val_loss.unwrap()).collect();
    assert!(losses.len() < 40, "it ran to the end: {losses:?}");
    let best = losses[..losses.len() - 2].iter().copied().fold(f64::INFINITY, f64::min);
    assert!(losses[losses.len() - 2..].iter().all(|l| *l >= best), "{losses:?}");
}

/// A learning rate that is too large ends as a diverged run with its step, not as an error.
#[test]
fn a_run_that_diverges_says_where() {
    let Some(gpu) = gpu() else { return };
    let set = vec![("lr".to_owned(), "1e30".to_owned())];
    let options = Options { optimizer: "sgd".into(), set, epochs: 60, batch: 16, accumulate: 1, ..options(tiny()) };
    let init = |layout: &_| Ok(Weights::init(layout, 1));
    let mut trainer = crate::support::trainer(gpu, shapes(32, 10), options, init).unwrap();
    let mut rows = Rows::default();
    block_on(trainer.run(&mut rows)).unwrap();
    let step = trainer.diverged().expect("a rate of 1e30 diverges");
    assert!(rows.steps[step as usize - 1].skipped && (step == 1 || !rows.steps[step as usize - 2].skipped));
    assert!((rows.steps.len() as u64) < 120, "it ran to the end");
    let found = block_on(trainer.find_not_finite()).unwrap().expect("the last update was left out");
    assert!(found.output.not_finite > 0, "{found}");
}
