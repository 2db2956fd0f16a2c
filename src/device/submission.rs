//! Work for the device, put together and submitted at once. Submitting never waits.

use super::{
    readback::{Readback, Submitted},
    runtime::{Runtime, Stretch},
};
use crate::error::Result;

/// Work that has not been submitted yet. What the host writes to buffers in the meantime takes effect before it.
#[must_use = "nothing happens before `submit`"]
pub struct Submission<'a> {
    runtime: &'a Runtime,
    encoder: wgpu::CommandEncoder,
}

impl Submission<'_> {
    /// Fills a whole buffer with zeros.
    pub fn clear(&mut self, buffer: &wgpu::Buffer) {
        self.encoder.clear_buffer(buffer, 0, None);
    }

    /// Fills the first `bytes` bytes of a buffer, a multiple of 4, with zeros.
    pub fn clear_start(&mut self, buffer: &wgpu::Buffer, bytes: u64) {
        self.encoder.clear_buffer(buffer, 0, Some(bytes));
    }

    /// Copies all of a buffer over the start of another.
    pub fn copy(&mut self, from: &wgpu::Buffer, to: &wgpu::Buffer) {
        self.encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
    }

    /// Runs dispatches, one after the other, in one compute pass.
    pub fn run(&mut self, work: &[Stretch]) {
        let mut pass = self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        work.iter().for_each(|stretch| self.runtime.encode(stretch, &mut pass));
    }

    /// Copies from byte `offset` of a buffer to the host, as much as `to` holds.
    pub fn read_back(&mut self, from: &wgpu::Buffer, offset: u64, to: &Readback) {
        to.copy(&mut self.encoder, from, offset);
    }

    /// Submits the work.
    pub fn submit(self) -> Submitted {
        Submitted(self.runtime.gpu.queue.submit([self.encoder.finish()]))
    }
}

impl Runtime {
    /// Begins a submission.
    pub fn submission(&self) -> Submission<'_> {
        let encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        Submission { runtime: self, encoder }
    }

    /// Runs programs in one submission and waits. For tests and tools; training keeps several in flight.
    ///
    /// # Errors
    /// As [`Gpu::wait`](super::Gpu::wait).
    pub async fn run(&self, programs: &[usize]) -> Result<()> {
        let work: Vec<Stretch> = programs.iter().map(|&program| self.whole(program)).collect();
        let mut submission = self.submission();
        submission.run(&work);
        submission.submit();
        self.gpu.wait().await
    }

    /// Reads the first `count` values of a buffer; waits for all work.
    ///
    /// # Errors
    /// As [`Gpu::wait`](super::Gpu::wait).
    pub async fn read<T: bytemuck::Pod>(&self, buffer: &wgpu::Buffer, count: usize) -> Result<Vec<T>> {
        self.read_at(buffer, 0, count).await
    }

    /// Reads `count` values from byte `offset` of a buffer, a multiple of 4; waits for all work.
    ///
    /// # Errors
    /// As [`Gpu::wait`](super::Gpu::wait).
    pub async fn read_at<T: bytemuck::Pod>(&self, buffer: &wgpu::Buffer, offset: u64, count: usize) -> Result<Vec<T>> {
        let bytes = count * size_of::<T>();
        let readback = Readback::new(&self.gpu, (bytes as u64).next_multiple_of(4));
        let mut submission = self.submission();
        submission.read_back(buffer, offset, &readback);
        let landing = readback.landing(submission.submit());
        let mut values = readback.landed(&self.gpu, landing).await?;
        values.truncate(count);
        Ok(values)
    }
}
