//! BERT as Hugging Face's transformers stores it: the settings in `config.json`, and the folder that is written.

use std::fs;

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

use super::huggingface::{Stated, are_the_same, is_not_written, newer};
use crate::folder::{Folder, says};

const CLASSES: u32 = 9;

fn bert() -> &'static Model {
    models::find("bert").unwrap()
}

fn config(model: &Model, heads: &str) -> Config {
    let set = [("block", "4"), ("width", "16"), ("depth", "2"), ("heads", heads)];
    let set = set.map(|(key, value)| (key.to_owned(), value.to_owned()));
    model.config(Tokens { length: 4, vocabulary: CLASSES }, CLASSES, &set).unwrap()
}

fn drawn(config: &Config) -> Weights {
    Weights::init(&bert().layout(config), 3)
}

/// A `config.json` as `save_pretrained` writes it.
fn stated(heads: u32) -> Value {
    json!({
        "add_cross_attention": false, "architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.1,
        "bos_token_id": null, "classifier_dropout": null, "dtype": "float32", "eos_token_id": null, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "hidden_size": 16, "initializer_range": 0.02, "intermediate_size": 64,
        "is_decoder": false, "layer_norm_eps": 1e-12, "max_position_embeddings": 4, "model_type": "bert",
        "num_attention_heads": heads, "num_hidden_layers": 2, "pad_token_id": 0, "tie_word_embeddings": true,
        "transformers_version": "5.24.0", "type_vocab_size": 2, "use_cache": true, "vocab_size": CLASSES,
    })
}

/// A folder with the tensors of a network of `heads` heads, and its `config.json`.
fn written(folder: &Folder, heads: &str) -> std::path::PathBuf {
    let (place, config) = (folder.0.join(format!("bert-{heads}")), config(bert(), heads));
    huggingface::save(&place, bert(), &config, |_| Ok(drawn(&config))).unwrap();
    place
}

/// The folder that is written is read as the same network, whose heads no shape tells.
#[test]
fn what_is_written_is_read_back() {
    let folder = Folder::new("bert-written");
    for heads in ["1", "2", "4"] {
        let place = written(&folder, heads);
        let config = config(bert(), heads);
        let json: Value = serde_json::from_slice(&fs::read(place.join("config.json")).unwrap()).unwrap();
        let known = stated(heads.parse().unwrap());
        for (key, value) in json.as_object().unwrap() {
            match &key[..] {
                "hidden_dropout_prob" | "attention_probs_dropout_prob" => assert_eq!(value, &json!(0.0)),
                "pad_token_id" => assert_eq!(value, &Value::Null),
                // transformers has no other any more, and does not write it.
                "position_embedding_type" => assert_eq!(value, "absolute"),
                _ => assert_eq!(value, &known[key], "{key}"),
            }
        }
        for path in [&place, &place.join("model.safetensors")] {
            let mut read = Pretrained::open(path).unwrap();
            // What the file states is not assumed, and other heads than it has are refused.
            assert_eq!(read.assume(&[("heads".into(), "2".into())]).is_ok(), heads == "2");
            assert_eq!(read.config, config);
            assert!(read.weights(&bert().layout(&config), Head::Load, 0).unwrap() == drawn(&config));
            let remarks = read.remarks.concat();
            assert!(remarks.contains("its config.json is read") && !remarks.contains("assumed"), "{remarks}");
        }
    }
}

/// What the file leaves out has the value that transformers takes for it, and GELU by erf has two names.
#[test]
fn config_json_states_the_heads() {
    let folder = Folder::new("bert-config");
    let place = written(&folder, "1");
    let heads = || Pretrained::open(&place).unwrap().config.settings.whole("heads");
    assert_eq!(heads(), 1);
    let mut short = stated(4);
    for key in ["hidden_act", "layer_norm_eps", "model_type", "tie_word_embeddings", "type_vocab_size", "is_decoder"] {
        short.as_object_mut().unwrap().remove(key);
    }
    fs::write(place.join("config.json"), short.to_string()).unwrap();
    assert_eq!(heads(), 4);
    let mut other = stated(2);
    other["hidden_act"] = "gelu_python".into();
    fs::write(place.join("config.json"), other.to_string()).unwrap();
    assert_eq!(heads(), 2);
    // Without the file, 64 channels to a head are assumed, and 16 are one head.
    fs::remove_file(place.join("config.json")).unwrap();
    let mut read = Pretrained::open(&place.join("model.safetensors")).unwrap();
    read.assume(&[]).unwrap();
    assert_eq!(read.config.settings.whole("heads"), 1);
    says(&read.remarks.concat(), &["heads 1", "assumed"]);
    // What a run has written states everything, whatever lies beside it.
    let config = config(bert(), "4");
    save(&drawn(&config), &place.join("model.safetensors"), &bert().layout(&config), None).unwrap();
    fs::write(place.join("config.json"), "{").unwrap();
    assert!(Pretrained::open(&place).is_err());
}

/// A `config.json` that is damaged, or about a network that these tensors or `bert` are not, is an error that names it.
#[test]
fn another_config_json_is_refused() {
    let folder = Folder::new("bert-other");
    let (place, layout) = (written(&folder, "2"), bert().layout(&config(bert(), "2")));
    let stated = Stated {
        folder: &place,
        layout: &layout,
        config: &stated(2),
        keys: ["num_attention_heads", "hidden_act"],
        three: "a width of 16 channels cannot be shared by 3 heads",
        name: "BERT",
    };
    stated.others_are_refused(&[
        ("model_type", json!("gpt2"), "model_type \"bert\", found \"gpt2\""),
        ("hidden_size", json!(768), "hidden_size 16, found 768"),
        ("num_hidden_layers", json!(3), "num_hidden_layers 2, found 3"),
        ("max_position_embeddings", json!(512), "max_position_embeddings 4, found 512"),
        ("intermediate_size", json!(16), "intermediate_size 64, found 16"),
        ("type_vocab_size", json!(1), "type_vocab_size 2, found 1"),
        ("hidden_act", json!("gelu_new"), "hidden_act \"gelu\", found \"gelu_new\""),
        ("layer_norm_eps", json!(1e-5), "layer_norm_eps 1e-12, found 0.00001"),
        ("position_embedding_type", json!("relative_key"), "position_embedding_type \"absolute\""),
        ("is_decoder", json!(true), "is_decoder false, found true"),
    ]);
}

/// BERT with a setting of which transformers knows nothing.
static NEWER: Model = Model { settings: || newer((models::bert::MODEL.settings)()), ..models::bert::MODEL };

/// A network that transformers' BERT cannot be is refused, and nothing is written.
#[test]
fn another_network_is_not_written() {
    let parts = ["transformers' BERT cannot have shape_of_norms usual"];
    is_not_written(&Folder::new("bert-refused"), &NEWER, &config(&NEWER, "2"), &parts);
}

/// `velograd export` writes a folder from a file of weights, and from such a folder the same again.
#[test]
fn the_program_writes_folders() {
    let folder = Folder::new("bert-export");
    written(&folder, "4");
    let said = folder.works(&["export", "bert-4", "--huggingface", "again"]);
    says(&said, &["again: bert, ", "of bert-4", "BertForMaskedLM"]);
    are_the_same(&folder, "bert-4", "again");
}
