//! Nothing is lost: a run that is interrupted between any two updates, or killed anywhere, and then continued ends with
//! the same bits as one that was not.

/// Damaged checkpoint files.
mod damage;
/// Disks that are full.
mod full;
/// The logs in every format.
mod logs;
/// What `--resume` may name, and how a run is made longer.
mod named;
/// Training on random parts of pictures.
mod parts;
/// The program with damaged checkpoints, other settings, a full disk, and two processes in one folder.
mod process;
/// A run as a process, and its results.
pub mod run;
/// The program killed or interrupted.
mod stops;

use std::{path::PathBuf, sync::Arc};

use pollster::block_on;
use velograd::{
    data::{Dataset, Shapes10, Sizes},
    device::Gpu,
    error::Result,
    host::checkpoint::{self, Loaded},
    models::{
        self, airbench,
        resnet::{self, Stem},
    },
    ops::{self, Augment},
    optim::{self, Lookahead},
    program::{BufferKind, target::Precision},
    training::{
        Checkpoint, EpochRow, OnNan, Options, Point, Remainder, Request, StepRow, Trainer, Watch,
        network::{Plans, Recipe},
        schedule::Schedule,
        weights::Weights,
    },
};

use crate::support::{Rows, gpu};

/// 100 images in batches of 16 make seven batches, the last of 4; three make an update, and the last makes one alone.
fn options(optimizer: &str, set: &[(&str, &str)]) -> Options {
    Options {
        // Six channels are stored as eight, so padding is tested too.
        config: resnet::config(Stem::Imagenet, 6, 10),
        optimizer: optimizer.into(),
        set: set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        epochs: 3,
        batch: 16,
        accumulate: 3,
        recipe: Recipe { augment: Augment::PAPER, smoothing: 0.1, dropout: 0.2, ..Recipe::default() },
        schedule: Schedule::parse("cosine:end=0.1", 2).unwrap(),
        early_stop: Some(2),
        seed: 11,
        ..Options::default()
    }
}

fn data() -> Arc<dyn Dataset> {
    Arc::new(Shapes10::new(1, Sizes { train: 100, test: 40 }).unwrap())
}

fn trainer(gpu: &Gpu, options: &Options) -> Trainer {
    trainer_on(gpu, &data(), options)
}

fn trainer_on(gpu: &Gpu, data: &Arc<dyn Dataset>, options: &Options) -> Trainer {
    crate::support::trainer(gpu, data.clone(), options.clone(), |layout| Ok(Weights::init(layout, options.seed)))
        .unwrap()
}

/// All results of a run but its times; as text, so that NaN equals NaN and every bit of a number counts.
#[derive(PartialEq)]
struct Outcome {
    rows: Vec<String>,
    weights: Weights,
    diverged: Option<u64>,
}

fn outcome(trainer: &Trainer, steps: &[StepRow], epochs: &[EpochRow]) -> Outcome {
    let mut rows: Vec<String> = steps.iter().map(|row| serde_json::to_string(row).unwrap()).collect();
    let timeless = |row: &EpochRow| EpochRow { seconds: 0.0, images_per_second: 0.0, ..*row };
    rows.extend(epochs.iter().map(|row| serde_json::to_string(&timeless(row)).unwrap()));
    Outcome { rows, weights: block_on(trainer.network.weights()).unwrap(), diverged: trainer.diverged() }
}

/// Writes a checkpoint to a file and reads it, as when another process continues the run.
fn through_file(checkpoint: Checkpoint) -> Loaded {
    static SERIAL: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let serial = SERIAL.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path: PathBuf = std::env::temp_dir().join(format!("velograd-resume-{}-{serial}", std::process::id()));
    let run = serde_json::json!({ "config": "width = 6\n" });
    std::fs::write(&path, checkpoint::to_bytes(checkpoint, &run, None)).unwrap();
    let loaded = checkpoint::load(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(loaded.run, run);
    loaded
}

/// Runs uninterrupted, and again with a new trainer at each point where `at` holds.
fn compare(gpu: &Gpu, options: &Options, at: impl FnMut(Point) -> bool) -> Outcome {
    compare_on(gpu, &data(), options, at)
}

fn compare_on(gpu: &Gpu, data: &Arc<dyn Dataset>, options: &Options, mut at: impl FnMut(Point) -> bool) -> Outcome {
    let mut whole = Rows::default();
    let mut undisturbed = trainer_on(gpu, data, options);
    block_on(undisturbed.run(&mut whole)).unwrap();
    let expected = outcome(&undisturbed, &whole.steps, &whole.epochs);

    let mut watcher = Rows::until(&mut at);
    let mut last = trainer_on(gpu, data, options);
    let mut pieces = 0;
    loop {
        let rows = block_on(last.run(&mut watcher)).unwrap();
        if !last.stopped() {
            assert_eq!(rows.len(), watcher.epochs.len(), "all epochs are returned");
            break;
        }
        pieces += 1;
        last = trainer_on(gpu, data, options);
        last.restore(through_file(watcher.taken.take().unwrap()).checkpoint).unwrap();
    }
    assert!(pieces > 0, "nothing was interrupted");
    let found = outcome(&last, &watcher.steps, &watcher.epochs);
    let name = &options.optimizer;
    for (found, expected) in found.rows.iter().zip(&expected.rows) {
        assert_eq!(found, expected, "{name}, in {pieces} pieces");
    }
    assert!(found == expected, "{name}, in {pieces} pieces: {:?} {:?}", found.diverged, expected.diverged);
    found
}

/// With a schedule, accumulation, augmentation, dropout, smoothing, early stopping and a smaller last batch, the run is
/// interrupted after every update and every epoch.
#[test]
fn in_as_many_pieces_as_there_are_updates() {
    let Some(gpu) = gpu() else { return };
    let around = |mut options: Options| {
        options.lookahead = Some(Lookahead { k: 2, alpha: 0.5 });
        options
    };
    // A frozen layer, a bias that stops after update 4, alternating flip, and test-time augmentation.
    let airbench = |mut options: Options| {
        (options.model, options.config) = ("airbench94".into(), airbench::config(3, 10));
        (options.recipe.augment, options.recipe.tta) = (Augment::AIRBENCH, true);
        options.validate_every = 2;
        options
    };
    // Two whole updates, and a batch of four images that is carried over.
    let carry = |options: Options| Options { remainder: Remainder::Carry, ..options };
    for options in [
        options("velograd", &[("lookahead_k", "2")]),
        airbench(options("muon", &[("variant", "airbench"), ("aux", "sgd"), ("first_bias_updates", "4")])),
        options("muon", &[]),
        options("sgd", &[("momentum", "0.9"), ("nesterov", "true")]),
        options("schedulefree", &[("warmup_steps", "3")]),
        around(options("adam", &[])),
        carry(options("velograd", &[("lookahead_k", "2")])),
        // One epoch is not evaluated, so the carried gradient stays where the device adds to it.
        Options { validate_every: 2, ..carry(options("schedulefree", &[("warmup_steps", "3")])) },
    ] {
        // Points after updates and after epochs, and between them the point before an evaluation. If a batch is carried
        // over, there are as many points, since the one after it takes the place of an update.
        let points = std::cell::RefCell::new(vec![]);
        compare(gpu, &options, |at| {
            let new = !points.borrow().contains(&at);
            points.borrow_mut().push(at);
            new && at.after != velograd::training::After::Run
        });
        assert_eq!(points.borrow().len(), 3 * 3 + 2 + 1, "{}", options.optimizer);
    }
}

/// Every rule of the registry, with its defaults, is interrupted in the middle of an epoch.
#[test]
fn every_optimizer_goes_on_where_it_was() {
    let Some(gpu) = gpu() else { return };
    for entry in optim::ALL.iter() {
        let options = Options { epochs: 2, ..options(&entry.name, &[]) };
        let mut once = false;
        compare(gpu, &options, |at| at.updates == 4 && !std::mem::replace(&mut once, true));
    }
}

/// The jitter of colours and the shares of mixup are functions of seed, epoch and images, also of a batch that is carried over.
#[test]
fn mixed_images_go_on_where_they_were() {
    let Some(gpu) = gpu() else { return };
    let options = options("sgd", &[("momentum", "0.9")]);
    let augment = "crop:4,flip,jitter:0.4:0.4:0.4:0.1,erase:0.25".parse().unwrap();
    let recipe = Recipe { augment, mixup: 0.4, ..options.recipe };
    let mut seen = std::collections::HashSet::new();
    let all =
        compare(gpu, &Options { recipe, remainder: Remainder::Carry, early_stop: None, ..options.clone() }, |at| {
            at.after == velograd::training::After::Update && seen.insert(at.updates)
        });
    let plain = Recipe { mixup: 0.0, ..recipe };
    let mut once = false;
    let without =
        compare(gpu, &Options { recipe: plain, remainder: Remainder::Carry, early_stop: None, ..options }, |at| {
            at.updates == 2 && !std::mem::replace(&mut once, true)
        });
    assert!(all.weights != without.weights, "mixup has changed nothing");
}

/// The loss scale of mixed precision and its count of good updates are part of the run. A large learning rate makes the
/// scale overflow.
#[test]
fn mixed_precision_goes_on_where_it_was() {
    let Some(gpu) = gpu() else { return };
    if !gpu.features.f16 {
        println!("skipped: the device has no f16 in shaders");
        return;
    }
    let options = options("velograd", &[("lr", "0.1")]);
    let recipe = Recipe { precision: Precision::Mixed, ..options.recipe };
    let mut seen = std::collections::HashSet::new();
    let outcome = compare(gpu, &Options { recipe, early_stop: None, ..options }, |at| {
        at.after == velograd::training::After::Update && seen.insert(at.updates)
    });
    assert!(outcome.rows.iter().any(|row| row.contains("\"scale\":")), "no row names the scale");
}

/// Takes a checkpoint after update 4 and destroys the device after update 6.
struct Breaks<'a> {
    gpu: &'a Gpu,
    taken: Option<Checkpoint>,
}

impl Watch for Breaks<'_> {
    fn step(&mut self, row: &StepRow, _: u64, _: u64, _: u64) -> Result<()> {
        if row.step == 6 {
            self.gpu.device.destroy();
        }
        Ok(())
    }

    fn request(&mut self, at: Point) -> Result<Request> {
        Ok(if at.updates == 4 { Request::Checkpoint } else { Request::Continue })
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.taken = Some(checkpoint);
        Ok(())
    }
}

/// `--on-device-lost resume`: the loss is recognized, and from the checkpoint before it another device reaches the same
/// bits.
#[test]
fn a_lost_device_costs_no_bit() {
    let Some(sound) = gpu() else { return };
    let options = options("velograd", &[]);
    let mut whole = trainer(sound, &options);
    block_on(whole.run(&mut ())).unwrap();

    let lost = velograd::host::device::open(None).expect("the adapter opens a second time");
    let mut breaks = Breaks { gpu: &lost, taken: None };
    let error = block_on(trainer(&lost, &options).run(&mut breaks)).expect_err("the device is gone");
    assert!(matches!(error, velograd::error::Error::Lost { .. }), "{error}");

    let mut again = trainer(sound, &options);
    again.restore(through_file(breaks.taken.unwrap()).checkpoint).unwrap();
    block_on(again.run(&mut ())).unwrap();
    assert!(block_on(whole.network.weights()).unwrap() == block_on(again.network.weights()).unwrap());
}

/// A run that diverges ends after the same update, whether or not it happened to wait for the device meanwhile.
#[test]
fn a_run_that_diverges_ends_at_the_same_update() {
    let Some(gpu) = gpu() else { return };
    for (on_nan, epochs, updates) in [(OnNan::Skip, 30, 20), (OnNan::Stop, 3, 1)] {
        for remainder in [Remainder::Step, Remainder::Carry] {
            let sgd = options("sgd", &[("lr", "1e30")]);
            let options = Options { on_nan, epochs, remainder, early_stop: None, ..sgd };
            let mut seen = std::collections::HashSet::new();
            let outcome = compare(gpu, &options, |at| {
                at.updates.is_multiple_of(2) && seen.insert(at.updates) && at.after == velograd::training::After::Update
            });
            let first = outcome.diverged.expect("a rate of 1e30 diverges");
            let skipped = outcome.rows.iter().filter(|row| row.contains("\"skipped\":true")).count();
            assert!(skipped >= updates && first <= 3, "{first} {skipped}");
        }
    }
}

/// A gradient that no update clears is part of every checkpoint.
#[test]
fn a_kept_gradient_goes_on() {
    let Some(gpu) = gpu() else { return };
    let usual = Options { epochs: 2, schedule: Schedule::CONSTANT, ..options("vradam", &[]) };
    let recipe = Recipe { keep_gradients: true, ..usual.recipe };
    let kept = Options { recipe, ..usual.clone() };
    let [kept, cleared] = [&kept, &usual].map(|options| compare(gpu, options, |_| true));
    // The first update is the same, and no later one.
    assert_eq!(kept.rows[0], cleared.rows[0]);
    assert!(kept.rows[1..].iter().zip(&cleared.rows[1..]).all(|(kept, cleared)| kept != cleared));
    // In mixed precision it is refused.
    let mixed = Options { recipe: Recipe { precision: Precision::Mixed, ..recipe }, ..usual };
    let error = mixed.check().unwrap_err().to_string();
    assert!(error.contains("'zero_grad' is off"), "{error}");
}

/// What a checkpoint does not hold must be written before it is read: every buffer is kept, cleared or filled, and
/// every word of state is declared by its rule, which gives it its initial value.
#[test]
fn every_buffer_is_kept_or_made_anew() {
    let config = resnet::config(Stem::Imagenet, 4, 10);
    let recipe = Recipe {
        augment: Augment::PAPER,
        smoothing: 0.1,
        dropout: 0.1,
        clip: optim::Clip { value: Some(1.0), norm: Some(1.0) },
        ..Recipe::default()
    };
    let plans = Plans {
        model: &models::ALL[0],
        config,
        recipe,
        train: vec![4, 2],
        evaluate: vec![4],
        target: crate::support::target(),
    };
    for entry in optim::ALL.iter() {
        let (optimizer, _) = entry.build(&[]).unwrap();
        let optimizer = Lookahead { k: 2, alpha: 0.5 }.around(optimizer);
        let mut state = vec![ops::SCALER];
        state.extend(optimizer.state().into_iter().map(|(name, _)| BufferKind::state(name)));
        for recording in plans.programs(Some(optimizer.as_ref())).iter() {
            for (kind, _) in &recording.buffers {
                let life = kind.life();
                let known = life.kept.is_some() || life.cleared.is_some() || life.filled.is_some();
                assert!(known, "{}: nobody knows what becomes of `{kind}`", entry.name);
                let declared = !matches!(kind, BufferKind::State(_)) || state.contains(kind);
                assert!(declared, "{}: `{kind}` is no state that the rule declares", entry.name);
            }
        }
    }
}

/// A checkpoint of another network, optimizer or run is refused and changes nothing.
#[test]
fn another_run_is_refused() {
    let Some(gpu) = gpu() else { return };
    let options = options("adam", &[]);
    let taken = || {
        let mut watcher = Rows::until(|at| at.updates == 2);
        block_on(trainer(gpu, &options).run(&mut watcher)).unwrap();
        watcher.taken.unwrap()
    };
    let wider = Options { config: resnet::config(Stem::Imagenet, 12, 10), ..options.clone() };
    let other = Options { optimizer: "sgd".into(), ..options.clone() };
    for (options, buffer) in [(wider, "`params`: there "), (other, "`state.m`: there ")] {
        let mut trainer = trainer(gpu, &options);
        let before = block_on(trainer.network.weights()).unwrap();
        let error = trainer.restore(taken()).unwrap_err().to_string();
        assert!(error.contains("another network or optimizer") && error.contains(buffer), "{error}");
        assert!(!error.contains("`running`") || buffer.contains("params"), "what is the same is not listed: {error}");
        assert!(block_on(trainer.network.weights()).unwrap() == before && trainer.position().step == 0);
    }
    // A checkpoint with a carried gradient belongs to a run that carries over.
    let mut watcher = Rows::until(|at| at.epochs == 1);
    let carry = Options { remainder: Remainder::Carry, ..options.clone() };
    block_on(trainer(gpu, &carry).run(&mut watcher)).unwrap();
    let waiting = watcher.taken.unwrap();
    assert!(waiting.network.waiting.is_some() && waiting.network.buffers.iter().any(|(name, _)| name == "grads"));
    assert!(trainer(gpu, &options).restore(waiting).is_err());
    for batch in [1, 8, usize::MAX] {
        let mut checkpoint = taken();
        checkpoint.position.batch = batch;
        let error = trainer(gpu, &options).restore(checkpoint).unwrap_err().to_string();
        assert!(error.contains("of 7"), "{error}");
    }
}
