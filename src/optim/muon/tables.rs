//! What Muon's kernels know of the arenas: which tensors are matrices to it, where they lie, and in which blocks.

use crate::program::{
    params::{Layout, Segment, Shape, padded},
    product::Gemm,
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
/// none) neither the first, which sees images, nor the last, which makes logits. Jordan et al. 2024. Nor what is frozen.
pub(super) fn taken(layout: &Layout) -> Vec<bool> {
    let ends = ends(layout);
    let taken = |(i, segment): (usize, &Segment)| matrix(segment) && !segment.frozen && !ends.contains(&Some(i));
    layout.params.iter().enumerate().map(taken).collect()
}

fn matrix(segment: &Segment) -> bool {
    !matches!(segment.shape, Shape::Vector { .. })
}

/// The first matrix of a layer, and the last.
fn ends(layout: &Layout) -> [Option<usize>; 2] {
    let of_layer = |&i: &usize| matrix(&layout.params[i]) && layout.params[i].name.contains('.');
    let mut layers = (0..layout.params.len()).filter(of_layer);
    let first = layers.next();
    [first, layers.next_back().or(first)]
}

/// How a tensor that is not taken moves.
pub(super) struct Rest {
    /// Its rate over Muon's, or its rate.
    pub rate: f64,
    /// Weight decay where that reaches it.
    pub weight_decay: f64,
    /// The rate is not Muon's times something: it has a schedule of its own.
    pub own: bool,
}

/// What a tensor that is not taken is.
pub(super) enum Kind {
    /// A matrix: the first or last of a network.
    Matrix,
    /// The bias of the first layer.
    FirstBias,
    /// Another vector.
    Vector,
}

/// The name of the layer that a tensor belongs to.
fn layer(segment: &Segment) -> Option<&str> {
    segment.name.rsplit_once('.').map(|(layer, _)| layer)
}

fn kind(layout: &Layout, index: usize) -> Kind {
    let segment = &layout.params[index];
    let first = ends(layout)[0].map(|first| &layout.params[first]);
    match first {
        _ if matrix(segment) => Kind::Matrix,
        Some(first) if layer(segment) == layer(first) => Kind::FirstBias,
        _ => Kind::Vector,
    }
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
pub(super) fn words(layout: &Layout, factor: impl Fn(Shape) -> f64, rest_of: impl Fn(Kind) -> Rest) -> [Vec<u32>; 3] {
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
        let Rest { rate, weight_decay, own } = rest_of(kind(layout, segment));
        let weight_decay = weight_decay as f32 * layout.params[segment].decay();
        rest.extend([first4, len4, v4, weight_decay.to_bits(), (rate as f32).to_bits(), u32::from(own)]);
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
