//! BERT (Devlin, Chang, Lee and Toutanova 2019), a bidirectional transformer of post-norm blocks that is trained to fill in hidden
//! tokens, with the names and the first weights of `BertForMaskedLM` in Hugging Face's transformers. All tokens are of the first of
//! its two types, and the head has the weight of the token embedding.

use super::{
    Config, Model, Preset, Read, ShapeOf, Signature, Takes, in_f32,
    transformer::{self, DEVIATION, usual_heads},
};
use crate::{
    data::Tokens,
    error::Result,
    ops::{
        Activation, Attention, LayerNorm, add, add_first_row, add_positions, attention, bias, dropout, embedding,
        layer_norm, linear_of, linear_tied, pack,
    },
    program::{
        Param, Tape, Tensor,
        params::{Init, Shape},
    },
    settings::{Setting, Settings},
};

/// The model's entry in the registry.
pub const MODEL: Model = Model {
    about: "BERT: a bidirectional transformer that fills in hidden tokens, as transformers has it",
    settings,
    presets: PRESETS,
    check,
    takes: Takes::Tokens,
    masked: true,
    known_by: Some(Signature {
        first: WORDS,
        last: |_| WORDS.into(),
        shapes: "[vocabulary, width], and bert.embeddings.position_embeddings.weight [block, width]",
        is: |shape| shape(TRANSFORM).is_some(),
        read,
    }),
    of_classes: &[HEAD_BIAS],
    untold: |_| vec!["heads"],
    ..Model::new("bert", record)
};

/// The base size of the paper, and the smallest of Turc and others 2019, whose blocks have 512 tokens too.
const PRESETS: &[Preset] = &[
    Preset { name: "tiny", set: &[("width", "128"), ("depth", "2"), ("heads", "2")] },
    Preset { name: "base", set: &[("block", "512"), ("width", "768"), ("depth", "12"), ("heads", "12")] },
];

const WORDS: &str = "bert.embeddings.word_embeddings.weight";
const POSITIONS: &str = "bert.embeddings.position_embeddings.weight";
const TRANSFORM: &str = "cls.predictions.transform.dense.weight";

/// The bias of the head, which has a number for each token as the embedding has a row.
const HEAD_BIAS: &str = "cls.predictions.bias";

fn settings() -> Vec<Setting> {
    vec![
        Setting::whole("block", 64, 1, Some(65_536), "the tokens that the network sees at once; the paper has 512"),
        Setting::whole("width", 128, 4, Some(65_536), "the channels; the paper's base size has 768"),
        Setting::whole("depth", 2, 1, Some(256), "the number of blocks; the paper's base size has 12"),
        Setting::whole("heads", 2, 1, Some(1024), "the number of heads, each with an equal share of the channels"),
    ]
}

fn check(config: &Config) -> Result<()> {
    transformer::check_tokens(config, config.classes)
}

fn read(shape: &ShapeOf<'_>) -> Option<Read> {
    let [vocabulary, width] = shape(WORDS)?[..] else { return None };
    let [block, _] = shape(POSITIONS)?[..] else { return None };
    let named = |layer: u32| shape(&format!("bert.encoder.layer.{layer}.output.dense.weight")).is_some();
    let depth = (0..256).take_while(|&layer| named(layer)).count();
    let settings = [
        ("block", block.to_string()),
        ("width", width.to_string()),
        ("depth", depth.to_string()),
        ("heads", usual_heads(width).to_string()),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value)).to_vec();
    Some(Read { settings, classes: vocabulary, input: Some(Tokens { length: block, vocabulary }.into()) })
}

/// Tokens `[n, length, 1, 1]` to logits of the token at each place, `[n, length, 1, vocabulary]`.
fn record(t: &mut Tape, tokens: Tensor, config: &Config) -> Tensor {
    let (set, classes) = (&config.settings, config.classes);
    let width = set.whole("width");
    let (words, x) = t.scope("bert", |t| {
        let (words, mut x) = t.scope("embeddings", |t| embed(t, tokens, classes, set));
        for layer in 0..set.whole("depth") {
            x = t.scope(format!("encoder.layer.{layer}"), |t| block(t, x, set));
        }
        (words, x)
    });
    t.scope("cls.predictions", |t| {
        let x = t.scope("transform", |t| {
            let x = dense(t, x, "dense", width, Activation::Gelu);
            norm(t, x)
        });
        let x = in_f32(t, x);
        let y = linear_tied(t, x, words);
        bias(t, y, Init::Constant(0.0), Activation::None)
    })
}

/// The sum of the embeddings of tokens, of their type and of their places, normalized.
fn embed(t: &mut Tape, tokens: Tensor, classes: u32, set: &Settings) -> (Param, Tensor) {
    let (width, init) = (set.whole("width"), Init::Normal(DEVIATION));
    let (x, words) = t.scope("word_embeddings", |t| embedding(t, tokens, classes, width, init));
    let places = Shape::Matrix { outputs: set.whole("block"), inputs: width };
    let x = t.scope("position_embeddings", |t| add_positions(t, x, "weight", places, init));
    let x = t.scope("token_type_embeddings", |t| add_first_row(t, x, init));
    let x = norm(t, x);
    (words, dropout(t, x, t.dropout))
}

/// `norm(x + attention(x))`, and then `norm(x + mlp(x))`.
fn block(t: &mut Tape, x: Tensor, set: &Settings) -> Tensor {
    let (width, heads) = (set.whole("width"), set.whole("heads"));
    let x = t.scope("attention", |t| {
        let y = t.scope("self", |t| {
            let [query, key, value] = ["query", "key", "value"].map(|name| dense(t, x, name, width, Activation::None));
            let qkv = pack(t, query, key, value);
            attention(t, qkv, Attention { heads, causal: false, dropout: t.dropout })
        });
        t.scope("output", |t| output(t, y, x))
    });
    let y = t.scope("intermediate", |t| dense(t, x, "dense", 4 * width, Activation::Gelu));
    t.scope("output", |t| output(t, y, x))
}

/// The last layer of a branch, added to what the branch began with, and normalized.
fn output(t: &mut Tape, y: Tensor, x: Tensor) -> Tensor {
    let width = t.shape(x)[3];
    let y = dense(t, y, "dense", width, Activation::None);
    let y = dropout(t, y, t.dropout);
    let sum = add(t, y, x);
    norm(t, sum)
}

fn norm(t: &mut Tape, x: Tensor) -> Tensor {
    t.scope("LayerNorm", |t| layer_norm(t, x, LayerNorm { eps: 1e-12, ..LayerNorm::default() }))
}

fn dense(t: &mut Tape, x: Tensor, name: &str, outputs: u32, activation: Activation) -> Tensor {
    t.scope(name, |t| {
        let y = linear_of(t, x, outputs, Init::Normal(DEVIATION));
        bias(t, y, Init::Constant(0.0), activation)
    })
}
