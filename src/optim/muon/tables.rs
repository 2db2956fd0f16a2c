//! What Muon's kernels know of the arenas: which tensors are matrices to it, where they lie, and in which blocks.

use crate::{
    gpu::gemm::Gemm,
    params::{Layout, Shape, padded},
};

/// A matrix as it is stored, the twin of `Matrix` in `shaders/shared/matrices.wgsl`.
pub(super) struct Matrix {
    /// Index of its tensor.
    pub segment: usize,
    /// Rows, the padding included.
    pub rows: u32,
    /// Columns, the padding included.
    pub cols: u32,
}

impl Matrix {
    /// More rows than columns: its Gram matrix is that of the columns.
    pub fn tall(&self) -> bool {
        self.rows > self.cols
    }

    /// The shorter side.
    pub fn side(&self) -> u32 {
        self.rows.min(self.cols)
    }
}

/// Which tensors Muon takes: matrices and filters, but of a network's layers (`conv1.weight`; a bare tensor belongs to
/// none) neither the first, which sees images, nor the last, which makes logits. Jordan et al. 2024.
pub(super) fn taken(layout: &Layout) -> Vec<bool> {
    let matrix = |shape: Shape| !matches!(shape, Shape::Vector { .. });
    let layers = || (0..layout.params.len()).filter(|&i| matrix(layout.params[i].shape) && in_layer(layout, i));
    let ends = [layers().next(), layers().next_back()];
    (0..layout.params.len()).map(|i| matrix(layout.params[i].shape) && !ends.contains(&Some(i))).collect()
}

fn in_layer(layout: &Layout, index: usize) -> bool {
    layout.params[index].name.contains('.')
}

/// The matrices: wide ones first, then tall ones, the costliest of each first so that it does not end last.
pub(super) fn matrices(layout: &Layout) -> Vec<Matrix> {
    let stored = |shape| match shape {
        Shape::Filter { k, c, r, s } => (padded(k), r * s * padded(c)),
        Shape::Matrix { outputs, inputs } => (padded(outputs), padded(inputs)),
        Shape::Vector { .. } => unreachable!("a vector is not taken"),
    };
    let mut list: Vec<_> = (0..)
        .zip(&layout.params)
        .zip(taken(layout))
        .filter(|(_, taken)| *taken)
        .map(|((segment, s), _)| {
            let (rows, cols) = stored(s.shape);
            Matrix { segment, rows, cols }
        })
        .collect();
    list.sort_by_key(|m| (m.tall(), std::cmp::Reverse(u64::from(m.side()) * u64::from(m.rows) * u64::from(m.cols))));
    list
}

/// Blocks of the tensors that are `taken`, or of the others: index of the block in the layout's table, and of its tensor.
pub(super) fn blocks(layout: &Layout, of_matrices: bool) -> Vec<([u32; 4], usize)> {
    let taken = taken(layout);
    let (blocks, _) = layout.tables();
    let with = blocks.into_iter().map(|block| (block, block[2] as usize));
    with.filter(|(_, segment)| taken[*segment] == of_matrices).collect()
}

/// Floats of all Gram matrices.
pub(super) fn gram_floats(matrices: &[Matrix]) -> u32 {
    matrices.iter().map(|m| m.side() * m.side()).sum()
}

/// Floats of the second moment that the other tensors need.
pub(super) fn rest_floats(layout: &Layout) -> u32 {
    blocks(layout, false).iter().map(|(block, _)| 4 * block[1]).sum()
}

/// Words of the table of matrices, of that of their blocks, and of that of the other tensors' blocks.
pub(super) fn words(layout: &Layout, factor: impl Fn(Shape) -> f64) -> [Vec<u32>; 3] {
    let (mut table, mut own) = (Vec::new(), Vec::new());
    let mut gram4 = 0;
    let all = blocks(layout, true);
    for (index, matrix) in (0u32..).zip(&matrices(layout)) {
        let segment = &layout.params[matrix.segment];
        let first_block = own.len() as u32 / 4;
        for ([first4, len4, ..], _) in all.iter().filter(|(_, s)| *s == matrix.segment) {
            own.extend([*first4, *len4, index, 0]);
        }
        let block_count = own.len() as u32 / 4 - first_block;
        let factor = (factor(segment.shape) as f32).to_bits();
        table.extend([segment.offset / 4, matrix.rows, matrix.cols / 4, matrix.side()]);
        table.extend([gram4, first_block, block_count, factor, segment.decay().to_bits()]);
        gram4 += matrix.side() * matrix.side() / 4;
    }
    let (mut rest, mut v4) = (Vec::new(), 0);
    for ([first4, len4, ..], segment) in blocks(layout, false) {
        rest.extend([first4, len4, v4, layout.params[segment].decay().to_bits()]);
        v4 += len4;
    }
    [table, own, rest]
}

/// Workgroups of one product over several matrices, `size` giving rows and columns of each result.
pub(super) fn tiles(matrices: &[Matrix], core: Gemm, size: impl Fn(&Matrix) -> (u32, u32)) -> u32 {
    let of = |m| {
        let (rows, cols) = size(m);
        core.tiles(rows, cols).iter().product::<u32>()
    };
    matrices.iter().map(of).sum()
}
