//! Devices: the only room that names wgpu.

mod gpu;
pub mod kernel;
pub mod runtime;
pub mod timing;
mod unchecked;

pub(crate) use unchecked::pipeline_cache;

pub use crate::program::target::fixed_subgroup;
pub use gpu::{FEATURES, Gpu, NO_ADAPTER, adapters, choose, driver, is_software};
