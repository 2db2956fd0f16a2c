//! What holds of every network in the files of Hugging Face's transformers: which `config.json` is refused, which network is not
//! written, and that a folder that is written again is the same.

use std::{fs, path::Path};

use serde_json::{Value, json};
use velograd::{
    host::huggingface,
    models::{Config, Model},
    program::params::Layout,
    settings::Setting,
    training::weights::Weights,
};

use super::refused;
use crate::folder::{Folder, says};

/// A folder with `config.json` beside the tensors of a network of two blocks.
pub struct Stated<'a> {
    pub folder: &'a Path,
    /// The network of the tensors.
    pub layout: &'a Layout,
    /// A `config.json` that is about it.
    pub config: &'a Value,
    /// The keys of the number of heads and of the activation.
    pub keys: [&'a str; 2],
    /// What is said of three heads.
    pub three: &'a str,
    /// The network's name in errors.
    pub name: &'a str,
}

impl Stated<'_> {
    /// Each value of `others` in place of its own is refused with its words, and so is what no network has, and what is no JSON. No
    /// error is long, or has a character that a terminal obeys.
    pub fn others_are_refused(&self, others: &[(&str, Value, &str)]) {
        let [heads, activation] = self.keys;
        let always = [
            (heads, json!(3), self.three),
            (heads, json!(0), "heads=0"),
            (heads, json!(-1), "invalid value"),
            (heads, json!("two"), "invalid type"),
            (activation, json!("\u{1b}[2J"), "\\u001b[2J"),
            (activation, json!("x".repeat(100_000)), "xxx"),
            ("vocab_size", json!(50257), "vocab_size 9, found 50257"),
            ("add_cross_attention", json!(true), "add_cross_attention false, found true"),
            ("tie_word_embeddings", json!(false), "tie_word_embeddings true, found false"),
        ];
        let path = self.folder.join("config.json");
        for (key, value, words) in always.iter().chain(others) {
            let mut other = self.config.clone();
            other[*key] = value.clone();
            fs::write(&path, other.to_string()).unwrap();
            let said = refused(self.folder, self.layout);
            says(&said, &["config.json: expected", words]);
            assert!(said.len() < 1000 && !said.contains('\u{1b}'), "{said}");
        }
        let list = json!([self.config["model_type"]]).to_string();
        for text in ["", "{", "[]", &list, "null", "\u{0}", "{\"vocab_size\": NaN}", &"[".repeat(100_000)] {
            fs::write(&path, text).unwrap();
            let expected = format!("config.json: expected settings of transformers' {}", self.name);
            says(&refused(self.folder, self.layout), &[&expected]);
        }
    }
}

/// The settings of a network, and one of which transformers knows nothing.
pub fn newer(settings: Vec<Setting>) -> Vec<Setting> {
    let more = Setting::choice("shape_of_norms", &["usual"], "none that transformers knows");
    settings.into_iter().chain([more]).collect()
}

/// The network is refused with these words before its weights are asked for, and nothing is written.
pub fn is_not_written(folder: &Folder, model: &Model, config: &Config, parts: &[&str]) {
    let place = folder.0.join("out");
    let asked = |_: &_| -> velograd::error::Result<Weights> { panic!("it is refused before") };
    let error = huggingface::save(&place, model, config, asked).unwrap_err();
    says(&error.to_string(), parts);
    assert!(error.exit_code() == 2 && !place.exists());
}

/// The same bytes are in both folders.
pub fn are_the_same(folder: &Folder, one: &str, other: &str) {
    for name in ["model.safetensors", "config.json"] {
        let [one, other] = [one, other].map(|place| fs::read(folder.0.join(place).join(name)).unwrap());
        assert!(one == other, "{name}");
    }
}
