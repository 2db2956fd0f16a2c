//! Every network against PyTorch in f64 (`data/networks.py`, `data/text_networks.py`, `data/vit.py`): logits, loss and gradients of
//! a first step, and the losses and weights of ten updates by two optimizers.

use std::fs;

use pollster::block_on;
use serde_json::Value;
use velograd::{
    data::{Batch, IGNORED, Image, Input as Sample, Tokens},
    device::{Gpu, runtime::Runtime},
    models::{self, Config, Model},
    ops::{self, Augment, Normalize},
    optim,
    program::{
        BufferKind, Input, Tape,
        params::{Init, Layout, Segment},
        step::{Report, Step},
    },
    training::{
        network::{Done, Network, Place, Plans, Recipe},
        weights::{Weights, put, take},
    },
};

use crate::support::{self, gpu};

/// Where the files of PyTorch's values are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/networks");

/// The batches that ten updates go through in turn.
const BATCHES: usize = 3;

/// One network of a certain size, and what PyTorch computed.
struct Golden {
    name: String,
    json: Value,
    model: &'static Model,
    config: Config,
}

impl Golden {
    fn open(path: &std::path::Path) -> Self {
        let json: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let classes = json["classes"].as_u64().unwrap() as u32;
        let set = json["settings"].as_object().unwrap().iter();
        let set: Vec<_> = set.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
        let side = |axis: usize| json["image"][axis].as_u64().unwrap() as u32;
        let input: Sample = match json["settings"]["block"].as_str() {
            Some(block) => Tokens { length: block.parse().unwrap(), vocabulary: classes }.into(),
            None => Image { channels: side(0), height: side(1), width: side(2) }.into(),
        };
        let model = models::find(json["model"].as_str().unwrap()).unwrap();
        let config = model.config(input, classes, &set).unwrap();
        Self { name: path.file_stem().unwrap().to_str().unwrap().to_owned(), json, model, config }
    }

    fn n(&self) -> usize {
        self.json["batch"].as_u64().unwrap() as usize
    }

    /// The batch `nth`, whose bytes and labels, or tokens, are formulas.
    fn batch(&self, nth: usize) -> Batch {
        let (n, seed) = (self.n(), self.json["shift"].as_u64().unwrap() + nth as u64);
        if let Some(Tokens { length, vocabulary }) = self.config.input.tokens() {
            let (length, mut inputs, mut targets) = (length as usize, vec![], vec![]);
            if self.model.masked {
                let drawn = |first: u64| bits(n * length, first + seed).into_iter();
                let below = |first| drawn(first).map(|b| b as u32 % vocabulary);
                let choices = below(2000).zip(drawn(3000));
                let targets = choices.map(|(token, choice)| if choice % 3 == 0 { token } else { IGNORED }).collect();
                let inputs = below(1000).flat_map(u32::to_le_bytes).collect();
                return Batch { inputs, targets, indices: (0..n as u32).collect() };
            }
            let tokens: Vec<u32> =
                bits(n * (length + 1), 1000 + seed).into_iter().map(|b| b as u32 % vocabulary).collect();
            for sample in tokens.chunks(length + 1) {
                inputs.extend(sample[..length].iter().flat_map(|token| token.to_le_bytes()));
                targets.extend(&sample[1..]);
            }
            return Batch { inputs, targets, indices: (0..n as u32).collect() };
        }
        let mut inputs: Vec<u8> =
            bits(n * self.config.input.bytes(), 1000 + seed).into_iter().map(|b| (b % 256) as u8).collect();
        inputs.resize(inputs.len().next_multiple_of(4), 0);
        let targets = bits(n, 2000 + seed).into_iter().map(|b| b as u32 % self.config.classes).collect();
        Batch { inputs, targets, indices: (0..n as u32).collect() }
    }

    /// Whether a parameter is the bias of queries, keys and values, and its keys change all scores of a query alike, and so no
    /// softmax: neither norm nor rotation follows it.
    fn has_idle_keys(&self, name: &str) -> bool {
        let set = &self.json["settings"];
        let bias = ["attn.c_attn.bias", "attn.qkv.bias", "attn.in_proj_bias"];
        bias.iter().any(|bias| name.ends_with(bias)) && set["positions"] != "rope" && set["qk_norm"] != "true"
    }

    fn plans(&self, gpu: &Gpu) -> Plans<'static> {
        let n = self.n() as u32;
        Plans {
            model: self.model,
            config: self.config.clone(),
            recipe: Recipe {
                normalize: Some(Normalize::HALF),
                keep_gradients: self.json["zero_grad"] == false,
                ..Recipe::default()
            },
            target: gpu.target.clone(),
            train: vec![n],
            evaluate: vec![n],
        }
    }
}

/// 31 bits each, from a linear congruential generator.
fn bits(count: usize, seed: u64) -> Vec<u64> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..count).map(next).collect()
}

/// In [-1, 1), multiples of 2^-20, from a text.
fn values(count: usize, seed: &str) -> Vec<f64> {
    let seed = u64::from(crc32fast::hash(seed.as_bytes()));
    bits(count, seed).into_iter().map(|b| ((b % (1 << 21)) as f64 - f64::from(1 << 20)) / f64::from(1 << 20)).collect()
}

/// The weights that every case starts from: formulas of the parameters' names.
fn first_weights(layout: &Layout) -> Weights {
    let mut weights = Weights::init(layout, 0); // running statistics of 0 and 1
    for segment in &layout.params {
        let dims = segment.shape.dims();
        let fan_in: usize = dims[1..].iter().product();
        let bound = (6.0 / fan_in as f64).sqrt().log2().round_ties_even().exp2();
        let of_name = values(segment.shape.elements(), &segment.name).into_iter().map(|v| match segment.init {
            // The weight of a norm, which starts at 1, or at 0 where `zero_init` has it so.
            Init::Constant(first) if segment.name.ends_with("weight") => f64::from(first) + v / 4.0,
            _ if !segment.name.ends_with("weight") => v / 8.0,
            _ => v * bound,
        });
        let of_name: Vec<f32> = of_name.map(|v| v as f32).collect();
        put(&mut weights.params, segment, &of_name);
    }
    weights
}

/// Compares a tensor with the numbers that stand for PyTorch's: its norm, its products with three vectors, its first elements.
/// Its error may have a 2-norm of twenty times what float32 does to PyTorch's own, and of a rounding of each element, or of
/// `least`. An error of 2-norm e changes a product with a vector of random elements of mean square 1/3 by about e / sqrt 3; three
/// times that is allowed.
fn compare(what: &str, name: &str, found: &[f32], expected: &Value, least: f64) {
    let found: Vec<f64> = found.iter().map(|&v| f64::from(v)).collect();
    let number = |key: &str| expected[key].as_f64().unwrap();
    let norm = found.iter().map(|v| v * v).sum::<f64>().sqrt();
    let allowed = 20.0 * (number("noise") + 6e-8 * number("norm")) + least;
    assert!((norm - number("norm")).abs() <= allowed, "{what}, {name}: norm {norm} is not {}", number("norm"));
    let dots = expected["dots"].as_array().unwrap();
    assert_eq!(dots.len(), 3);
    for (j, dot) in dots.iter().enumerate() {
        let vector = values(found.len(), &format!("{name}/{j}"));
        let product: f64 = found.iter().zip(vector).map(|(a, b)| a * b).sum();
        let dot = dot.as_f64().unwrap();
        assert!(
            (product - dot).abs() <= 3.0 * allowed / 3_f64.sqrt(),
            "{what}, {name}, product {j}: {product} is not {dot}"
        );
    }
    for (i, head) in expected["head"].as_array().unwrap().iter().enumerate() {
        let head = head.as_f64().unwrap();
        assert!((found[i] - head).abs() <= allowed, "{what}, {name}[{i}]: {} is not {head}", found[i]);
    }
}

fn all() -> Vec<Golden> {
    let mut files: Vec<_> = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let all: Vec<_> = files.iter().map(|path| Golden::open(path)).collect();
    let covered = |model: &&Model| all.iter().any(|golden| golden.model.name == model.name);
    let without: Vec<_> = models::ALL.iter().filter(|model| !covered(model)).map(|model| model.name).collect();
    // airbench94 has a file of its own, `data/airbench94.json`; the others left out are rows of the table that their neighbours are of.
    assert_eq!(without, ["resnet101", "vgg13", "vgg19", "airbench94"]);
    all
}

/// Logits, loss and every gradient of a step.
#[test]
fn a_first_step_is_pytorchs() {
    let Some(gpu) = gpu() else { return };
    for golden in all() {
        let (n, name, classes) = (golden.n() as u32, &golden.name, golden.config.classes as usize);
        let mut t = Tape::new(&gpu.target, true);
        let x = match golden.config.input {
            Sample::Tokens(tokens) => ops::tokens(&mut t, n, tokens),
            Sample::Image(image) => {
                let draws = ops::draw(&mut t, n, image, Augment::NONE);
                ops::augment(&mut t, n, image, draws, Augment::NONE, Normalize::HALF)
            }
        };
        let logits = (golden.model.record)(&mut t, x, &golden.config);
        t.keep(logits);
        ops::cross_entropy(&mut t, logits, 0.0);
        t.backward();
        let recording = t.finish();
        let layout = recording.layout.clone();
        let runtime = block_on(Runtime::new(gpu, &[recording], true)).unwrap();
        let (weights, batch) = (first_weights(&layout), golden.batch(0));
        runtime.write(runtime.buffer(&BufferKind::Params), &weights.params);
        if !weights.running.is_empty() {
            runtime.write(runtime.buffer(&BufferKind::Running), &weights.running);
        }
        runtime.write(runtime.buffer(&BufferKind::Input(Input::Samples)), &batch.inputs);
        runtime.write(runtime.buffer(&BufferKind::Input(Input::Targets)), &batch.targets);
        let (places, rows) = (golden.config.input.targets() as usize, batch.targets.len());
        let counted = batch.counted();
        runtime.set_step(&Step { loss_scale: 1.0 / counted as f32, ..Step::default() });
        block_on(runtime.run(&[0])).unwrap();

        let first = &golden.json["first"];
        let stored = classes.next_multiple_of(4);
        let found: Vec<f32> = block_on(runtime.read(runtime.tensor(0, logits), stored * rows)).unwrap();
        let expected: Vec<f64> = first["logits"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|row| row.as_array().unwrap())
            .map(|v| v.as_f64().unwrap())
            .collect();
        assert_eq!(expected.len(), rows * classes);
        let largest = expected.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
        for (i, expected) in expected.iter().enumerate() {
            // Rows are stored place by place.
            let (sample, place) = (i / classes / places, i / classes % places);
            let found = f64::from(found[(place * n as usize + sample) * stored + i % classes]);
            let allowed = 20.0 * first["noise_logits"].as_f64().unwrap() + 1e-6 * largest;
            assert!((found - expected).abs() <= allowed, "{name}, logit {i}: {found} is not {expected}");
        }
        let report: Report = block_on(runtime.read(runtime.buffer(&BufferKind::Report), 1)).unwrap()[0];
        let (loss, expected) = (f64::from(report.loss) / f64::from(counted), first["loss"].as_f64().unwrap());
        assert_eq!(report.targets, counted, "{name}");
        assert!((loss - expected).abs() <= 5e-5 * expected, "{name}: loss {loss} is not {expected}");

        let floats = layout.param_floats() as usize;
        let grads: Vec<f32> = block_on(runtime.read(runtime.buffer(&BufferKind::Grads), floats)).unwrap();
        // Of the blocks in the midst of a stage only the norms are stored.
        let (gradients, norms) = (first["gradients"].as_object().unwrap(), first["norms"].as_object().unwrap());
        assert_eq!(gradients.len() + norms.len(), layout.params.len(), "{name}");
        let largest = gradients.values().map(|g| g["norm"].as_f64().unwrap()).fold(0.0, f64::max);
        for segment in &layout.params {
            let found = take(&grads, segment);
            if let Some(expected) = norms.get(&segment.name) {
                let norm = found.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
                let expected = expected.as_f64().unwrap();
                let off = (norm - expected).abs();
                assert!(off <= 2e-4 * expected + 1e-6 * largest, "{name}, {}: {norm} is not {expected}", segment.name);
            } else {
                // The gradient of a bias in front of a batch norm is zero, and rounding is not.
                compare(name, &segment.name, &found, &gradients[&segment.name], 1e-6 * largest);
            }
        }
    }
}

/// The losses of ten updates, and the weights and logits after them.
#[test]
fn ten_updates_are_pytorchs() {
    let Some(gpu) = gpu() else { return };
    for golden in all() {
        for (rule, settings) in
            [("sgd", vec![("momentum", "0.9"), ("weight_decay", "5e-4")]), ("adamw", vec![("weight_decay", "0.01")])]
        {
            updates(gpu, &golden, rule, &settings);
        }
    }
}

fn updates(gpu: &Gpu, golden: &Golden, rule: &str, settings: &[(&str, &str)]) {
    let what = format!("{}, {rule}", golden.name);
    let expected = &golden.json[rule];
    let lr = expected["lr"].as_f64().unwrap();
    let set: Vec<_> = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let (optimizer, _) = optim::build(rule, &set).unwrap();
    let first = |layout: &Layout| Ok(first_weights(layout));
    let mut network = block_on(Network::new(gpu, &golden.plans(gpu), Some(optimizer), first, 0)).unwrap();
    let n = golden.n() as u32;
    let place = Place { first: true, last: true, images: n, epoch: 1, lr };
    let batches: Vec<Batch> = (0..BATCHES).map(|nth| golden.batch(nth)).collect();
    let losses = expected["losses"].as_array().unwrap();
    assert_eq!(losses.len(), 10);
    for (update, loss) in losses.iter().enumerate() {
        let mut done = support::train(&mut network, &batches[update % BATCHES], place).unwrap();
        done.extend(block_on(network.drain()).unwrap());
        let [Done::Updated(report)] = done[..] else { panic!("{what}: {done:?}") };
        let rows = f64::from(batches[update % BATCHES].counted());
        let (found, expected) = (f64::from(report.loss) / rows, loss.as_f64().unwrap());
        let off = (found - expected).abs() / expected;
        assert!(off <= 5e-5, "{what}, update {}: loss {found} is not {expected}, off by {off:.1e}", update + 1);
    }
    let weights = block_on(network.weights()).unwrap();
    let tensors = expected["weights"].as_object().unwrap();
    let (layout, mut compared) = (network.layout.clone(), 0);
    let arenas: [(&[Segment], &[f32]); 2] = [(&layout.params, &weights.params), (&layout.running, &weights.running)];
    for (segments, arena) in arenas {
        for segment in segments {
            if let Some(expected) = tensors.get(&segment.name) {
                // A mean near zero is as exact as the rounding of the values that it is of.
                let of = segment.name.strip_suffix("running_mean").map(|layer| format!("{layer}running_var"));
                let spread = segments.iter().find(|other| Some(&other.name) == of.as_ref());
                let spread =
                    spread.map_or(0.0, |var| take(arena, var).iter().map(|&v| f64::from(v)).sum::<f64>().sqrt());
                let mut found = take(arena, segment);
                // The true gradient is zero, and AdamW makes noise of its rounding, here and in PyTorch.
                if segment.name.ends_with("attention.self.key.bias") {
                    found.fill(0.0);
                }
                if golden.has_idle_keys(&segment.name) {
                    let third = found.len() / 3;
                    found[third..2 * third].fill(0.0);
                }
                compare(&what, &segment.name, &found, expected, 6e-8 * spread);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, tensors.len(), "{what}");
    block_on(network.make_room()).unwrap();
    network.evaluate(&batches[0], true).unwrap();
    let logits = block_on(network.logits(n as usize)).unwrap();
    let evaluated = expected["evaluated"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    let evaluated: Vec<f64> = evaluated.map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(evaluated.len(), logits.len());
    let largest = evaluated.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
    let expected_noise = expected["noise_evaluated"].as_f64().unwrap();
    for (found, expected) in logits.iter().zip(&evaluated) {
        let allowed = 20.0 * expected_noise + 1e-6 * largest;
        assert!((f64::from(*found) - expected).abs() <= allowed, "{what}, evaluated: {found} is not {expected}");
    }
}
