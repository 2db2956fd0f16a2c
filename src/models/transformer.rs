//! What transformers share: their first weights, and how their channels are divided among heads.

use super::{Config, MOST_FLOATS};
use crate::{
    error::{Error, Result},
    settings::Settings,
};

/// The standard deviation of the first weights, as in GPT-2 and timm's ViT.
pub(super) const DEVIATION: f32 = 0.02;

/// The channels of a head in every published size of GPT-2 and ViT.
const OF_HEAD: u32 = 64;

/// The heads of a file's network, which no shape tells.
pub(super) fn usual_heads(width: u32) -> u32 {
    if width.is_multiple_of(OF_HEAD) { width / OF_HEAD } else { 1 }
}

/// Refuses samples of more tokens than the setting `block`, and what [`check`] refuses of layers at their places, of which the widest has
/// `outputs` channels unless a hidden layer is wider.
pub(super) fn check_tokens(config: &Config, outputs: u32) -> Result<()> {
    let (block, length) = (config.settings.whole("block"), config.tokens().length);
    if length > block {
        let message = format!("samples of {length} tokens are longer than the block of {block} that the network sees");
        return Err(Error::config(message, format!("'block' is at least {length}")));
    }
    check(&config.settings, length.into(), outputs)
}

/// Refuses settings `width` and `heads` that do not go together, and an activation that is too large to be counted: the hidden
/// layers, of four times as many channels, at so many places, or the outputs at each place. A network is recorded with counts of 32
/// bits, so that this comes first.
pub(super) fn check(set: &Settings, places: u64, outputs: u32) -> Result<()> {
    let [width, heads] = ["width", "heads"].map(|key| set.whole(key));
    if !width.is_multiple_of(4 * heads) {
        let message = format!("a width of {width} channels cannot be shared by {heads} heads");
        return Err(Error::config(message, "each head has the same number of channels, a multiple of four"));
    }
    let largest = places * u64::from((4 * width).max(outputs));
    if largest > MOST_FLOATS {
        let message = format!("an activation at {places} places has {largest} floats");
        let hint = format!("at most {MOST_FLOATS} are possible; fewer places and a narrower network have fewer");
        return Err(Error::config(message, hint));
    }
    Ok(())
}
