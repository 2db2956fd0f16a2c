//! velograd trains convolutional networks with every operation a WGSL compute shader.
#![warn(missing_docs)]

pub mod error;
pub mod gpu;
pub mod metrics;
pub mod models;
pub mod ops;
pub mod params;
pub mod reference;
pub mod tape;
