//! GPT-2 as Hugging Face's transformers stores it: names, layouts, and the settings in `config.json`.

use std::{fs, path::Path};

use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use velograd::{
    data::Tokens,
    host::{
        huggingface,
        pretrained::{Head, Pretrained},
        weights::save,
    },
    models::{self, Config, Model},
    training::weights::Weights,
};

use super::{
    Stored,
    huggingface::{Stated, are_the_same, is_not_written, newer},
    refused, tensors, write,
};
use crate::folder::{Folder, says};

const CLASSES: u32 = 9;

/// The setting of the activation, and its words for GELU by tanh and by erf.
const ACTIVATION: [&str; 3] = ["activation", "gelu_tanh", "gelu"];

fn gpt() -> &'static Model {
    models::find("gpt").unwrap()
}

/// A network of two blocks with eight channels.
fn config(set: &[(&str, &str)]) -> Config {
    let usual = [("block", "4"), ("width", "8"), ("depth", "2"), ("heads", "1")];
    let set: Vec<_> = usual.iter().chain(set).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    gpt().config(Tokens { length: 4, vocabulary: CLASSES }, CLASSES, &set).unwrap()
}

fn drawn(config: &Config) -> Weights {
    let layout = gpt().layout(config);
    let mut weights = Weights::init(&layout, 3);
    // Biases and norms, which begin as constants, take other values too.
    for (nth, segment) in layout.params.iter().enumerate().filter(|(_, segment)| segment.shape.dims().len() == 1) {
        let values = (0..segment.shape.elements()).map(|i| 0.1 * nth as f32 - 0.01 * i as f32).collect::<Vec<_>>();
        velograd::training::weights::put(&mut weights.params, segment, &values);
    }
    weights
}

/// The tensors of a network as nanoGPT's names and layouts have them.
fn nanogpt(folder: &Folder, config: &Config) -> Vec<Stored> {
    let path = folder.0.join("nanogpt.safetensors");
    save(&drawn(config), &path, &gpt().layout(config), None).unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let all = file.tensors().into_iter();
    all.map(|(name, view)| (name, view.dtype(), view.shape().to_vec(), view.data().to_vec())).collect()
}

/// The matrix with rows as columns.
fn turned((name, dtype, shape, bytes): Stored) -> Stored {
    let [rows, columns] = shape[..] else { panic!("{name} is no matrix") };
    let mut other = vec![0; bytes.len()];
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        let (from, to) = (4 * (row * columns + column), 4 * (column * rows + row));
        other[to..to + 4].copy_from_slice(&bytes[from..from + 4]);
    }
    (name, dtype, vec![columns, rows], other)
}

fn is_conv1d(name: &str) -> bool {
    name.contains(".h.")
        && name.ends_with(".weight")
        && (name.contains(".c_attn.") || name.contains(".c_proj.") || name.contains(".c_fc."))
}

/// The tensors of a network as GPT2LMHeadModel has them.
fn transformers(folder: &Folder, config: &Config) -> Vec<Stored> {
    let all = nanogpt(folder, config).into_iter();
    all.map(|tensor| if is_conv1d(&tensor.0) { turned(tensor) } else { tensor }).collect()
}

/// The same without `transformer.`, and with the masks of each block, as the published files are.
fn published(folder: &Folder, config: &Config, masks: &[usize]) -> Vec<Stored> {
    let mut all = transformers(folder, config);
    all.iter_mut().for_each(|(name, ..)| *name = name.trim_start_matches("transformer.").to_owned());
    for block in 0..2 {
        let len = masks.iter().product::<usize>();
        all.push((format!("h.{block}.attn.bias"), Dtype::F32, masks.to_vec(), vec![0; 4 * len]));
        all.push((format!("h.{block}.attn.masked_bias"), Dtype::F32, vec![], vec![0; 4]));
    }
    all
}

/// A `config.json` as `save_pretrained` writes it.
fn stated(heads: u32, activation: &str, tied: bool) -> Value {
    json!({
        "activation_function": activation, "add_cross_attention": false, "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.1, "bos_token_id": 50256, "dtype": "float32", "embd_pdrop": 0.1, "eos_token_id": 50256,
        "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_embd": 8, "n_head": heads,
        "n_inner": null, "n_layer": 2, "n_positions": 4, "reorder_and_upcast_attn": false, "resid_pdrop": 0.1,
        "scale_attn_by_inverse_layer_idx": false, "scale_attn_weights": true, "summary_type": "cls_index",
        "tie_word_embeddings": tied, "transformers_version": "5.24.0", "use_cache": true, "vocab_size": CLASSES,
    })
}

/// The settings of a file that is read, and its remarks.
fn told(weights: &Pretrained) -> (String, String, bool, String) {
    let find = |key: &str| weights.config.settings.find(key).unwrap().to_string();
    (find("heads"), find(ACTIVATION[0]), weights.config.settings.flag("tied"), weights.remarks.concat())
}

/// Names with or without the prefix, masks of any size, and a last layer that is a copy: the weights are those of nanoGPT's file.
#[test]
fn the_weights_are_those_of_a_file_of_nanogpt() {
    let folder = Folder::new("gpt2");
    let config = config(&[]);
    let layout = gpt().layout(&config);
    let path = folder.0.join("w.safetensors");
    let with_copy = |mut all: Vec<Stored>, words: &str| {
        let mut copy = all.iter().find(|(name, ..)| name == words).unwrap().clone();
        copy.0 = "lm_head.weight".into();
        all.push(copy);
        all
    };
    let wrapped = |all: Vec<Stored>| -> Vec<Stored> {
        all.into_iter().map(|(name, t, s, b)| (format!("module.{name}"), t, s, b)).collect()
    };
    for (what, all, conv1d) in [
        ("nanoGPT", nanogpt(&folder, &config), false),
        ("nanoGPT with a copy", with_copy(nanogpt(&folder, &config), "transformer.wte.weight"), false),
        ("transformers", transformers(&folder, &config), true),
        ("transformers with a copy", with_copy(transformers(&folder, &config), "transformer.wte.weight"), true),
        ("published", published(&folder, &config, &[1, 1, 4, 4]), true),
        ("published with a copy", with_copy(published(&folder, &config, &[1, 1, 4, 4]), "wte.weight"), true),
        ("masks of another size", published(&folder, &config, &[3]), true),
        ("wrapped", wrapped(published(&folder, &config, &[1, 1, 4, 4])), true),
    ] {
        write(&path, &all, &[("format", "pt")]);
        let mut file = Pretrained::open(&path).unwrap();
        assert!(file.weights(&layout, Head::Load, 0).unwrap() == drawn(&config), "{what}");
        file.assume(&[]).unwrap();
        let (heads, gelu, tied, remarks) = told(&file);
        let expected = if conv1d { ACTIVATION[1] } else { ACTIVATION[2] };
        assert_eq!((&heads[..], &gelu[..], tied), ("1", expected, true), "{what}");
        assert_eq!(remarks.contains("the layout is Hugging Face's"), conv1d, "{what}: {remarks}");
        says(&remarks, &[&format!("heads 1, {} {expected}", ACTIVATION[0]), "assumed"]);
    }
    // A last layer of its own.
    let untied = self::config(&[("tied", "false")]);
    write(&path, &transformers(&folder, &untied), &[]);
    let file = Pretrained::open(&path).unwrap();
    assert!(!file.config.settings.flag("tied"));
    assert!(file.weights(&gpt().layout(&untied), Head::Load, 0).unwrap() == drawn(&untied));
    // What is asked for counts where the file does not say it.
    let mut file = Pretrained::open(&path).unwrap();
    file.assume(&[("heads".into(), "2".into()), (ACTIVATION[0].into(), ACTIVATION[2].into())]).unwrap();
    assert_eq!(told(&file).0, "2");
    assert_eq!(told(&file).1, ACTIVATION[2]);
}

/// `config.json` beside the file, or in the folder that is named, states heads and activation.
#[test]
fn config_json_states_what_no_shape_tells() {
    let folder = Folder::new("gpt2-config");
    let (path, json) = (folder.0.join("model.safetensors"), folder.0.join("config.json"));
    write(&path, &transformers(&folder, &config(&[])), &[("format", "pt")]);
    for (heads, function, word) in [
        (2, "gelu_new", ACTIVATION[1]),
        (1, "gelu", ACTIVATION[2]),
        (2, "gelu_pytorch_tanh", ACTIVATION[1]),
        (1, "gelu_fast", ACTIVATION[1]),
    ] {
        fs::write(&json, stated(heads, function, true).to_string()).unwrap();
        for place in [&path, &folder.0] {
            let mut file = Pretrained::open(place).unwrap();
            // What the file states is not assumed, and other heads than it has are refused.
            assert_eq!(file.assume(&[("heads".into(), "1".into())]).is_ok(), heads == 1);
            let (found, gelu, tied, remarks) = told(&file);
            assert_eq!((found, &gelu[..], tied), (heads.to_string(), word, true));
            assert!(remarks.contains("its config.json is read") && !remarks.contains("assumed"), "{remarks}");
        }
    }
    // transformers' defaults, and its other names of the same.
    let mut short = stated(2, "gelu_new", true);
    for key in ["activation_function", "layer_norm_epsilon", "model_type", "n_inner", "tie_word_embeddings"] {
        short.as_object_mut().unwrap().remove(key);
    }
    for (key, other) in [("n_head", "num_attention_heads"), ("n_embd", "hidden_size"), ("n_layer", "num_hidden_layers")]
    {
        let value = short.as_object_mut().unwrap().remove(key).unwrap();
        short[other] = value;
    }
    fs::write(&json, short.to_string()).unwrap();
    assert_eq!(told(&Pretrained::open(&path).unwrap()).0, "2");
    let mut wide = stated(2, "gelu_new", true);
    wide["n_inner"] = 32.into();
    fs::write(&json, wide.to_string()).unwrap();
    assert_eq!(told(&Pretrained::open(&path).unwrap()).0, "2");
    // A layer of its own that is equal stays one of its own if the file says so.
    let mut copied = transformers(&folder, &config(&[]));
    let mut copy = copied.iter().find(|(name, ..)| name == "transformer.wte.weight").unwrap().clone();
    copy.0 = "lm_head.weight".into();
    copied.push(copy);
    write(&path, &copied, &[]);
    fs::write(&json, stated(2, "gelu_new", false).to_string()).unwrap();
    assert!(!Pretrained::open(&path).unwrap().config.settings.flag("tied"));
    // nanoGPT's layout is not transformers', whatever lies beside it.
    write(&path, &nanogpt(&folder, &config(&[])), &[]);
    fs::write(&json, "{").unwrap();
    assert!(Pretrained::open(&path).is_ok());
}

/// A `config.json` that is damaged, or about a network that these tensors or `gpt` are not, is an error that names it.
#[test]
fn another_config_json_is_refused() {
    let folder = Folder::new("gpt2-other");
    let path = folder.0.join("model.safetensors");
    write(&path, &transformers(&folder, &config(&[])), &[]);
    let layout = gpt().layout(&config(&[]));
    let stated = Stated {
        folder: &folder.0,
        layout: &layout,
        config: &stated(2, "gelu_new", true),
        keys: ["n_head", "activation_function"],
        three: "a width of 8 channels cannot be shared by 3 heads",
        name: "GPT-2",
    };
    stated.others_are_refused(&[
        ("model_type", json!("bert"), "model_type \"gpt2\", found \"bert\""),
        ("n_embd", json!(768), "n_embd 8, found 768"),
        ("n_layer", json!(3), "n_layer 2, found 3"),
        ("n_positions", json!(1024), "n_positions 4, found 1024"),
        ("n_inner", json!(16), "n_inner null, found 16"),
        ("activation_function", json!("relu"), "activation_function gelu_new or"),
        ("layer_norm_epsilon", json!(1e-6), "layer_norm_epsilon 0.00001, found 1e-6"),
        ("scale_attn_weights", json!(false), "scale_attn_weights true, found false"),
        ("scale_attn_by_inverse_layer_idx", json!(true), "scale_attn_by_inverse_layer_idx false, found true"),
    ]);
    // The same of the file itself.
    says(&refused(&path, &layout), &["config.json: expected settings of transformers' GPT-2"]);
    fs::remove_file(&path).unwrap();
    fs::write(folder.0.join("model.safetensors.index.json"), "{}").unwrap();
    says(&refused(&folder.0, &layout), &["expected model.safetensors", "save_pretrained", "max_shard_size"]);
}

/// Tensors that are missing, too many, of another shape or of the other layout are named.
#[test]
fn a_wrong_tensor_is_named() {
    let folder = Folder::new("gpt2-wrong");
    let path = folder.0.join("w.safetensors");
    let config = config(&[]);
    let layout = gpt().layout(&config);
    let sound = transformers(&folder, &config);
    let refuse = |change: &dyn Fn(&mut Vec<Stored>), parts: &[&str]| {
        let mut all = sound.clone();
        change(&mut all);
        write(&path, &all, &[]);
        says(&refused(&path, &layout), parts);
    };
    let turn = |name: &'static str| {
        move |all: &mut Vec<Stored>| {
            let at = all.iter().position(|(known, ..)| known == name).unwrap();
            all[at] = turned(all[at].clone());
        }
    };
    refuse(
        &turn("transformer.h.1.attn.c_attn.weight"),
        &["`transformer.h.1.attn.c_attn.weight` of shape [8, 24]", "shape [24, 8]"],
    );
    refuse(
        &turn("transformer.h.0.mlp.c_fc.weight"),
        &["`transformer.h.0.mlp.c_fc.weight` of shape [8, 32]", "shape [32, 8]"],
    );
    // Then all others are expected as nanoGPT has them.
    refuse(
        &turn("transformer.h.0.attn.c_attn.weight"),
        &["`transformer.h.0.mlp.c_fc.weight` of shape [32, 8]", "[8, 32]"],
    );
    refuse(&turn("transformer.wpe.weight"), &["transformer.wpe.weight"]);
    refuse(
        &|all| all.iter_mut().for_each(|(name, ..)| *name = name.replace(".h.1.", ".h.2.")),
        &["the tensors of gpt, ", "depth 1", "also `transformer.h.2."],
    );
    refuse(&|all| all.retain(|(name, ..)| !name.contains(".h.")), &["of gpt: [vocabulary, width]"]);
    refuse(
        &|all| all.retain(|(name, ..)| name != "transformer.h.1.ln_2.bias"),
        &["`transformer.h.1.ln_2.bias`", "no such tensor"],
    );
    let more = |name: &'static str| {
        move |all: &mut Vec<Stored>| all.push((name.into(), Dtype::F32, vec![1, 1, 4, 4], vec![0; 64]))
    };
    refuse(&more("transformer.h.1.crossattention.bias"), &["also `transformer.h.1.crossattention.bias`"]);
    refuse(&more("transformer.h.x.attn.bias"), &["also `transformer.h.x.attn.bias`"]);
    refuse(&more("h.0.attn.bias"), &["also `h.0.attn.bias`"]);
    refuse(&more("score.weight"), &["also `score.weight`"]);
}

/// The folder that is written has transformers' names and layouts, and is read as the same network.
#[test]
fn what_is_written_is_read_back() {
    let folder = Folder::new("gpt2-written");
    for (nth, set) in [
        &[][..],
        &[("heads", "2"), (ACTIVATION[0], ACTIVATION[1])],
        &[("tied", "false"), (ACTIVATION[0], ACTIVATION[2])],
    ]
    .into_iter()
    .enumerate()
    {
        let config = config(set);
        let (place, expected) = (folder.0.join(format!("deep/{nth}")), drawn(&config));
        huggingface::save(&place, gpt(), &config, |_| Ok(expected.clone())).unwrap();
        let bytes = fs::read(place.join("model.safetensors")).unwrap();
        let (_, table) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(table.metadata().as_ref().unwrap()["format"], "pt");
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let known = transformers(&folder, &config);
        assert_eq!(file.len(), known.len());
        for (name, dtype, shape, bytes) in known {
            let found = file.tensor(&name).unwrap();
            assert_eq!((found.dtype(), found.shape()), (dtype, &shape[..]), "{name}");
            assert!(found.data() == bytes, "{name}");
        }
        let read = Pretrained::open(&place).unwrap();
        assert_eq!(read.config, config);
        assert!(read.weights(&gpt().layout(&config), Head::Load, 0).unwrap() == expected);
        let json: Value = serde_json::from_slice(&fs::read(place.join("config.json")).unwrap()).unwrap();
        assert_eq!(json["architectures"], json!(["GPT2LMHeadModel"]));
        let numbers =
            ["n_embd", "n_layer", "n_positions", "n_ctx", "vocab_size"].map(|key| json[key].as_u64().unwrap());
        assert_eq!(numbers, [8, 2, 4, 4, u64::from(CLASSES)]);
        assert_eq!((&json["eos_token_id"], &json["resid_pdrop"]), (&Value::Null, &json!(0.0)));
    }
    // A folder with anything in it stays as it is.
    let run = folder.write("run/model.safetensors", b"weights");
    let write = |place: &Path| huggingface::save(place, gpt(), &config(&[]), |_| Ok(drawn(&config(&[]))));
    says(&write(run.parent().unwrap()).unwrap_err().to_string(), &["expected a new or an empty folder"]);
    assert!(write(&run).is_err());
    assert_eq!(fs::read(&run).unwrap(), b"weights");
    fs::create_dir(folder.0.join("empty")).unwrap();
    write(&folder.0.join("empty")).unwrap();
}

/// GPT-2 with a setting of which transformers knows nothing.
static NEWER: Model = Model { settings: || newer((models::gpt::MODEL.settings)()), ..models::gpt::MODEL };

/// Networks that transformers' GPT-2 cannot be are refused, with the setting at fault, and nothing is written. That includes
/// settings that the list does not know.
#[test]
fn other_networks_are_not_written() {
    let folder = Folder::new("gpt2-refused");
    for (key, value) in
        [("bias", "false"), ("norm", "rms"), ("positions", "rope"), ("qk_norm", "true"), (ACTIVATION[0], "relu2")]
    {
        is_not_written(&folder, gpt(), &config(&[(key, value)]), &[&format!("cannot have {key} {value}")]);
    }
    let newer = NEWER.config(Tokens { length: 4, vocabulary: CLASSES }, CLASSES, &[]).unwrap();
    is_not_written(&folder, &NEWER, &newer, &["cannot have shape_of_norms usual"]);
    let images = models::find("resnet18").unwrap();
    is_not_written(&folder, images, &crate::support::small(images, 2, 10), &["not resnet18", "'onnx'"]);
}

/// `velograd export` writes a folder from a file of weights, and from such a folder the same again.
#[test]
fn the_program_writes_folders() {
    let folder = Folder::new("gpt2-export");
    let config = config(&[]);
    save(&drawn(&config), &folder.0.join("w.safetensors"), &gpt().layout(&config), None).unwrap();
    let said = folder.works(&["export", "w.safetensors", "--huggingface", "one"]);
    says(&said, &["one: gpt, ", "of w.safetensors", "GPT2LMHeadModel"]);
    folder.works(&["export", "one", "--huggingface", "two"]);
    folder.works(&["export", "--weights", "two", "--huggingface", "three"]);
    are_the_same(&folder, "one", "two");
    are_the_same(&folder, "two", "three");
    says(&folder.refused(1, &["export", "one", "--huggingface", "two"]), &["two", "a new or an empty folder"]);
    says(&folder.refused(2, &["export", "one"]), &["--onnx", "--huggingface"]);
    says(&folder.refused(2, &["export", "one", "--huggingface", "four", "--onnx", "a.onnx"]), &["cannot be used with"]);
    says(
        &folder.refused(2, &["export", "one", "--huggingface", "four", "--normalized-input"]),
        &["cannot be used with"],
    );
    folder.write("one/config.json", b"{");
    says(&folder.refused(1, &["export", "one", "--huggingface", "four"]), &["config.json: expected"]);
    assert!(!folder.0.join("four").exists());
    let layout = super::resnet(10);
    let image = tensors(&folder, &layout);
    write(&folder.0.join("r.safetensors"), &image, &[]);
    says(&folder.refused(2, &["export", "r.safetensors", "--huggingface", "four"]), &["resnet18", "--onnx"]);
}
