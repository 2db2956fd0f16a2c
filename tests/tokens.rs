//! Samples that are blocks of tokens, with a target for each: how they are counted, and in which order their logits are.

use std::sync::Arc;

use pollster::block_on;
use velograd::{
    check::reference::loss::{self as reference, CrossEntropy},
    data::{Batch, Dataset, Image, Inline, Input, Spec, Split, Tokens, summary},
    error::Result,
    models::{self, Config, Model, Takes},
    ops::Augment,
    optim,
    program::{
        BufferKind, Dtype, Tape, Tensor,
        params::{Init, Role, Shape, padded},
        shader::{Piece, Source, Spec as Kernel},
        target::Target,
    },
    training::{
        Normalization, Options, Remainder, Trainer, choose_normalize,
        evaluate::{Logits, evaluate_each, evaluator},
        network::{Done, Network, Place, Plans, Recipe},
        provenance::{Provenance, network_of, stated},
        weights::{Weights, take},
    },
};

use crate::{
    folder::says,
    support::{Rows, gpu},
};

const TOKENS: Tokens = Tokens { length: 3, vocabulary: 5 };

/// Blocks whose tokens and targets are formulas.
struct Blocks(Spec);

impl Blocks {
    fn new() -> Self {
        Self(Spec::new("blocks", TOKENS, ["a", "b", "c", "d", "e"]))
    }
}

fn token(index: usize, place: usize) -> u32 {
    ((index * 7 + place * 3) % 5) as u32
}

fn target(index: usize, place: usize) -> u32 {
    ((index + 2 * place) % 5) as u32
}

impl Dataset for Blocks {
    fn spec(&self) -> &Spec {
        &self.0
    }
    fn len(&self, split: Split) -> usize {
        if split == Split::Train { 6 } else { 7 }
    }
    fn checksum(&self) -> u32 {
        0
    }
    fn notes(&self) -> &[String] {
        &[]
    }
    fn read(&self, _: Split, index: usize, input: &mut [u8], targets: &mut [u32]) -> Result<()> {
        for (place, (bytes, to)) in input.chunks_exact_mut(4).zip(targets).enumerate() {
            bytes.copy_from_slice(&token(index, place).to_le_bytes());
            *to = target(index, place);
        }
        Ok(())
    }
}

/// The logits behind a token are its row of a table.
const TABLE: Model = Model { takes: Takes::Tokens, ..Model::new("table", record) };

fn kernel(name: &'static str, text: &str) -> Kernel {
    let piece = Piece { file: name.into(), text: text.into(), foreign: false };
    Kernel { source: Some(Arc::new(Source { pieces: vec![piece] })), ..Kernel::new(name) }
}

const FORWARD: &str = "
struct Sizes { rows: u32, stride: u32 }
@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= sizes.rows { return; }
    for (var c = 0u; c < sizes.stride; c++) { y[id.x * sizes.stride + c] = table[x[id.x] * sizes.stride + c]; }
}
";

const BACKWARD: &str = "
struct Sizes { rows: u32, stride: u32, len: u32 }
@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_table: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= sizes.len { return; }
    for (var row = 0u; row < sizes.rows; row++) {
        if x[row] == id.x / sizes.stride { d_table[id.x] += d_y[row * sizes.stride + id.x % sizes.stride]; }
    }
}
";

fn record(t: &mut Tape, x: Tensor, config: &Config) -> Tensor {
    let (Tokens { vocabulary, .. }, [n, length, ..]) = (config.tokens(), t.shape(x));
    assert_eq!(t.dtype(x), Dtype::U32);
    let shape = Shape::Matrix { outputs: vocabulary, inputs: config.classes };
    let table = t.param("table", shape, Init::Normal(1.0), Role::Weight);
    let y = t.tensor_of(Dtype::F32, [n, length, 1, config.classes]);
    let (rows, stride) = (n * length, padded(config.classes));
    let call = t.call_of(kernel("table", FORWARD)).sizes([("rows", rows), ("stride", stride)]);
    call.read(x).read(table.value).write(y).over(rows);
    t.on_backward(y, move |t, d_y| {
        let len = vocabulary * stride;
        let call = t.call_of(kernel("table_backward", BACKWARD));
        let call = call.sizes([("rows", rows), ("stride", stride), ("len", len)]);
        call.read(x).read(d_y).write(table.gradient).over(len);
    });
    y
}

/// Loss, hits and the gradient of the table for the blocks `0..n`, whose losses count by `scale`.
fn expected(table: &[f32], n: usize, scale: f64) -> (f64, u64, Vec<f64>) {
    let shape = CrossEntropy { n, places: 3, classes: 5, smoothing: 0.0 };
    let at = |token: u32, class: usize| token as usize * 5 + class;
    let all = || (0..n).flat_map(|index| (0..5).flat_map(move |class| (0..3).map(move |place| (index, class, place))));
    let logits: Vec<f64> = all().map(|(index, class, place)| table[at(token(index, place), class)].into()).collect();
    let labels: Vec<u32> = (0..n).flat_map(|index| (0..3).map(move |place| target(index, place))).collect();
    let mut gradient = vec![0.0; table.len()];
    for ((index, class, place), d) in all().zip(reference::backward(&shape, &logits, &labels, &vec![scale; 3 * n])) {
        gradient[at(token(index, place), class)] += d;
    }
    let loss = reference::row_losses(&shape, &logits, &labels).iter().sum();
    (loss, reference::hits(5, &shape.rows(&logits), &labels), gradient)
}

#[test]
fn an_evaluation_takes_the_mean_over_targets() {
    let Some(gpu) = gpu() else { return };
    let (data, config): (Arc<dyn Dataset>, _) = (Arc::new(Blocks::new()), TABLE.config(TOKENS, 5, &[]).unwrap());
    let layout = TABLE.layout(&config);
    let table = take(&Weights::init(&layout, 3).params, &layout.params[0]);
    let init = |layout: &_| Ok(Weights::init(layout, 3));
    let ready = evaluator(gpu, data.as_ref(), (&TABLE, &config), 4, Recipe::default(), init);
    let (mut network, mut logits) = (block_on(ready).unwrap(), Logits::default());
    let mut progress = vec![];
    let mut note = |done, total| progress.push((done, total));
    let source = Inline(data);
    let mut add = |values: &[f32], targets: &[u32]| logits.add(values, targets);
    let evaluated = evaluate_each(&mut network, &source, &mut note, Some(&mut add));
    let evaluation = block_on(evaluated).unwrap().expect("there are blocks");
    assert_eq!(progress, [(4, 7), (7, 7)], "blocks");
    let targets: Vec<u32> = (0..7).flat_map(|index| (0..3).map(move |place| target(index, place))).collect();
    assert_eq!(logits.targets, targets);
    let rows = (0..7).flat_map(|index| (0..3).flat_map(move |place| (0..5).map(move |c| (token(index, place), c))));
    let rows: Vec<f32> = rows.map(|(token, class)| table[token as usize * 5 + class]).collect();
    assert_eq!(logits.values, rows, "block by block, and token by token in each");
    let (loss, hits, _) = expected(&table, 7, 1.0);
    assert!((evaluation.loss - loss / 21.0).abs() < 1e-5, "{} {}", evaluation.loss, loss / 21.0);
    assert!((evaluation.accuracy - 100.0 * hits as f64 / 21.0).abs() < 1e-9, "{}", evaluation.accuracy);
    assert!(evaluation.confusion.is_none() && evaluation.f1.is_none());
}

/// Two batches of different sizes make an update: its gradient is that of the mean over all of their targets.
#[test]
fn an_update_takes_the_mean_over_targets() {
    let Some(gpu) = gpu() else { return };
    let (data, config) = (Blocks::new(), TABLE.config(TOKENS, 5, &[]).unwrap());
    let recipe = Recipe { augment: Augment::PAPER, ..Recipe::default() };
    let (target, train) = (gpu.target.clone(), vec![4, 2]);
    let plans = Plans { model: &TABLE, config, recipe, target, train, evaluate: vec![] };
    let (sgd, _) = optim::build("sgd", &[]).unwrap();
    let init = |layout: &_| Ok(Weights::init(layout, 3));
    let mut network = block_on(Network::new(gpu, &plans, Some(sgd), init, 0)).unwrap();
    let table = take(&Weights::init(&network.layout, 3).params, &network.layout.params[0]);
    let mut done = vec![];
    for (indices, first) in [(vec![0, 1, 2, 3], true), (vec![4, 5], false)] {
        let batch = Batch::read(&data, Split::Train, &indices).unwrap();
        assert_eq!(
            (batch.len(), batch.targets.len(), batch.inputs.len()),
            (indices.len(), 3 * indices.len(), 12 * indices.len())
        );
        let place = Place { first, last: !first, images: 6, epoch: 1, lr: 0.5 };
        done.extend(crate::support::train(&mut network, &batch, place).unwrap());
    }
    done.extend(block_on(network.drain()).unwrap());
    let Some(Done::Updated(report)) = done.last() else { panic!("{done:?}") };
    let (loss, hits, gradient) = expected(&table, 6, 1.0 / 18.0);
    assert_eq!((report.targets, u64::from(report.hits)), (18, hits), "they count targets");
    assert!((f64::from(report.loss) - loss).abs() < 1e-5 * loss, "{} {loss}", report.loss);
    let norm = gradient.iter().map(|d| d * d).sum::<f64>().sqrt();
    assert!((f64::from(report.grad_norm) - norm).abs() < 1e-5 * norm, "{} {norm}", report.grad_norm);
    let floats = network.layout.param_floats() as usize;
    let grads: Vec<f32> = block_on(network.runtime.read(network.runtime.buffer(&BufferKind::Grads), floats)).unwrap();
    for (found, expected) in take(&grads, &network.layout.params[0]).iter().zip(&gradient) {
        assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn sizes_are_checked() {
    let block = |length, vocabulary| Input::from(Tokens { length, vocabulary });
    for (length, vocabulary, allowed) in
        [(1, 2, true), (65_536, 65_536, true), (0, 2, false), (65_537, 2, false), (1, 1, false), (1, 65_537, false)]
    {
        assert_eq!(block(length, vocabulary).check().is_ok(), allowed, "{length} {vocabulary}");
    }
    let input = block(64, 65);
    assert_eq!((input.bytes(), input.targets(), input.unit()), (256, 64, "blocks"));
    assert_eq!((input.image(), input.tokens()), (None, Some(Tokens { length: 64, vocabulary: 65 })));
    assert_eq!(input.to_string(), "blocks of 64 tokens, of 65 kinds");
    says(
        &block(0, 1).check().unwrap_err().to_string(),
        &["blocks of 0 tokens", "1 to 65536 tokens", "2 to 65536 kinds"],
    );
    let image = Input::from(Image::MNIST);
    assert_eq!((image.bytes(), image.targets(), image.unit()), (784, 1, "images"));
    let noise = Batch::noise(5, Tokens { length: 3, vocabulary: 7 }, 7);
    assert_eq!((noise.len(), noise.targets.len(), noise.inputs.len()), (5, 15, 60));
    let (tokens, _) = noise.inputs.as_chunks::<4>();
    assert!(tokens.iter().map(|token| u32::from_le_bytes(*token)).chain(noise.targets).all(|token| token < 7));
}

/// What needs pictures says so.
#[test]
fn text_is_refused_where_pictures_are_needed() {
    let data = Blocks::new();
    for model in models::ALL.iter().filter(|model| model.takes == Takes::Images) {
        let error = model.config(TOKENS, 5, &[]).unwrap_err().to_string();
        says(&error, &[model.name, "takes images", "the data set has blocks of 3 tokens, of 5 kinds", "hint"]);
    }
    let error = TABLE.config(Image::CIFAR, 10, &[]).unwrap_err().to_string();
    says(&error, &["table takes tokens", "images of 32x32 pixels", "resnet18"]);
    says(&data.spec().image().unwrap_err().to_string(), &["blocks has text", "pictures", "hint"]);
    says(&summary(&data, Split::Train).unwrap_err().to_string(), &["pictures are needed"]);
    let asked = choose_normalize(Some(Normalization::Half), None, &TABLE, &data, velograd::parallel::alone);
    says(&asked.unwrap_err().to_string(), &["pictures are needed"]);
}

/// Files say `tokens` in place of `image`, and those that say neither are of CIFAR-10's images.
#[test]
fn files_say_what_samples_are() {
    let text = |samples: &str| {
        format!(
            r#"{{"version": "1", "model": "mlp", "network": {{}}, {samples} "classes": 5, "normalize": null, "optimizer": "sgd",
                "settings": {{}}, "seed": 1, "dataset": {{"name": "x", "crc32": "0"}}}}"#
        )
    };
    let of = |samples: &str| Provenance::parse(&text(samples)).map(|read| read.input);
    assert_eq!(of(r#""tokens": {"length": 3, "vocabulary": 5},"#), Ok(TOKENS.into()));
    assert_eq!(of(r#""image": {"channels": 1, "height": 28, "width": 28},"#), Ok(Image::MNIST.into()));
    assert_eq!(of(""), Ok(Image::CIFAR.into()));
    for wrong in [r#""tokens": {"length": 3},"#, r#""image": 5,"#, r#""tokens": {"length": 3, "vocabulary": 1},"#] {
        assert!(of(wrong).is_err(), "{wrong}");
    }
    for (input, key) in [(Input::from(TOKENS), "tokens"), (Image::MNIST.into(), "image")] {
        let said = Provenance { input, ..Provenance::parse(&text("")).unwrap() };
        let written: serde_json::Value = serde_json::from_str(&said.to_text()).unwrap();
        assert_eq!((key, &written[key]), (stated(input).0, &stated(input).1));
        assert_eq!(Provenance::parse(&said.to_text()), Ok(said));
    }
    let run = serde_json::from_str(&text(r#""tokens": {"length": 3, "vocabulary": 5},"#)).unwrap();
    says(&network_of(&run).err().unwrap(), &["mlp takes images"]);
}

/// The smallest network for these blocks.
fn gpt(tokens: Tokens) -> Config {
    let block = tokens.length.to_string();
    let set = [("block", &block[..]), ("width", "4"), ("heads", "1"), ("depth", "1")];
    let set = set.map(|(key, value)| (key.to_owned(), value.to_owned()));
    models::find("gpt").unwrap().config(tokens, tokens.vocabulary, &set).unwrap()
}

/// A trainer counts an epoch by its targets, also where a batch is carried over.
#[test]
fn an_epoch_is_counted_by_targets() {
    let Some(gpu) = gpu() else { return };
    let (model, recipe) = ("gpt".into(), Recipe::default());
    let options = Options { model, config: gpt(TOKENS), recipe, epochs: 2, ..Options::default() };
    for (remainder, batch, accumulate, rows, seen) in
        [(Remainder::Step, 4, 1, 4, (18, 18)), (Remainder::Carry, 2, 2, 2, (12, 18))]
    {
        let options = Options { remainder, batch, accumulate, ..options.clone() };
        let data: Arc<dyn Dataset> = Arc::new(Blocks::new());
        let init = |layout: &_| Ok(Weights::init(layout, 0));
        let trainer = Trainer::new(gpu, &gpu.target, Arc::new(Inline(data)), options, init);
        let mut watch = Rows::default();
        let epochs = block_on(block_on(trainer).unwrap().run(&mut watch)).unwrap();
        assert_eq!((epochs.len(), watch.steps.len()), (2, rows));
        assert_eq!(watch.seen, seen, "tokens up to the last update, and of six blocks of three");
        let uniform = 5_f64.ln();
        assert!(epochs.iter().all(|row| (row.train_loss - uniform).abs() < 0.2), "{epochs:?}");
    }
}

/// As many blocks of as many tokens as there may be.
struct Many(Spec);

impl Dataset for Many {
    fn spec(&self) -> &Spec {
        &self.0
    }
    fn len(&self, _: Split) -> usize {
        1 << 20
    }
    fn checksum(&self) -> u32 {
        0
    }
    fn notes(&self) -> &[String] {
        &[]
    }
    fn read(&self, _: Split, _: usize, _: &mut [u8], _: &mut [u32]) -> Result<()> {
        unreachable!("nothing is trained")
    }
}

/// An update has fewer targets than 32 bits count, those included that the epoch before has carried over to it.
#[test]
fn the_targets_of_an_update_can_be_counted() {
    let tokens = Tokens { length: 1 << 16, vocabulary: 5 };
    let data = Many(Spec::new("many", tokens, ["a", "b", "c", "d", "e"]));
    let config = gpt(tokens);
    let most = |remainder| {
        let asked = |accumulate| {
            let (model, config) = ("gpt".into(), config.clone());
            let options = Options { model, config, remainder, accumulate, batch: 16, ..Options::default() };
            options.plans(&data, &Target::portable()).map(|_| ()).map_err(|error| error.to_string())
        };
        let (mut fits, mut fails) = (1, 1 << 16);
        while fails - fits > 1 {
            let middle = (fits + fails) / 2;
            if asked(middle).is_ok() { fits = middle } else { fails = middle }
        }
        says(&asked(fails).unwrap_err(), &["accumulate", &format!("at most {fits}")]);
        fits
    };
    // A batch has 2^20 tokens, and 4,095 of them fewer than 2^32.
    assert_eq!((most(Remainder::Step), most(Remainder::Carry)), (4095, 2047));
}
