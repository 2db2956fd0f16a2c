//! Reading ahead: a thread that has the next batch ready while the accelerator works on this one.
//!
//! The order of an epoch is decided beforehand from (seed, epoch) alone, so that a run which is stopped and resumed
//! sees what it would have seen. The channel holds two batches: enough to hide the reading, and a bound on the memory
//! that a slow accelerator lets pile up.

use crate::data::{Batch, Dataset, IMAGE_BYTES, Split};
use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Batches that wait in the channel at most.
const DEPTH: usize = 2;

/// An iterator over the batches of one epoch. The last one has what is left and may be smaller. After an error it
/// ends. Dropping it early ends its thread.
pub struct Loader {
    /// `None` only while dropping.
    receiver: Option<Receiver<Result<Batch>>>,
    thread: Option<JoinHandle<()>>,
}

impl Loader {
    /// Starts to read the images of `split` that `order` names, `batch` at a time.
    ///
    /// # Errors
    /// [`Error::Config`] if `batch` is 0; [`Error::Device`] if the system starts no thread.
    ///
    /// # Panics
    /// While iterating, if `order` names an image that `split` does not have.
    pub fn new(dataset: Arc<dyn Dataset>, split: Split, order: Vec<u32>, batch: usize) -> Result<Self> {
        if batch == 0 {
            return Err(Error::config("a batch of 0 images", "give at least 1"));
        }
        let (sender, receiver) = sync_channel(DEPTH);
        let work = move || send_all(&*dataset, split, &order, batch, &sender);
        let thread = Builder::new()
            .name("loader".to_owned())
            .spawn(work)
            .map_err(|error| Error::device(format!("cannot start the thread that reads images: {error}"), ""))?;
        Ok(Self { receiver: Some(receiver), thread: Some(thread) })
    }
}

impl Iterator for Loader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let received = self.receiver.as_ref()?.recv().ok();
        if received.is_none()
            && let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            // Otherwise a fault in the thread would look like a short epoch.
            std::panic::resume_unwind(panic);
        }
        received
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Without a receiver the thread's next send fails, and it ends; only then can it be waited for.
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there concerns a batch that nobody wants any more.
            let _ = thread.join();
        }
    }
}

/// Sends the epoch; stops at the first error and when nobody listens any more.
fn send_all(dataset: &dyn Dataset, split: Split, order: &[u32], batch: usize, sender: &SyncSender<Result<Batch>>) {
    for indices in order.chunks(batch) {
        let read = read_batch(dataset, split, indices);
        let failed = read.is_err();
        if sender.send(read).is_err() || failed {
            return;
        }
    }
}

fn read_batch(dataset: &dyn Dataset, split: Split, indices: &[u32]) -> Result<Batch> {
    let mut images = vec![0; indices.len() * IMAGE_BYTES];
    let mut labels = Vec::with_capacity(indices.len());
    for (image, &index) in images.chunks_exact_mut(IMAGE_BYTES).zip(indices) {
        labels.push(u32::from(dataset.read(split, index as usize, image)?));
    }
    Ok(Batch { images, labels, indices: indices.to_vec() })
}
