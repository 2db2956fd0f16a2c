//! Copies from the device's memory to the host: the only place that waits for the device.
//!
//! On a desktop the future polls the device itself, so that any executor will do; in a browser the event loop wakes it.

use futures_channel::oneshot;

use super::Gpu;
use crate::error::{Error, Result};

/// A buffer on the host for copies of device memory, which can be used again once a copy has arrived.
pub struct Readback {
    buffer: wgpu::Buffer,
}

/// A submission, on which one can wait.
#[derive(Clone)]
pub struct Submitted(pub(super) wgpu::SubmissionIndex);

/// A copy that is under way to its [`Readback`].
pub struct Landing {
    submitted: Submitted,
    mapped: oneshot::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

impl Readback {
    /// A buffer of `bytes` bytes, a multiple of 4.
    pub fn new(gpu: &Gpu, bytes: u64) -> Self {
        let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read-back"),
            size: bytes,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self { buffer }
    }

    /// Records a copy of as many bytes as the buffer holds.
    pub(super) fn copy(&self, encoder: &mut wgpu::CommandEncoder, from: &wgpu::Buffer, offset: u64) {
        encoder.copy_buffer_to_buffer(from, offset, &self.buffer, 0, self.buffer.size());
    }

    /// Asks for the copy that `submitted` makes to this buffer.
    pub fn landing(&self, submitted: Submitted) -> Landing {
        let (sender, mapped) = oneshot::channel();
        self.buffer.slice(..).map_async(wgpu::MapMode::Read, move |result| {
            let _ = sender.send(result); // nobody listens any more if the run was given up
        });
        Landing { submitted, mapped }
    }

    /// Waits for a copy and returns its values, as many whole ones as the buffer holds.
    ///
    /// # Errors
    /// As [`Gpu::check`].
    pub async fn landed<T: bytemuck::Pod>(&self, gpu: &Gpu, landing: Landing) -> Result<Vec<T>> {
        let Landing { submitted, mapped } = landing;
        gpu.done(submitted)?;
        match mapped.await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(gpu.behind(format!("reading back failed: {e}"))),
            Err(_) => return Err(gpu.behind("reading back was given up".into())),
        }
        gpu.check()?;
        let failed = |e| gpu.behind(format!("reading back failed: {e}"));
        let mapped = self.buffer.slice(..).get_mapped_range().map_err(failed)?;
        let whole = mapped.len() / size_of::<T>() * size_of::<T>();
        let values = bytemuck::pod_collect_to_vec(&mapped[..whole]);
        drop(mapped);
        self.buffer.unmap();
        Ok(values)
    }
}

impl Gpu {
    /// On a desktop, blocks until a submission is done and the callbacks of its copies have run.
    #[cfg(not(target_family = "wasm"))]
    fn done(&self, submitted: Submitted) -> Result<()> {
        let polled = self.device.poll(wgpu::PollType::Wait { submission_index: Some(submitted.0), timeout: None });
        self.check()?;
        polled.map(drop).map_err(|e| self.behind(format!("waiting failed: {e}")))
    }

    /// In a browser the event loop does the waiting.
    #[cfg(target_family = "wasm")]
    fn done(&self, Submitted(_index): Submitted) -> Result<()> {
        self.check()
    }

    /// Waits for everything submitted so far.
    ///
    /// # Errors
    /// As [`Gpu::check`].
    #[cfg(not(target_family = "wasm"))]
    pub async fn wait(&self) -> Result<()> {
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        polled.map(drop).map_err(|e| self.behind(format!("waiting failed: {e}")))
    }

    /// Waits for everything submitted so far.
    ///
    /// # Errors
    /// As [`Gpu::check`].
    #[cfg(target_family = "wasm")]
    pub async fn wait(&self) -> Result<()> {
        let (sender, done) = oneshot::channel();
        self.queue.on_submitted_work_done(move || sender.send(()).unwrap_or_default());
        done.await.map_err(|_| self.behind("waiting was given up".into()))?;
        self.check()
    }
}

/// The error for memory that could not be allocated, from what an error scope has caught.
pub(super) fn out_of_memory(gpu: &Gpu, bytes: u64, error: &wgpu::Error) -> Error {
    let hint = "a smaller 'batch_size' or 'width' needs less";
    Error::device(format!("{}: {bytes} bytes do not fit: {error}", gpu.info.name), hint)
}
