//! A thread that reads the next batches while the device works on the current one, with the help of others where images
//! have to be decoded.
//!
//! The order of an epoch is decided beforehand from (seed, epoch) alone, so that a resumed run sees the same images as
//! an uninterrupted one. The channel holds two batches: enough to hide the reading, and a bound on the memory that
//! batches take when the device is slow. Of a set that [decodes](Dataset::decodes), the images of a batch are read on all
//! cores, each to its own place, so that neither order nor memory depends on the number of threads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use crate::{
    data::{Batch, Batches, Dataset, Next, Parts, Source, Split, in_batches},
    error::{Error, Result},
    host::threads::on_all_cores,
    parallel::{Spread, alone},
};

/// Most batches that wait in the channel.
const DEPTH: usize = 2;

/// A data set that a thread reads ahead, one thread for each pass.
#[derive(Clone)]
pub struct ReadAhead(pub Arc<dyn Dataset>);

impl Source for ReadAhead {
    fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.0
    }

    fn batches(&self, split: Split, order: Vec<u32>, batch: usize, parts: Option<Parts>) -> Result<Box<dyn Batches>> {
        Ok(Box::new(Loader::of_parts(self.0.clone(), split, order, batch, parts)?))
    }
}

/// An iterator over the batches of one pass. The last batch has the remaining images and may be smaller. The iterator
/// ends after an error. Dropping it early ends its thread.
pub struct Loader {
    /// `None` only while the loader is dropped.
    receiver: Option<Receiver<Result<Batch>>>,
    thread: Option<JoinHandle<()>>,
    /// Tells the threads that nobody wants the batches any more.
    stop: Arc<AtomicBool>,
}

impl Loader {
    /// Starts reading the images of `split` that `order` lists, `batch` at a time.
    ///
    /// # Errors
    /// [`Error::Config`] if `batch` is 0; [`Error::Device`] if the thread cannot be started.
    ///
    /// # Panics
    /// While iterating, if `order` names an image that `split` does not have.
    pub fn new(dataset: Arc<dyn Dataset>, split: Split, order: Vec<u32>, batch: usize) -> Result<Self> {
        Self::of_parts(dataset, split, order, batch, None)
    }

    /// Starts reading such parts of the images, if parts are given and the set [cuts](Dataset::cuts_parts) them.
    ///
    /// # Errors
    /// As [`Loader::new`].
    ///
    /// # Panics
    /// As [`Loader::new`].
    pub fn of_parts(
        dataset: Arc<dyn Dataset>,
        split: Split,
        order: Vec<u32>,
        batch: usize,
        parts: Option<Parts>,
    ) -> Result<Self> {
        let batches = in_batches(&order, batch)?;
        let (sender, receiver) = sync_channel(DEPTH);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let work = move || send_all(&*dataset, split, &batches, parts, &sender, &stopped);
        let thread = Builder::new()
            .name("loader".to_owned())
            .spawn(work)
            .map_err(|error| Error::device(format!("cannot start the thread that reads images: {error}"), ""))?;
        Ok(Self { receiver: Some(receiver), thread: Some(thread), stop })
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
            // Otherwise a panic in the thread would look like a short epoch.
            std::panic::resume_unwind(panic);
        }
        received
    }
}

impl Batches for Loader {
    fn next(&mut self) -> Next<'_> {
        Box::pin(std::future::ready(Iterator::next(self)))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Decoding a batch may take seconds. Without a receiver the thread's next send fails and the thread ends; only then
        // can it be joined.
        self.stop.store(true, Ordering::Relaxed);
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            // A panic there concerns a batch that nobody reads any more.
            let _ = thread.join();
        }
    }
}

/// Sends the batches of the pass; stops at the first error or when the receiver is gone.
fn send_all(
    dataset: &dyn Dataset,
    split: Split,
    batches: &[Vec<u32>],
    parts: Option<Parts>,
    sender: &SyncSender<Result<Batch>>,
    stop: &AtomicBool,
) {
    let spread: Spread = if dataset.decodes() { on_all_cores } else { alone };
    for indices in batches {
        let Some(read) = Batch::read_on(dataset, split, indices, parts, spread, stop).transpose() else { return };
        let failed = read.is_err();
        if sender.send(read).is_err() || failed {
            return;
        }
    }
}
