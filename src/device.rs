//! Devices: the only module that names wgpu.
//!
//! Submitting work never waits; [`readback`] is the only place that does.

mod adapter;
mod gpu;
pub mod kernel;
pub mod readback;
pub mod runtime;
pub mod submission;
pub mod timing;
mod unchecked;

pub use adapter::{Adapter, DeviceKind, Features, Info, NO_ADAPTER, adapters, choose, fixed_subgroup};
pub use gpu::{Gpu, Opening, PipelineStore, Shared};
/// A buffer in the device's memory.
pub use wgpu::Buffer as DeviceBuffer;
