//! Networks as ONNX models: what the files hold, and that they compute what an evaluation computes.

mod interpreter;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use pollster::block_on;
use prost::Message as _;
use safetensors::SafeTensors;
use velograd::{
    data::{self, Batch, Dataset, Image, Inline, Shapes10, Sizes, Split, Tokens, text::Text},
    host::{
        onnx::{
            Export, IMAGES, Input, OUTPUT, TOKENS,
            proto::{GraphProto, ModelProto},
            save,
        },
        weights,
    },
    models::{self, Config, Model},
    ops::{
        self, Activation, Augment, BatchNorm, Conv2d, Normalize, activate, add_relu, batch_norm, bias, conv2d,
        global_avg_pool, linear, linear_of, relu, scale,
    },
    program::{
        Op, Recording, Slot, Tape, Tensor,
        params::{Init, Layout, Role, Shape},
        target::Target,
    },
    random::Rng,
    settings::Setting,
    training::{
        evaluate::{Logits, evaluate_each, evaluator},
        network::Recipe,
        weights::{Weights, put},
    },
};

use crate::{
    folder::{Folder, records, says},
    support::gpu,
};
use interpreter::Value;

/// A network of the ops that the others lack: sums and biases also of what a linear layer makes, which has two
/// dimensions in ONNX.
fn odd(t: &mut Tape, images: Tensor, config: &Config) -> Tensor {
    let wide = Conv2d { outputs: 5, kernel: 3, stride: 2, padding: 1 };
    let x = t.scope("conv", |t| conv2d(t, images, wide));
    let x = t.scope("norm", |t| batch_norm(t, x, BatchNorm::then(Activation::Gelu)));
    let y = t.scope("relu", |t| relu(t, x));
    let x = t.scope("sum", |t| add_relu(t, x, y));
    let pooled = t.scope("pool", |t| global_avg_pool(t, x));
    let x = t.scope("between", |t| linear_of(t, pooled, 5, Init::UnitVariance));
    let x = t.scope("shift", |t| bias(t, x, Init::Constant(0.0), Activation::Relu));
    let x = t.scope("residual", |t| add_relu(t, x, pooled));
    let x = t.scope("half", |t| scale(t, x, 0.5));
    let x = t.scope("gelu", |t| activate(t, x, Activation::GeluTanh));
    let x = t.scope("relu2", |t| activate(t, x, Activation::Relu2));
    t.scope("head", |t| linear(t, x, config.classes))
}

/// Its entry in a registry.
static ODD: Model = Model {
    settings: || vec![Setting::whole("width", 2, 1, None, "the channels of the convolution")],
    ..Model::new("odd", odd)
};

/// Every network, in sizes that channels fill and do not fill to whole vectors, and each part of a transformer.
fn networks() -> Vec<(&'static Model, Config)> {
    let mut all = vec![];
    let set = |text: &str| -> Vec<(String, String)> {
        text.split(' ').map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    };
    let gpt = models::find("gpt").unwrap();
    for parts in [
        "positions=rope norm=rms qk_norm=true activation=relu2 bias=false tied=false heads=2",
        "positions=rope activation=gelu_tanh heads=1",
        "block=9 norm=rms heads=4",
    ] {
        let parts = set(&format!("width=16 depth=2 {parts}"));
        all.push((gpt, gpt.config(Tokens { length: 7, vocabulary: 10 }, 10, &parts).unwrap()));
    }
    let vit = models::find("vit").unwrap();
    let mean = set("pool=avg patch=16 width=24 depth=1 heads=2");
    all.push((vit, vit.config(Image::CIFAR, 10, &mean).unwrap()));
    for model in models::ALL.iter().chain([&ODD]) {
        for (width, classes) in [(2, 10), (3, 7)] {
            all.push((model, crate::support::small(model, width, classes)));
        }
        if model.has("stem") {
            all.push((model, model.config(Image::CIFAR, 10, &[("width".into(), "2".into())]).unwrap()));
        }
    }
    all
}

/// Weights and statistics as training leaves them: none of them 0 or 1, and variances above 0.
fn trained(layout: &Layout) -> Weights {
    let mut weights = Weights { batches: 3, ..Weights::init(layout, 4) };
    let mut rng = Rng::new(8);
    for (segments, arena) in [(&layout.params, &mut weights.params), (&layout.running, &mut weights.running)] {
        for segment in segments.iter().filter(|segment| matches!(segment.shape, Shape::Vector { .. })) {
            let values: Vec<f32> = (0..segment.shape.elements()).map(|_| rng.range(0.3, 1.7) as f32).collect();
            put(arena, segment, &values);
        }
    }
    weights
}

fn export(model: &Model, config: Config, input: Input) -> (ModelProto, Layout) {
    let mut known = None;
    let export = Export { model, config, normalize: Normalize::CIFAR10, input, provenance: None };
    let network = export.to_onnx(|layout| {
        known = Some(layout.clone());
        Ok(trained(layout))
    });
    (network.unwrap(), known.unwrap())
}

/// Every value is made before it is used, and by one node alone; names of nodes do not repeat.
fn check_order(graph: &GraphProto) {
    let mut known: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name()).collect();
    assert_eq!(known.len(), graph.initializer.len(), "an initializer is there twice");
    let mut used: BTreeSet<&str> = BTreeSet::new();
    assert!(graph.input.iter().all(|input| known.insert(input.name())));
    for node in &graph.node {
        // An input that is left out has no name.
        for input in node.input.iter().filter(|name| !name.is_empty()) {
            assert!(known.contains(input.as_str()), "{} takes {input}, which is not made yet", node.name());
            used.insert(input);
        }
        assert!(node.output.iter().all(|output| known.insert(output)), "{} makes a known value", node.name());
    }
    used.extend(graph.output.iter().map(|output| output.name()));
    assert_eq!(known, used, "a value is made for nothing");
    let names: BTreeSet<_> = graph.node.iter().map(|node| node.name()).collect();
    assert_eq!(names.len(), graph.node.len());
}

#[test]
fn a_file_holds_the_network_and_its_weights() {
    let folder = Folder::new("onnx");
    for (model, config) in networks() {
        for input in [Input::Images, Input::Normalized] {
            let (network, layout) = export(model, config.clone(), input);
            let path = folder.0.join("model.onnx");
            save(&network, &path).unwrap();
            let read = ModelProto::decode(&fs::read(&path).unwrap()[..]).unwrap();
            assert!(read == network, "it does not read back");
            assert_eq!((read.ir_version(), read.opset_import[0].version()), (8, 17));
            let graph = read.graph.unwrap();
            check_order(&graph);
            let states = if model.carries_state { 2 * config.settings.whole("depth") as usize } else { 0 };
            assert_eq!((graph.input.len(), graph.output.len()), (1 + states, 1 + states));
            let (name, dims, places) = match config.input {
                data::Input::Image(_) => (IMAGES, vec![3, 32, 32], None),
                data::Input::Tokens(tokens) => (TOKENS, vec![tokens.length], Some(tokens.length)),
            };
            let any = |dims: Vec<u32>| -> Vec<String> {
                std::iter::once("batch".to_owned()).chain(dims.iter().map(u32::to_string)).collect()
            };
            assert_eq!((graph.input[0].name(), graph.input[0].dims()), (name, any(dims)));
            let dims = places.into_iter().chain([config.classes]).collect();
            assert_eq!((graph.output[0].name(), graph.output[0].dims()), (OUTPUT, any(dims)));
            check_weights(&graph, &folder.0.join("model.safetensors"), &layout);
            let count = |kind: &str| graph.node.iter().filter(|node| node.op_type() == kind).count();
            let of_shape = |dims| layout.params.iter().filter(|segment| segment.shape.dims().len() == dims).count();
            assert_eq!(2 * count("BatchNormalization"), layout.running.len());
            let metadata: BTreeMap<_, _> = read.metadata_props.iter().map(|e| (e.key(), e.value())).collect();
            assert_eq!(metadata["model"], model.name);
            if let data::Input::Tokens(_) = config.input {
                assert!(!metadata.contains_key("normalization"));
                continue;
            }
            assert_eq!(count("Sub"), usize::from(input == Input::Images), "it normalizes");
            let normalization: serde_json::Value = serde_json::from_str(metadata["normalization"]).unwrap();
            assert_eq!(normalization["mean"][2], 0.4465);
            assert_eq!(normalization["in_graph"], input == Input::Images);
            if !model.has("heads") {
                assert_eq!([count("Conv"), count("Gemm")], [of_shape(4), of_shape(2)]);
            }
        }
    }
}

/// The initializers are the tensors that the same weights have as safetensors, to the bit, and constants besides.
fn check_weights(graph: &GraphProto, path: &Path, layout: &Layout) {
    weights::save(&trained(layout), path, layout, None).unwrap();
    let bytes = fs::read(path).unwrap();
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let mut constants: BTreeSet<_> = graph.initializer.iter().map(|tensor| tensor.name()).collect();
    for (name, view) in stored.tensors().iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")) {
        assert!(constants.remove(name.as_str()), "no `{name}`");
        let tensor = graph.initializer.iter().find(|tensor| tensor.name() == name).unwrap();
        let dims: Vec<usize> = tensor.dims.iter().map(|&dim| dim as usize).collect();
        assert_eq!(dims, view.shape(), "{name}");
        assert!(tensor.raw_data() == view.data(), "{name} has other values");
    }
    let known = [
        "attention.",
        "avgpool.",
        "channel.axes",
        "class.shape",
        "decoder_embedding.factor",
        "encoder_embedding.factor",
        "eps.",
        "gates.",
        "gelu.",
        "half.factor",
        "head.factor",
        "index.",
        "input.",
        "mask.shape.",
        "minus.infinity",
        "part.",
        "qk.",
        "rope.",
        "shape.",
        "sinusoids.",
        "transformer.wpe.axis",
        "transformer.wpe.first",
        "transformer.wpe.last",
    ];
    let known = |name: &&str| known.iter().any(|known| name.starts_with(known));
    assert!(constants.iter().all(known), "{constants:?}");
}

/// A set with five samples to validate on.
fn five_samples(input: data::Input) -> Arc<dyn Dataset> {
    match input {
        data::Input::Image(_) => Arc::new(Shapes10::new(1, Sizes { train: 1, test: 5 }).unwrap()),
        data::Input::Tokens(Tokens { length, vocabulary }) => {
            let tokens = |count: u32| (0..count).map(|i| (i * i * 7 % vocabulary) as u16).collect();
            let letters = ('a'..).take(vocabulary as usize).map(String::from).collect();
            Arc::new(Text::new("letters", length, letters, tokens(length + 1), tokens(5 * length + 1)))
        }
    }
}

#[test]
fn the_graph_computes_the_logits_of_an_evaluation() {
    let Some(gpu) = gpu() else { return };
    for (model, config) in networks().into_iter().filter(|(_, config)| config.classes == 10) {
        let data = five_samples(config.input);
        let read = Batch::read(data.as_ref(), Split::Test, &[0, 1, 2, 3, 4]).unwrap();
        let (samples, dims, places): (Vec<f64>, _, _) = match config.input {
            data::Input::Image(_) => {
                (read.inputs.into_iter().map(|byte| f64::from(byte) / 255.0).collect(), vec![5, 3, 32, 32], 1)
            }
            data::Input::Tokens(Tokens { length, .. }) => {
                let tokens = bytemuck::pod_collect_to_vec::<u8, u32>(&read.inputs);
                (tokens.into_iter().map(f64::from).collect(), vec![5, length as usize], length as usize)
            }
        };
        let normalize = config.input.image().map(|_| Normalize::CIFAR10);
        let recipe = Recipe { normalize, ..Recipe::default() };
        let load = |layout: &_| Ok(trained(layout));
        let mut network = block_on(evaluator(gpu, data.as_ref(), (model, &config), 4, recipe, load)).unwrap();
        let mut ours = Logits::default();
        let mut add = |values: &[f32], targets: &[u32]| ours.add(values, targets);
        block_on(evaluate_each(&mut network, &Inline(data.clone()), &mut |_, _| (), Some(&mut add))).unwrap();
        assert_eq!((ours.values.len(), ours.targets.len()), (50 * places, 5 * places));

        let graph = export(model, config.clone(), Input::Images).0.graph.unwrap();
        let theirs = interpreter::run(&graph, Value { dims, elements: samples });
        let dims: &[usize] = if config.input.image().is_some() { &[5, 10] } else { &[5, places, 10] };
        assert_eq!(theirs.dims, dims);
        let largest = theirs.elements.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
        let spread = theirs.elements.iter().fold(f64::INFINITY, |least, v| least.min(*v));
        assert!(largest > 1e-3 && spread < largest, "logits that tell nothing: {:?}", theirs.elements);
        for (ours, theirs) in ours.values.iter().zip(&theirs.elements) {
            let apart = (f64::from(*ours) - theirs).abs();
            assert!(apart <= 1e-5 * largest, "{} {config:?}: {ours} {theirs}, largest {largest}", model.name);
        }
    }
}

/// A recording that begins with images.
fn tape(body: impl FnOnce(&mut Tape, Tensor) -> Tensor, training: bool) -> Recording {
    let mut t = Tape::new(&Target::portable(), training);
    let x = t.scope("input", |t| {
        let draws = ops::draw(t, 2, Image::CIFAR, Augment::NONE);
        ops::augment(t, 2, Image::CIFAR, draws, Augment::NONE, Normalize::HALF)
    });
    let y = body(&mut t, x);
    t.output(y);
    t.finish()
}

/// A call of a kernel that adds, beside the op that records it.
fn add(t: &mut Tape, x: Tensor, other: impl Into<Slot>, y: Tensor) {
    let len4 = 2 * 32 * 32;
    t.call("elementwise/add").constant("RELU", true).size("len4", len4).read(x).read(other).write(y).over(len4);
}

#[test]
fn what_no_note_tells_is_an_error() {
    let refused = |body: fn(&mut Tape, Tensor) -> Tensor| tape(body, false).graph().map(drop).unwrap_err().to_string();
    let unnoted = |t: &mut Tape, x| {
        let y = t.tensor(t.shape(x));
        t.scope("new", |t| add(t, x, x, y));
        relu(t, y)
    };
    says(&refused(unnoted), &["`elementwise/add`", "at `new`"]);
    let changed = |t: &mut Tape, x| {
        let y = t.scope("first", |t| relu(t, x));
        add(t, x, x, y);
        relu(t, y)
    };
    says(&refused(changed), &["`elementwise/add`", "result of `first`"]);
    let input = |t: &mut Tape, x| {
        let (first, y) = (t.scope("first", |t| relu(t, x)), t.tensor(t.shape(x)));
        add(t, x, first, y);
        t.note(x, [Op::Relu], y);
        y
    };
    says(&refused(input), &["`elementwise/add`", "the result of `first`"]);
    let parameter = |t: &mut Tape, x| {
        let y = t.tensor(t.shape(x));
        let bias = t.param("bias", Shape::Vector { c: 3 }, Init::Constant(0.0), Role::Bias);
        add(t, x, bias.value, y);
        t.note(x, [Op::Relu], y);
        y
    };
    says(&refused(parameter), &["`bias`"]);
    let views = |t: &mut Tape, x| {
        let pooled = global_avg_pool(t, x);
        linear(t, pooled, 4)
    };
    let whole = tape(views, false);
    assert_eq!(whole.graph().unwrap().iter().map(|node| node.ops.len()).collect::<Vec<_>>(), [1, 1, 1]);
    assert!(tape(views, true).graph().is_err(), "in training, notes would be wrong");
}

const TRAIN: [&str; 11] =
    ["train", "--data", "set", "--width", "2", "--batch-size", "16", "--accumulate", "1", "--optimizer", "sgd"];

/// A folder with the images that [`TRAIN`] names.
fn place(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("set/data_batch_1.bin", &records(40));
    folder.write("set/test_batch.bin", &records(20));
    folder
}

#[test]
fn the_program_exports_a_run() {
    if gpu().is_none() {
        return;
    }
    let folder = place("export");
    folder.works(&[&TRAIN[..], &["--epochs", "1", "--out", "run"]].concat());
    says(&folder.works(&["export", "run", "--onnx", "a.onnx"]), &["a.onnx", "resnet18", "logits [batch, 10]"]);
    folder.works(&["export", "run/model.safetensors", "--onnx", "b.onnx"]);
    folder.works(&["export", "--weights", "run/model.safetensors", "--onnx", "b.onnx"]);
    let bytes = |name: &str| fs::read(folder.0.join(name)).unwrap();
    assert!(bytes("a.onnx") == bytes("b.onnx"), "one network, two files");
    let network = ModelProto::decode(&bytes("a.onnx")[..]).unwrap();
    let metadata: BTreeMap<_, _> = network.metadata_props.iter().map(|e| (e.key(), e.value())).collect();
    assert_eq!(serde_json::from_str::<Vec<String>>(metadata["classes"]).unwrap().len(), 10);
    says(metadata["velograd"], &["\"version\"", "\"optimizer\":\"sgd\"", "\"settings\""]);
    says(metadata["normalization"], &["0.5", "\"in_graph\":true"]);
    let other = ["export", "run", "--onnx", "b.onnx", "--normalized-input", "--normalize", "imagenet"];
    says(&folder.works(&other), &["normalized"]);
    assert!(bytes("a.onnx") != bytes("b.onnx"));

    // A run that has not ended is the newest of its checkpoints.
    folder.works(&[&TRAIN[..], &["--epochs", "3", "--checkpoint-every", "1steps", "--out", "cut"]].concat());
    let mut checkpoints = fs::read_dir(folder.0.join("cut/checkpoints")).unwrap();
    let checkpoint = checkpoints.next().expect("a checkpoint after each update").unwrap().path();
    folder.works(&["export", checkpoint.to_str().unwrap(), "--onnx", "c.onnx"]);
    assert!(bytes("c.onnx") != bytes("a.onnx"));
    let run = folder.0.join("cut/run.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&run).unwrap()).unwrap();
    json["result"] = serde_json::Value::Null;
    fs::write(&run, json.to_string()).unwrap();
    let output = folder.velograd(&["export", "cut", "--onnx", "d.onnx"]);
    says(&String::from_utf8_lossy(&output.stderr), &["has not ended", "newest checkpoint"]);
    assert!(output.status.success());

    says(&folder.refused(2, &["export", "run", "--onnx", "run/model.safetensors"]), &["--onnx", ".onnx"]);
    says(&folder.refused(2, &["export", "run"]), &["--onnx"]);
    says(
        &folder.refused(2, &["export", "run", "--onnx", "e.onnx", "--normalize", "dataset"]),
        &["--normalize", "images"],
    );
    says(&folder.refused(1, &["export", "nowhere", "--onnx", "e.onnx"]), &["nowhere"]);
    says(&folder.refused(1, &["export", "run", "--onnx", "no/e.onnx"]), &["no/e.onnx"]);
}

#[test]
fn logits_are_written_in_the_order_of_the_images() {
    if gpu().is_none() {
        return;
    }
    let folder = place("logits");
    folder.works(&[&TRAIN[..], &["--epochs", "2", "--out", "run"]].concat());
    let said = folder.works(&["eval", "run", "--json", "--logits", "logits.safetensors"]);
    folder.works(&["eval", "run", "--json", "--logits", "logits.csv"]);
    let evaluation: serde_json::Value = serde_json::from_str(&said).unwrap();

    let bytes = fs::read(folder.0.join("logits.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (logits, labels) = (file.tensor("logits").unwrap(), file.tensor("labels").unwrap());
    assert_eq!((logits.shape(), labels.shape()), (&[20, 10][..], &[20][..]));
    let logits: Vec<f32> = bytemuck::pod_collect_to_vec(logits.data());
    let labels: Vec<i64> = bytemuck::pod_collect_to_vec(labels.data());
    assert_eq!(labels, (0..20).map(|i| i % 10).collect::<Vec<_>>(), "the order of the file");
    let loss = |(row, &label): (&[f32], &i64)| {
        let sum: f64 = row.iter().map(|&v| f64::from(v).exp()).sum();
        sum.ln() - f64::from(row[label as usize])
    };
    let loss: f64 = logits.chunks(10).zip(&labels).map(loss).sum::<f64>() / 20.0;
    let among_five = |(row, label): &(&[f32], &i64)| {
        let mut order: Vec<i64> = (0..10).collect();
        order.sort_by(|a, b| row[*b as usize].partial_cmp(&row[*a as usize]).unwrap());
        order[..5].contains(label)
    };
    let top = 5.0 * logits.chunks(10).zip(&labels).filter(among_five).count() as f64;
    assert_eq!(evaluation["top5_accuracy"].as_f64(), Some(top));
    says(&folder.works(&["eval", "run"]), &[&format!("top-5 accuracy {top:.2} %")]);
    assert!((loss - evaluation["loss"].as_f64().unwrap()).abs() < 1e-5, "{loss} {evaluation}");

    let table = fs::read_to_string(folder.0.join("logits.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.trim().split(',').collect()).collect();
    assert_eq!((rows[0][0], rows[0].len(), rows.len()), ("label", 11, 21));
    for (row, (logits, label)) in rows[1..].iter().zip(logits.chunks(10).zip(&labels)) {
        assert_eq!(row[0], label.to_string());
        assert_eq!(row[1..].iter().map(|v| v.parse().unwrap()).collect::<Vec<f32>>(), logits);
    }
    says(&folder.refused(2, &["eval", "run", "--logits", "logits.txt"]), &["--logits", ".csv or .safetensors"]);
}
