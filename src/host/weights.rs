//! Weights in files.

pub use crate::training::weights::recognize;
