//! The LSTM: its layer at unforeseen sizes, the columns that it reads a text in, and the state that it carries.

use std::sync::Arc;

use pollster::block_on;
use velograd::{
    check::selftest::{LstmCase, Table, check, targets},
    data::{Batch, Dataset, Inline, Split, Text, Tokens, columns},
    models::{self, Config},
    optim,
    program::BufferKind,
    training::{
        EpochRow, Options, Trainer,
        evaluate::{Logits, evaluate_each, evaluator, evaluator_of},
        generate::Generator,
        network::{Done, Network, Place, Plans, Recipe},
        sampling::Sampling,
        weights::Weights,
    },
};

use crate::{
    folder::Folder,
    support::{self, Rows},
};

const VOCABULARY: u32 = 7;

/// Two random layers.
#[test]
fn random_layers_are_within_their_bounds() {
    let Some(gpu) = support::gpu() else { return };
    let mut state = 3_u32;
    let mut draw = |low: u32, high: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low + (state >> 8) % (high - low + 1)
    };
    for _ in 0..2 {
        let (n, places, inputs, units) = (draw(1, 40), draw(1, 7), draw(1, 40), draw(1, 50));
        let case = LstmCase { n, places, inputs, units, evaluated: false };
        let rows = block_on(check(gpu, &case, &targets(gpu))).expect("the device runs the case");
        assert!(rows.iter().all(|row| row.passed), "\n{}", Table(&rows));
    }
}

/// A text of so many tokens to train on and to validate on, in blocks of `length`.
fn text(length: u32, [train, valid]: [usize; 2]) -> Arc<dyn Dataset> {
    let tokens =
        |count: usize, turn: usize| (0..count).map(|i| ((i * i + i / 3 + turn) % VOCABULARY as usize) as u16).collect();
    let entries = (0..VOCABULARY).map(|token| format!("w{token}")).collect();
    Arc::new(Text::new("a text", length, entries, tokens(train, 0), tokens(valid, 2)))
}

fn config(length: u32) -> Config {
    let set = [("block", length.to_string()), ("width", "6".into()), ("depth", "2".into())];
    let set = set.map(|(key, value)| (key.to_owned(), value));
    let tokens = Tokens { length, vocabulary: VOCABULARY };
    models::find("lstm").unwrap().config(tokens, VOCABULARY, &set).unwrap()
}

fn options() -> Options {
    Options {
        model: "lstm".into(),
        config: config(4),
        optimizer: "adamw".into(),
        epochs: 3,
        batch: 3,
        accumulate: 1,
        recipe: Recipe { dropout: 0.2, ..Recipe::default() },
        shuffle: false,
        seed: 5,
        ..Options::default()
    }
}

#[test]
fn a_text_is_read_in_columns() {
    assert_eq!(columns(8, 3), [0, 2, 4, 1, 3, 5], "two blocks of each, and two at the end that are not read");
    assert_eq!(columns(4, 1), [0, 1, 2, 3]);
    assert!(columns(2, 3).is_empty() && columns(3, 0).is_empty());
}

/// Ends with the bits of a run that was not interrupted, wherever it is: between the batches of a column, and between epochs.
#[test]
fn a_resumed_run_goes_on_from_its_state() {
    let Some(gpu) = support::gpu() else { return };
    let data = text(4, [75, 90]); // 18 blocks: six updates of an epoch
    let trainer = || support::trainer(gpu, data.clone(), options(), |layout| Ok(Weights::init(layout, 5))).unwrap();
    let outcome = |trainer: &Trainer, rows: &Rows<'_>| {
        let timeless = |row: &EpochRow| EpochRow { seconds: 0.0, images_per_second: 0.0, ..*row };
        let epochs: Vec<_> = rows.epochs.iter().map(|row| format!("{:?}", timeless(row))).collect();
        (format!("{:?}", rows.steps), epochs, block_on(trainer.network.weights()).unwrap())
    };
    let (mut whole, mut watcher) = (trainer(), Rows::default());
    block_on(whole.run(&mut watcher)).unwrap();
    let expected = outcome(&whole, &watcher);
    assert_eq!(watcher.steps.len(), 18);

    let (mut last, mut watcher, mut stops) = (trainer(), Rows::until(|at| at.updates % 2 == 1 || at.updates == 6), 0);
    loop {
        block_on(last.run(&mut watcher)).unwrap();
        if !last.stopped() {
            break;
        }
        let taken = watcher.taken.take().unwrap();
        assert!(taken.network.buffers.iter().any(|(name, _)| name == "carried.rnn.l1"));
        last = trainer();
        last.restore(taken).unwrap();
        stops += 1;
    }
    assert!(stops >= 9, "{stops} stops");
    assert!(outcome(&last, &watcher) == expected);
}

/// At a learning rate of zero a batch has the loss that it had in the epoch before, since the state begins with zeros again; without the
/// blocks before it, it has another; and an evaluation in between changes neither.
#[test]
fn the_state_is_zero_where_an_epoch_begins() {
    let Some(gpu) = support::gpu() else { return };
    let (data, model) = (text(4, [75, 90]), models::find("lstm").unwrap());
    let (recipe, target) = (Recipe::default(), gpu.target.clone());
    let plans = Plans { model, config: config(4), recipe, target, train: vec![3], evaluate: vec![3] };
    let (sgd, _) = optim::build("sgd", &[]).unwrap();
    let init = |layout: &_| Ok(Weights::init(layout, 1));
    let mut network = block_on(Network::new(gpu, &plans, Some(sgd), init, 0)).unwrap();
    let order = columns(data.len(Split::Train), 3);
    let batches: Vec<_> =
        order.chunks(3).map(|indices| Batch::read(data.as_ref(), Split::Train, indices).unwrap()).collect();
    let place = Place { first: true, last: true, images: 3, epoch: 1, lr: 0.0 };
    let loss = |network: &mut Network, nth: usize| {
        network.train(&batches[nth], place).unwrap();
        let done = block_on(network.drain()).unwrap();
        let [Done::Updated(report)] = done[..] else { panic!("{done:?}") };
        report.loss.to_bits()
    };
    let first = [0, 1, 2].map(|nth| loss(&mut network, nth));
    network.begin_epoch();
    let mut second = vec![];
    for nth in 0..3 {
        second.push(loss(&mut network, nth));
        network.evaluate(&batches[5], true).unwrap();
        block_on(network.drain()).unwrap();
    }
    assert_eq!(first, second[..]);
    network.begin_epoch();
    assert_ne!(loss(&mut network, 1), first[1], "it goes on from the block before");
}

/// The search for what is not finite runs the last batch again from the state that it had, and so leaves the same state behind.
#[test]
fn a_batch_is_run_again_from_its_state() {
    let Some(gpu) = support::gpu() else { return };
    let (data, model) = (text(4, [75, 90]), models::find("lstm").unwrap());
    let (recipe, target) = (Recipe::default(), gpu.target.clone());
    let plans = Plans { model, config: config(4), recipe, target, train: vec![3], evaluate: vec![] };
    let (sgd, _) = optim::build("sgd", &[]).unwrap();
    let mut network = block_on(Network::new(gpu, &plans, Some(sgd), |layout| Ok(Weights::init(layout, 1)), 0)).unwrap();
    let place = Place { first: true, last: true, images: 3, epoch: 1, lr: 0.0 };
    let order = columns(data.len(Split::Train), 3);
    let mut batches = order.chunks(3).map(|indices| Batch::read(data.as_ref(), Split::Train, indices).unwrap());
    let states = |network: &Network| -> Vec<Vec<u32>> {
        let carried = network.runtime.kinds().filter(|kind| matches!(kind, BufferKind::Carried(_)));
        let buffers = carried.map(|kind| network.runtime.buffer(kind));
        buffers.map(|buffer| block_on(network.runtime.read(buffer, buffer.size() as usize / 4)).unwrap()).collect()
    };
    network.begin_epoch();
    network.train(&batches.next().unwrap(), place).unwrap();
    block_on(network.drain()).unwrap();
    let first = states(&network);
    let last = batches.next().unwrap();
    network.train(&last, place).unwrap();
    block_on(network.drain()).unwrap();
    let second = states(&network);
    assert!(first.len() == 2 && first != second, "one for each layer");
    assert!(block_on(network.find_not_finite(&[(last, place)])).unwrap().is_none());
    assert!(states(&network) == second);
}

/// An evaluation's state goes from block to block: blocks of another length, in the same columns, give the same loss and logits.
#[test]
fn an_evaluation_carries_its_state() {
    let Some(gpu) = support::gpu() else { return };
    let evaluated = |length: u32| {
        let data = text(length, [75, 401]);
        let init = |layout: &_| Ok(Weights::init(layout, 1));
        let model = models::find("lstm").unwrap();
        let mut network =
            block_on(evaluator(gpu, data.as_ref(), (model, &config(length)), 4, Recipe::default(), init)).unwrap();
        assert_eq!(network.evaluation_batch(), 10);
        let mut logits = Logits::default();
        let mut add = |values: &[f32], targets: &[u32]| logits.add(values, targets);
        let source = Inline(data);
        let evaluation =
            block_on(evaluate_each(&mut network, &source, &mut |_, _| (), Some(&mut add))).unwrap().unwrap();
        (evaluation.loss, logits)
    };
    let ((short, of_short), (long, of_long)) = (evaluated(5), evaluated(10));
    assert!((short - long).abs() < 1e-6 * long, "{short} {long}");
    // They come in the order of the text.
    assert_eq!(of_short.targets, of_long.targets);
    assert_eq!(of_short.values.len(), 400 * VOCABULARY as usize);
    for (short, long) in of_short.values.iter().zip(&of_long.values) {
        assert!((short - long).abs() < 1e-5, "{short} {long}");
    }
}

/// A text is continued by what the network says behind all of it, however short its blocks are.
#[test]
fn a_generated_text_is_that_of_the_whole_text_before() {
    let Some(gpu) = support::gpu() else { return };
    let model = models::find("lstm").unwrap();
    let init = |layout: &_| {
        let mut weights = Weights::init(layout, 1);
        weights.params.iter_mut().for_each(|weight| *weight *= 6.0); // so that what it says depends on what it reads
        Ok(weights)
    };
    let mut known: Vec<u32> = vec![1, 5, 2, 0, 3, 3, 6, 4, 1];
    let sampling = Sampling { temperature: 1.0, top_k: Some(1), seed: 0 };
    let mut generator = block_on(Generator::new(gpu, (model, &config(4)), sampling, &known, init)).unwrap();
    for _ in 0..5 {
        let length = known.len() as u32;
        let mut whole = block_on(evaluator_of(gpu, (model, &config(length)), 1, Recipe::default(), init)).unwrap();
        let inputs = known.iter().flat_map(|token| token.to_le_bytes()).collect();
        whole.evaluate(&Batch { inputs, targets: vec![0; known.len()], indices: vec![0] }, true).unwrap();
        let logits = block_on(whole.logits_at(1, 0, known.len() - 1)).unwrap();
        let best = (0..VOCABULARY).max_by(|&a, &b| logits[a as usize].total_cmp(&logits[b as usize])).unwrap();
        assert_eq!(block_on(generator.next()).unwrap(), best, "behind {known:?}");
        known.push(best);
    }
}

/// What cannot be had with a state says so; the rest is as for other language models.
#[test]
fn the_program_trains_resumes_evaluates_and_continues_a_text() {
    if support::gpu().is_none() {
        return;
    }
    let folder = Folder::new("lstm");
    folder.write("input.txt", "the cat sat on the mat. the dog sat on the log.\n".repeat(40).as_bytes());
    let set = ["--model-set", "block=8", "--model-set", "width=10", "--model-set", "tied=true"];
    let train = [&["train", "--data", "input.txt", "--model", "lstm", "--batch-size", "8"][..], &set].concat();
    let once = [&train[..], &["--accumulate", "1", "--optimizer", "adamw", "--set", "lr=0.01"]].concat();
    folder.works(&[&once[..], &["--epochs", "2", "--out", "run"]].concat());
    folder.works(&["train", "--resume", "run", "--extend", "1"]);
    let rows = std::fs::read_to_string(folder.0.join("run/metrics.jsonl")).unwrap();
    let losses: Vec<f64> = rows
        .lines()
        .map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap()["val_loss"].as_f64().unwrap())
        .collect();
    assert!(losses.len() == 3 && losses[2] < losses[0], "{losses:?}");
    for what in [&["run"][..], &["--weights", "run/model.safetensors", "--data", "input.txt"]] {
        let said = folder.works(&[&["eval", "--json"], what].concat());
        let json: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert!((json["loss"].as_f64().unwrap() - losses[2]).abs() < 1e-6, "{json} {losses:?}");
    }
    let said = folder.works(&["predict", "run", "--prompt", "the cat sat on the", "--length", "12"]);
    assert!(said.contains("the cat sat on the"), "{said}");
    let accumulated = [&train[..], &["--accumulate", "2"]].concat();
    let shuffled = [&once[..], &["--shuffle", "on"]].concat();
    let held_out = [&once[..], &["--val-split", "4"]].concat();
    let few = [&once[..], &["--batch-size", "4000"]].concat();
    for (arguments, expected) in [
        (accumulated, "--accumulate is 2"),
        (shuffled, "--shuffle is on"),
        (held_out, "--val-split is 4"),
        (few, "--batch-size is 4000"),
    ] {
        let said = folder.refused(2, &arguments);
        assert!(said.contains(expected), "{said}");
    }
}
