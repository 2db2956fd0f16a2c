//! A recurrent language model: an embedding, layers of an LSTM, and a linear layer, with the names, the first weights and the dropout
//! of PyTorch's example `word_language_model`, whose sizes are those of Zaremba, Sutskever, Vinyals 2014 (arXiv 1409.2329). It reads
//! a text in columns and carries its state from each block to the next.

use super::{Config, MOST_FLOATS, Model, Preset, Read, ShapeOf, Signature, Takes, in_f32};
use crate::{
    data::Tokens,
    error::{Error, Result},
    ops::{Activation, bias, dropout, embedding, linear_of, linear_tied, lstm},
    program::{Tape, Tensor, params::Init},
    settings::Setting,
};

/// The model's entry in the registry.
pub const MODEL: Model = Model {
    about: "a recurrent language model: an LSTM that carries its state through the text, as PyTorch's word_language_model",
    settings,
    presets: PRESETS,
    check,
    takes: Takes::Tokens,
    carries_state: true,
    known_by: Some(Signature {
        first: "rnn.weight_ih_l0",
        last: |config| if config.settings.flag("tied") { WORDS.into() } else { HEAD.into() },
        shapes: "[4 width, width], and [vocabulary, width]",
        is: |shape| shape(WORDS).is_some(),
        read,
    }),
    of_classes: &[WORDS, "decoder.bias"],
    untold: |_| vec!["block"],
    ..Model::new("lstm", record)
};

/// The sizes in the example's README.
const PRESETS: &[Preset] = &[
    Preset { name: "small", set: &[("width", "200")] },
    Preset { name: "medium", set: &[("width", "650"), ("tied", "true")] },
    Preset { name: "large", set: &[("width", "1500"), ("tied", "true")] },
];

const WORDS: &str = "encoder.weight";
const HEAD: &str = "decoder.weight";

/// The default of the setting `block`.
const BLOCK: u32 = 35;

/// The first weights of the embedding and of the last layer are uniform within ±0.1.
const FIRST: Init = Init::Within(0.1);

fn settings() -> Vec<Setting> {
    vec![
        Setting::whole("block", BLOCK, 1, Some(1024), "the tokens through which gradients go back"),
        Setting::whole("width", 200, 1, Some(65_536), "the channels of the embedding and the units of a layer"),
        Setting::whole("depth", 2, 1, Some(16), "the number of layers"),
        Setting::flag("tied", false, "whether the last layer has the weight of the embedding"),
    ]
}

fn check(config: &Config) -> Result<()> {
    let (width, Tokens { length, .. }) = (u64::from(config.settings.whole("width")), config.tokens());
    let largest = u64::from(length) * (4 * width).max(config.classes.into());
    if largest > MOST_FLOATS {
        let message = format!("an activation of {length} tokens has {largest} floats");
        let hint = format!("at most {MOST_FLOATS} are possible; a smaller 'block' and a narrower network have fewer");
        return Err(Error::config(message, hint));
    }
    Ok(())
}

fn read(shape: &ShapeOf<'_>) -> Option<Read> {
    let [vocabulary, width] = shape(WORDS)?[..] else { return None };
    // The units of a layer are as many as the channels of the embedding.
    if shape("rnn.weight_hh_l0")?[..] != [4 * width, width] {
        return None;
    }
    let depth = (0..16).take_while(|layer| shape(&format!("rnn.weight_hh_l{layer}")).is_some()).count();
    let tied = shape(HEAD).is_none();
    let settings = [("width", width.to_string()), ("depth", depth.to_string()), ("tied", tied.to_string())];
    let settings = settings.map(|(key, value)| (key.to_owned(), value)).into();
    let input = Tokens { length: BLOCK, vocabulary }.into();
    Some(Read { settings, classes: vocabulary, input: Some(input) })
}

/// Tokens `[n, length, 1, 1]` to logits of the tokens that follow each of them, `[n, length, 1, vocabulary]`.
fn record(t: &mut Tape, tokens: Tensor, config: &Config) -> Tensor {
    let (set, classes) = (&config.settings, config.classes);
    let (width, depth) = (set.whole("width"), set.whole("depth"));
    let (mut x, words) = t.scope("encoder", |t| embedding(t, tokens, classes, width, FIRST));
    x = t.scope("drop", |t| dropout(t, x, t.dropout));
    x = t.scope("rnn", |t| {
        let mut x = x;
        for layer in 0..depth {
            if layer > 0 {
                x = dropout(t, x, t.dropout);
            }
            x = lstm(t, x, width, layer);
        }
        x
    });
    x = t.scope("drop", |t| dropout(t, x, t.dropout));
    let x = in_f32(t, x);
    t.scope("decoder", |t| {
        let y = match set.flag("tied") {
            true => linear_tied(t, x, words),
            false => linear_of(t, x, classes, FIRST),
        };
        bias(t, y, Init::Constant(0.0), Activation::None)
    })
}
