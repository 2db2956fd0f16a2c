//! `config.json` of transformers' GPT-2: what it says of a network, and which networks it can say.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::stated::{self, shown};
use crate::{
    error::{Error, Result},
    models::{Config, Model},
    settings::Value,
};

/// The model that GPT-2 is.
pub const MODEL: &str = "gpt";

/// transformers' class of the network that continues a text.
pub const CLASS: &str = "GPT2LMHeadModel";

/// The setting of its activation.
const ACTIVATION: &str = "activation";

/// The words of that setting, each with transformers' name of the function. The first name of a word is the one that is written;
/// `gelu_new` is GPT-2's.
const ACTIVATIONS: [(&str, &str); 4] =
    [("gelu_tanh", "gelu_new"), ("gelu_tanh", "gelu_pytorch_tanh"), ("gelu_tanh", "gelu_fast"), ("gelu", "gelu")];

/// The size of GPT-2's vocabulary, whose last token ends a text.
const VOCABULARY: u32 = 50_257;

/// transformers' name of an activation.
fn function(word: &str) -> Option<&'static str> {
    ACTIVATIONS.iter().find(|(known, _)| *known == word).map(|(_, function)| *function)
}

/// Whether the file can say a setting. A setting that is not listed here makes another network.
fn can_say(key: &str, value: &Value) -> bool {
    match key {
        "block" | "width" | "depth" | "heads" | "tied" => true,
        "bias" => *value == Value::Flag(true),
        "norm" => *value == Value::Choice("layer".into()),
        "positions" => *value == Value::Choice("learned".into()),
        "qk_norm" => *value == Value::Flag(false),
        ACTIVATION => function(&value.to_string()).is_some(),
        _ => false,
    }
}

/// The settings of GPT-2's activation where no `config.json` says it.
pub fn usual() -> Vec<(String, String)> {
    vec![(ACTIVATION.to_owned(), ACTIVATIONS[0].0.to_owned())]
}

/// What the file says of the function that the network computes. What it leaves out has the value that transformers takes for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stated {
    model_type: String,
    vocab_size: u32,
    #[serde(alias = "max_position_embeddings")]
    n_positions: u32,
    #[serde(alias = "hidden_size")]
    n_embd: u32,
    #[serde(alias = "num_hidden_layers")]
    n_layer: u32,
    #[serde(alias = "num_attention_heads")]
    n_head: u32,
    n_inner: Option<u32>,
    activation_function: String,
    layer_norm_epsilon: f64,
    scale_attn_weights: bool,
    scale_attn_by_inverse_layer_idx: bool,
    add_cross_attention: bool,
    /// Whether the last layer has the weight of the token embedding.
    #[serde(rename = "tie_word_embeddings")]
    pub tied: bool,
}

impl Default for Stated {
    fn default() -> Self {
        Self {
            model_type: "gpt2".into(),
            vocab_size: VOCABULARY,
            n_positions: 1024,
            n_embd: 768,
            n_layer: 12,
            n_head: 12,
            n_inner: None,
            activation_function: ACTIVATIONS[0].1.into(),
            layer_norm_epsilon: 1e-5,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            add_cross_attention: false,
            tied: true,
        }
    }
}

impl Stated {
    /// Reads the file beside a file of weights; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Data`] if it is damaged, about another kind of network, or names an activation that is not known.
    pub fn beside(weights: &Path) -> Result<Option<Self>> {
        let Some(mut stated) = stated::beside::<Self>(weights, "GPT-2")? else { return Ok(None) };
        let asked = &stated.activation_function;
        let Some((word, _)) = ACTIVATIONS.iter().find(|(_, function)| function == asked) else {
            let known = ACTIVATIONS.map(|(_, function)| function).join(" or ");
            return Err(Error::data(
                &stated::path(weights),
                format!("activation_function {known}"),
                shown(&json!(asked).to_string()),
                "",
            ));
        };
        stated.activation_function = function(word).expect("it is a word of the table").into();
        // Four times the channels are also what it means if it is left out.
        stated.n_inner = stated.n_inner.filter(|inner| stated.n_embd.checked_mul(4) != Some(*inner));
        Ok(Some(stated))
    }

    /// The settings that no shape of a tensor tells.
    pub fn settings(&self) -> Vec<(String, String)> {
        let words = ACTIVATIONS.iter().find(|(_, function)| *function == self.activation_function);
        let word = words.expect("reading makes it one of the table").0;
        [("heads", self.n_head.to_string()), (ACTIVATION, word.to_owned())]
            .map(|(key, value)| (key.to_owned(), value))
            .into()
    }

    /// Refuses a file that is not about the network whose shape the tensors of `weights` tell.
    ///
    /// # Errors
    /// [`Error::Data`] with the first thing that it would have to say otherwise.
    pub fn agree(&self, config: &Config, weights: &Path) -> Result<()> {
        let Self { n_head, activation_function, .. } = self.clone();
        stated::agree(&Self { n_head, activation_function, ..Self::of(config) }, self, weights, MODEL)
    }

    /// What the file says of a network that it can say.
    fn of(config: &Config) -> Self {
        let Config { settings, classes, .. } = config;
        Self {
            vocab_size: *classes,
            n_positions: settings.whole("block"),
            n_embd: settings.whole("width"),
            n_layer: settings.whole("depth"),
            n_head: settings.whole("heads"),
            activation_function: function(settings.choice(ACTIVATION)).unwrap_or_default().into(),
            tied: settings.flag("tied"),
            ..Self::default()
        }
    }
}

/// The text of the file for a network.
///
/// # Errors
/// [`Error::Config`] with the first setting that it cannot say.
pub fn to_json(model: &Model, config: &Config) -> Result<String> {
    debug_assert_eq!(model.name, MODEL);
    if let Some((key, value)) = config.settings.iter().find(|(key, value)| !can_say(key, value)) {
        let message = format!("transformers' GPT-2 cannot have {key} {value}");
        let hint = "the run's model.safetensors has the weights, by nanoGPT's names";
        return Err(Error::about("huggingface", message, hint));
    }
    let stated = Stated::of(config);
    // Another vocabulary has no token for the end of a text.
    let end = (stated.vocab_size == VOCABULARY).then_some(VOCABULARY - 1);
    let rest = json!({
        "architectures": [CLASS],
        "n_ctx": stated.n_positions,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": end,
        "eos_token_id": end,
    });
    Ok(stated::text(&stated, &rest))
}
