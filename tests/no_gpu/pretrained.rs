//! Files of weights: what is read from them, what is converted, and which errors name what is wrong.

mod bert;
mod gpt2;
mod huggingface;
mod provenance;
mod refused;

use std::{collections::HashMap, fs, path::Path};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use velograd::{
    data::{Image, Tokens},
    host::{
        checkpoint,
        pretrained::{Head, Pretrained},
        weights::save,
    },
    models::{self, Model},
    ops::Normalize,
    optim::Updates,
    program::params::{Layout, Segment},
    training::{
        Checkpoint, Position,
        network::State,
        provenance::{Provenance, TrainedOn, stated},
        weights::Weights,
    },
};

use crate::folder::{Folder, says};

/// Name, type, shape and bytes.
type Stored = (String, Dtype, Vec<usize>, Vec<u8>);

const WIDTH: u32 = 2;

fn layout(model: &Model, classes: u32) -> Layout {
    model.layout(&crate::support::small(model, WIDTH, classes))
}

fn resnet(classes: u32) -> Layout {
    layout(models::find("resnet18").unwrap(), classes)
}

/// Weights after some batches, which only a network with batch norm counts.
fn drawn(layout: &Layout) -> Weights {
    Weights { batches: if layout.running.is_empty() { 0 } else { 41 }, ..Weights::init(layout, 3) }
}

/// The tensors of a file as the program writes it.
fn tensors(folder: &Folder, layout: &Layout) -> Vec<Stored> {
    let path = folder.0.join("own.safetensors");
    save(&drawn(layout), &path, layout, None).unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let stored =
        |(name, view): (String, TensorView<'_>)| (name, view.dtype(), view.shape().to_vec(), view.data().to_vec());
    file.tensors().into_iter().map(stored).collect()
}

fn write(path: &Path, tensors: &[Stored], metadata: &[(&str, &str)]) {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), bytes).expect("lengths follow from shapes"))
    });
    let metadata = metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let metadata = Some(metadata.collect::<HashMap<_, _>>()).filter(|map| !map.is_empty());
    fs::write(path, safetensors::serialize(views, metadata).unwrap()).unwrap();
}

fn refused(path: &Path, layout: &Layout) -> String {
    match Pretrained::open(path).and_then(|file| file.weights(layout, Head::Load, 0)) {
        Ok(_) => panic!("{} was taken", path.display()),
        Err(error) => {
            assert_eq!(error.exit_code(), 1);
            error.to_string()
        }
    }
}

/// The weights with `through` applied to every value.
fn converted(weights: &Weights, through: fn(f32) -> f32) -> Weights {
    let each = |arena: &[f32]| arena.iter().map(|&v| through(v)).collect();
    Weights { params: each(&weights.params), running: each(&weights.running), batches: weights.batches }
}

/// Weights of half, bfloat16 and double precision are converted, the counters are read too, and a remark says so.
#[test]
fn types_are_converted() {
    let folder = Folder::new("types");
    let layout = resnet(10);
    let singles = tensors(&folder, &layout);
    let as_bytes = |values: &[f32], dtype| -> Vec<u8> {
        let of = |&v: &f32| match dtype {
            Dtype::F16 => half::f16::from_f32(v).to_le_bytes().to_vec(),
            Dtype::BF16 => half::bf16::from_f32(v).to_le_bytes().to_vec(),
            _ => f64::from(v).to_le_bytes().to_vec(),
        };
        values.iter().flat_map(of).collect()
    };
    let path = folder.0.join("other.safetensors");
    let through = |dtype| -> fn(f32) -> f32 {
        match dtype {
            Dtype::F16 => |v| half::f16::from_f32(v).to_f32(),
            Dtype::BF16 => |v| half::bf16::from_f32(v).to_f32(),
            _ => |v| v,
        }
    };
    for dtype in [Dtype::F16, Dtype::BF16, Dtype::F64] {
        let mut others = singles.clone();
        for (_, of, _, bytes) in others.iter_mut().filter(|(_, of, ..)| *of == Dtype::F32) {
            *of = dtype;
            *bytes = as_bytes(&bytemuck::pod_collect_to_vec::<u8, f32>(bytes), dtype);
        }
        write(&path, &others, &[]);
        let file = Pretrained::open(&path).unwrap();
        assert!(
            file.weights(&layout, Head::Load, 0).unwrap() == converted(&drawn(&layout), through(dtype)),
            "{dtype:?}"
        );
        says(&file.remarks.join("\n"), &[&format!("{dtype:?} converted to F32")]);
    }
    write(&path, &singles, &[]);
    assert!(Pretrained::open(&path).unwrap().remarks.is_empty(), "nothing was converted, nothing is said");
}

/// Prefixes that PyTorch's wrappers add to names are dropped, in any order and number. A name that then occurs twice is
/// refused, and other prefixes are named.
#[test]
fn prefixes_of_wrappers_are_dropped() {
    let folder = Folder::new("prefixes");
    let path = folder.0.join("w.safetensors");
    for model in models::ALL {
        let layout = layout(model, 10);
        let plain = tensors(&folder, &layout);
        let with = |prefix: &str| -> Vec<Stored> {
            plain.iter().cloned().map(|(name, t, s, b)| (format!("{prefix}{name}"), t, s, b)).collect()
        };
        for prefix in ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."] {
            write(&path, &with(prefix), &[]);
            let file = Pretrained::open(&path).unwrap();
            assert!(file.weights(&layout, Head::Load, 0).unwrap() == drawn(&layout), "{prefix}");
            says(&file.remarks.join("\n"), &[&format!("`{prefix}` dropped from the names")]);
        }
        let mut twice = with("module.");
        twice.push(plain[0].clone());
        write(&path, &twice, &[]);
        says(&refused(&path, &layout), &["each tensor once", &plain[0].0, &format!("module.{}", plain[0].0)]);
        write(&path, &with("net.backbone."), &[]);
        says(
            &refused(&path, &layout),
            &[
                &format!("net.backbone.{}", model.known_by.expect("a known file").first),
                "the part called `net.backbone`",
            ],
        );
    }
}

fn head(layout: &Layout, weights: &Weights, own: &dyn Fn(&Segment) -> bool) -> Vec<Vec<f32>> {
    let of = |s: &Segment| weights.params[s.offset as usize..][..s.shape.stored() as usize].to_vec();
    layout.params.iter().filter(|s| own(s)).map(of).collect()
}

/// A last layer for other classes is refused, or left out: then it is the one that the seed draws, and all else is the
/// file's. This holds for a file of weights and for a checkpoint.
#[test]
fn a_head_of_other_classes_is_skipped() {
    let folder = Folder::new("head");
    for model in models::ALL {
        let (seven, ten) = (layout(model, 7), layout(model, 10));
        let trained = drawn(&seven);
        let (plain, check) = (folder.0.join("w.safetensors"), folder.0.join("c.safetensors"));
        save(&trained, &plain, &seven, None).unwrap();
        fs::write(&check, checkpoint_of(model, 7, &trained)).unwrap();
        for path in [plain, check] {
            let config = crate::support::small(model, WIDTH, 7);
            let own = |s: &Segment| model.is_head(&config, &s.name);
            let first = ten.params.iter().find(|s| own(s)).unwrap();
            says(&refused(&path, &ten), &[&first.name[..], "[10, ", "[7, "]);
            let file = Pretrained::open(&path).unwrap();
            assert_eq!((file.model.name, file.config.classes), (model.name, 7));
            assert!(file.weights(&seven, Head::Load, 0).unwrap() == trained);
            let (found, new) = (file.weights(&ten, Head::Skip, 5).unwrap(), Weights::init(&ten, 5));
            assert_eq!(head(&ten, &found, &own), head(&ten, &new, &own), "drawn from the seed");
            assert!((found.running == trained.running) && found.batches == trained.batches);
            for segment in ten.params.iter().filter(|s| !own(s)) {
                let same = seven.params.iter().find(|s| s.name == segment.name).unwrap();
                let (at, from) = (segment.offset as usize, same.offset as usize);
                let len = segment.shape.stored() as usize;
                assert!(found.params[at..at + len] == trained.params[from..from + len], "{}", segment.name);
            }
            // It is left out even if the number of classes is the same.
            let again = file.weights(&seven, Head::Skip, 5).unwrap();
            assert!(head(&seven, &again, &own) == head(&seven, &Weights::init(&seven, 5), &own));
        }
    }
}

/// The bytes of a checkpoint of these weights.
fn checkpoint_of(model: &Model, classes: u32, weights: &Weights) -> Vec<u8> {
    let words = |arena: &[f32]| arena.iter().map(|v| v.to_bits()).collect();
    let network = State {
        buffers: vec![("params".into(), words(&weights.params)), ("running".into(), words(&weights.running))],
        updates: Updates { issued: 1, skipped: 0 },
        batches: weights.batches,
        evaluating: false,
        waiting: None,
    };
    let mut run = serde_json::to_value(provenance(classes)).unwrap();
    run["model"] = model.name.into();
    let config = crate::support::small(model, WIDTH, classes);
    let (key, size) = stated(config.input);
    (run["network"], run[key]) = (config.settings.to_json(), size);
    checkpoint::to_bytes(Checkpoint { position: Position::default(), network }, &run, None)
}

/// The size of the images of a network that does not pool its map is the one that the metadata state; without them it is told by
/// the shapes, or missed.
#[test]
fn sizes_of_images_are_read() {
    let folder = Folder::new("sizes");
    let path = folder.0.join("w.safetensors");
    let image = |channels, height, width| Image { channels, height, width };
    for (name, preset, stated, alone) in [
        ("mlp", None, image(1, 28, 28), Some(image(1, 28, 28))),
        ("mlp", None, image(3, 5, 7), None),
        ("mlp", None, image(1, 2, 8), Some(image(1, 4, 4))), // as many values
        ("mlp", None, image(3, 4, 12), Some(image(1, 12, 12))),
        ("cnn", Some("mnist"), image(1, 28, 28), Some(image(1, 28, 28))),
        ("cnn", Some("mnist"), image(3, 28, 20), None),
        ("cnn", Some("vradam"), image(3, 16, 32), None),
    ] {
        let model = models::find(name).unwrap();
        let mut set = vec![("width".to_owned(), "2".to_owned())];
        set.extend(preset.map(|preset| ("preset".to_owned(), preset.to_owned())));
        let config = model.config(stated, 10, &set).unwrap();
        let layout = model.layout(&config);
        let network = config.settings.to_json().as_object().unwrap().clone();
        let said = Provenance { model: name.into(), network, input: stated.into(), ..provenance(10) };
        save(&drawn(&layout), &path, &layout, Some(&said)).unwrap();
        let read = Pretrained::open(&path).unwrap();
        assert_eq!((&read.config, read.provenance.as_ref()), (&config, Some(&said)), "{name} {stated}");
        assert!(read.weights(&layout, Head::Load, 0).unwrap() == drawn(&layout), "{name} {stated}");
        assert_eq!(read.config_on(stated).unwrap(), config);
        assert!(read.config_on(Image { height: stated.height + 9, ..stated }).is_err(), "{name} {stated}");
        save(&drawn(&layout), &path, &layout, None).unwrap();
        match (Pretrained::open(&path), alone) {
            (Ok(read), Some(alone)) => assert_eq!((read.config.image(), model.layout(&read.config)), (alone, layout)),
            (Err(error), None) => says(&error.to_string(), &["the size of the images", "metadata"]),
            (read, _) => panic!("{name} {stated}: {:?}", read.map(|read| read.config)),
        }
    }
    // A size that is not that of the tensors.
    let model = models::find("mlp").unwrap();
    let layout = model.layout(&model.config(image(3, 5, 7), 10, &[]).unwrap());
    let said = Provenance {
        model: "mlp".into(),
        network: serde_json::Map::new(),
        input: image(3, 4, 4).into(),
        ..provenance(10)
    };
    save(&drawn(&layout), &path, &layout, Some(&said)).unwrap();
    let read = Pretrained::open(&path).unwrap();
    let error = read.weights(&model.layout(&read.config), Head::Load, 0).unwrap_err().to_string();
    says(&error, &["`1.weight` of shape [256, 48]", "[256, 105]"]);
}

fn provenance(classes: u32) -> Provenance {
    let network = serde_json::json!({ "stem": "cifar", "width": WIDTH, "zero_init": false });
    Provenance {
        version: "0.1.0".into(),
        model: "resnet18".into(),
        network: network.as_object().unwrap().clone(),
        input: Image::CIFAR.into(),
        classes,
        normalize: Some(Normalize { mean: [0.1, 1.0 / 3.0, 0.3], std: [0.2, 0.25, 1e-3] }),
        optimizer: "sgd".into(),
        settings: serde_json::json!({ "lr": 0.1 }),
        seed: u64::MAX,
        dataset: TrainedOn {
            name: "shapes10".into(),
            crc32: "0123abcd".into(),
            classes: (0..classes).map(|i| format!("class {i}")).collect(),
            seed: Some(4),
        },
    }
}

/// The number of heads and the form of GELU show in no shape: without metadata they are assumed, with a remark, or taken from
/// what is asked for; metadata state them.
#[test]
fn what_no_shape_tells_is_assumed() {
    let (folder, model) = (Folder::new("assumed"), models::find("gpt").unwrap());
    let pairs = |set: &[(&str, &str)]| -> Vec<(String, String)> {
        set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let set = pairs(&[("block", "4"), ("width", "128"), ("depth", "1"), ("heads", "4"), ("activation", "gelu_tanh")]);
    let config = model.config(Tokens { length: 4, vocabulary: 9 }, 9, &set).unwrap();
    let layout = model.layout(&config);
    let path = folder.0.join("w.safetensors");
    save(&Weights::init(&layout, 0), &path, &layout, None).unwrap();
    let told = |weights: &Pretrained| {
        let find = |key: &str| weights.config.settings.find(key).unwrap().to_string();
        (find("heads"), find("activation"), weights.remarks.concat())
    };
    let mut weights = Pretrained::open(&path).unwrap();
    weights.assume(&[]).unwrap();
    let (heads, activation, remarks) = told(&weights);
    assert_eq!((&heads[..], &activation[..]), ("2", "gelu"));
    says(&remarks, &["heads 2, activation gelu, qk_norm false assumed"]);

    let mut weights = Pretrained::open(&path).unwrap();
    says(&weights.assume(&pairs(&[("width", "64")])).unwrap_err().to_string(), &["width=64", "width 128"]);
    let mut weights = Pretrained::open(&path).unwrap();
    weights.assume(&pairs(&[("heads", "4"), ("width", "128")])).unwrap();
    let (heads, activation, remarks) = told(&weights);
    assert_eq!((&heads[..], &activation[..]), ("4", "gelu"));
    assert!(remarks.contains("activation gelu, qk_norm false assumed") && !remarks.contains("heads"), "{remarks}");
    assert_eq!(weights.config.settings.whole("width"), 128, "the shapes tell it");
    assert!(weights.assume(&pairs(&[("heads", "3")])).is_err());

    let network = config.settings.to_json().as_object().unwrap().clone();
    let mut stated = Provenance { model: "gpt".into(), network, input: config.input, classes: 9, ..provenance(9) };
    stated.dataset.classes = (0..9).map(|class| "\n".repeat(class + 1)).collect();
    save(&Weights::init(&layout, 0), &path, &layout, Some(&stated)).unwrap();
    let mut weights = Pretrained::open(&path).unwrap();
    assert!(weights.assume(&pairs(&[("heads", "2")])).is_err(), "the metadata tell it");
    weights.assume(&pairs(&[("heads", "4")])).unwrap();
    assert_eq!(told(&weights), ("4".into(), "gelu_tanh".into(), String::new()));
}
