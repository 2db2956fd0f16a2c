//! The targets on which a device runs each case.

use crate::{
    device::{Gpu, fixed_subgroup},
    program::{
        product::{Choice, Matrix},
        target::Target,
    },
};

/// The targets that this device supports, in f32.
pub fn targets(gpu: &Gpu) -> Vec<Target> {
    let mut targets = vec![Target::portable()];
    if !targets.contains(&gpu.target) {
        targets.push(gpu.target.clone());
    }
    if let Some(size) = fixed_subgroup(&gpu.info, gpu.features.subgroups) {
        let software = Target { wide: gpu.features.int64, ..Target::software(size) };
        if !targets.contains(&software) {
            targets.push(software);
        }
    }
    targets
}

/// The targets, and each of them with one core alone, and sums in one part and in three: every form that a product may
/// get.
pub fn variants(gpu: &Gpu) -> Vec<Target> {
    let mut variants = targets(gpu);
    for target in targets(gpu) {
        for &core in &target.gemm {
            let forced = |parts| Target { forced: Some(Choice { gemm: core, parts }), ..target.clone() };
            variants.extend([1, 3].map(forced));
        }
    }
    variants
}

/// Targets whose products of f16 activations run on the device's cooperative matrices, or on plain arithmetic in place
/// of these; both round weights to f16.
pub(super) fn matrix_targets(gpu: &Gpu) -> Vec<Target> {
    if gpu.device.limits().max_compute_workgroup_storage_size < Matrix::MEMORY {
        return vec![];
    }
    let plain = [8, 16].map(|tile| Matrix { tile, subgroup: 32, plain: true });
    let all = gpu.matrix.into_iter().chain(plain);
    all.map(|matrix| Target { matrix: Some(matrix), ..Target::portable() }).collect()
}
