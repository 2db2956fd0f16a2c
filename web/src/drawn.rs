//! The sets that the program draws, image by image when they are first read: a page need not wait for all of them.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use velograd::{
    data::{
        Dataset, Sizes, Spec, Split, digits28,
        drawn::{self, Kind},
        grammar, shapes10,
    },
    error::{Error, Result, suggest},
};

/// The set of this name, drawn from `seed`; `block` is the length of a block of tokens.
///
/// # Errors
/// [`Error::Config`] for an unknown name, or a set of images where the network takes tokens or the other way around.
pub fn open(name: &str, seed: u64, block: Option<u32>) -> Result<Arc<dyn Dataset>> {
    let sizes = Sizes::default();
    Ok(match (name, block) {
        (shapes10::NAME, _) => Arc::new(Lazy::<shapes10::Shapes>::new(seed, sizes)),
        (digits28::NAME, _) => Arc::new(Lazy::<digits28::Digits>::new(seed, sizes)),
        (grammar::NAME, Some(block)) => Arc::new(grammar::grammar(seed, block, grammar::SIZES)?),
        (grammar::NAME, None) => {
            return Err(Error::config(format!("{name} is text, and the network takes images"), "gpt takes text"));
        }
        _ => {
            let message = format!("no drawn set is called `{name}`");
            return Err(Error::config(message, suggest::hint(name, &velograd::data::DRAWN)));
        }
    })
}

type Cache = HashMap<(Split, usize), Box<[u8]>>;

/// The images of [`drawn::Drawn`], which are the same ones, drawn when they are needed.
struct Lazy<K: Kind> {
    spec: Spec,
    seed: u64,
    sizes: Sizes,
    drawn: Mutex<Cache>,
    checksum: OnceLock<u32>,
    kind: PhantomData<K>,
}

impl<K: Kind> Lazy<K> {
    fn new(seed: u64, sizes: Sizes) -> Self {
        let spec = Spec::new(K::NAME, K::IMAGE, K::CLASSES.iter().copied());
        Self { spec, seed, sizes, drawn: Mutex::default(), checksum: OnceLock::new(), kind: PhantomData }
    }
}

impl<K: Kind> Dataset for Lazy<K> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => self.sizes.train,
            Split::Test => self.sizes.test,
        }
    }

    /// Draws every image once, which takes a second, and keeps none of them: only weights that are downloaded say what they saw.
    fn checksum(&self) -> u32 {
        *self.checksum.get_or_init(|| {
            let (mut sum, mut bytes) = (crc32fast::Hasher::new(), vec![0; K::IMAGE.bytes()]);
            for split in [Split::Train, Split::Test] {
                for index in 0..self.len(split) {
                    drawn::draw::<K>(self.seed, split, index, &mut bytes);
                    sum.update(&[drawn::label::<K>(index) as u8]);
                    sum.update(&bytes);
                }
            }
            sum.finalize()
        })
    }

    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }

    fn notes(&self) -> &[String] {
        &[]
    }

    fn read(&self, split: Split, index: usize, image: &mut [u8], targets: &mut [u32]) -> Result<()> {
        assert!(index < self.len(split), "{}: image {index} of {} in {split:?}", K::NAME, self.len(split));
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = drawn.entry((split, index)).or_insert_with(|| {
            let mut bytes = vec![0; K::IMAGE.bytes()];
            drawn::draw::<K>(self.seed, split, index, &mut bytes);
            bytes.into()
        });
        image.copy_from_slice(bytes);
        targets.copy_from_slice(&[drawn::label::<K>(index) as u32]);
        Ok(())
    }
}
