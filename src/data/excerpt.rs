//! What a split of a set of text looks like: how many tokens and blocks, how the text begins, and which tokens are frequent.

use serde::Serialize;

use super::{Dataset, Split, Vocabulary};
use crate::error::{Error, Result};

/// Characters of the text's beginning.
const SHOWN: usize = 200;
/// The most tokens that are counted. Sets may have billions, of which the first tell enough.
const MOST_COUNTED: u64 = 1 << 24;

/// About one split of a set of text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Excerpt {
    /// Tokens.
    pub tokens: u64,
    /// Samples.
    pub blocks: u64,
    /// How the text begins.
    pub begins: String,
    /// Tokens from the beginning that were counted.
    pub counted: u64,
    /// The tokens that were found and how often, the most frequent first.
    pub frequent: Vec<Frequent>,
}

/// How often a token was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Frequent {
    /// What it stands for.
    pub token: String,
    /// How often it was found.
    pub count: u64,
}

/// Reads the beginning of `split`, and names up to `most` tokens.
///
/// # Errors
/// [`Error::Config`] if the set has images; what [`Dataset::read`] returns.
pub fn excerpt(dataset: &dyn Dataset, split: Split, most: usize) -> Result<Excerpt> {
    let spec = dataset.spec();
    let Some(size) = spec.input.tokens() else {
        let message = format!("{} has images, and text is needed", spec.name);
        return Err(Error::config(message, "give a set of text by 'data' or 'dataset'"));
    };
    let (mut input, mut targets) = (vec![0; spec.input.bytes()], vec![0; size.length as usize]);
    let (mut counts, mut beginning) = (vec![0; spec.classes.len()], vec![]);
    let counted = dataset.len(split).min((MOST_COUNTED / u64::from(size.length)).max(1) as usize);
    for index in 0..counted {
        dataset.read(split, index, &mut input, &mut targets)?;
        let tokens = input.chunks_exact(4).map(|token| u32::from_le_bytes([token[0], token[1], token[2], token[3]]));
        for token in tokens {
            counts[token as usize] += 1;
            // A token of bytes is a part of a character, and others are at least one; four bytes make one at most.
            if beginning.len() < 4 * SHOWN {
                beginning.push(token);
            }
        }
    }
    Ok(Excerpt {
        tokens: dataset.tokens(split),
        blocks: dataset.len(split) as u64,
        begins: Vocabulary::of(&spec.classes).decode(&beginning).chars().take(SHOWN).collect(),
        counted: counted as u64 * u64::from(size.length),
        frequent: frequent(&counts, &spec.classes, most),
    })
}

/// Names and counts of the tokens that were found, the most frequent first, and of equally frequent ones the lower.
fn frequent(counts: &[u64], classes: &[String], most: usize) -> Vec<Frequent> {
    let mut found: Vec<(u64, &String)> = counts.iter().copied().zip(classes).filter(|(count, _)| *count > 0).collect();
    found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    found.into_iter().take(most).map(|(count, token)| Frequent { token: token.clone(), count }).collect()
}
