//! Masked language modelling: tokens of a block are hidden, and the targets are what they were.
//!
//! J. Devlin, M.-W. Chang, K. Lee and K. Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for Language
//! Understanding", NAACL 2019, section 3.1: of 15 % of the places, 80 % become a token `[MASK]`, 10 % a random one, and 10 % stay as
//! they are; the loss is that of these places alone. As in the paper's own code, each block has the same number of such places.

use std::{path::Path, sync::Arc};

use super::{Batch, Dataset, IGNORED, Input, MOST_CLASSES, Spec, Split, Tokens};
use crate::{
    error::{Error, Result},
    random::Rng,
};

/// The entry of a vocabulary that hidden tokens become.
pub const MASK: &str = "[MASK]";

/// The seed of the masks of an evaluation, which are always the same.
const OF_EVALUATION: (u64, u32) = (0, 0);

/// The first word of the key for the mask of a block, which no other use of the run's seed has.
const KEY: u64 = 0x6d61_736b_0000_0000;

/// How the tokens of blocks are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masking {
    /// The token `[MASK]`.
    pub mask: u32,
    /// The number of tokens, `[MASK]` included.
    pub vocabulary: u32,
}

impl Masking {
    /// The number of places that have a target in a block of so many: 15 % of them, rounded, and at least one.
    pub fn counted(length: u32) -> u32 {
        ((u64::from(length) * 15 + 50) / 100).max(1) as u32
    }

    /// Hides tokens of a batch, and makes them its targets; at other places the target is [`IGNORED`]. What is hidden in a block
    /// depends on the seed, the epoch and the block's index, and on nothing else of the batch.
    ///
    /// # Panics
    /// If the batch's samples are not blocks of tokens.
    pub fn hide(&self, batch: &mut Batch, seed: u64, epoch: u32) {
        let length = batch.targets.len() / batch.indices.len().max(1);
        assert_eq!(batch.inputs.len(), 4 * batch.targets.len(), "hide: a batch of blocks of tokens");
        if length == 0 {
            return;
        }
        batch.targets.fill(IGNORED);
        let blocks = batch.inputs.chunks_exact_mut(4 * length).zip(batch.targets.chunks_exact_mut(length));
        for ((tokens, targets), &index) in blocks.zip(&batch.indices) {
            let mut rng = Rng::keyed(seed, &[KEY, epoch.into(), index.into()]);
            let mut places: Vec<usize> = (0..length).collect();
            for nth in 0..Self::counted(length as u32) as usize {
                places.swap(nth, nth + rng.below((length - nth) as u32) as usize);
                let place = places[nth];
                let token = &mut tokens[4 * place..][..4];
                targets[place] = u32::from_le_bytes([token[0], token[1], token[2], token[3]]);
                let shown = match rng.below(10) {
                    0..8 => self.mask,
                    8 => self.random(&mut rng),
                    _ => continue,
                };
                token.copy_from_slice(&shown.to_le_bytes());
            }
        }
    }

    /// Hides tokens of a batch of an evaluation: the same ones each time.
    ///
    /// # Panics
    /// As [`hide`](Self::hide).
    pub fn hide_for_evaluation(&self, batch: &mut Batch) {
        let (seed, epoch) = OF_EVALUATION;
        self.hide(batch, seed, epoch);
    }

    /// Any token but `[MASK]`.
    fn random(&self, rng: &mut Rng) -> u32 {
        let token = rng.below(self.vocabulary - 1);
        token + u32::from(token >= self.mask)
    }
}

/// A set of blocks of tokens whose batches are to be [hidden](Masking::hide) in part. It has one token more, `[MASK]`, unless its
/// vocabulary has an entry of that name.
pub struct Masked {
    inner: Arc<dyn Dataset>,
    spec: Spec,
    masking: Masking,
}

impl Masked {
    /// Wraps a set.
    ///
    /// # Errors
    /// [`Error::Config`] if the set has images, or already has as many tokens as are possible.
    pub fn new(inner: Arc<dyn Dataset>) -> Result<Self> {
        let mut spec = inner.spec().clone();
        let Some(Tokens { length, .. }) = spec.input.tokens() else {
            let message = format!("{} has {}, of which nothing can be hidden", spec.name, spec.input.words());
            return Err(Error::config(message, "name text by 'data' or 'dataset'"));
        };
        let known = spec.classes.iter().position(|entry| entry == MASK);
        let mask = known.unwrap_or_else(|| {
            spec.classes.push(MASK.into());
            spec.classes.len() - 1
        });
        if spec.classes.len() > MOST_CLASSES {
            let message = format!("{} has {MOST_CLASSES} tokens, and {MASK} is one more", spec.name);
            return Err(Error::config(message, "a smaller vocabulary is needed"));
        }
        let vocabulary = spec.classes.len() as u32;
        spec.input = Input::Tokens(Tokens { length, vocabulary });
        Ok(Self { inner, spec, masking: Masking { mask: mask as u32, vocabulary } })
    }
}

impl Dataset for Masked {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self, split: Split) -> usize {
        self.inner.len(split)
    }

    fn tokens(&self, split: Split) -> u64 {
        self.inner.tokens(split)
    }

    fn masking(&self) -> Option<Masking> {
        Some(self.masking)
    }

    fn checksum(&self) -> u32 {
        self.inner.checksum()
    }

    fn seed(&self) -> Option<u64> {
        self.inner.seed()
    }

    fn notes(&self) -> &[String] {
        self.inner.notes()
    }

    fn path(&self) -> Option<&Path> {
        self.inner.path()
    }

    fn decodes(&self) -> bool {
        self.inner.decodes()
    }

    fn read(&self, split: Split, index: usize, input: &mut [u8], targets: &mut [u32]) -> Result<()> {
        self.inner.read(split, index, input, targets)
    }
}

#[cfg(test)]
mod tests {
    use super::{MASK, Masked, Masking};
    use crate::data::{Batch, Dataset, IGNORED, Inline, Sizes, Source, Split, Tokens, grammar};

    const TOKENS: Tokens = Tokens { length: 50, vocabulary: 30 };

    fn batch(n: u32) -> Batch {
        Batch::noise(n, TOKENS, 30)
    }

    fn tokens(batch: &Batch) -> Vec<u32> {
        batch.inputs.chunks(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    #[test]
    fn a_block_has_its_share_of_hidden_tokens() {
        let counted = [1, 3, 9, 10, 50, 64, 512].map(Masking::counted);
        assert_eq!(counted, [1, 1, 1, 2, 8, 10, 77]);
        let masking = Masking { mask: 7, vocabulary: 31 };
        let (before, mut after) = (batch(2000), batch(2000));
        masking.hide(&mut after, 3, 1);
        let (before, shown) = (tokens(&before), tokens(&after));
        let (mut masks, mut random, mut same) = (0.0, 0.0, 0.0);
        let mut of_place = [0; 50];
        let mut drawn = [0; 31];
        for (block, targets) in after.targets.chunks(50).enumerate() {
            assert_eq!(targets.iter().filter(|&&target| target != IGNORED).count(), 8);
            for (place, &target) in targets.iter().enumerate() {
                let (shown, before) = (shown[50 * block + place], before[50 * block + place]);
                if target == IGNORED {
                    assert_eq!(shown, before);
                    continue;
                }
                assert_eq!(target, before);
                of_place[place] += 1;
                match shown {
                    7 if before != 7 => masks += 1.0,
                    _ if shown == before => same += 1.0,
                    _ => {
                        random += 1.0;
                        drawn[shown as usize] += 1;
                    }
                }
            }
        }
        // 16,000 places; a binomial deviates by less than five of its standard deviations. One token of thirty is `[MASK]`
        // itself, and a random token is what was there by chance.
        let near = |found: f64, share: f64| {
            let expected = 16_000.0 * share;
            assert!((found - expected).abs() < 5.0 * (expected * (1.0 - share)).sqrt(), "{found} {expected}");
        };
        near(masks, 0.8 * 29.0 / 30.0);
        near(random, 0.1 * 29.0 / 30.0);
        near(same, 0.1 + 0.8 / 30.0 + 0.1 / 30.0);
        // Each place is chosen 320 times of 2,000, give or take five deviations of 16.4.
        assert!(of_place.iter().all(|&count| (238..402).contains(&count)), "{of_place:?}");
        // Every token but `[MASK]` is drawn, the last included.
        assert!(drawn.iter().enumerate().all(|(token, &count)| (count > 0) == (token != 7)), "{drawn:?}");
    }

    /// What is hidden in a block is a function of seed, epoch and index: the block's place in a batch does not matter.
    #[test]
    fn masks_are_repeatable() {
        let masking = Masking { mask: 30, vocabulary: 31 };
        let hidden = |seed, epoch| {
            let mut batch = batch(6);
            masking.hide(&mut batch, seed, epoch);
            batch
        };
        let first = hidden(5, 1);
        assert_eq!(first, hidden(5, 1));
        assert_ne!(first, hidden(5, 2));
        assert_ne!(first, hidden(6, 1));
        assert!(first.targets.chunks(50).any(|block| block != &first.targets[..50]), "blocks differ");
        let whole = batch(6);
        for at in 0..6 {
            let mut alone = Batch {
                inputs: whole.inputs[200 * at..][..200].to_vec(),
                targets: whole.targets[50 * at..][..50].to_vec(),
                indices: vec![at as u32],
            };
            masking.hide(&mut alone, 5, 1);
            assert_eq!(
                (&alone.inputs[..], &alone.targets[..]),
                (&first.inputs[200 * at..][..200], &first.targets[50 * at..][..50])
            );
        }
        let [mut once, mut again] = [batch(2), batch(2)];
        masking.hide_for_evaluation(&mut once);
        masking.hide_for_evaluation(&mut again);
        assert_eq!(once, again);
    }

    #[test]
    fn a_vocabulary_gets_a_mask_once() {
        let text = grammar::grammar(1, 20, Sizes { train: 500, test: 100 }).unwrap();
        let plain = text.spec().classes.len();
        let once = Masked::new(std::sync::Arc::new(text)).unwrap();
        assert_eq!(once.spec().classes.len(), plain + 1);
        assert_eq!(once.masking().unwrap(), Masking { mask: plain as u32, vocabulary: plain as u32 + 1 });
        assert_eq!(once.spec().classes[plain], MASK);
        let once = std::sync::Arc::new(once);
        let twice = Masked::new(once.clone()).unwrap();
        assert_eq!((twice.spec(), twice.masking()), (once.spec(), once.masking()));
        let source = Inline(once);
        let mut batches = source.batches(Split::Train, vec![0, 3], 2, None).unwrap();
        let read = pollster::block_on(batches.next()).unwrap().unwrap();
        assert!(!read.targets.contains(&IGNORED), "a batch is read whole, and hidden by whoever knows the epoch");
    }
}
