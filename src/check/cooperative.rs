//! Checks that a device's cooperative matrices are right, and faster than the core without them.
//!
//! Some drivers claim the feature without fast hardware behind it, and some compute it wrongly. So only
//! `VELOGRAD_MATRIX=1` asks for it, and it is then tried on a convolution, forward and backward, before a network runs
//! on it.

use std::time::Duration;

use web_time::Instant;

use crate::{
    check::selftest::{Case, Conv2dCase, execute, truth},
    device::{Gpu, runtime::Runtime},
    error::Result,
    ops::Conv2d,
    program::{
        product::Matrix,
        target::{Precision, Target},
    },
};

/// Whether cooperative matrices are used, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The device has none, or was not asked for them.
    Absent,
    /// A result was out of its bound.
    Wrong,
    /// The results are right, but no faster than with the core without them.
    Slow,
    /// The results are right and faster.
    Taken,
}

/// The convolution that decides: it has several tiles in every dimension, and all three passes.
const CASE: Conv2dCase =
    Conv2dCase { input: [64, 4, 4, 64], conv: Conv2d { outputs: 64, kernel: 3, stride: 1, padding: 1 }, shared: false };

/// Decides whether products of f16 activations should run on these cooperative matrices of the device: whether they
/// compute a convolution within its bounds, and faster than the core without them. If the verdict is
/// [`Verdict::Taken`], the caller sets them in the target of its plans.
///
/// # Errors
/// [`crate::error::Error::Device`] if the device cannot run the convolution at all.
pub async fn judge(gpu: &Gpu, matrix: Option<Matrix>) -> Result<Verdict> {
    if matrix.is_none() || !gpu.features.f16 {
        return Ok(Verdict::Absent);
    }
    let plain = gpu.target.with(Precision::Mixed);
    let target = Target { matrix, ..plain.clone() };
    let (data, expected) = truth(&target, &CASE);
    let rows = execute(gpu, &target, &CASE, &data).await?.rows(&CASE.name(), &expected);
    if rows.iter().any(|row| !row.passed) {
        return Ok(Verdict::Wrong);
    }
    let slow = seconds(gpu, &target).await? >= seconds(gpu, &plain).await?;
    Ok(if slow { Verdict::Slow } else { Verdict::Taken })
}

/// The time of the fastest of ten runs.
async fn seconds(gpu: &Gpu, target: &Target) -> Result<Duration> {
    let runtime = Runtime::new(gpu, &[CASE.recording(target)], true).await?;
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        runtime.run(&[0]).await?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}
