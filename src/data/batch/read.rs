//! Reads the images of a batch, on one thread or on several.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::super::{Batch, Dataset, Split};
use crate::{
    error::{Error, Result},
    parallel::{Spread, alone},
};

/// The place of an image, and the error of reading it.
type Fault = (usize, Error);

impl Batch {
    /// Reads the images of `split` that `indices` names.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    ///
    /// # Panics
    /// If there is no such image.
    pub fn read(dataset: &dyn Dataset, split: Split, indices: &[u32]) -> Result<Self> {
        let read = Self::read_on(dataset, split, indices, alone, &AtomicBool::new(false))?;
        Ok(read.expect("nothing stops it"))
    }

    /// [`read`](Self::read) with each image read by whichever thread is free; `None` if `stop` is set meanwhile.
    ///
    /// # Errors
    /// As [`Dataset::read`]: of several images that cannot be read, that of the first.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn read_on(
        dataset: &dyn Dataset,
        split: Split,
        indices: &[u32],
        spread: Spread,
        stop: &AtomicBool,
    ) -> Result<Option<Self>> {
        let size = dataset.spec().image.bytes();
        let mut images = vec![0; (indices.len() * size).next_multiple_of(4)];
        let mut labels = vec![0; indices.len()];
        let fault: Mutex<Option<Fault>> = Mutex::new(None);
        let places = images.chunks_exact_mut(size).zip(&mut labels).zip(indices).enumerate();
        let places = Mutex::new(places);
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                // The lock is held for as long as it takes to draw a place, and not while its image is read.
                let next = places.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((place, ((image, label), &index))) = next else { return };
                match dataset.read(split, index as usize, image) {
                    Ok(read) => *label = read,
                    Err(error) => {
                        let mut fault = fault.lock().unwrap_or_else(PoisonError::into_inner);
                        // Places are drawn in order: whoever reads an earlier one still will get here.
                        if fault.as_ref().is_none_or(|(earlier, _)| place < *earlier) {
                            *fault = Some((place, error));
                        }
                        return;
                    }
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
        Ok(Some(Self { images, labels, indices: indices.to_vec() }))
    }
}
