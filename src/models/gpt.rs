//! GPT-2 (Radford, Wu, Child and others 2019), a causal language model of pre-norm transformer blocks, with the names, the first
//! weights and the options of nanoGPT, and the parts that later models have in place of GPT-2's: rotary positions, RMS norm,
//! normalized queries and keys, and a squared ReLU.

use super::{
    Config, Model, Preset, Read, ShapeOf, Signature, Takes, in_f32,
    transformer::{self, DEVIATION, usual_heads},
};
use crate::{
    data::Tokens,
    error::{Error, Result},
    ops::{
        Activation, Attention, LayerNorm, activate, add, add_positions, attention, bias, dropout, embedding,
        layer_norm, linear_of, linear_tied, qk_norm, rms_norm, rope,
    },
    program::{
        Tape, Tensor,
        params::{Init, Shape},
    },
    settings::{Setting, Settings},
};

/// The model's entry in the registry.
pub const MODEL: Model = Model {
    about: "GPT-2: a causal transformer of tokens, as nanoGPT has it",
    settings,
    presets: PRESETS,
    check,
    takes: Takes::Tokens,
    known_by: Some(Signature {
        first: WORDS,
        last: |config| if config.settings.flag("tied") { WORDS.into() } else { HEAD.into() },
        shapes: "[vocabulary, width], and transformer.wpe.weight [block, width] unless positions are rotary",
        is: |shape| shape("transformer.h.0.attn.c_attn.weight").is_some(),
        read,
    }),
    of_classes: &[WORDS],
    untold,
    ..Model::new("gpt", record)
};

/// The sizes of GPT-2 that fit one buffer, and the small one of nanoGPT's first example.
const PRESETS: &[Preset] = &[
    Preset {
        name: "baby",
        set: &[("block", "256"), ("width", "384"), ("depth", "6"), ("heads", "6"), ("bias", "false")],
    },
    Preset { name: "gpt2", set: &[("block", "1024"), ("width", "768"), ("depth", "12"), ("heads", "12")] },
    Preset { name: "gpt2-medium", set: &[("block", "1024"), ("width", "1024"), ("depth", "24"), ("heads", "16")] },
    Preset { name: "gpt2-large", set: &[("block", "1024"), ("width", "1280"), ("depth", "36"), ("heads", "20")] },
];

const WORDS: &str = "transformer.wte.weight";
const POSITIONS: &str = "transformer.wpe.weight";
const HEAD: &str = "lm_head.weight";

/// The default of the setting `block`.
const BLOCK: u32 = 64;

fn settings() -> Vec<Setting> {
    vec![
        Setting::whole("block", BLOCK, 1, Some(65_536), "the tokens that the network sees at once; GPT-2 has 1024"),
        Setting::whole("width", 128, 4, Some(65_536), "the channels; GPT-2 has 768"),
        Setting::whole("depth", 4, 1, Some(256), "the number of blocks; GPT-2 has 12"),
        Setting::whole("heads", 4, 1, Some(1024), "the number of heads, each with an equal share of the channels"),
        Setting::flag("bias", true, "whether linear layers and layer norms have a bias"),
        Setting::choice(
            "activation",
            &["gelu", "gelu_tanh", "relu2"],
            "GELU by erf, as in nanoGPT, or by tanh, as in GPT-2, or the square of ReLU",
        ),
        Setting::choice("norm", &["layer", "rms"], "layer norm or RMS norm, which has no bias"),
        Setting::choice(
            "positions",
            &["learned", "rope"],
            "a learned embedding, or queries and keys rotated by their place",
        ),
        Setting::flag("qk_norm", false, "whether queries and keys are divided by the root of their mean square"),
        Setting::flag("tied", true, "whether the last layer has the weight of the token embedding"),
    ]
}

fn check(config: &Config) -> Result<()> {
    let Config { settings, classes, .. } = config;
    transformer::check_tokens(config, *classes)?;
    let [width, heads] = ["width", "heads"].map(|key| settings.whole(key));
    if rotary(settings) && !width.is_multiple_of(8 * heads) {
        let message = format!("{heads} heads share a width of {width} channels, too few for rotary positions");
        return Err(Error::config(message, "each head has a multiple of eight channels"));
    }
    Ok(())
}

/// Without biases both norms have the same tensors, and rotary positions have none.
fn untold(set: &Settings) -> Vec<&'static str> {
    let norm = (!set.flag("bias")).then_some("norm");
    let block = rotary(set).then_some("block");
    ["heads", "activation", "qk_norm"].into_iter().chain(norm).chain(block).collect()
}

fn read(shape: &ShapeOf<'_>) -> Option<Read> {
    let [vocabulary, width] = shape(WORDS)?[..] else { return None };
    let block = shape(POSITIONS).and_then(|dims| dims.first().copied());
    let named = |layer: u32, name: &str| shape(&format!("transformer.h.{layer}.{name}")).is_some();
    let depth = (0..256).take_while(|&layer| named(layer, "ln_1.weight")).count();
    let biased = named(0, "attn.c_attn.bias");
    let norm = if biased && !named(0, "ln_1.bias") { "rms" } else { "layer" };
    let positions = if block.is_some() { "learned" } else { "rope" };
    let settings = [
        ("width", width.to_string()),
        ("depth", depth.to_string()),
        ("heads", usual_heads(width).to_string()),
        ("bias", biased.to_string()),
        ("tied", shape(HEAD).is_none().to_string()),
        ("norm", norm.to_owned()),
        ("positions", positions.to_owned()),
    ];
    let settings = settings.into_iter().chain(block.map(|block| ("block", block.to_string())));
    let settings = settings.map(|(key, value)| (key.to_owned(), value)).collect();
    let input = Tokens { length: block.unwrap_or(BLOCK), vocabulary }.into();
    Some(Read { settings, classes: vocabulary, input: Some(input) })
}

/// Tokens `[n, length, 1, 1]` to logits of the tokens that follow each of them, `[n, length, 1, vocabulary]`.
fn record(t: &mut Tape, tokens: Tensor, config: &Config) -> Tensor {
    let (set, classes) = (&config.settings, config.classes);
    let (words, x) = t.scope("transformer", |t| {
        let init = Init::Normal(DEVIATION);
        let width = set.whole("width");
        let (mut x, words) = t.scope("wte", |t| embedding(t, tokens, classes, width, init));
        if !rotary(set) {
            let shape = Shape::Matrix { outputs: set.whole("block"), inputs: width };
            x = t.scope("wpe", |t| add_positions(t, x, "weight", shape, init));
        }
        let mut x = t.scope("drop", |t| dropout(t, x, t.dropout));
        for layer in 0..set.whole("depth") {
            x = t.scope(format!("h.{layer}"), |t| block(t, x, set));
        }
        (words, t.scope("ln_f", |t| norm(t, x, set)))
    });
    let x = in_f32(t, x);
    t.scope("lm_head", |t| match set.flag("tied") {
        true => linear_tied(t, x, words),
        false => linear_of(t, x, classes, Init::Normal(DEVIATION)),
    })
}

/// `x + attention(norm(x))`, and then `x + mlp(norm(x))`.
fn block(t: &mut Tape, x: Tensor, set: &Settings) -> Tensor {
    let (width, heads) = (set.whole("width"), set.whole("heads"));
    let y = t.scope("ln_1", |t| norm(t, x, set));
    let y = t.scope("attn", |t| {
        let mut qkv = t.scope("c_attn", |t| linear(t, y, 3 * width, set, Activation::None));
        if set.flag("qk_norm") {
            qkv = qk_norm(t, qkv, heads);
        }
        if rotary(set) {
            qkv = rope(t, qkv, heads);
        }
        let options = Attention { heads, causal: true, dropout: t.dropout };
        let y = attention(t, qkv, options);
        t.scope("c_proj", |t| project(t, y, set))
    });
    let x = add(t, x, y);
    let y = t.scope("ln_2", |t| norm(t, x, set));
    let y = t.scope("mlp", |t| {
        let activation = match set.choice("activation") {
            "relu2" => Activation::Relu2,
            "gelu_tanh" => Activation::GeluTanh,
            _ => Activation::Gelu,
        };
        let y = t.scope("c_fc", |t| linear(t, y, 4 * width, set, activation));
        t.scope("c_proj", |t| project(t, y, set))
    });
    add(t, x, y)
}

fn rotary(set: &Settings) -> bool {
    set.choice("positions") == "rope"
}

fn norm(t: &mut Tape, x: Tensor, set: &Settings) -> Tensor {
    match set.choice("norm") {
        "rms" => rms_norm(t, x),
        _ => layer_norm(t, x, LayerNorm { bias: set.flag("bias"), ..LayerNorm::default() }),
    }
}

fn linear(t: &mut Tape, x: Tensor, outputs: u32, set: &Settings, activation: Activation) -> Tensor {
    let y = linear_of(t, x, outputs, Init::Normal(DEVIATION));
    behind(t, y, set, activation)
}

/// The last layer of a branch, with first weights that keep the variance of the sum of all branches, and dropout.
fn project(t: &mut Tape, x: Tensor, set: &Settings) -> Tensor {
    let branches = (2 * set.whole("depth")) as f32;
    let y = linear_of(t, x, set.whole("width"), Init::Normal(DEVIATION / branches.sqrt()));
    let y = behind(t, y, set, Activation::None);
    dropout(t, y, t.dropout)
}

/// What follows a product: a bias, if the network has them, and an activation.
fn behind(t: &mut Tape, y: Tensor, set: &Settings, activation: Activation) -> Tensor {
    match set.flag("bias") {
        true => bias(t, y, Init::Constant(0.0), activation),
        false => activate(t, y, activation),
    }
}
