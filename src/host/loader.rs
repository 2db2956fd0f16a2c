//! Reading ahead: a thread that has the next batch ready while the device works on this one.
//!
//! The order of an epoch is decided beforehand from (seed, epoch) alone, so that a run which is stopped and resumed
//! sees what it would have seen. The channel holds two batches: enough to hide the reading, and a bound on the memory
//! that a slow device lets pile up.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use crate::{
    data::{Batch, Batches, Dataset, Next, Source, Split, in_batches},
    error::{Error, Result},
};

/// Batches that wait in the channel at most.
const DEPTH: usize = 2;

/// A data set that is read ahead by a thread per pass.
#[derive(Clone)]
pub struct ReadAhead(pub Arc<dyn Dataset>);

impl Source for ReadAhead {
    fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.0
    }

    fn batches(&self, split: Split, order: Vec<u32>, batch: usize) -> Result<Box<dyn Batches>> {
        Ok(Box::new(Loader::new(self.0.clone(), split, order, batch)?))
    }
}

/// An iterator over the batches of one pass. The last one has what is left and may be smaller. After an error it
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
        let batches = in_batches(&order, batch)?;
        let (sender, receiver) = sync_channel(DEPTH);
        let work = move || send_all(&*dataset, split, &batches, &sender);
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

impl Batches for Loader {
    fn next(&mut self) -> Next<'_> {
        Box::pin(std::future::ready(Iterator::next(self)))
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

/// Sends the pass; stops at the first error and when nobody listens any more.
fn send_all(dataset: &dyn Dataset, split: Split, batches: &[Vec<u32>], sender: &SyncSender<Result<Batch>>) {
    for indices in batches {
        let read = Batch::read(dataset, split, indices);
        let failed = read.is_err();
        if sender.send(read).is_err() || failed {
            return;
        }
    }
}
