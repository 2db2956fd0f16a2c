//! The calls that wgpu cannot check, for whose safety the caller answers: all `unsafe` code of the library.
#![allow(unsafe_code, reason = "each call says why it is sound")]

/// A shader without the run-time checks of bounds and loops, which make kernels up to ten times slower.
pub(super) fn trusted_module(
    device: &wgpu::Device,
    descriptor: wgpu::ShaderModuleDescriptor<'_>,
) -> wgpu::ShaderModule {
    // SAFETY: every loop of the shaders is bounded by a uniform or a constant, no divisor is zero for the sizes the tape
    // accepts, and indices stay inside the buffers for the grids it records. The kernel tests run the same shaders with
    // the checks on and off over sizes that no tile divides, with guard values behind every buffer.
    unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
}

/// The driver's pipeline cache, filled with what an earlier run saved.
pub(super) fn pipeline_cache(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    // SAFETY: the data come from `get_data` of such a cache, are protected by a checksum, and lie in a file whose name
    // states adapter and driver; wgpu and the driver compare their headers too, and with `fallback` start an empty
    // cache if they differ.
    unsafe {
        device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor { label: Some("velograd"), data, fallback: true })
    }
}

/// Permission to use the experimental feature among `features`, if there is one.
pub(super) fn experimental(features: wgpu::Features) -> wgpu::ExperimentalFeatures {
    if features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
        // SAFETY: one experimental feature is used, and only where `Opening::matrices` asks for it; the command line computes with it only
        // after `check::cooperative::judge` has compared its results.
        unsafe { wgpu::ExperimentalFeatures::enabled() }
    } else {
        wgpu::ExperimentalFeatures::disabled()
    }
}
