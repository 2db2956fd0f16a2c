//! A map as a matrix of rows by channels, for kernels that take it in chunks of rows.

use crate::program::params::padded;

/// A matrix of `rows` by channels, cut into chunks of rows (`shaders/shared/rows.wgsl`).
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub rows: u32,
    pub c4: u32,
    pub chunk_rows: u32,
}

impl Rows {
    /// At most about 256 chunks, so that one workgroup can merge them, and at least 16 rows in each.
    pub(crate) fn of([n, h, w, c]: [u32; 4]) -> Self {
        let rows = n * h * w;
        Self { rows, c4: padded(c) / 4, chunk_rows: rows.div_ceil(256).max(16) }
    }

    /// With chunks of at most 64 rows: for kernels that keep no sum per chunk, of which a GPU wants many small ones.
    pub(crate) fn spread(shape: [u32; 4]) -> Self {
        let rows = Self::of(shape);
        Self { chunk_rows: rows.chunk_rows.min(64), ..rows }
    }

    fn chunks(self) -> u32 {
        self.rows.div_ceil(self.chunk_rows)
    }

    pub(crate) fn fields(self) -> [(&'static str, u32); 3] {
        [("rows", self.rows), ("c4", self.c4), ("chunk_rows", self.chunk_rows)]
    }

    /// One per chunk and four channels.
    pub(crate) fn invocations(self) -> u32 {
        self.chunks() * self.c4
    }
}
