//! Reads the samples of a batch, on one thread or on several.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::super::{Batch, Dataset, Parts, Split};
use crate::{
    error::{Error, Result},
    parallel::{Spread, alone},
};

/// The place of a sample, and the error of reading it.
type Fault = (usize, Error);

impl Batch {
    /// Reads the samples of `split` that `indices` names.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn read(dataset: &dyn Dataset, split: Split, indices: &[u32]) -> Result<Self> {
        Self::read_parts(dataset, split, indices, None)
    }

    /// [`read`](Self::read) of a part of each sample, if `parts` are given and the set [cuts](Dataset::cuts_parts) them.
    ///
    /// # Errors
    /// As [`Dataset::read_part`].
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn read_parts(dataset: &dyn Dataset, split: Split, indices: &[u32], parts: Option<Parts>) -> Result<Self> {
        let read = Self::read_on(dataset, split, indices, parts, alone, &AtomicBool::new(false))?;
        Ok(read.expect("nothing stops it"))
    }

    /// [`read_parts`](Self::read_parts) with each sample read by whichever thread is free; `None` if `stop` is set meanwhile.
    ///
    /// # Errors
    /// As [`Dataset::read`]: of several samples that cannot be read, that of the first.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn read_on(
        dataset: &dyn Dataset,
        split: Split,
        indices: &[u32],
        parts: Option<Parts>,
        spread: Spread,
        stop: &AtomicBool,
    ) -> Result<Option<Self>> {
        let input = dataset.spec().input;
        let (size, each) = (input.bytes(), input.targets() as usize);
        let mut inputs = vec![0; (indices.len() * size).next_multiple_of(4)];
        let mut targets = vec![0; indices.len() * each];
        let fault: Mutex<Option<Fault>> = Mutex::new(None);
        let places = inputs.chunks_exact_mut(size).zip(targets.chunks_exact_mut(each)).zip(indices).enumerate();
        let places = Mutex::new(places);
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                // The lock is held for as long as it takes to draw a place, and not while its sample is read.
                let next = places.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((place, ((input, targets), &index))) = next else { return };
                let read = match &parts {
                    Some(parts) => dataset.read_part(split, index as usize, parts, input, targets),
                    None => dataset.read(split, index as usize, input, targets),
                };
                if let Err(error) = read {
                    let mut fault = fault.lock().unwrap_or_else(PoisonError::into_inner);
                    // Places are drawn in order: whoever reads an earlier one still will get here.
                    if fault.as_ref().is_none_or(|(earlier, _)| place < *earlier) {
                        *fault = Some((place, error));
                    }
                    return;
                }
                if fault.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                    return;
                }
            }
        };
        spread(indices.len(), &work);
        if let Some((_, error)) = fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        Ok(Some(Self { inputs, targets, indices: indices.to_vec() }))
    }
}
