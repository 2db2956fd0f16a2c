//! Masked language modelling: a network that fills in hidden tokens, from the data to the command line.

use std::fs;

use pollster::block_on;
use serde_json::Value;
use velograd::{
    data::{Batch, IGNORED, Masking, Tokens},
    host::pretrained::{Head, Pretrained},
    models, optim,
    training::{
        network::{Done, Network, Place, Plans, Recipe},
        weights::{Weights, take},
    },
};

use crate::{
    folder::Folder,
    support::{self, gpu},
};

const TOKENS: Tokens = Tokens { length: 12, vocabulary: 21 };

/// Some blocks of a larger batch.
fn part(whole: &Batch, blocks: std::ops::Range<usize>) -> Batch {
    let places = TOKENS.length as usize;
    Batch {
        inputs: whole.inputs[4 * places * blocks.start..4 * places * blocks.end].to_vec(),
        targets: whole.targets[places * blocks.start..places * blocks.end].to_vec(),
        indices: whole.indices[blocks].to_vec(),
    }
}

/// An update of batches with unequal numbers of hidden tokens is that of all their blocks at once: each counts by its own.
#[test]
fn accumulated_batches_weigh_by_their_hidden_tokens() {
    let Some(gpu) = gpu() else { return };
    let model = models::find("bert").unwrap();
    let set = [("block", "12"), ("width", "16"), ("depth", "1"), ("heads", "2")];
    let set: Vec<_> = set.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut whole = Batch::noise(6, TOKENS, 20);
    Masking { mask: 20, vocabulary: 21 }.hide(&mut whole, 4, 1);
    assert_eq!(whole.counted(), 6 * Masking::counted(12));
    let trained = |sizes: &[usize], accumulates: bool| {
        let plans = Plans {
            model,
            config: model.config(TOKENS, 21, &set).unwrap(),
            recipe: Recipe { accumulates, ..Recipe::default() },
            target: gpu.target.clone(),
            train: sizes.iter().map(|&n| n as u32).collect(),
            evaluate: vec![],
        };
        let (optimizer, _) = optim::build("sgd", &[]).unwrap();
        let first = |layout: &_| Ok(Weights::init(layout, 3));
        let mut network = block_on(Network::new(gpu, &plans, Some(optimizer), first, 0)).unwrap();
        let (mut begin, mut done) = (0, vec![]);
        for (nth, &n) in sizes.iter().enumerate() {
            let place = Place { first: nth == 0, last: nth + 1 == sizes.len(), images: 6, epoch: 1, lr: 0.5 };
            done.extend(support::train(&mut network, &part(&whole, begin..begin + n), place).unwrap());
            begin += n;
        }
        done.extend(block_on(network.drain()).unwrap());
        let Some(Done::Updated(report)) = done.pop() else { panic!("{done:?}") };
        (report, block_on(network.weights()).unwrap().params)
    };
    let (at_once, once) = trained(&[6], false);
    let layout = model.layout(&model.config(TOKENS, 21, &set).unwrap());
    let first = Weights::init(&layout, 3).params;
    let norm = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    // The words' embedding is the head as well, and what a batch adds to it may be summed apart.
    for apart in [false, true] {
        let (in_parts, parts) = trained(&[1, 3, 2], apart);
        assert_eq!((at_once.targets, in_parts.targets), (12, 12));
        assert_eq!(at_once.hits, in_parts.hits);
        assert!((at_once.loss - in_parts.loss).abs() < 1e-4, "{at_once:?} {in_parts:?}");
        let (moved, between) = (norm(&once, &first), norm(&once, &parts));
        assert!(moved > 0.05 && between < 1e-5 * moved, "moved by {moved}, apart by {between}");
    }
    // The row of the tokens' second type has no gradient, and no other row is left without one.
    let types = layout.params.iter().find(|segment| segment.name.contains("token_type")).unwrap();
    let [before, after] = [&first, &once].map(|arena| take(arena, types));
    assert!(before[16..] == after[16..] && before[..16].iter().zip(&after[..16]).all(|(a, b)| a != b));
}

/// Targets that are ignored change nothing, wherever they are: a batch in which all of a block's are adds no loss.
#[test]
fn ignored_targets_have_no_loss() {
    let Some(gpu) = gpu() else { return };
    let model = models::find("bert").unwrap();
    let config = support::small(model, 4, 9);
    let plans = Plans {
        model,
        config: config.clone(),
        recipe: Recipe::default(),
        target: gpu.target.clone(),
        train: vec![],
        evaluate: vec![3],
    };
    let mut network = block_on(Network::new(gpu, &plans, None, |layout| Ok(Weights::init(layout, 1)), 0)).unwrap();
    let mut evaluated = |ignored: &dyn Fn(usize) -> bool| {
        let mut batch = Batch::noise(3, config.input, 9);
        (0..batch.targets.len()).filter(|&at| ignored(at)).for_each(|at| batch.targets[at] = IGNORED);
        network.evaluate(&batch, true).unwrap();
        let [Done::Evaluated(report)] = block_on(network.drain()).unwrap()[..] else { panic!("one batch") };
        report
    };
    let (all, some, others) = (evaluated(&|_| false), evaluated(&|at| at % 3 == 0), evaluated(&|at| at % 3 != 0));
    assert_eq!((all.targets, some.targets, others.targets), (12, 8, 4));
    assert!((all.loss - some.loss - others.loss).abs() < 1e-5 && some.loss > 1.0 && others.loss > 1.0);
    assert_eq!(all.hits, some.hits + others.hits);
    let none = evaluated(&|_| true);
    assert_eq!((none.loss, none.hits, none.targets), (0.0, 0, 0));
}

/// A run: it trains, is resumed, evaluated, exported and started from, on text with a token more than it has.
#[test]
fn a_masked_language_model_trains_resumes_and_is_evaluated() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("masked");
    let text = "the cat sat on the mat. the dog sat on the log.\n".repeat(30);
    folder.write("input.txt", text.as_bytes());
    let set = ["block=16", "width=32", "depth=1", "heads=4"];
    let set: Vec<&str> = set.iter().flat_map(|pair| ["--model-set", pair]).collect();
    let data = ["--data", "input.txt", "--model", "bert"];
    let rest = ["--batch-size", "8", "--optimizer", "adamw", "--set", "lr=0.01", "--selftest", "off"];
    let train = [&["train"][..], &data, &rest, &set].concat();
    let said = folder.works(&[&train[..], &["--epochs", "4", "--dropout", "0.1", "--out", "run"]].concat());
    assert!(said.contains("perplexity") && said.contains("tokens/s"), "{said}");
    let rows = || -> Vec<Value> {
        let rows = fs::read_to_string(folder.0.join("run/metrics.jsonl")).unwrap();
        rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect()
    };
    let losses: Vec<f64> = rows().iter().map(|row| row["val_loss"].as_f64().unwrap()).collect();
    assert!(losses.len() == 4 && losses[3] < losses[0] && losses[0] < 17_f64.ln() + 0.5, "{losses:?}");
    let run: Value = serde_json::from_str(&fs::read_to_string(folder.0.join("run/run.json")).unwrap()).unwrap();
    let classes = run["dataset"]["classes"].as_array().unwrap();
    assert_eq!((classes.last().unwrap(), classes.len()), (&"[MASK]".into(), 16), "{run}");
    // Validation hides the same tokens each time, from the run and from the file of its weights.
    for what in [&["run"][..], &["--weights", "run/model.safetensors", "--data", "input.txt"]] {
        let json: Value = serde_json::from_str(&folder.works(&[&["eval", "--json"], what].concat())).unwrap();
        let loss = json["loss"].as_f64().unwrap();
        assert!((loss - losses[3]).abs() < 1e-6, "{json} {losses:?}");
    }
    // A run that is stopped and goes on is one that was not stopped.
    folder.works(&[&train[..], &["--epochs", "2", "--dropout", "0.1", "--out", "short"]].concat());
    folder.works(&["train", "--resume", "short", "--extend", "2", "--selftest", "off"]);
    let [one, other] = ["run", "short"].map(|run| fs::read(folder.0.join(run).join("model.safetensors")).unwrap());
    let tensors = |bytes: &[u8]| {
        let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert!(tensors(&one) == tensors(&other), "the weights of a resumed run differ");
    let onnx = folder.works(&["export", "run", "--onnx", "run.onnx"]);
    assert!(onnx.contains("tokens [batch, 16]"), "{onnx}");
    let init = ["--init", "run/model.safetensors", "--max-steps", "1", "--out", "next"];
    folder.works(&[&["train"][..], &data, &rest, &init].concat());
    // Other text has other tokens, and a last layer of its own: its rows and its bias.
    folder.write("other.txt", "Quite another text, with more characters!?\n".repeat(20).as_bytes());
    let skip = ["--init", "run/model.safetensors", "--init-head", "skip", "--max-steps", "1", "--out", "new"];
    folder.works(&[&["train", "--data", "other.txt", "--model", "bert"][..], &rest, &skip].concat());
    for arguments in [&["predict", "run", "--prompt", "the"][..], &["predict", "run"]] {
        let refused = folder.refused(2, arguments);
        assert!(refused.contains("bert fills in hidden tokens") && refused.contains("velograd eval"), "{refused}");
    }
    let refused = folder.refused(2, &["train", "--model", "bert", "--dataset", "shapes10"]);
    assert!(refused.contains("shapes10 has images"), "{refused}");
}

/// Names as Hugging Face's older and newer files have them: those of TensorFlow's norms, the last layer under its own name too,
/// and the parts that predict whether sentences follow each other.
#[test]
fn files_of_transformers_are_read() {
    let model = models::find("bert").unwrap();
    let config = support::small(model, 4, 9);
    let layout = model.layout(&config);
    let weights = Weights::init(&layout, 6);
    let folder = Folder::new("masked-names");
    let write = |file: &str, rename: &dyn Fn(&str) -> String, more: &[(&str, Vec<usize>)]| {
        let tensors = layout.params.iter().map(|segment| {
            let bytes: Vec<u8> = take(&weights.params, segment).into_iter().flat_map(f32::to_le_bytes).collect();
            (rename(&segment.name), segment.shape.dims(), bytes)
        });
        let zeros = more
            .iter()
            .map(|(name, dims)| ((*name).to_owned(), dims.clone(), vec![0; 4 * dims.iter().product::<usize>()]));
        let tensors: Vec<_> = tensors.chain(zeros).collect();
        let views = tensors.iter().map(|(name, dims, bytes)| {
            (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, dims.clone(), bytes).unwrap())
        });
        folder.write(file, &safetensors::serialize(views, None).unwrap());
    };
    let old =
        |name: &str| name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
    let twins = [
        ("cls.predictions.decoder.weight", vec![9, 16]),
        ("cls.predictions.decoder.bias", vec![9]),
        ("bert.pooler.dense.weight", vec![16, 16]),
        ("bert.pooler.dense.bias", vec![16]),
        ("cls.seq_relationship.weight", vec![2, 16]),
        ("cls.seq_relationship.bias", vec![2]),
    ];
    write("new", &str::to_owned, &twins);
    write("old", &old, &[]);
    write("moved", &|name| name.replace("cls.predictions.bias", "cls.predictions.decoder.bias"), &[]);
    for file in ["new", "old", "moved"] {
        let read = Pretrained::open(&folder.0.join(file)).unwrap();
        assert_eq!((read.model.name, read.config.classes), ("bert", 9), "{file}");
        for key in ["block", "width", "depth"] {
            assert_eq!(read.config.settings.whole(key), config.settings.whole(key), "{file}");
        }
        let found = read.weights(&layout, Head::Load, 0).unwrap();
        assert!(found.params == weights.params, "{file}");
    }
    // A tensor that is none of the network's is an error still.
    write("more", &str::to_owned, &[("bert.extra.weight", vec![2])]);
    let refused = Pretrained::open(&folder.0.join("more")).unwrap().weights(&layout, Head::Load, 0).err().unwrap();
    assert!(refused.to_string().contains("also `bert.extra.weight`"), "{refused}");
}
