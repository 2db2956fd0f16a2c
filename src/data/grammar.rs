//! A built-in set: text of a small language whose entropy is known, so that a loss can be compared with the least possible one.
//!
//! The language (`grammar/rules.rs`) is a Markov chain. From each of its states a step leads to the next state and writes a word of a fixed
//! lexicon with a space before it, or the end of a sentence: a full stop and a new line. Two steps from one state never write the
//! same word, so that the text tells the states, and its probability is the product of those of its steps. A step from state s
//! is thus worth, in nats and on average,
//!
//! H(s) = -Σ p ln p over the words that can follow s,
//!
//! and the text per character Σ μ(s) H(s) / Σ μ(s) L(s), where μ is the stationary distribution of the chain and L(s) the mean
//! length of a step: the entropy rate of a Markov source (C. E. Shannon, "A Mathematical Theory of Communication", 1948, section 7;
//! T. M. Cover and J. A. Thomas, "Elements of Information Theory", chapter 4, "Entropy Rates of a Stochastic Process"), divided by
//! characters in place of steps. No model has a lower mean cross-entropy. A model of blocks does not see what was before its
//! block, and remains a little above.
//!
//! Words are drawn by whole numbers alone, so that a seed gives the same text on every machine.

mod rules;

use super::{Sizes, Split, Text, Vocabulary, input::MOST_TOKENS};
use crate::{
    error::{Error, Result},
    random::Rng,
};
use rules::{Class, STATES, Step, WORDS};

/// The name of the set.
pub const NAME: &str = "grammar";
/// Characters for training and for validation, unless others are asked for.
pub const SIZES: Sizes = Sizes { train: 500_000, test: 50_000 };
/// The most characters that can be drawn.
pub const LARGEST: usize = 1 << 28;
/// The first word of the key for a text, which no other use of the run's seed has.
const KEY: u64 = 0x6472_6177_0000_0002;
/// What ends a sentence.
const END: &str = ".\n";

/// Draws text of `sizes` characters, in blocks of `length`.
///
/// # Errors
/// [`Error::Config`] if the text is shorter than a block or longer than [`LARGEST`].
pub fn grammar(seed: u64, length: u32, sizes: Sizes) -> Result<Text> {
    let Sizes { train, test } = sizes;
    if !(1..=MOST_TOKENS).contains(&length) || train <= length as usize || train.saturating_add(test) > LARGEST {
        let message = format!("{NAME} with {train} + {test} characters, in blocks of {length}");
        let hint = format!(
            "blocks have from 1 to {MOST_TOKENS} characters, the training text more than one, and both texts at most {LARGEST}"
        );
        return Err(Error::config(message, hint));
    }
    let vocabulary = Vocabulary::characters(&["\n .abcdefghijklmnopqrstuvwxyz"]).expect("few characters");
    let tokens = |split, characters| vocabulary.encode(&draw(seed, split, characters));
    let (train, test) = (tokens(Split::Train, train)?, tokens(Split::Test, test)?);
    Ok(Text::new(NAME, length, vocabulary.into_entries(), train, test).drawn(seed, entropy_rate()))
}

/// The text of a split, which ends after so many characters, if need be within a word.
fn draw(seed: u64, split: Split, characters: usize) -> String {
    let mut rng = Rng::keyed(seed, &[KEY, split as u64]);
    let (mut text, mut state) = (String::with_capacity(characters + 32), 0);
    while text.len() < characters {
        let step = pick(&mut rng, STATES[state], |step| step.weight);
        match step.class {
            None => text += END,
            Some(class) => {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push(' ');
                }
                text += pick(&mut rng, WORDS[class as usize], |word| word.1).0;
            }
        }
        state = step.to as usize;
    }
    text.truncate(characters);
    text
}

/// One of several, each with a probability in proportion to its weight.
fn pick<'a, T>(rng: &mut Rng, from: &'a [T], weight: impl Fn(&T) -> u32) -> &'a T {
    let mut left = rng.below(from.iter().map(&weight).sum());
    let chosen = from.iter().find(|item| {
        let found = left < weight(item);
        left = left.wrapping_sub(weight(item));
        found
    });
    chosen.expect("the weights sum up to more than what is left")
}

/// Nats per character that the text has on average.
pub fn entropy_rate() -> f64 {
    let (mut entropy, mut length) = (0.0, 0.0);
    for (state, share) in stationary().into_iter().enumerate() {
        for (step, p) in steps(state) {
            let (words, letters) = step.class.map_or((0.0, END.len() as f64), of_class);
            // A sentence begins without a space before its first word.
            let space = if step.class.is_some() && state != 0 { 1.0 } else { 0.0 };
            entropy += share * p * (words - p.ln());
            length += share * p * (letters + space);
        }
    }
    entropy / length
}

/// The steps from a state with their probabilities.
fn steps(state: usize) -> impl Iterator<Item = (&'static Step, f64)> {
    let total: u32 = STATES[state].iter().map(|step| step.weight).sum();
    STATES[state].iter().map(move |step| (step, f64::from(step.weight) / f64::from(total)))
}

/// The entropy of a class of words, in nats, and their mean length.
fn of_class(class: Class) -> (f64, f64) {
    let words = WORDS[class as usize];
    let total: u32 = words.iter().map(|word| word.1).sum();
    let each = words.iter().map(|&(word, weight)| (word.len() as f64, f64::from(weight) / f64::from(total)));
    each.fold((0.0, 0.0), |(entropy, mean), (letters, p)| (entropy - p * p.ln(), mean + p * letters))
}

/// The share of steps that begin in each state in the long run. The chain with a chance of one half to stay has the same one, and
/// approaches it from everywhere, whatever its period.
fn stationary() -> Vec<f64> {
    let mut share = vec![1.0 / STATES.len() as f64; STATES.len()];
    for _ in 0..2000 {
        let mut next: Vec<f64> = share.iter().map(|share| share / 2.0).collect();
        for (state, share) in share.iter().enumerate() {
            steps(state).for_each(|(step, p)| next[step.to as usize] += share * p / 2.0);
        }
        share = next;
    }
    share
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// No two steps from a state write the same word, every word is of small letters, and all letters come up.
    #[test]
    fn the_text_tells_its_states() {
        for state in STATES {
            let words: Vec<&str> = state
                .iter()
                .filter_map(|step| step.class)
                .flat_map(|class| WORDS[class as usize])
                .map(|w| w.0)
                .collect();
            assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "{words:?}");
            assert!(state.iter().filter(|step| step.class.is_none()).count() <= 1);
            assert!(words.iter().all(|word| !word.is_empty() && word.bytes().all(|c| c.is_ascii_lowercase())));
        }
        let found: BTreeSet<char> = draw(0, Split::Train, SIZES.train).chars().collect();
        assert_eq!(found.into_iter().collect::<String>(), "\n .abcdefghijklmnopqrstuvwxyz");
    }

    /// The negative logarithm of the probability of a text whose last sentence may be cut off, and the characters that it is of.
    fn surprise(text: &str) -> (f64, usize) {
        let text = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let (mut sum, mut state) = (0.0, 0);
        for sentence in text.lines() {
            for word in sentence.trim_end_matches('.').split(' ').map(Some).chain([None]) {
                let (to, p) = follow(state, word).unwrap_or_else(|| panic!("{word:?} in `{sentence}`"));
                sum -= p.ln();
                state = to;
            }
        }
        (sum, text.len())
    }

    /// Where a word leads to, and its probability.
    fn follow(state: usize, word: Option<&str>) -> Option<(usize, f64)> {
        steps(state).find_map(|(step, p)| match (step.class, word) {
            (None, None) => Some((step.to as usize, p)),
            (Some(class), Some(word)) => {
                let words = WORDS[class as usize];
                let (_, weight) = words.iter().find(|(known, _)| *known == word)?;
                let total: u32 = words.iter().map(|word| word.1).sum();
                Some((step.to as usize, p * f64::from(*weight) / f64::from(total)))
            }
            _ => None,
        })
    }

    /// What the text is worth by the probabilities that it was drawn with comes within one per cent of the formula, for several
    /// seeds and both splits.
    #[test]
    fn the_entropy_is_that_of_the_text() {
        let rate = entropy_rate();
        for (seed, split) in [(0, Split::Train), (1, Split::Train), (2, Split::Test)] {
            let (nats, characters) = surprise(&draw(seed, split, 500_000));
            let found = nats / characters as f64;
            println!("seed {seed}: {found} nats per character, {rate} by the formula");
            assert!((found / rate - 1.0).abs() < 0.01, "{found} is not {rate}");
        }
    }

    /// In any text, each state is left as often as it is entered, but for the last step.
    #[test]
    fn the_stationary_distribution_stays() {
        let share = stationary();
        assert!((share.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let mut next = vec![0.0; share.len()];
        for (state, share) in share.iter().enumerate() {
            steps(state).for_each(|(step, p)| next[step.to as usize] += share * p);
        }
        assert!(share.iter().zip(&next).all(|(a, b)| *a > 1e-3 && (a - b).abs() < 1e-12), "{share:?} {next:?}");
    }
}
