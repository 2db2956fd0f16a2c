//! velograd trains convolutional networks with every operation a WGSL compute shader.

pub mod check;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod device;
pub mod error;
#[cfg(feature = "host")]
pub mod host;
#[cfg(feature = "lab")]
pub mod lab;
pub mod models;
pub mod ops;
pub mod optim;
pub mod parallel;
pub mod program;
pub mod random;
pub mod training;
