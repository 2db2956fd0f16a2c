//! Matrix products: the cores that compute them, their tiles, and into how many parts a sum is split.

use std::fmt;

use super::shader::{COOPERATIVE, Const, Spec};

/// Cooperative matrices ("tensor cores"): products of f16 by f16 that a subgroup computes together and accumulates in
/// f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matrix {
    /// Rows, columns and depth of one matrix: 8 or 16.
    pub tile: u32,
    /// Invocations in every subgroup.
    pub subgroup: u32,
    /// Whether plain arithmetic takes their place, for tests on devices without cooperative matrices.
    pub plain: bool,
}

impl Matrix {
    /// Bytes of workgroup memory that the core needs.
    pub const MEMORY: u32 = 24 << 10;

    /// Whether the tiles of a workgroup divide evenly among its subgroups.
    pub(crate) fn divides(&self) -> bool {
        [8, 16].contains(&self.tile) && (4096 / (self.tile * self.tile)).is_multiple_of(256 / self.subgroup)
    }
}

/// A matrix-product core (`shaders/README.md`, "The matrix cores").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gemm {
    /// `gemm_tile`: operands are staged in workgroup memory.
    Tile {
        /// Rows of the output that a workgroup computes.
        rows: u32,
        /// Columns of the output that a workgroup computes.
        cols: u32,
        /// Rows and columns of the output that an invocation computes; multiples of 4.
        block: [u32; 2],
        /// Terms of the sums that are staged at once.
        depth: u32,
    },
    /// `gemm_subgroup`: the invocations of a subgroup share what they load by broadcasts.
    Subgroup {
        /// Invocations in every subgroup.
        size: u32,
        /// A quarter of the columns of the output that an invocation computes.
        columns: u32,
    },
    /// `gemm_matrix`: cooperative matrices.
    Matrix(Matrix),
}

impl Gemm {
    /// The tiles that every WebGPU device can run. The larger a block, the fewer loads per multiply-add; the smaller a
    /// tile, the more workgroups.
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

    /// Workgroups that cover one output of `rows` by `cols`: how many down and across.
    pub fn tiles(&self, rows: u32, cols: u32) -> [u32; 2] {
        [rows.div_ceil(self.rows()), cols.div_ceil(self.cols())]
    }

    /// The name of the core's file in `shaders/shared/`.
    pub fn file(&self) -> &'static str {
        match self {
            Self::Tile { .. } => "gemm_tile",
            Self::Subgroup { .. } => "gemm_subgroup",
            Self::Matrix(_) => "gemm_matrix",
        }
    }

    /// The spec of the kernel `path`, which imports `gemm`, with this core.
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

    /// The time of a multiply-add relative to that of the largest block: with smaller blocks it waits for more loads.
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

/// A matrix product, or several of the same shape, as one kernel computes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The kernel.
    pub path: &'static str,
    /// Kernel, shape and type, which identify the product.
    pub name: String,
    /// Rows of an output matrix.
    pub rows: u32,
    /// Columns of an output matrix.
    pub cols: u32,
    /// The number of output matrices.
    pub count: u32,
    /// Terms of each sum, averaged over the output.
    pub terms: u32,
    /// Whether activations are f16.
    pub half: bool,
}

impl Product {
    /// Floating-point operations, two per multiply-add, those on padding to whole vectors included.
    pub fn operations(&self) -> f64 {
        2.0 * self.floats() * f64::from(self.terms)
    }

    /// The number of output values.
    fn floats(&self) -> f64 {
        [self.rows, self.cols, self.count].iter().map(|&n| f64::from(n)).product()
    }
}

/// How a product is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Choice {
    /// The core.
    pub gemm: Gemm,
    /// Workgroups that share a sum. If there are several, a second kernel adds up their partial sums in a fixed order.
    pub parts: u32,
}

/// The cost of one more dispatch, and that of moving one float at a workgroup's share of the memory bandwidth, both in
/// multiply-adds of a workgroup: estimates from the data sheets of large GPUs, only good for ordering candidates.
const DISPATCH: f64 = 1e6;
const FLOAT: f64 = 30.0;

impl Choice {
    /// The numbers of parts worth trying.
    pub const PARTS: [u32; 6] = [1, 2, 4, 8, 16, 32];

    /// Whether the product can be computed this way: cooperative matrices need f16, and partial sums are indexed by 32
    /// bits.
    pub(super) fn is_possible(&self, product: &Product) -> bool {
        let typed = product.half || !matches!(self.gemm, Gemm::Matrix(_));
        typed && f64::from(self.parts) * product.floats() < f64::from(u32::MAX)
    }

    /// Whether this may be the fastest way: a sum is split only if each part has enough terms to be worth a workgroup
    /// and the workgroups are fewer than twice what the device runs at once.
    pub(super) fn is_sensible(&self, product: &Product, units: u32) -> bool {
        let few = self.groups(product) < 2.0 * f64::from(units);
        self.parts == 1 || (few && product.terms / self.parts >= 32 && self.is_possible(product))
    }

    /// The number of workgroups.
    fn groups(&self, product: &Product) -> f64 {
        let [down, across] = self.gemm.tiles(product.rows, product.cols);
        [down, across, product.count, self.parts].iter().map(|&n| f64::from(n)).product()
    }

    /// A rough cost in multiply-adds of one workgroup after another, only good for ordering candidates.
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
