//! The tables that Muon's kernels read: which tensors are updated as matrices, where they are in the arenas, and in
//! which blocks.

use crate::program::{
    params::{Layout, Role, Segment, Shape, padded},
    product::Gemm,
};

/// A matrix as it is stored; it mirrors `Matrix` in `shaders/shared/matrices.wgsl`.
pub(super) struct Matrix {
    /// Index of its tensor.
    pub segment: usize,
    /// Rows, the padding included.
    pub rows: u32,
    /// Columns, the padding included.
    pub cols: u32,
}

impl Matrix {
    /// Whether it has more rows than columns; its Gram matrix is then that of the columns.
    pub fn tall(&self) -> bool {
        self.rows > self.cols
    }

    /// The shorter side.
    pub fn side(&self) -> u32 {
        self.rows.min(self.cols)
    }
}

/// Which tensors Muon updates as matrices (Jordan et al. 2024): linear weights and filters that are not frozen. Embeddings are
/// excluded, and of a network's layers (named as in `conv1.weight`; a bare tensor belongs to none) the first, which sees images,
/// and the last, which computes logits.
pub(super) fn taken(layout: &Layout) -> Vec<bool> {
    let ends = ends(layout);
    let taken = |(i, segment): (usize, &Segment)| {
        matrix(segment) && !matches!(segment.role, Role::Frozen | Role::Embedding) && !ends.contains(&Some(i))
    };
    layout.params.iter().enumerate().map(taken).collect()
}

fn matrix(segment: &Segment) -> bool {
    matches!(segment.shape, Shape::Filter { .. } | Shape::Matrix { .. })
}

/// Indices of the first and the last matrix that belong to a layer. A tied last layer has no matrix of its own.
fn ends(layout: &Layout) -> [Option<usize>; 2] {
    let of_layer = |&i: &usize| matrix(&layout.params[i]) && layout.params[i].name.contains('.');
    let mut layers = (0..layout.params.len()).filter(of_layer);
    let first = layers.next();
    [first, layers.next_back().filter(|_| !layout.tied).or(first)]
}

/// How a tensor is updated that Muon does not update as a matrix.
pub(super) struct Rest {
    /// Its learning rate as a multiple of Muon's, or itself if `own`.
    pub rate: f64,
    /// Weight decay, if the tensor is not excluded from it.
    pub weight_decay: f64,
    /// Whether the learning rate has a schedule of its own instead of following Muon's.
    pub own: bool,
}

/// The kinds of tensors that Muon does not update as matrices.
pub(super) enum Kind {
    /// The matrix of the first or last layer, or an embedding.
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

/// The matrices, wide ones before tall ones. Within each group the most expensive come first, so that none of them
/// starts last.
pub(super) fn matrices(layout: &Layout) -> Vec<Matrix> {
    let stored = |shape| match shape {
        Shape::Filter { k, c, r, s } => (padded(k), r * s * padded(c)),
        Shape::Matrix { outputs, inputs } => (padded(outputs), padded(inputs)),
        Shape::Rows { .. } | Shape::Vector { .. } => unreachable!("it is not taken"),
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

/// The blocks of the tensors that Muon updates as matrices, or of the others: each block's row of the layout's table,
/// and the index of its tensor.
pub(super) fn blocks(layout: &Layout, of_matrices: bool) -> Vec<([u32; 4], usize)> {
    let taken = taken(layout);
    let (blocks, _) = layout.tables();
    let with = blocks.into_iter().map(|block| (block, block[2] as usize));
    with.filter(|(_, segment)| taken[*segment] == of_matrices).collect()
}

/// Number of floats of all Gram matrices.
pub(super) fn gram_floats(matrices: &[Matrix]) -> u32 {
    matrices.iter().map(|m| m.side() * m.side()).sum()
}

/// Number of floats of the second moments that the other tensors need.
pub(super) fn rest_floats(layout: &Layout) -> u32 {
    blocks(layout, false).iter().map(|(block, _)| 4 * block[1]).sum()
}

/// The words of three tables: the matrices, their blocks, and the other tensors' blocks.
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

/// Number of workgroups of one product over several matrices; `size` gives the rows and columns of each result.
pub(super) fn tiles(matrices: &[Matrix], core: Gemm, size: impl Fn(&Matrix) -> (u32, u32)) -> u32 {
    let of = |m| {
        let (rows, cols) = size(m);
        core.tiles(rows, cols).iter().product::<u32>()
    };
    matrices.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::{matrix, taken};
    use crate::{data::Tokens, models};

    /// Muon updates the matrices in a language model's blocks, and leaves the embeddings and the head to AdamW, whether they are tied
    /// or not.
    #[test]
    fn embeddings_and_heads_are_left_out() {
        let gpt = models::find("gpt").unwrap();
        for tied in ["true", "false"] {
            let set = [("width".into(), "8".into()), ("heads".into(), "1".into()), ("tied".into(), tied.into())];
            let config = gpt.config(Tokens { length: 4, vocabulary: 9 }, 9, &set).unwrap();
            let layout = gpt.layout(&config);
            for (segment, taken) in layout.params.iter().zip(taken(&layout)) {
                assert_eq!(taken, matrix(segment) && segment.name.contains(".h."), "tied={tied}: {}", segment.name);
            }
        }
    }
}
