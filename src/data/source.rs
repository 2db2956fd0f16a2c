//! Where the batches of a pass over a data set come from.

use std::{pin::Pin, sync::Arc, vec::IntoIter};

use super::{Batch, Dataset, Parts, Split};
use crate::error::{Error, Result};

/// The next batch, for which one may have to wait.
pub type Next<'a> = Pin<Box<dyn Future<Output = Option<Result<Batch>>> + 'a>>;

/// The batches of one pass over a data set.
pub trait Batches {
    /// The next batch; `None` after the last one, and after an error.
    fn next(&mut self) -> Next<'_>;
}

/// Reads a data set in batches, on demand ([`Inline`]) or ahead of time.
pub trait Source {
    /// The data set.
    fn dataset(&self) -> &Arc<dyn Dataset>;

    /// The samples of `split` that `order` names, `batch` at a time, or such parts of them. The last batch may be smaller.
    ///
    /// # Errors
    /// [`Error::Config`] if `batch` is 0, or the reason why reading cannot begin.
    ///
    /// # Panics
    /// While reading, if `order` names a sample that `split` does not have.
    fn batches(&self, split: Split, order: Vec<u32>, batch: usize, parts: Option<Parts>) -> Result<Box<dyn Batches>>;
}

/// Reads each batch when it is asked for, on the thread that asks.
#[derive(Clone)]
pub struct Inline(pub Arc<dyn Dataset>);

struct Reading {
    dataset: Arc<dyn Dataset>,
    split: Split,
    parts: Option<Parts>,
    batches: IntoIter<Vec<u32>>,
}

impl Source for Inline {
    fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.0
    }

    fn batches(&self, split: Split, order: Vec<u32>, batch: usize, parts: Option<Parts>) -> Result<Box<dyn Batches>> {
        let batches = in_batches(&order, batch)?.into_iter();
        Ok(Box::new(Reading { dataset: self.0.clone(), split, parts, batches }))
    }
}

impl Batches for Reading {
    fn next(&mut self) -> Next<'_> {
        let indices = self.batches.next();
        let read = indices.map(|indices| Batch::read_parts(self.dataset.as_ref(), self.split, &indices, self.parts));
        if matches!(read, Some(Err(_))) {
            self.batches = vec![].into_iter();
        }
        Box::pin(std::future::ready(read))
    }
}

/// Cuts an order into batches.
///
/// # Errors
/// [`Error::Config`] if `batch` is 0.
pub fn in_batches(order: &[u32], batch: usize) -> Result<Vec<Vec<u32>>> {
    if batch == 0 {
        return Err(Error::config("a batch of 0 samples", "give at least 1"));
    }
    Ok(order.chunks(batch).map(<[u32]>::to_vec).collect())
}
