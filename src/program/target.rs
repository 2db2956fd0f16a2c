//! Which form of a kernel runs where: a table by device class, not `if`s spread over the host.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    product::{Choice, Gemm, Matrix, Product},
    shader::{Const, Spec},
};

/// What activations and their gradients are stored as. Sums, parameters, their gradients, statistics and everything of the
/// optimizer are f32 either way.
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

/// The forms of the kernels that suit one class of devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// What activations are stored as.
    pub precision: Precision,
    /// Products of f16 activations run on these where there are some (`crate::check::cooperative`).
    pub matrix: Option<Matrix>,
    /// Cores to choose from; the first is the one for products that nobody chooses for.
    pub gemm: Vec<Gemm>,
    /// Workgroups that the device runs at once, as far as one can know; 1 where more of them help nothing.
    pub units: u32,
    /// How every product is computed whatever it is, for the selftest.
    pub forced: Option<Choice>,
    /// What was found faster than the table's choice, by the product's name (`crate::training::tune`).
    pub tuned: Arc<BTreeMap<String, Choice>>,
    /// File in `shaders/shared/` that sums over a workgroup.
    pub reduce: &'static str,
    /// Invocations of a workgroup that reduces.
    pub reduce_lanes: u32,
}

impl Target {
    /// What WebGPU's core can run: no subgroups, 256 invocations, 16 KiB of workgroup memory, 8 storage buffers.
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
        }
    }

    /// Software devices, where barriers and loads are dear and arithmetic is nearly free.
    pub fn software(subgroup: u32) -> Self {
        // With 16 lanes twice the columns is 8 % faster, and takes a compiler on the CPU three to ten times as long.
        let columns: &[u32] = if subgroup < 16 { &[2, 1] } else { &[1] };
        let gemm = columns.iter().map(|&columns| Gemm::Subgroup { size: subgroup, columns }).collect();
        Self { gemm, units: 1, reduce: "reduce_subgroup", reduce_lanes: subgroup, ..Self::portable() }
    }

    /// The same kernels over activations of this precision.
    pub fn with(&self, precision: Precision) -> Self {
        Self { precision, ..self.clone() }
    }

    /// How a product is to be computed: as it was tuned, or as the table estimates.
    pub fn choose(&self, product: &Product) -> Choice {
        let tuned = || self.tuned.get(&product.name).copied().filter(|choice| choice.is_possible(product));
        self.forced.or_else(tuned).unwrap_or_else(|| self.candidates(product)[0])
    }

    /// The ways to compute a product, the one that should be fastest first.
    pub fn candidates(&self, product: &Product) -> Vec<Choice> {
        let matrix = self.matrix.filter(|_| product.half).map(|matrix| vec![Gemm::Matrix(matrix)]);
        let cores = matrix.unwrap_or_else(|| self.gemm.clone());
        let all = cores.iter().flat_map(|&gemm| Choice::PARTS.map(|parts| Choice { gemm, parts }));
        let mut all: Vec<_> = all.filter(|choice| choice.is_sensible(product, self.units)).collect();
        all.sort_by(|a, b| a.estimate(product, self.units).total_cmp(&b.estimate(product, self.units)));
        all
    }

    /// The choice that displays so; `None` if no core of this target does.
    pub fn choice(&self, word: &str) -> Option<Choice> {
        let cores = self.gemm.iter().copied().chain(self.matrix.map(Gemm::Matrix));
        let all = cores.flat_map(|gemm| Choice::PARTS.map(|parts| Choice { gemm, parts }));
        all.into_iter().find(|choice| choice.to_string() == word)
    }

    /// The spec of a kernel that imports `reduce`.
    pub(crate) fn reducing(&self, mut spec: Spec) -> Spec {
        spec.consts.push(("LANES".into(), Const::U32(self.reduce_lanes)));
        spec.imports.push(("reduce", self.reduce));
        spec
    }
}
