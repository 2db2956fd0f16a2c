//! Mixed precision changes only rounding and memory, and the loss scale adjusts itself.

use std::sync::Arc;

use pollster::block_on;
use velograd::{
    check::cooperative::{Verdict, judge},
    data::Image,
    data::{Batch, Dataset, Shapes10, Sizes, Spec, Split, order},
    device::{Gpu, Opening},
    error::Result,
    host::{
        device::{open_as, opening},
        loader::Loader,
    },
    models::{
        self, Config,
        resnet::{self, Stem, resnet18},
    },
    ops::{self, Augment, Normalize},
    optim,
    program::{
        BufferKind, Recording, Tape,
        plan::Plan,
        product::Matrix,
        step::Report,
        target::{Precision, Target},
    },
    training::{
        Options,
        network::{Done, Network, Place, Plans, Recipe},
        schedule::Schedule,
        weights::Weights,
    },
};

use crate::support::{self, Rows};

fn tiny() -> Config {
    resnet::config(Stem::Imagenet, 8, 10)
}

const BATCH: u32 = 64;

const PLACE: Place = Place { first: true, last: true, images: BATCH, epoch: 1, lr: 0.0015 };

/// The device, if its shaders support f16.
fn gpu() -> Option<&'static Gpu> {
    support::gpu().filter(|gpu| {
        if !gpu.features.f16 {
            println!("skipped: {} has no f16", gpu.info.name);
        }
        gpu.features.f16
    })
}

fn network(gpu: &Gpu, precision: Precision, optimizer: &str) -> Network {
    let recipe = Recipe { precision, ..Recipe::default() };
    let plans = Plans {
        model: &models::ALL[0],
        config: tiny(),
        recipe,
        train: vec![BATCH],
        evaluate: vec![],
        target: crate::support::target(),
    };
    let (optimizer, _) = optim::build(optimizer, &[]).unwrap();
    block_on(Network::new(gpu, &plans, Some(optimizer), |layout| Ok(Weights::init(layout, 2)), 0)).unwrap()
}

fn batch() -> Batch {
    let size = BATCH as usize;
    Loader::new(shapes(size, 0), Split::Train, order(size, None), size).unwrap().next().unwrap().unwrap()
}

/// Makes one update and waits for it.
fn update(network: &mut Network, batch: &Batch) -> Report {
    crate::support::train(network, batch, PLACE).unwrap();
    match block_on(network.drain()).unwrap()[..] {
        [Done::Updated(report)] => report,
        ref other => panic!("one update was under way, not {other:?}"),
    }
}

fn floats(network: &Network, name: &str) -> Vec<f32> {
    let kind = network.runtime.kinds().find(|kind| kind.to_string() == name).expect("the network has such a buffer");
    let buffer = network.runtime.buffer(kind);
    block_on(network.runtime.read(buffer, (buffer.size() / 4) as usize)).unwrap()
}

fn options(precision: Precision) -> Options {
    let recipe = Recipe { precision, augment: Augment::PAPER, ..Recipe::default() };
    Options { config: tiny(), epochs: 1, batch: 32, recipe, seed: 1, ..Options::default() }
}

fn shapes(train: usize, test: usize) -> Arc<dyn Dataset> {
    Arc::new(Shapes10::new(1, Sizes { train, test }).unwrap())
}

/// With a scale that is far too large, every update is skipped and changes nothing but the scale, which is halved,
/// until one is not skipped.
#[test]
fn an_overflow_is_skipped_and_halves_the_scale() {
    let Some(gpu) = gpu() else { return };
    let mut network = network(gpu, Precision::Mixed, "velograd");
    let batch = batch();
    assert_eq!(update(&mut network, &batch).scale, 65536.0, "GradScaler begins with 65536");
    network.set_scale([30, 0]);
    let names = ["params", "state.m", "state.v", "state.previous", "state.scalars", "state.slow"];
    let all = |network: &Network| names.map(|name| floats(network, name));
    let before = all(&network);
    assert!(before[4][0] > 0.0, "VeloGrad's loss average has moved with the first update");
    let mut skips = 0;
    let report = loop {
        let report = update(&mut network, &batch);
        assert_eq!(report.scale, 2.0_f32.powi(30 - skips));
        if report.skip == 0 {
            break report;
        }
        assert!(report.loss.is_finite() && !report.grad_norm.is_finite());
        assert!(all(&network) == before, "a skipped update has moved something");
        skips += 1;
    };
    assert!((2..30).contains(&skips), "{skips} updates were skipped from a scale of 2^30");
    assert!(report.grad_norm.is_finite() && report.skipped as i32 == skips);
    // All but the slow weights have moved; those move with every fifth update.
    assert!((0..5).all(|i| floats(&network, names[i]) != before[i]), "the update that was not skipped moved nothing");
    assert!(floats(&network, "state.scalars")[0] > before[4][0]);
    assert_eq!(network.updates().skipped as i32, skips);
}

/// The optimizer sees the gradient itself: the scale changes nothing but what is lost below f16's smallest number, and
/// the gradient differs from f32's as much as rounding must make it. Rounding moves some ReLUs across their kink, so
/// the gradient of a deep network changes by the root of the rounding. How much that is, f32 itself shows, with its
/// weights rounded to f16: one rounding per convolution, where mixed precision stores two results.
#[test]
fn the_gradient_is_that_of_f32() {
    let Some(gpu) = gpu() else { return };
    let gradient = |precision, scale: Option<u32>, round: bool| {
        let mut network = network(gpu, precision, "sgd");
        scale.into_iter().for_each(|exponent| network.set_scale([exponent, 0]));
        if round {
            let rounded: Vec<f32> =
                floats(&network, "params").into_iter().map(|v| half::f16::from_f32(v).into()).collect();
            network.runtime.write(network.runtime.buffer(&BufferKind::Params), &rounded);
        }
        assert_eq!(update(&mut network, &batch()).skip, 0);
        floats(&network, "grads")
    };
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>();
    let distance = |found: &[f32], from: &[f32]| {
        let off = square(&mut found.iter().zip(from).map(|(a, b)| a - b));
        (off / square(&mut from.iter().copied())).sqrt()
    };
    let mixed = |exponent| gradient(Precision::Mixed, Some(exponent), false);
    let (mid, wide) = (mixed(14), gradient(Precision::F32, None, false));
    for exponent in [10, 16] {
        let off = distance(&mixed(exponent), &mid);
        assert!(off < 1e-6, "2^{exponent} and 2^14: {off}");
    }
    let lost = distance(&mixed(0), &mid);
    assert!(lost > 1e-4, "without a scale nothing is lost: {lost}");
    let (off, rounded) = (distance(&mid, &wide), distance(&gradient(Precision::F32, None, true), &wide));
    println!("mixed {off:.2e}, f32 with rounded weights {rounded:.2e}");
    assert!(off <= 4.0 * rounded, "mixed {off}, f32 with rounded weights {rounded}");
}

/// A first scale that takes more than twenty skips is no divergence; a loss that is not finite is one, as in f32.
#[test]
fn the_search_for_the_scale_is_no_divergence() {
    let Some(gpu) = gpu() else { return };
    let run = |options: Options, exponent: u32| {
        let init = |layout: &_| Ok(Weights::init(layout, 1));
        let mut trainer = crate::support::trainer(gpu, shapes(48 * 32, 0), options, init).unwrap();
        trainer.network.set_scale([exponent, 0]);
        let mut rows = Rows::default();
        block_on(trainer.run(&mut rows)).unwrap();
        (trainer.diverged(), rows.steps)
    };
    let base = Options { accumulate: 1, ..options(Precision::Mixed) };
    let (diverged, steps) = run(base.clone(), 46);
    let skips = steps.iter().take_while(|row| row.skipped).count();
    assert!(skips > 20 && diverged.is_none() && steps.len() == 48, "{skips} skips, {diverged:?}");
    assert!(steps[skips..].iter().all(|row| !row.skipped), "the scale was found, and then another was skipped");
    assert_eq!(steps[skips].scale, Some(2.0_f32.powi(46 - skips as i32)));

    let set = vec![("lr".to_owned(), "1e30".to_owned())];
    let (diverged, steps) = run(Options { optimizer: "sgd".into(), set, ..base }, 16);
    let step = diverged.expect("a rate of 1e30 diverges") as usize;
    assert!(steps.len() < 48 && steps[step - 1..].iter().all(|row| row.skipped), "{step} of {}", steps.len());
}

#[test]
fn a_run_repeats_itself_to_the_bit() {
    let Some(gpu) = gpu() else { return };
    let run = || {
        let init = |layout: &_| Ok(Weights::init(layout, 1));
        let mut trainer = crate::support::trainer(gpu, shapes(300, 50), options(Precision::Mixed), init).unwrap();
        let mut rows = Rows::default();
        block_on(trainer.run(&mut rows)).unwrap();
        let bits: Vec<u32> = rows.steps.iter().map(|row| row.loss.to_bits()).collect();
        (block_on(trainer.network.weights()).unwrap(), bits, rows.epochs[0].val_acc)
    };
    assert!(run() == run(), "two runs of one seed differ");
}

/// The training images, which are the test images too.
struct Memorized(Arc<dyn Dataset>);

impl Dataset for Memorized {
    fn spec(&self) -> &Spec {
        self.0.spec()
    }
    fn len(&self, _: Split) -> usize {
        self.0.len(Split::Train)
    }
    fn checksum(&self) -> u32 {
        self.0.checksum()
    }
    fn notes(&self) -> &[String] {
        self.0.notes()
    }
    fn read(&self, _: Split, index: usize, image: &mut [u8], targets: &mut [u32]) -> Result<()> {
        self.0.read(Split::Train, index, image, targets)
    }
}

/// A network of width 16 ends within a percentage point of f32, on images that it has seen, since it learns those in
/// seconds.
#[test]
fn a_small_network_ends_as_accurate_as_in_f32() {
    let Some(gpu) = gpu() else { return };
    let accuracy = |precision| {
        let config = resnet::config(Stem::Imagenet, 16, 10);
        let recipe = Recipe { precision, ..Recipe::default() };
        let schedule = Schedule::parse("linear:end=0", 0).unwrap();
        let options = Options { config, recipe, schedule, epochs: 12, batch: 50, accumulate: 1, ..options(precision) };
        let init = |layout: &_| Ok(Weights::init(layout, 1));
        let data = Arc::new(Memorized(shapes(500, 0)));
        let mut trainer = crate::support::trainer(gpu, data, options, init).unwrap();
        let mut rows = Rows::default();
        block_on(trainer.run(&mut rows)).unwrap();
        println!("{precision:?} {:?}", rows.epochs.iter().map(|row| row.val_acc.unwrap()).collect::<Vec<_>>());
        rows.epochs.last().and_then(|row| row.val_acc).unwrap()
    };
    let (wide, mixed) = (accuracy(Precision::F32), accuracy(Precision::Mixed));
    assert!(wide > 95.0 && (wide - mixed).abs() <= 1.0, "f32 {wide} %, mixed {mixed} %");
}

/// Activations take half the memory, and nothing else takes more except the sixteen bytes of the scale.
#[test]
fn activations_take_half_the_memory() {
    let record = |precision| -> Recording {
        let mut t = Tape::new(&Target::portable().with(precision), true);
        let draws = ops::draw(&mut t, 32, Image::CIFAR, Augment::PAPER);
        let images = ops::augment(&mut t, 32, Image::CIFAR, draws, Augment::PAPER, Normalize::HALF);
        let logits = resnet18(&mut t, images, &resnet::config(Stem::Imagenet, 64, 10));
        ops::cross_entropy(&mut t, logits, 0.0);
        t.backward();
        t.finish()
    };
    let (wide, mixed) = (record(Precision::F32), record(Precision::Mixed));
    assert_eq!(wide.buffers, mixed.buffers);
    let pool = |recording: &Recording| Plan::new([recording], true).bytes() as f64;
    let share = pool(&mixed) / pool(&wide);
    assert!((0.45..0.55).contains(&share), "activations take {share} of f32's memory");
}

/// On a device without f16, the error says so, and what to do.
#[test]
fn without_f16_mixed_precision_is_refused() {
    if support::gpu().is_none() {
        return;
    }
    let gpu = open_as(None, Opening { f16: false, ..opening().unwrap() }).unwrap();
    let recipe = Recipe { precision: Precision::Mixed, ..Recipe::default() };
    let plans = Plans {
        model: &models::ALL[0],
        config: tiny(),
        recipe,
        train: vec![2],
        evaluate: vec![],
        target: crate::support::target(),
    };
    let (sgd, _) = optim::build("sgd", &[]).unwrap();
    let refused = block_on(Network::new(&gpu, &plans, Some(sgd), |layout| Ok(Weights::init(layout, 0)), 0));
    let error = refused.err().expect("the device has no f16").to_string();
    assert!(error.contains(&gpu.info.name) && error.contains("f16") && error.contains("'precision' f32"), "{error}");
}

/// A matrix core is used if it is right and faster. Plain arithmetic in place of cooperative matrices is right, but
/// slower than the core that is made for the device.
#[test]
fn a_slower_core_is_not_taken() {
    let Some(gpu) = gpu() else { return };
    assert_eq!(block_on(judge(gpu, None)).unwrap(), Verdict::Absent);
    let plain = Matrix { tile: 16, subgroup: 32, plain: true };
    assert_eq!(block_on(judge(gpu, Some(plain))).unwrap(), Verdict::Slow);
}
