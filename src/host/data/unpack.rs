//! Keeps compressed files from filling the memory: a few kilobytes of gzip can expand to terabytes.

use std::cell::Cell;
use std::io::{self, Read};

/// Limits on the bytes that come out of a stream. Compressed photographs expand about twofold and drawn shapes some
/// tenfold; data that expand more than a hundredfold, beyond the first 64 MiB, are no set of images.
pub(super) struct Limits {
    limit: u64,
    packed: Cell<u64>,
    unpacked: Cell<u64>,
}

impl Limits {
    const GROWTH: u64 = 100;
    const FREE: u64 = 64 << 20;

    /// Limits for a stream that may unpack to at most `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, packed: Cell::new(0), unpacked: Cell::new(0) }
    }

    /// The bytes that may still come out.
    pub(super) fn left(&self) -> u64 {
        self.limit.saturating_sub(self.unpacked.get())
    }

    /// Whether more bytes came out than may.
    pub(super) fn exceeded(&self) -> bool {
        let most = Self::FREE.saturating_add(self.packed.get().saturating_mul(Self::GROWTH));
        self.unpacked.get() > most.min(self.limit)
    }
}

/// A reader of packed bytes, which are counted.
pub(super) struct Counted<'a, R> {
    pub(super) inner: R,
    pub(super) limits: &'a Limits,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let packed = &self.limits.packed;
        packed.set(packed.get().saturating_add(count as u64));
        Ok(count)
    }
}

/// A reader of unpacked bytes, which fails once the limits are exceeded.
pub(super) struct Limited<'a, R> {
    pub(super) inner: R,
    pub(super) limits: &'a Limits,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let unpacked = &self.limits.unpacked;
        unpacked.set(unpacked.get().saturating_add(count as u64));
        if self.limits.exceeded() { Err(io::Error::other("the limit is reached")) } else { Ok(count) }
    }
}
