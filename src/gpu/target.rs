//! Which form of a kernel runs where: a table by device class, not `if`s spread over the host.

use super::shader::{COOPERATIVE, Const, Spec};

/// A matrix-product core and its tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gemm {
    /// File in `shaders/shared/`.
    pub file: &'static str,
    /// Invocations of a workgroup.
    pub lanes: u32,
    /// Rows of the output a workgroup computes.
    pub rows: u32,
    /// Columns of the output a workgroup computes.
    pub cols: u32,
}

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

/// Cooperative matrices: products of f16 by f16 that a subgroup computes together, summed in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// Those of an adapter that `gemm_matrix` can use.
    pub fn of(adapter: &wgpu::Adapter) -> Option<Self> {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        let needed = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16;
        let fixed =
            info.subgroup_min_size == info.subgroup_max_size && [8, 16, 32, 64].contains(&info.subgroup_min_size);
        if !adapter.features().contains(needed) || !fixed || limits.max_compute_workgroup_storage_size < Self::MEMORY {
            return None;
        }
        let (half, single) = (wgpu::CooperativeScalarType::F16, wgpu::CooperativeScalarType::F32);
        let square = |p: &wgpu::CooperativeMatrixProperties| p.m_size == p.n_size && p.n_size == p.k_size;
        let all = adapter.cooperative_matrix_properties();
        let usable = all.iter().filter(|p| square(p) && p.ab_type == half && p.cr_type == single);
        let cores = usable.map(|p| Self { tile: p.m_size, subgroup: info.subgroup_min_size, plain: false });
        cores.filter(Self::divides).max_by_key(|core| core.tile)
    }

    /// Whether the subgroups of a workgroup share its tiles evenly.
    fn divides(&self) -> bool {
        [8, 16].contains(&self.tile) && (4096 / (self.tile * self.tile)).is_multiple_of(256 / self.subgroup)
    }
}

/// The forms of the kernels that suit one class of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What activations are stored as.
    pub precision: Precision,
    /// Products of f16 activations run on these where there are some (`crate::matrix`).
    pub matrix: Option<Matrix>,
    /// Candidate cores; the first whose tile wastes least on a given shape is taken.
    pub gemm: Vec<Gemm>,
    /// File in `shaders/shared/` that sums over a workgroup.
    pub reduce: &'static str,
    /// Invocations of a workgroup that reduces.
    pub reduce_lanes: u32,
}

impl Target {
    /// What WebGPU's core can run: no subgroups, 256 invocations, 16 KiB of workgroup memory, 8 storage buffers.
    pub fn portable() -> Self {
        let tile = Gemm { file: "gemm_tile", lanes: 256, rows: 64, cols: 64 };
        let (precision, gemm) = (Precision::F32, vec![tile]);
        Self { precision, matrix: None, gemm, reduce: "reduce_tree", reduce_lanes: 64 }
    }

    /// Software devices, where barriers and loads are dear and arithmetic is nearly free.
    pub fn software(subgroup: u32) -> Self {
        let core = |columns: u32| Gemm {
            file: "gemm_subgroup",
            lanes: subgroup,
            rows: 4 * subgroup,
            cols: 4 * subgroup * columns,
        };
        let (precision, gemm) = (Precision::F32, vec![core(2), core(1)]);
        Self { precision, matrix: None, gemm, reduce: "reduce_subgroup", reduce_lanes: subgroup }
    }

    /// The same kernels over activations of this precision.
    pub fn with(&self, precision: Precision) -> Self {
        Self { precision, ..self.clone() }
    }

    /// The row of the table for an adapter that was opened with `features`.
    pub fn of(info: &wgpu::AdapterInfo, features: wgpu::Features) -> Self {
        match fixed_subgroup(info, features) {
            Some(size) if info.device_type == wgpu::DeviceType::Cpu => Self::software(size),
            _ => Self::portable(),
        }
    }

    /// The core for a product of `cols` columns, of f16 activations or not, as spec of the kernel `path`.
    pub(crate) fn gemm_spec(&self, path: &'static str, cols: u32, half: bool) -> (Gemm, Spec) {
        if let Some(matrix) = self.matrix.filter(|_| half) {
            return matrix_spec(path, matrix);
        }
        let waste = |g: &&Gemm| cols.next_multiple_of(g.cols);
        let core = *self.gemm.iter().min_by_key(waste).expect("a target has a core");
        let mut consts = vec![("LANES", Const::U32(core.lanes))];
        if core.file == "gemm_subgroup" {
            let columns = core.cols / (4 * core.lanes);
            consts.extend([("ROWS", core.rows.into()), ("COLS", columns.into())]);
        }
        (core, Spec { path, half: false, consts, imports: vec![("gemm", core.file)] })
    }

    /// The spec of a kernel that imports `reduce`.
    pub(crate) fn reduce_spec(&self, path: &'static str) -> Spec {
        let consts = vec![("LANES", Const::U32(self.reduce_lanes))];
        Spec { path, half: false, consts, imports: vec![("reduce", self.reduce)] }
    }
}

fn matrix_spec(path: &'static str, Matrix { tile, subgroup, plain }: Matrix) -> (Gemm, Spec) {
    let core = Gemm { file: "gemm_matrix", lanes: 256, rows: 64, cols: 64 };
    let constants = [("LANES", core.lanes), ("SUBGROUP", subgroup), ("TILE", tile), ("STEPS", 32 / tile)];
    let file = match tile {
        _ if plain => "matrix_plain",
        8 => COOPERATIVE[0],
        _ => COOPERATIVE[1],
    };
    let consts = constants.map(|(name, value)| (name, Const::U32(value))).to_vec();
    (core, Spec { path, half: true, consts, imports: vec![("gemm", core.file), ("matrix", file)] })
}

/// The size of the device's subgroups, if they all have one and the subgroup core is made for it: its accumulators grow with
/// the square of the size.
pub fn fixed_subgroup(info: &wgpu::AdapterInfo, features: wgpu::Features) -> Option<u32> {
    let size = info.subgroup_min_size;
    let fixed = size == info.subgroup_max_size && [4, 8, 16].contains(&size);
    (fixed && features.contains(wgpu::Features::SUBGROUP)).then_some(size)
}
