//! Validation samples held out of the training set, so that choices need not be made on the test samples.

use std::{path::Path, sync::Arc};

use super::{Dataset, Masking, Parts, Spec, Split, order};
use crate::error::{Error, Result};

/// A set whose test split is some of another set's training samples, and whose training split is the rest.
pub struct Holdout {
    inner: Arc<dyn Dataset>,
    train: Vec<u32>,
    held_out: Vec<u32>,
}

impl Holdout {
    /// Holds out `count` samples, drawn from `seed`; the rest keeps its order.
    ///
    /// # Errors
    /// [`Error::Config`] if nothing or everything would be held out.
    pub fn new(inner: Arc<dyn Dataset>, count: usize, seed: u64) -> Result<Self> {
        let total = inner.len(Split::Train);
        if count == 0 || count >= total {
            let message = format!(
                "'val_split' is {count}: {count} of {total} training {} held out for validation",
                inner.spec().input.unit()
            );
            let hint = match total {
                0 | 1 => "there are too few to hold any out".to_owned(),
                _ => format!("from 1 to {} can be", total - 1),
            };
            return Err(Error::about("val_split", message, hint));
        }
        // No epoch of training has the number 0, so its permutation is free for this use.
        let mut held_out = order(total, Some((seed, 0)));
        held_out.truncate(count);
        held_out.sort_unstable();
        let train: Vec<u32> = (0..total as u32).filter(|i| held_out.binary_search(i).is_err()).collect();
        Ok(Self { inner, train, held_out })
    }

    fn indices(&self, split: Split) -> &[u32] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.held_out,
        }
    }
}

impl Dataset for Holdout {
    fn spec(&self) -> &Spec {
        self.inner.spec()
    }

    fn len(&self, split: Split) -> usize {
        self.indices(split).len()
    }

    /// The checksum of the whole set, since the choice of samples depends on `count` and `seed` alone.
    fn checksum(&self) -> u32 {
        self.inner.checksum()
    }

    fn masking(&self) -> Option<Masking> {
        self.inner.masking()
    }

    fn least_loss(&self) -> Option<f64> {
        self.inner.least_loss()
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

    fn cuts_parts(&self) -> bool {
        self.inner.cuts_parts()
    }

    fn read_part(
        &self,
        split: Split,
        index: usize,
        parts: &Parts,
        input: &mut [u8],
        targets: &mut [u32],
    ) -> Result<()> {
        self.inner.read_part(Split::Train, self.indices(split)[index] as usize, parts, input, targets)
    }

    fn read(&self, split: Split, index: usize, input: &mut [u8], targets: &mut [u32]) -> Result<()> {
        self.inner.read(Split::Train, self.indices(split)[index] as usize, input, targets)
    }
}
