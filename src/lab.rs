//! Experiments: runs side by side, rules alone, times of kernels, and how they are shown.

pub mod ceilings;
pub mod comparison;
pub mod experiment;
pub mod figure;
pub mod probe;
pub mod profile;
pub mod report;
pub mod sheet;
pub mod stats;
pub mod sweep;
pub mod table;
