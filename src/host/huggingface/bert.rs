//! `config.json` of transformers' BERT: what it says of a network, and which networks it can say.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::stated;
use crate::{
    error::{Error, Result},
    models::{Config, Model},
};

/// The model that BERT is.
pub const MODEL: &str = "bert";

/// transformers' class of the network that fills in tokens.
pub const CLASS: &str = "BertForMaskedLM";

/// transformers' names of GELU by erf, which is BERT's. The first is the one that is written.
const ACTIVATIONS: [&str; 2] = ["gelu", "gelu_python"];

/// The settings that the file can say. A setting that is not listed here makes another network.
const SAID: [&str; 4] = ["block", "width", "depth", "heads"];

/// What the file says of the function that the network computes. What it leaves out has the value that transformers takes for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stated {
    model_type: String,
    vocab_size: u32,
    max_position_embeddings: u32,
    hidden_size: u32,
    num_hidden_layers: u32,
    num_attention_heads: u32,
    intermediate_size: u32,
    type_vocab_size: u32,
    hidden_act: String,
    layer_norm_eps: f64,
    position_embedding_type: String,
    is_decoder: bool,
    add_cross_attention: bool,
    tie_word_embeddings: bool,
}

impl Default for Stated {
    fn default() -> Self {
        Self {
            model_type: "bert".into(),
            vocab_size: 30_522,
            max_position_embeddings: 512,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            type_vocab_size: 2,
            hidden_act: ACTIVATIONS[0].into(),
            layer_norm_eps: 1e-12,
            position_embedding_type: "absolute".into(),
            is_decoder: false,
            add_cross_attention: false,
            tie_word_embeddings: true,
        }
    }
}

impl Stated {
    /// Reads the file beside a file of weights; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Data`] if it is damaged or about another kind of network.
    pub fn beside(weights: &Path) -> Result<Option<Self>> {
        let mut stated: Option<Self> = stated::beside(weights, "BERT")?;
        if let Some(Self { hidden_act, .. }) = &mut stated
            && ACTIVATIONS.contains(&&**hidden_act)
        {
            *hidden_act = ACTIVATIONS[0].into();
        }
        Ok(stated)
    }

    /// The setting that no shape of a tensor tells.
    pub fn settings(&self) -> Vec<(String, String)> {
        vec![("heads".to_owned(), self.num_attention_heads.to_string())]
    }

    /// Refuses a file that is not about the network whose shape the tensors of `weights` tell.
    ///
    /// # Errors
    /// [`Error::Data`] with the first thing that it would have to say otherwise.
    pub fn agree(&self, config: &Config, weights: &Path) -> Result<()> {
        let expected = Self { num_attention_heads: self.num_attention_heads, ..Self::of(config) };
        stated::agree(&expected, self, weights, MODEL)
    }

    /// What the file says of a network that it can say.
    fn of(config: &Config) -> Self {
        let Config { settings, classes, .. } = config;
        let width = settings.whole("width");
        Self {
            vocab_size: *classes,
            max_position_embeddings: settings.whole("block"),
            hidden_size: width,
            num_hidden_layers: settings.whole("depth"),
            num_attention_heads: settings.whole("heads"),
            intermediate_size: 4 * width,
            ..Self::default()
        }
    }
}

/// The text of the file for a network. No token fills up short texts: each number is a token of the data set.
///
/// # Errors
/// [`Error::Config`] with the first setting that it cannot say.
pub fn to_json(model: &Model, config: &Config) -> Result<String> {
    debug_assert_eq!(model.name, MODEL);
    if let Some((key, value)) = config.settings.iter().find(|(key, _)| !SAID.contains(key)) {
        let message = format!("transformers' BERT cannot have {key} {value}");
        let hint = "the run's model.safetensors has the weights, by transformers' names";
        return Err(Error::about("huggingface", message, hint));
    }
    let rest = json!({
        "architectures": [CLASS],
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": null,
    });
    Ok(stated::text(&Stated::of(config), &rest))
}
