//! Experiments: runs side by side, update rules alone, times of kernels, and how they are shown.

pub mod ceilings;
pub mod comparison;
pub mod confusion;
pub mod experiment;
pub mod figure;
pub mod logits;
pub mod plain;
pub mod png;
pub mod predictions;
pub mod probe;
pub mod profile;
pub mod report;
pub mod runs;
pub mod seen;
pub mod sheet;
pub mod stats;
pub mod sweep;
pub mod table;
