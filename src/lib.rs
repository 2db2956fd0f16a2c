//! velograd trains convolutional networks with every operation a WGSL compute shader.
#![warn(missing_docs)]

pub mod cli;
pub mod error;
pub mod files;
pub mod gpu;
pub mod metrics;
pub mod models;
pub mod ops;
pub mod optim;
pub mod params;
pub mod random;
pub mod reference;
pub mod suggest;
pub mod tape;
