//! Checks that a device computes what it should: naive f64 references, and the comparison of every kernel with them.

pub mod cooperative;
pub mod reference;
pub mod selftest;
