//! The family of matrix products: cores, their tiles, and in how many parts a sum is taken.

use std::fmt;

use super::shader::{COOPERATIVE, Const, Spec};

/// Cooperative matrices: products of f16 by f16 that a subgroup computes together, summed in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matrix {
    /// Rows, columns and depth: 8 or 16.
    pub tile: u32,
    /// Invocations of every subgroup.
    pub subgroup: u32,
    /// Plain arithmetic in their place, for tests on devices without.
    pub plain: bool,
}

impl Matrix {
    /// Bytes that a workgroup of the core shares.
    pub const MEMORY: u32 = 24 << 10;

    /// Whether the subgroups of a workgroup share its tiles evenly.
    pub(crate) fn divides(&self) -> bool {
        [8, 16].contains(&self.tile) && (4096 / (self.tile * self.tile)).is_multiple_of(256 / self.subgroup)
    }
}

/// A matrix-product core (`shaders/README.md`, "The matrix cores").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gemm {
    /// `gemm_tile`: staged through workgroup memory.
    Tile {
        /// Rows of the output that a workgroup computes.
        rows: u32,
        /// Columns of the output that a workgroup computes.
        cols: u32,
        /// Rows and columns of them that an invocation computes; multiples of 4.
        block: [u32; 2],
        /// Terms staged at once.
        depth: u32,
    },
    /// `gemm_subgroup`: a subgroup, by broadcasts.
    Subgroup {
        /// Invocations of every subgroup.
        size: u32,
        /// An invocation computes 4 times as many columns of the output.
        columns: u32,
    },
    /// `gemm_matrix`: cooperative matrices.
    Matrix(Matrix),
}

impl Gemm {
    /// Those that WebGPU's core can run. The larger a block, the fewer loads per multiply-add; the smaller a tile, the more
    /// workgroups.
    pub const TILES: [Self; 4] = [
        Self::Tile { rows: 64, cols: 64, block: [4, 4], depth: 16 },
        Self::Tile { rows: 128, cols: 128, block: [8, 8], depth: 8 },
        Self::Tile { rows: 128, cols: 64, block: [8, 4], depth: 16 },
        Self::Tile { rows: 32, cols: 32, block: [4, 4], depth: 16 },
    ];

    /// Rows of the output that a workgroup computes.
    pub fn rows(&self) -> u32 {
        match *self {
            Self::Tile { rows, .. } => rows,
            Self::Subgroup { size, .. } => 4 * size,
            Self::Matrix(_) => 64,
        }
    }

    /// Columns of the output that a workgroup computes.
    pub fn cols(&self) -> u32 {
        match *self {
            Self::Tile { cols, .. } => cols,
            Self::Subgroup { size, columns } => 4 * size * columns,
            Self::Matrix(_) => 64,
        }
    }

    /// Workgroups that cover one output of this size, along rows and columns.
    pub fn tiles(&self, rows: u32, cols: u32) -> [u32; 2] {
        [rows.div_ceil(self.rows()), cols.div_ceil(self.cols())]
    }

    /// The file in `shaders/shared/`.
    pub fn file(&self) -> &'static str {
        match self {
            Self::Tile { .. } => "gemm_tile",
            Self::Subgroup { .. } => "gemm_subgroup",
            Self::Matrix(_) => "gemm_matrix",
        }
    }

    /// The spec of the kernel `path`, which imports `gemm`.
    pub(crate) fn spec(&self, path: &'static str) -> Spec {
        let mut imports = vec![("gemm", self.file())];
        let consts = match *self {
            Self::Tile { rows, cols, block: [down, across], depth } => {
                let lanes = rows * cols / (down * across);
                let fetches = ((rows + cols) * depth / 16).div_ceil(lanes);
                let tile = [("LANES", lanes), ("ROWS", rows), ("COLS", cols), ("DEPTH", depth)];
                [tile.as_slice(), &[("ROWS_4", down / 4), ("COLS_4", across / 4), ("FETCHES", fetches)]].concat()
            }
            Self::Subgroup { size, columns } => vec![("LANES", size), ("ROWS", 4 * size), ("COLS", columns)],
            Self::Matrix(Matrix { tile, subgroup, plain }) => {
                let core = match tile {
                    _ if plain => "matrix_plain",
                    8 => COOPERATIVE[0],
                    _ => COOPERATIVE[1],
                };
                imports.push(("matrix", core));
                vec![("LANES", 256), ("SUBGROUP", subgroup), ("TILE", tile), ("STEPS", 32 / tile)]
            }
        };
        let consts = consts.into_iter().map(|(name, value)| (name.into(), Const::U32(value))).collect();
        Spec { half: matches!(self, Self::Matrix(_)), consts, imports, ..Spec::new(path) }
    }

    /// Time of a multiply-add against that of the largest block: a smaller one waits for loads.
    fn cost(&self) -> f64 {
        match self {
            Self::Tile { block: [down, across], .. } => 0.6 + 6.4 / f64::from(down + across),
            Self::Subgroup { .. } | Self::Matrix(_) => 1.0,
        }
    }
}

impl fmt::Display for Gemm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}x{}", self.file(), self.rows(), self.cols())
    }
}

/// Sums of products as one kernel is to compute them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The kernel.
    pub path: &'static str,
    /// Kernel, shape and type: what tells it from others.
    pub name: String,
    /// Rows of an output matrix.
    pub rows: u32,
    /// Columns of an output matrix.
    pub cols: u32,
    /// Output matrices.
    pub count: u32,
    /// Terms of the sums, on average over the output.
    pub terms: u32,
    /// Whether activations are f16.
    pub half: bool,
}

impl Product {
    /// Multiply-adds as two operations each; those that fill a vector count.
    pub fn operations(&self) -> f64 {
        2.0 * self.floats() * f64::from(self.terms)
    }

    /// Numbers that come out.
    fn floats(&self) -> f64 {
        [self.rows, self.cols, self.count].iter().map(|&n| f64::from(n)).product()
    }
}

/// How a product is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Choice {
    /// The core.
    pub gemm: Gemm,
    /// Workgroups that share a sum; where there are several, a second kernel adds their parts up, in order.
    pub parts: u32,
}

/// Multiply-adds of a workgroup in the time that one more dispatch takes, and in its share of the time that memory takes for a float:
/// an estimate from the data sheets of large GPUs, for an order of candidates and no more.
const DISPATCH: f64 = 1e6;
const FLOAT: f64 = 30.0;

impl Choice {
    /// Parts worth trying.
    pub const PARTS: [u32; 6] = [1, 2, 4, 8, 16, 32];

    /// Whether the product can be computed so: cooperative matrices take f16, and parts are indexed by 32 bits.
    pub(super) fn is_possible(&self, product: &Product) -> bool {
        let typed = product.half || !matches!(self.gemm, Gemm::Matrix(_));
        typed && f64::from(self.parts) * product.floats() < f64::from(u32::MAX)
    }

    /// Whether it may be the best: parts long enough to be worth a workgroup, and no more workgroups than run at once.
    pub(super) fn is_sensible(&self, product: &Product, units: u32) -> bool {
        let few = self.groups(product) < 2.0 * f64::from(units);
        self.parts == 1 || (few && product.terms / self.parts >= 32 && self.is_possible(product))
    }

    /// Workgroups.
    fn groups(&self, product: &Product) -> f64 {
        let [down, across] = self.gemm.tiles(product.rows, product.cols);
        [down, across, product.count, self.parts].iter().map(|&n| f64::from(n)).product()
    }

    /// Multiply-adds of one workgroup after the other, roughly: an order, not a time.
    pub(super) fn estimate(&self, product: &Product, units: u32) -> f64 {
        let (parts, units) = (f64::from(self.parts), f64::from(units));
        let tile = f64::from(self.gemm.rows()) * f64::from(self.gemm.cols());
        let products =
            (self.groups(product) / units).ceil() * tile * f64::from(product.terms) / parts * self.gemm.cost();
        let sum = if self.parts > 1 { DISPATCH + FLOAT * product.floats() * (2.0 * parts + 1.0) / units } else { 0.0 };
        products + sum
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.gemm)?;
        if self.parts > 1 { write!(f, " in {} parts", self.parts) } else { Ok(()) }
    }
}
