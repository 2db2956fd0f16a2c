//! Several ranks end with the bits of one device that takes all batches of an update one after the other.

use std::sync::Arc;

use pollster::block_on;
use velograd::{
    data::{Dataset, Inline, Masked, Shapes10, Sizes, grammar::grammar},
    device::Gpu,
    host::ranks::{Thread, threads},
    models,
    ops::Augment,
    program::{BufferKind, target::Precision},
    training::{
        EpochRow, Options, Remainder, StepRow, Trainer,
        network::{Recipe, State},
        ranks::{Alone, Exchange},
        weights::Weights,
    },
};

use crate::support::{Rows, gpu, small};

/// What a network of this kind is trained on: images, or blocks of four characters, some of which are hidden for `bert`.
fn data(model: &str) -> Arc<dyn Dataset> {
    let sizes = Sizes { train: 100, test: 70 };
    match model {
        "gpt" => Arc::new(grammar(1, 4, Sizes { train: 401, test: 281 }).unwrap()),
        "bert" => Arc::new(Masked::new(Arc::new(grammar(1, 4, Sizes { train: 400, test: 280 }).unwrap())).unwrap()),
        _ => Arc::new(Shapes10::new(1, sizes).unwrap()),
    }
}

/// 100 images in batches of 12 make nine batches, the last of 4; four batches to an update, and one in the last of an epoch.
fn options(model: &str, optimizer: &str, remainder: Remainder, recipe: Recipe) -> Options {
    let found = models::find(model).unwrap();
    Options {
        model: model.into(),
        config: small(found, 4, data(model).spec().classes.len() as u32),
        optimizer: optimizer.into(),
        epochs: 2,
        batch: 12,
        accumulate: 4,
        remainder,
        recipe: Recipe { augment: Augment::PAPER, dropout: 0.2, ..recipe },
        seed: 5,
        ..Options::default()
    }
}

type Outcome = (Vec<StepRow>, Vec<EpochRow>, State);

fn trained(gpu: &Gpu, options: &Options, exchange: Box<dyn Exchange>) -> Outcome {
    let init = |layout: &_| Ok(Weights::init(layout, options.seed));
    let source = Arc::new(Inline(data(&options.model)));
    let mut trainer = block_on(Trainer::of_ranks(gpu, &gpu.target, source, options.clone(), init, exchange)).unwrap();
    let mut rows = Rows::default();
    block_on(trainer.run(&mut rows)).unwrap();
    let epochs = rows.epochs.into_iter().map(|row| EpochRow { seconds: 0.0, images_per_second: 0.0, ..row }).collect();
    (rows.steps, epochs, block_on(trainer.network.state()).unwrap())
}

fn agree(gpu: &Gpu, options: &Options, ranks: usize) {
    let (steps, epochs, state) = trained(gpu, options, Box::new(Alone));
    let (of, model) = (&options.optimizer, &options.model);
    std::thread::scope(|scope| {
        let each = |exchange| scope.spawn(move || trained(gpu, options, Box::new(exchange)));
        let all: Vec<_> = threads(ranks).into_iter().map(each).collect();
        for (rank, thread) in all.into_iter().enumerate() {
            let (of_steps, of_epochs, of_state) = thread.join().unwrap();
            let at = format!("{model}, {of:?}, rank {rank} of {ranks}");
            assert_eq!(format!("{of_steps:?}"), format!("{steps:?}"), "{at}");
            assert_eq!(format!("{of_epochs:?}"), format!("{epochs:?}"), "{at}");
            for ((name, words), (_, expected)) in of_state.buffers.iter().zip(&state.buffers) {
                let differ = words.iter().zip(expected).filter(|(a, b)| a != b).count();
                assert_eq!(differ, 0, "{at}: {name}, of {} words", words.len());
            }
            assert_eq!(of_state, state, "{at}");
        }
    });
}

/// A weight that two layers share is added to twice by each batch. One device sums these apart where batches are accumulated, and there
/// alone; ranks, whose batches begin at zero, need not.
#[test]
fn shared_weights_have_the_bits_of_one_device() {
    let Some(gpu) = gpu() else { return };
    let usual = Recipe::default();
    let mixed = Recipe { precision: Precision::Mixed, ..usual };
    let kept = Recipe { keep_gradients: true, ..usual };
    for (model, optimizer, ranks, remainder, recipe) in [
        ("gpt", "velograd", 2, Remainder::Carry, usual),
        ("gpt", "muon", 3, Remainder::Step, usual),
        ("gpt", "sgd", 2, Remainder::Step, kept),
        ("bert", "adamw", 3, Remainder::Step, mixed),
    ] {
        agree(gpu, &options(model, optimizer, remainder, recipe), ranks);
    }
    let (options, data) = (options("gpt", "sgd", Remainder::Step, usual), data("gpt"));
    let apart = |accumulate, keep_gradients| {
        let options = Options { accumulate, recipe: Recipe { keep_gradients, ..usual }, ..options.clone() };
        let recording = options.plans(data.as_ref(), &gpu.target).unwrap().record(12, true);
        recording.buffer(&BufferKind::Apart).map(|buffer| recording.buffers[buffer.index()].1)
    };
    // The vocabulary has 29 characters, of 16 channels each, and parameters begin at multiples of 1,024 numbers.
    assert_eq!([apart(1, false), apart(4, false), apart(1, true)], [None, Some(4 * 1024), Some(4 * 1024)]);
}

/// Ranks that have begun with other weights find it before the first update.
#[test]
fn ranks_that_differ_are_named() {
    let Some(gpu) = gpu() else { return };
    let options = options("mlp", "sgd", Remainder::Step, Recipe::default());
    let data = Arc::new(Shapes10::new(1, Sizes { train: 100, test: 70 }).unwrap());
    std::thread::scope(|scope| {
        let each = |exchange: Thread| {
            let (options, source) = (options.clone(), Arc::new(Inline(data.clone())));
            scope.spawn(move || {
                let seed = u64::from(exchange.rank().index == 1);
                let init = |layout: &_| Ok(Weights::init(layout, seed));
                let trainer = Trainer::of_ranks(gpu, &gpu.target, source, options, init, Box::new(exchange));
                block_on(block_on(trainer).unwrap().run(&mut ())).unwrap_err().to_string()
            })
        };
        let all: Vec<_> = threads(3).into_iter().map(each).collect();
        for thread in all {
            let error = thread.join().unwrap();
            assert!(error.contains("the weights of rank 1 differ"), "{error}");
        }
    });
}

#[test]
fn a_state_from_batch_to_batch_is_refused() {
    let options = Options { model: "lstm".into(), accumulate: 2, ..Options::default() };
    assert!(options.check_ranks(1).is_ok());
    let error = options.check_ranks(2).unwrap_err().to_string();
    assert!(error.contains("lstm carries its state from batch to batch, and 2 ranks"), "{error}");
}

/// A build without MPI, under a launcher, would be so many processes that each think they are alone.
#[cfg(not(feature = "mpi"))]
#[test]
fn a_build_without_mpi_refuses_a_launcher() {
    use crate::folder::{Folder, says};
    let folder = Folder::new("no-mpi");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_velograd"))
        .args(["train", "--dataset", "shapes10", "--out", "run"])
        .envs([("OMPI_COMM_WORLD_SIZE", "2"), ("OMPI_COMM_WORLD_RANK", "0")])
        .current_dir(&folder.0)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && !folder.0.join("run").exists(), "{said}");
    says(&said, &["Open MPI's mpirun started the program 2 times", "--features mpi"]);
}

#[test]
fn ranks_have_the_bits_of_one_device() {
    let Some(gpu) = gpu() else { return };
    let usual = Recipe::default();
    let mixed = Recipe { precision: Precision::Mixed, ..usual };
    let kept = Recipe { keep_gradients: true, ..usual };
    for (model, optimizer, ranks, remainder, recipe) in [
        ("mlp", "sgd", 2, Remainder::Step, kept),
        ("mlp", "velograd", 3, Remainder::Carry, usual),
        ("mlp", "muon", 4, Remainder::Drop, usual),
        ("resnet18", "schedulefree", 3, Remainder::Step, usual),
        ("resnet18", "velograd", 2, Remainder::Carry, usual),
        ("resnet18", "adamw", 2, Remainder::Step, mixed),
    ] {
        agree(gpu, &options(model, optimizer, remainder, recipe), ranks);
    }
}
