//! A map as a matrix with a row per pixel and image, for kernels that take it in chunks of rows.

use crate::program::params::padded;

/// A matrix of `rows` by channels, cut into chunks of rows (`shaders/shared/rows.wgsl`).
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub rows: u32,
    pub c4: u32,
    pub chunk_rows: u32,
}

impl Rows {
    /// Cuts a map into at most about 256 chunks, so that one workgroup can merge them, of at least 16 rows each.
    pub(crate) fn of([n, h, w, c]: [u32; 4]) -> Self {
        let rows = n * h * w;
        Self { rows, c4: padded(c) / 4, chunk_rows: rows.div_ceil(256).max(16) }
    }

    /// Cuts a map into chunks of at most 64 rows, for kernels that keep no sum per chunk: a GPU needs many workgroups.
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

    /// The number of invocations: one per chunk and four channels.
    pub(crate) fn invocations(self) -> u32 {
        self.chunks() * self.c4
    }
}
