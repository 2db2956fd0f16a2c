//! The transformer of an encoder and a decoder (Vaswani, Shazeer, Parmar and others 2017) as a language model, as VRAdam's
//! experiment with WikiText-2 has it: PyTorch's `nn.Transformer` between two embeddings with sinusoidal positions and a linear layer,
//! with the names and the first weights of its code.
//!
//! Encoder and decoder both take the block of tokens. In that code the encoder's places see all of it, and so the tokens that are
//! to be predicted, each one place later; `causal=false` is that network. With `causal=true`, the default, places of the encoder,
//! and those of the decoder that look at it, see themselves and earlier ones.

use super::{
    Config, Model, Preset, Quick, Read, ShapeOf, Signature, Takes, in_f32,
    transformer::{self, usual_heads},
};
use crate::{
    data::Tokens,
    error::Result,
    ops::{
        Activation, Attention, LayerNorm, add, add_sinusoids, attention, bias, bias_called, cross, dropout, embedding,
        layer_norm, linear_by, linear_of, scale,
    },
    program::{
        Tape, Tensor,
        params::{Init, Role, Shape},
    },
    settings::{Setting, Settings},
};

/// The model's entry in the registry.
pub const MODEL: Model = Model {
    about: "PyTorch's nn.Transformer, an encoder and a decoder, of tokens",
    settings,
    presets: PRESETS,
    quick: Quick::Set(&[("width", "64"), ("hidden", "128"), ("heads", "4")]),
    check,
    takes: Takes::Tokens,
    known_by: Some(Signature {
        first: WORDS,
        last: |_| HEAD.into(),
        shapes: "[vocabulary, width] both",
        is: |shape| shape("transformer.encoder.layers.0.self_attn.in_proj_weight").is_some(),
        read,
    }),
    of_classes: &[WORDS, "decoder_embedding.weight"],
    untold: |_| vec!["heads", "block", "causal"],
    ..Model::new("seq2seq", record)
};

/// The network of VRAdam's experiment, whose samples of 64 tokens are 63 of them and the same one later.
const PRESETS: &[Preset] = &[Preset {
    name: "vradam",
    set: &[("block", "63"), ("width", "128"), ("hidden", "256"), ("depth", "2"), ("heads", "8"), ("causal", "false")],
}];

const WORDS: &str = "encoder_embedding.weight";
const HEAD: &str = "output_layer.weight";

/// The default of the setting `block`.
const BLOCK: u32 = 64;

/// Bounds of the first weights of embeddings and head.
const RANGE: f32 = 0.1;

fn settings() -> Vec<Setting> {
    vec![
        Setting::whole("block", BLOCK, 1, Some(65_536), "the tokens that the network sees at once"),
        Setting::whole("width", 128, 4, Some(65_536), "the channels"),
        Setting::whole("hidden", 256, 1, Some(65_536), "the channels between the two linear layers of a block"),
        Setting::whole("depth", 2, 1, Some(256), "the number of blocks of the encoder, and of the decoder"),
        Setting::whole("heads", 8, 1, Some(1024), "the number of heads, each with an equal share of the channels"),
        Setting::flag("causal", true, "whether the encoder's places see earlier ones only, and not what is predicted"),
    ]
}

fn check(config: &Config) -> Result<()> {
    transformer::check_tokens(config, config.classes.max(config.settings.whole("hidden")))
}

fn read(shape: &ShapeOf<'_>) -> Option<Read> {
    let [vocabulary, width] = shape(WORDS)?[..] else { return None };
    let [classes, _] = shape(HEAD)?[..] else { return None };
    let [hidden, _] = shape("transformer.encoder.layers.0.linear1.weight")?[..] else { return None };
    let named = |layer: &u32| shape(&format!("transformer.encoder.layers.{layer}.norm1.weight")).is_some();
    let depth = (0..256).take_while(named).count();
    let settings = [
        ("width", width.to_string()),
        ("hidden", hidden.to_string()),
        ("depth", depth.to_string()),
        ("heads", usual_heads(width).to_string()),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value)).to_vec();
    Some(Read { settings, classes, input: Some(Tokens { length: BLOCK, vocabulary }.into()) })
}

/// Tokens `[n, length, 1, 1]` to logits of the tokens that follow each of them, `[n, length, 1, vocabulary]`.
fn record(t: &mut Tape, tokens: Tensor, config: &Config) -> Tensor {
    let set = &config.settings;
    let depth = set.whole("depth");
    let [source, mut x] =
        ["encoder_embedding", "decoder_embedding"].map(|name| t.scope(name, |t| embed(t, tokens, config)));
    let x = t.scope("transformer", |t| {
        let memory = t.scope("encoder", |t| {
            let mut x = source;
            for layer in 0..depth {
                x = t.scope(format!("layers.{layer}"), |t| {
                    let x = t.scope("self_attn", |t| attend(t, x, None, set, set.flag("causal")));
                    let x = t.scope("norm1", norm(x));
                    let y = feed_forward(t, x, set);
                    t.scope("norm2", norm(y))
                });
            }
            t.scope("norm", norm(x))
        });
        t.scope("decoder", |t| {
            for layer in 0..depth {
                x = t.scope(format!("layers.{layer}"), |t| {
                    let x = t.scope("self_attn", |t| attend(t, x, None, set, true));
                    let x = t.scope("norm1", norm(x));
                    let x = t.scope("multihead_attn", |t| attend(t, x, Some(memory), set, set.flag("causal")));
                    let x = t.scope("norm2", norm(x));
                    let y = feed_forward(t, x, set);
                    t.scope("norm3", norm(y))
                });
            }
            t.scope("norm", norm(x))
        })
    });
    let x = in_f32(t, x);
    t.scope("output_layer", |t| {
        linear(t, x, config.classes, Init::Within(RANGE), Init::Constant(0.0), Activation::None)
    })
}

/// Tokens as channels, and where they stand.
fn embed(t: &mut Tape, tokens: Tensor, config: &Config) -> Tensor {
    let width = config.settings.whole("width");
    let (x, _) = embedding(t, tokens, config.classes, width, Init::Within(RANGE));
    let x = scale(t, x, (width as f32).sqrt());
    let x = add_sinusoids(t, x);
    dropout(t, x, t.dropout)
}

/// `x + attention(x, memory)`, where without a memory keys and values are of `x` too.
fn attend(t: &mut Tape, x: Tensor, memory: Option<Tensor>, set: &Settings, causal: bool) -> Tensor {
    let (width, heads) = (set.whole("width"), set.whole("heads"));
    let shape = Shape::Matrix { outputs: 3 * width, inputs: width };
    let weight = t.param("in_proj_weight", shape, xavier(width, 3 * width), Role::Weight);
    let mut qkv = linear_by(t, x, weight);
    if let Some(memory) = memory {
        let theirs = linear_by(t, memory, weight);
        qkv = cross(t, qkv, theirs);
    }
    let qkv = bias_called(t, qkv, "in_proj_bias", Init::Constant(0.0), Activation::None);
    let y = attention(t, qkv, Attention { heads, causal, dropout: t.dropout });
    let y = t.scope("out_proj", |t| linear(t, y, width, xavier(width, width), Init::Constant(0.0), Activation::None));
    let y = dropout(t, y, t.dropout);
    add(t, x, y)
}

/// `x + mlp(x)`
fn feed_forward(t: &mut Tape, x: Tensor, set: &Settings) -> Tensor {
    let (width, hidden) = (set.whole("width"), set.whole("hidden"));
    let init = xavier(width, hidden);
    let y = t.scope("linear1", |t| linear(t, x, hidden, init, Init::Uniform { fan: width }, Activation::Relu));
    let y = dropout(t, y, t.dropout);
    let y = t.scope("linear2", |t| linear(t, y, width, init, Init::Uniform { fan: hidden }, Activation::None));
    let y = dropout(t, y, t.dropout);
    add(t, x, y)
}

/// Glorot and Bengio 2010, equation 16: PyTorch's `xavier_uniform_`.
fn xavier(inputs: u32, outputs: u32) -> Init {
    Init::Within((6.0 / (inputs + outputs) as f32).sqrt())
}

fn norm(x: Tensor) -> impl FnOnce(&mut Tape) -> Tensor {
    move |t| layer_norm(t, x, LayerNorm::default())
}

fn linear(t: &mut Tape, x: Tensor, outputs: u32, weight: Init, first: Init, activation: Activation) -> Tensor {
    let x = linear_of(t, x, outputs, weight);
    bias(t, x, first, activation)
}
