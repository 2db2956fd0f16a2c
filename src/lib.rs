//! velograd trains convolutional networks with every operation a WGSL compute shader.
#![warn(missing_docs)]

pub mod ceilings;
pub mod checkpoint;
pub mod cli;
pub mod comparison;
pub mod data;
pub mod error;
pub mod evaluate;
pub mod experiment;
pub mod figure;
pub mod files;
pub mod gpu;
pub mod matrix;
pub mod metrics;
pub mod models;
pub mod network;
pub mod ops;
pub mod optim;
pub mod params;
pub mod probe;
pub mod profile;
pub mod random;
pub mod record;
pub mod reference;
pub mod report;
pub mod schedule;
pub mod selftest;
pub mod signals;
pub mod stats;
pub mod suggest;
pub mod sweep;
pub mod table;
pub mod tape;
pub mod tensors;
pub mod train;
pub mod weights;
