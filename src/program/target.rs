//! Which form of a kernel runs on which class of devices: one table instead of conditions spread over the host's code.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    product::{Choice, Gemm, Matrix, Product},
    shader::{Const, Spec},
};

/// What activations and their gradients are stored as. Sums, parameters, their gradients, statistics and optimizer
/// state are f32 in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32.
    #[default]
    F32,
    /// f16, with a scale on the loss's gradient (Micikevicius et al. 2018, "Mixed Precision Training").
    Mixed,
}

impl Precision {
    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Mixed => "mixed",
        }
    }
}

/// What a kernel imports to load operands.
pub(crate) const OPERAND: &str = "operand";

/// The forms of the kernels that suit one class of devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// What activations are stored as.
    pub precision: Precision,
    /// The cooperative matrices that compute products of f16 activations, if any do (`crate::check::cooperative`).
    pub matrix: Option<Matrix>,
    /// The cores to choose from.
    pub gemm: Vec<Gemm>,
    /// Workgroups that the device runs at once, as far as this can be known; 1 if more of them gain nothing.
    pub units: u32,
    /// How every product is computed, whatever else would be chosen; for the selftest.
    pub forced: Option<Choice>,
    /// Choices that tuning found faster than the estimated ones, by the product's name (`crate::training::tune`).
    pub tuned: Arc<BTreeMap<String, Choice>>,
    /// The file in `shaders/shared/` that reduces over a workgroup.
    pub reduce: &'static str,
    /// Invocations of a workgroup in a reduction.
    pub reduce_lanes: u32,
    /// Whether operands in f32 are loaded two numbers at a time, as integers of 64 bits.
    pub wide: bool,
}

impl Target {
    /// The forms that every WebGPU device can run: no subgroups, 256 invocations, 16 KiB of workgroup memory, 8 storage
    /// buffers.
    pub fn portable() -> Self {
        Self {
            precision: Precision::F32,
            matrix: None,
            gemm: Gemm::TILES.to_vec(),
            units: 64,
            forced: None,
            tuned: Arc::default(),
            reduce: "reduce_tree",
            reduce_lanes: 64,
            wide: false,
        }
    }

    /// The forms for software devices, where barriers and loads are expensive and arithmetic is nearly free.
    pub fn software(subgroup: u32) -> Self {
        // With 16 lanes, twice the columns would be 8 % faster, but a compiler on the CPU takes three to ten times as
        // long.
        let columns: &[u32] = if subgroup < 16 { &[2, 1] } else { &[1] };
        let gemm = columns.iter().map(|&columns| Gemm::Subgroup { size: subgroup, columns }).collect();
        Self { gemm, units: 1, reduce: "reduce_subgroup", reduce_lanes: subgroup, ..Self::portable() }
    }

    /// The same forms for activations of this precision.
    pub fn with(&self, precision: Precision) -> Self {
        Self { precision, ..self.clone() }
    }

    /// How to compute a product: as tuning found, or else as is estimated to be fastest.
    pub fn choose(&self, product: &Product) -> Choice {
        let tuned = || self.tuned.get(&product.name).copied().filter(|choice| choice.is_possible(product));
        self.forced.or_else(tuned).unwrap_or_else(|| self.candidates(product)[0])
    }

    /// The ways to compute a product, the one that is estimated to be fastest first.
    pub fn candidates(&self, product: &Product) -> Vec<Choice> {
        let matrix = self.matrix.filter(|_| product.half).map(|matrix| vec![Gemm::Matrix(matrix)]);
        let cores = matrix.unwrap_or_else(|| self.gemm.clone());
        let all = cores.iter().flat_map(|&gemm| Choice::PARTS.map(|parts| Choice { gemm, parts }));
        let mut all: Vec<_> = all.filter(|choice| choice.is_sensible(product, self.units)).collect();
        all.sort_by(|a, b| a.estimate(product, self.units).total_cmp(&b.estimate(product, self.units)));
        all
    }

    /// The core for a product in f32 whose sums cannot be split: the one that is estimated to be fastest.
    pub(crate) fn whole(&self, product: &Product) -> Gemm {
        let forced = self.forced.map(|choice| choice.gemm).filter(|gemm| self.gemm.contains(gemm));
        let estimate = |gemm: &&Gemm| Choice { gemm: **gemm, parts: 1 }.estimate(product, self.units);
        let fastest = || self.gemm.iter().min_by(|a, b| estimate(a).total_cmp(&estimate(b)));
        forced.unwrap_or_else(|| *fastest().expect("a target has a core"))
    }

    /// The choice that is displayed as `word`; `None` if this target has no such choice.
    pub fn choice(&self, word: &str) -> Option<Choice> {
        let cores = self.gemm.iter().copied().chain(self.matrix.map(Gemm::Matrix));
        let all = cores.flat_map(|gemm| Choice::PARTS.map(|parts| Choice { gemm, parts }));
        all.into_iter().find(|choice| choice.to_string() == word)
    }

    /// The spec of a kernel that imports `tile`, for workgroups of [`tile_lanes`](Self::tile_lanes).
    pub(crate) fn tiling(&self, mut spec: Spec) -> Spec {
        let (keys, file) = if self.in_subgroups() { (self.tile_lanes(), "tile_broadcasts") } else { (4, "tile_loads") };
        spec.consts.extend([("LANES".into(), Const::U32(self.tile_lanes())), ("KEYS".into(), Const::U32(keys))]);
        spec.imports.push(("tile", file));
        self.loading(spec)
    }

    /// The spec of a kernel that imports `operand`.
    pub(crate) fn loading(&self, mut spec: Spec) -> Spec {
        spec.imports.extend(self.wide.then_some((OPERAND, "operand_wide")));
        spec
    }

    /// Invocations of a workgroup in a kernel that imports `tile`.
    pub(crate) fn tile_lanes(&self) -> u32 {
        if self.in_subgroups() { self.reduce_lanes } else { 64 }
    }

    /// Whether workgroups that exchange values are one subgroup each.
    fn in_subgroups(&self) -> bool {
        self.reduce == "reduce_subgroup"
    }

    /// The spec of a kernel that imports `reduce`.
    pub(crate) fn reducing(&self, mut spec: Spec) -> Spec {
        spec.consts.push(("LANES".into(), Const::U32(self.reduce_lanes)));
        spec.imports.push(("reduce", self.reduce));
        spec
    }
}
