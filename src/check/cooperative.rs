//! Whether a device's cooperative matrices are right, and worth it.
//!
//! Drivers claim the feature without fast hardware behind it, and some compute it wrongly. So it is asked for by
//! `VELOGRAD_MATRIX=1` alone, and then tried on a convolution, forward and backward, before a network runs on it.

use std::time::{Duration, Instant};

use crate::{
    check::selftest::{Case, Conv2dCase, execute, truth},
    device::{Gpu, runtime::Runtime},
    error::Result,
    ops::Conv2d,
    program::target::{Precision, Target},
};

/// What became of the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The device has none, or was not asked for them.
    Absent,
    /// A result was out of its bounds.
    Wrong,
    /// No faster than the core without.
    Slow,
    /// In use.
    Taken,
}

/// The convolution that decides: several tiles every way, and all three passes.
const CASE: Conv2dCase =
    Conv2dCase { input: [64, 4, 4, 64], conv: Conv2d { outputs: 64, kernel: 3, stride: 1, padding: 1 }, shared: false };

/// Lets products of f16 activations run on the device's cooperative matrices, if these compute a convolution within its
/// bounds and faster than the core without.
///
/// # Errors
/// [`crate::error::Error::Device`] if the device cannot run the convolution at all.
pub fn adopt(gpu: &mut Gpu) -> Result<Verdict> {
    if gpu.matrix.is_none() || !gpu.has_f16() {
        return Ok(Verdict::Absent);
    }
    let plain = gpu.target.with(Precision::Mixed);
    let target = Target { matrix: gpu.matrix, ..plain.clone() };
    let (data, expected) = truth(&target, &CASE);
    let rows = execute(gpu, &target, &CASE, &data)?.rows(&CASE.name(), &expected);
    if rows.iter().any(|row| !row.passed) {
        return Ok(Verdict::Wrong);
    }
    if seconds(gpu, &target)? >= seconds(gpu, &plain)? {
        return Ok(Verdict::Slow);
    }
    gpu.target.matrix = gpu.matrix;
    Ok(Verdict::Taken)
}

/// The shortest of ten runs.
fn seconds(gpu: &Gpu, target: &Target) -> Result<Duration> {
    let runtime = Runtime::new(gpu, &[CASE.recording(target)], true)?;
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        runtime.run(&[0])?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}
