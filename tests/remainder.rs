//! The images of an epoch that do not fill an update: a smaller update, nothing, or a part of the next epoch's first.

use std::{fs, sync::Arc};

use pollster::block_on;
use velograd::{
    data::{Batch, Dataset, Image, Shapes10, Sizes, Split, order},
    device::Gpu,
    host::loader::Loader,
    models::{
        self, Config,
        resnet::{self, Stem},
    },
    ops::Augment,
    optim,
    program::BufferKind,
    training::{
        EpochRow, Options, Remainder, StepRow,
        network::{Done, Network, Place, Plans, Recipe},
        weights::Weights,
    },
};

use crate::{
    folder::{Folder, records, says},
    support::{Rows, gpu},
};

fn config() -> Config {
    resnet::config(Stem::Imagenet, 6, 10)
}
const BATCH: usize = 16;
const SEED: u64 = 11;

/// 100 images in batches of 16 make seven batches, the last of 4.
fn data() -> Arc<dyn Dataset> {
    Arc::new(Shapes10::new(1, Sizes { train: 100, test: 40 }).unwrap())
}

fn options(optimizer: &str, accumulate: u32, remainder: Remainder) -> Options {
    Options {
        config: config(),
        optimizer: optimizer.into(),
        epochs: 3,
        batch: BATCH as u32,
        accumulate,
        remainder,
        recipe: Recipe { augment: Augment::PAPER, dropout: 0.2, ..Recipe::default() },
        seed: SEED,
        ..Options::default()
    }
}

fn trained(gpu: &Gpu, options: &Options) -> (Vec<StepRow>, Vec<EpochRow>, Weights) {
    let init = |layout: &_| Ok(Weights::init(layout, options.seed));
    let mut trainer = crate::support::trainer(gpu, data(), options.clone(), init).unwrap();
    let mut rows = Rows::default();
    block_on(trainer.run(&mut rows)).unwrap();
    (rows.steps, rows.epochs, block_on(trainer.network.weights()).unwrap())
}

/// Each way written out as a loop over a network, without evaluation and trainer. `carry` is the VeloGrad notebook's:
/// each batch's mean loss over `accumulate`, a step after every `accumulate`-th batch of an epoch, and a gradient that
/// is kept until a step clears it.
fn by_hand(gpu: &Gpu, options: &Options) -> (Vec<f32>, Vec<f32>) {
    let (optimizer, _) = options.optimizer.build(&options.set).unwrap();
    let lr = optimizer.lr();
    let plans = Plans {
        model: &models::ALL[0],
        config: config(),
        recipe: options.recipe,
        train: vec![16, 4],
        evaluate: vec![],
        target: crate::support::target(),
    };
    let init = |layout: &_| Ok(Weights::init(layout, SEED));
    let mut network = block_on(Network::new(gpu, &plans, Some(optimizer), init, SEED)).unwrap();
    let (data, accumulate) = (data(), options.accumulate as usize);
    let mut done = vec![];
    let mut zero = true; // nothing has been added to the gradient
    for epoch in 1..=3 {
        let all = order(100, Some((SEED, epoch)));
        let batches: Vec<Batch> =
            Loader::new(data.clone(), Split::Train, all, BATCH).unwrap().map(|batch| batch.unwrap()).collect();
        let epoch = epoch as u32;
        match options.remainder {
            Remainder::Step | Remainder::Drop => {
                for update in batches.chunks(accumulate) {
                    let images: usize = update.iter().map(|batch| batch.len()).sum();
                    if options.remainder == Remainder::Drop && images < accumulate * BATCH {
                        continue;
                    }
                    for (i, batch) in update.iter().enumerate() {
                        let (first, last) = (i == 0, i + 1 == update.len());
                        let place = Place { first, last, images: images as u32, epoch, lr };
                        done.extend(crate::support::train(&mut network, batch, place).unwrap());
                    }
                }
            }
            Remainder::Carry => {
                for (i, batch) in batches.iter().enumerate() {
                    let last = (i + 1) % accumulate == 0;
                    let images = (accumulate * batch.len()) as u32;
                    done.extend(
                        crate::support::train(&mut network, batch, Place { first: zero, last, images, epoch, lr })
                            .unwrap(),
                    );
                    zero = last;
                }
            }
        }
    }
    done.extend(block_on(network.drain()).unwrap());
    let loss = |done| if let Done::Updated(report) = done { Some(report.loss / report.targets as f32) } else { None };
    (block_on(network.weights()).unwrap().params, done.into_iter().filter_map(loss).collect())
}

/// The trainer does what the loops do, to the bit, though it evaluates in between.
#[test]
fn each_way_is_the_loop_that_it_stands_for() {
    let Some(gpu) = gpu() else { return };
    for (optimizer, accumulate, updates) in [
        ("sgd", 3, [3, 2, 2]),      // 6 batches fill two updates; 4 images are left
        ("velograd", 4, [2, 1, 1]), // three batches are left
        ("velograd", 1, [7, 6, 7]), // every batch is an update; only the smaller one does not fill it
        ("schedulefree", 2, [4, 3, 3]),
        ("adam", 7, [1, 0, 1]), // the smaller batch completes the only update
    ] {
        let ways = [Remainder::Step, Remainder::Drop, Remainder::Carry];
        for (remainder, updates) in ways.into_iter().zip(updates).filter(|(_, updates)| *updates > 0) {
            let options = options(optimizer, accumulate, remainder);
            let (steps, epochs, weights) = trained(gpu, &options);
            let (params, losses) = by_hand(gpu, &options);
            let name = format!("{optimizer}, {} of {accumulate}", remainder.name());
            assert_eq!(steps.len(), 3 * updates, "{name}");
            assert_eq!(steps.iter().map(|row| row.loss).collect::<Vec<_>>(), losses, "{name}");
            assert!(epochs.len() == 3 && epochs.iter().all(|row| row.val_acc.is_some()), "{name}");
            // Schedule-Free ends at its average, which is not the point where it trains.
            assert!(optimizer == "schedulefree" || weights.params == params, "{name}: other weights");
        }
    }
}

/// A carried batch's gradient is that of its mean loss over `accumulate`, so an image of a small batch counts more. The
/// sum over the batches of an update is compared with gradients that were computed one by one.
#[test]
fn a_carried_batch_counts_as_a_whole_one() {
    let Some(gpu) = gpu() else { return };
    let recipe = Recipe::default();
    let plans = Plans {
        model: &models::ALL[0],
        config: config(),
        recipe,
        train: vec![16, 4],
        evaluate: vec![8],
        target: crate::support::target(),
    };
    let network = || {
        let (sgd, _) = optim::build("sgd", &[("lr".into(), "0".into())]).unwrap();
        block_on(Network::new(gpu, &plans, Some(sgd), |layout| Ok(Weights::init(layout, 2)), 0)).unwrap()
    };
    let batches = [
        Batch::noise(4, Image::CIFAR, 10),
        Batch::noise(16, Image::CIFAR, 10),
        Batch { indices: (16..32).collect(), ..Batch::noise(16, Image::CIFAR, 10) },
    ];
    let gradient = |network: &Network| -> Vec<f32> {
        let runtime = &network.runtime;
        block_on(runtime.read(runtime.buffer(&BufferKind::Grads), network.layout.param_floats() as usize)).unwrap()
    };
    let mut alone = network();
    let mut expected = vec![0.0; alone.layout.param_floats() as usize];
    for batch in &batches {
        let images = batch.len() as u32;
        crate::support::train(&mut alone, batch, Place { first: true, last: false, images, epoch: 1, lr: 0.0 })
            .unwrap();
        block_on(alone.drain()).unwrap();
        expected.iter_mut().zip(gradient(&alone)).for_each(|(sum, g)| *sum += f64::from(g) / 2.0);
    }
    let mut carried = network();
    for (i, batch) in batches.iter().enumerate() {
        let images = 2 * batch.len() as u32;
        crate::support::train(&mut carried, batch, Place { first: i == 0, last: i == 2, images, epoch: 1, lr: 0.0 })
            .unwrap();
        if i == 0 {
            // The next epoch comes after an evaluation, which overwrites the report.
            carried.evaluate(&Batch::noise(8, Image::CIFAR, 10), true).unwrap();
            assert!(
                block_on(carried.drain()).unwrap().len() == 2
                    && carried.waiting().is_some_and(|sums| sums.targets == 4)
            );
        }
    }
    let done = block_on(carried.drain()).unwrap();
    let Some(Done::Updated(report)) = done.last() else { panic!("{done:?}") };
    assert_eq!((report.targets, carried.waiting()), (36, None));
    let largest = expected.iter().fold(0.0_f64, |largest, g| largest.max(g.abs()));
    for (found, expected) in gradient(&carried).into_iter().zip(expected) {
        assert!((f64::from(found) - expected).abs() < 1e-5 * largest, "{found} {expected}");
    }
}

/// At a learning rate of 0, each way sees the same images: each counts once, in its own epoch, wherever updates end.
#[test]
fn every_image_counts_once_in_its_epoch() {
    let Some(gpu) = gpu() else { return };
    let run = |remainder| {
        let set = vec![("lr".to_owned(), "0".to_owned())];
        let (_, epochs, weights) = trained(gpu, &Options { set, ..options("sgd", 3, remainder) });
        let rows: Vec<_> = epochs.iter().map(|row| (row.train_loss, row.train_acc, row.val_loss.unwrap())).collect();
        (rows, weights.batches)
    };
    let (step, carry, drop) = (run(Remainder::Step), run(Remainder::Carry), run(Remainder::Drop));
    assert_eq!((step.1, carry.1, drop.1), (21, 21, 18));
    for (step, carry) in step.0.iter().zip(&carry.0) {
        // The sums over an update are f32.
        assert!((step.0 - carry.0).abs() < 1e-6 * step.0, "{step:?} {carry:?}");
        assert_eq!((step.1, step.2), (carry.1, carry.2), "accuracy, and the statistics of all batches");
    }
    assert!(drop.0.iter().zip(&step.0).all(|(drop, step)| drop.0 != step.0), "the last four images were seen");
}

/// A run ends by its number of updates, before, at and after the end of an epoch.
#[test]
fn a_run_ends_after_its_updates() {
    let Some(gpu) = gpu() else { return };
    for (steps, epochs, batches) in [(1, 1, 3), (2, 1, 7), (3, 2, 10), (6, 3, 21), (9, 3, 21)] {
        let options = Options { max_steps: Some(steps), ..options("sgd", 3, Remainder::Carry) };
        let (rows, ended, weights) = trained(gpu, &options);
        assert_eq!((rows.len() as u64, ended.len(), weights.batches), (steps.min(6), epochs, batches), "{steps}");
    }
}

/// If a carried gradient is not finite, the update that it is part of is skipped, and the search for its kernel finds
/// the batch of the previous epoch, in this process and in the next.
#[test]
fn what_is_not_finite_is_found_across_epochs() {
    let Some(gpu) = gpu() else { return };
    let mut options = options("sgd", 3, Remainder::Carry);
    options.recipe.dropout = 0.0;
    let poison = |layout: &velograd::program::params::Layout| {
        let mut weights = Weights::init(layout, 1);
        let segment = layout.params.iter().find(|s| s.name == "layer2.0.conv1.weight").expect("ResNet has it");
        weights.params[segment.offset as usize] = f32::NAN;
        Ok(weights)
    };
    let trainer = || crate::support::trainer(gpu, data(), options.clone(), poison).unwrap();
    let mut first = trainer();
    let mut rows = Rows::until(|at| at.epochs == 1);
    block_on(first.run(&mut rows)).unwrap();
    assert!(first.network.waiting().is_some_and(|sums| sums.targets == 4));
    let taken = rows.taken.take().unwrap();
    let mut second = trainer();
    second.restore(taken).unwrap();
    for trainer in [&mut first, &mut second] {
        block_on(trainer.run(&mut Rows::until(|at| at.updates == 3))).unwrap();
        assert_eq!((trainer.position().step, trainer.network.updates().skipped), (3, 3));
        let found = block_on(trainer.find_not_finite()).unwrap().expect("a NaN is not finite");
        assert_eq!((found.label.as_str(), found.batch), ("layer2.0.conv1", 1), "{found}");
        // They are the carried images, whose last batch is the smaller one.
        assert_eq!(found.output.count % 4, 0);
    }
    let epoch = &first.position().epochs[0];
    assert!(epoch.train_loss.is_nan(), "no update of the epoch was finite: {epoch:?}");
}

#[test]
fn a_set_that_fills_no_update_is_refused() {
    let Some(gpu) = gpu() else { return };
    for remainder in [Remainder::Drop, Remainder::Carry] {
        let options = options("sgd", 8, remainder);
        let error = crate::support::trainer(gpu, data(), options, |layout| Ok(Weights::init(layout, 1)))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("100 training images do not fill an update of 8 batches of 16"), "{error}");
    }
}

/// From the command line, the flag is in run.json and its recipe, and a run of one epoch extended by one is a run of
/// two.
#[test]
fn the_flag_is_kept_and_a_run_goes_on_with_what_it_carries() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("remainder");
    folder.write("set/data_batch_1.bin", &records(60));
    folder.write("set/test_batch.bin", &records(20));
    let train = "train --data set --width 4 --batch-size 16 --accumulate 3 --preset quick --optimizer schedulefree";
    let train: Vec<_> = train.split(' ').collect();
    let works = |more: &[&str]| folder.works(&[&train[..], more].concat());
    works(&["--remainder", "carry", "--epochs", "1", "--out", "short"]);
    folder.works(&["train", "--resume", "short", "--extend", "1"]);
    works(&["--remainder", "carry", "--epochs", "2", "--out", "long"]);
    works(&["--remainder", "drop", "--epochs", "2", "--out", "drop"]);
    works(&["--epochs", "2", "--out", "step"]);
    let read = |run: &str, file: &str| fs::read(folder.0.join(run).join(file)).unwrap();
    let run = |name: &str| -> serde_json::Value { serde_json::from_slice(&read(name, "run.json")).unwrap() };
    for file in ["model.safetensors", "steps.jsonl"] {
        assert!(read("short", file) == read("long", file), "{file}: one epoch and one more are not two");
    }
    // 60 images are four batches: one update of three, and one batch left over.
    for (name, updates) in [("long", 2), ("drop", 2), ("step", 4)] {
        assert_eq!(run(name)["result"]["updates"], updates, "{name}");
    }
    assert_eq!([run("long")["remainder"].clone(), run("step")["remainder"].clone()], ["carry", "step"]);
    assert_eq!(run("long")["recipe"]["remainder"], "carry");
    says(&folder.refused(2, &["train", "--resume", "long", "--remainder", "drop", "--extend", "1"]), &["remainder"]);
    says(&folder.refused(2, &[&train[..], &["--remainder", "cary"]].concat()), &["did you mean `carry`"]);
    let none = [&train[..], &["--remainder", "drop", "--accumulate", "4", "--out", "none"]].concat();
    says(&folder.refused(2, &none), &["60 training images do not fill an update of 4 batches of 16"]);
}
