//! What a rule does to a gradient of one's own making: MVN-Grad's two experiments (Patitucci and Mokhtari, arXiv
//! 2602.10204, figures 2 and 3) for any optimizer.
//!
//! Both drive the optimizer alone, on one tensor of independent coordinates, and count updates in units of the rate.

use crate::{
    error::Result,
    gpu::Gpu,
    optim::{self, Stepper},
    random::Rng,
};

/// Coordinates of the tensor: many, so that a mean over them is sharp.
const COORDINATES: usize = 1024;

/// Keys of the generators.
const SPIKE: u64 = 0x5b1;
const VARIANCE: u64 = 0x5b2;

/// Updates before anything is measured.
const WARM_UP: usize = 100;

/// Standard deviation of the gradients around which a spike rises.
const NOISE: f64 = 1e-2;

/// The largest change of any coordinate, in units of the rate, in the 30 updates from a spike of `size` standard
/// deviations on; gradients are normal with mean 0 before and after.
///
/// # Errors
/// An unknown optimizer or setting, or a fault of the device.
pub fn spike(gpu: &Gpu, optimizer: &str, set: &[(String, String)], size: f64, seed: u64) -> Result<f64> {
    let (optimizer, _) = optim::build(optimizer, set)?;
    let lr = optimizer.lr();
    let mut stepper = Stepper::new(gpu, optimizer, &[vec![0.0; COORDINATES]])?;
    let mut rng = Rng::keyed(seed, &[SPIKE]);
    let mut peak = 0.0_f64;
    let mut before = stepper.params()?;
    for update in 0..WARM_UP + 30 {
        let factor = if update == WARM_UP { size } else { 1.0 };
        let gradient: Vec<f32> = (0..COORDINATES).map(|_| (factor * NOISE * rng.normal()) as f32).collect();
        stepper.step(&[gradient], 1.0)?;
        if update + 1 >= WARM_UP {
            let after = stepper.params()?;
            if update >= WARM_UP {
                peak = peak.max(largest(&before[0], &after[0]));
            }
            before = after;
        }
    }
    Ok(peak / lr)
}

fn largest(before: &[f32], after: &[f32]) -> f64 {
    let changes = before.iter().zip(after).map(|(b, a)| (f64::from(*a) - f64::from(*b)).abs());
    changes.fold(0.0, f64::max)
}

/// The variance of the next update given the optimizer's state, in units of the squared rate, for gradients of mean 1 and
/// standard deviation `noise`: by Monte Carlo over `draws` gradients from one frozen state, averaged over coordinates.
///
/// # Errors
/// An unknown optimizer or setting, or a fault of the device.
pub fn conditional_variance(
    gpu: &Gpu,
    optimizer: &str,
    set: &[(String, String)],
    noise: f64,
    draws: usize,
    seed: u64,
) -> Result<f64> {
    let (optimizer, _) = optim::build(optimizer, set)?;
    let lr = optimizer.lr();
    let mut stepper = Stepper::new(gpu, optimizer, &[vec![0.0; COORDINATES]])?;
    let mut rng = Rng::keyed(seed, &[VARIANCE]);
    let mut gradient = || (0..COORDINATES).map(|_| (1.0 + noise * rng.normal()) as f32).collect::<Vec<f32>>();
    for _ in 0..WARM_UP {
        stepper.step(&[gradient()], 1.0)?;
    }
    let frozen = stepper.snapshot()?;
    let before = stepper.params()?;
    // Differences from the first draw: updates that hardly vary keep their digits.
    let mut shift = vec![0.0; COORDINATES];
    let (mut sums, mut squares) = (vec![0.0; COORDINATES], vec![0.0; COORDINATES]);
    for draw in 0..draws {
        stepper.restore(&frozen);
        stepper.step(&[gradient()], 1.0)?;
        let after = stepper.params()?;
        for i in 0..COORDINATES {
            let update = (f64::from(after[0][i]) - f64::from(before[0][i])) / lr;
            if draw == 0 {
                shift[i] = update;
            }
            sums[i] += update - shift[i];
            squares[i] += (update - shift[i]).powi(2);
        }
    }
    let count = draws as f64;
    let variance = |i: usize| (squares[i] - sums[i] * sums[i] / count) / (count - 1.0);
    Ok((0..COORDINATES).map(variance).sum::<f64>() / COORDINATES as f64)
}
