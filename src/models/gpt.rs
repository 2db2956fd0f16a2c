//! GPT-2 (Radford, Wu, Child and others 2019), a causal language model of pre-norm transformer blocks with learned positions,
//! with the names, the first weights and the options of nanoGPT.

use super::{Config, MOST_FLOATS, Model, Read, ShapeOf, Signature, Takes, in_f32};
use crate::{
    data::Tokens,
    error::{Error, Result},
    ops::{
        Activation, Attention, activate, add, add_positions, attention, bias, dropout, embedding, layer_norm,
        linear_of, linear_tied,
    },
    program::{Tape, Tensor, params::Init},
    settings::{Setting, Settings},
};

/// The model's entry in the registry.
pub const MODEL: Model = Model {
    about: "GPT-2: a causal transformer of tokens, as nanoGPT has it",
    settings,
    check,
    takes: Takes::Tokens,
    known_by: Some(Signature {
        first: WORDS,
        last: |config| if config.settings.flag("tied") { WORDS.into() } else { HEAD.into() },
        shapes: "[vocabulary, width], and transformer.wpe.weight [block, width]",
        is: |shape| shape(POSITIONS).is_some(),
        untold: &["heads", "gelu"],
        read,
    }),
    ..Model::new("gpt", record)
};

const WORDS: &str = "transformer.wte.weight";
const POSITIONS: &str = "transformer.wpe.weight";
const HEAD: &str = "lm_head.weight";

/// The standard deviation of the first weights, as in GPT-2.
const DEVIATION: f32 = 0.02;

/// The channels of a head where a file of weights does not tell the number of heads, as in every size of GPT-2.
const OF_HEAD: u32 = 64;

fn settings() -> Vec<Setting> {
    vec![
        Setting::whole("block", 64, 1, Some(65_536), "the tokens that the network sees at once; GPT-2 has 1024"),
        Setting::whole("width", 128, 4, Some(65_536), "the channels; GPT-2 has 768"),
        Setting::whole("depth", 4, 1, Some(256), "the number of blocks; GPT-2 has 12"),
        Setting::whole("heads", 4, 1, Some(1024), "the number of heads, each with an equal share of the channels"),
        Setting::flag("bias", true, "whether linear layers and norms have a bias"),
        Setting::choice(
            "gelu",
            &["exact", "tanh"],
            "the activation: GELU by erf, as in nanoGPT, or by tanh, as in GPT-2",
        ),
        Setting::flag("tied", true, "whether the last layer has the weight of the token embedding"),
    ]
}

fn check(config: &Config) -> Result<()> {
    let [width, heads, block] = ["width", "heads", "block"].map(|key| config.settings.whole(key));
    if !width.is_multiple_of(4 * heads) {
        let message = format!("a width of {width} channels cannot be shared by {heads} heads");
        return Err(Error::config(message, "each head has the same number of channels, a multiple of four"));
    }
    let Tokens { length, .. } = config.tokens();
    if length > block {
        let message = format!("samples of {length} tokens are longer than the block of {block} that the network sees");
        return Err(Error::config(message, format!("'block' is at least {length}")));
    }
    // A network is recorded with counts of 32 bits, so that this comes first: the hidden layer, or the logits, are the largest.
    let largest = u64::from(length) * u64::from((4 * width).max(config.classes));
    if largest > MOST_FLOATS {
        let message = format!("a block of {length} tokens has an activation of {largest} floats");
        let hint = format!("at most {MOST_FLOATS} are possible, and a shorter block or a narrower network has fewer");
        return Err(Error::config(message, hint));
    }
    Ok(())
}

fn read(shape: &ShapeOf<'_>) -> Option<Read> {
    let [vocabulary, width] = shape(WORDS)?[..] else { return None };
    let [block, _] = shape(POSITIONS)?[..] else { return None };
    let named = |layer: u32, name: &str| shape(&format!("transformer.h.{layer}.{name}")).is_some();
    let depth = (0..256).take_while(|&layer| named(layer, "ln_1.weight")).count();
    let heads = if width.is_multiple_of(OF_HEAD) { width / OF_HEAD } else { 1 };
    let numbers = [("block", block), ("width", width), ("depth", depth as u32), ("heads", heads)];
    let flags = [("bias", named(0, "ln_1.bias")), ("tied", shape(HEAD).is_none())];
    let numbers = numbers.map(|(key, value)| (key.to_owned(), value.to_string()));
    let flags = flags.map(|(key, value)| (key.to_owned(), value.to_string()));
    let settings = numbers.into_iter().chain(flags).collect();
    Some(Read { settings, classes: vocabulary, input: Some(Tokens { length: block, vocabulary }.into()) })
}

/// Tokens `[n, length, 1, 1]` to logits of the tokens that follow each of them, `[n, length, 1, vocabulary]`.
fn record(t: &mut Tape, tokens: Tensor, config: &Config) -> Tensor {
    let (set, classes) = (&config.settings, config.classes);
    let (words, x) = t.scope("transformer", |t| {
        let init = Init::Normal(DEVIATION);
        let (x, words) = t.scope("wte", |t| embedding(t, tokens, classes, set.whole("width"), init));
        let x = t.scope("wpe", |t| add_positions(t, x, set.whole("block"), init));
        let mut x = t.scope("drop", |t| dropout(t, x, t.dropout));
        for layer in 0..set.whole("depth") {
            x = t.scope(format!("h.{layer}"), |t| block(t, x, set));
        }
        (words, t.scope("ln_f", |t| layer_norm(t, x, set.flag("bias"))))
    });
    let x = in_f32(t, x);
    t.scope("lm_head", |t| match set.flag("tied") {
        true => linear_tied(t, x, words),
        false => linear_of(t, x, classes, Init::Normal(DEVIATION)),
    })
}

/// `x + attention(norm(x))`, and then `x + mlp(norm(x))`.
fn block(t: &mut Tape, x: Tensor, set: &Settings) -> Tensor {
    let (width, biased) = (set.whole("width"), set.flag("bias"));
    let y = t.scope("ln_1", |t| layer_norm(t, x, biased));
    let y = t.scope("attn", |t| {
        let qkv = t.scope("c_attn", |t| linear(t, y, 3 * width, set, Activation::None));
        let options = Attention { heads: set.whole("heads"), causal: true, dropout: t.dropout };
        let y = attention(t, qkv, options);
        t.scope("c_proj", |t| project(t, y, set))
    });
    let x = add(t, x, y);
    let y = t.scope("ln_2", |t| layer_norm(t, x, biased));
    let y = t.scope("mlp", |t| {
        let gelu = if set.choice("gelu") == "tanh" { Activation::GeluTanh } else { Activation::Gelu };
        let y = t.scope("c_fc", |t| linear(t, y, 4 * width, set, gelu));
        t.scope("c_proj", |t| project(t, y, set))
    });
    add(t, x, y)
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
