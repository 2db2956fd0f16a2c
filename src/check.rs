//! Whether a device computes what it should: naive f64 references, and every kernel compared with them.

pub mod cooperative;
pub mod reference;
pub mod selftest;
