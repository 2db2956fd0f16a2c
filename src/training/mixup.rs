//! The share by which the images of a batch are mixed.

use crate::random::Rng;

/// Distinguishes these random numbers from others of the same seed.
const KEY: u64 = 0x6d_69_78_75_70;

/// `lambda` of a batch of [`ops::mixup`](crate::ops::mixup): from Beta(alpha, alpha) (Zhang et al. 2018), by the run's seed, the epoch, and
/// the index of the batch's first image. An epoch has each image once, so no other batch of it has that number, and neither
/// updates nor batches need counting.
///
/// # Panics
/// If `alpha` is not above 0.
pub fn mixing(alpha: f64, seed: u64, epoch: u32, first: u32) -> f32 {
    assert!(alpha > 0.0, "mixing: alpha is {alpha}");
    let mut rng = Rng::keyed(seed, &[KEY, epoch.into(), first.into()]);
    let [a, b] = [(); 2].map(|()| log_gamma(alpha, &mut rng));
    // a / (a + b), of numbers that for a small alpha are below the smallest f64.
    (1.0 / (1.0 + (b - a).exp())) as f32
}

/// The logarithm of a number from the gamma distribution of this shape (G. Marsaglia and W. W. Tsang, "A Simple Method for Generating
/// Gamma Variables", 2000: one of shape `alpha + 1`, times `u^(1 / alpha)`).
fn log_gamma(alpha: f64, rng: &mut Rng) -> f64 {
    let d = alpha + 1.0 - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = rng.normal();
        let v = (1.0 + c * x).powi(3);
        let u = 1.0 - rng.uniform(); // in (0, 1], whose logarithm is finite
        if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return (d * v).ln() + (1.0 - rng.uniform()).ln() / alpha;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Over 20,000 batches the first four moments are those of Beta(alpha, alpha), product over i of (alpha + i) / (2 alpha + i), within
    /// five standard errors.
    #[test]
    fn shares_are_of_a_beta_distribution() {
        for alpha in [0.001, 0.2, 0.4, 1.0, 2.0, 1000.0] {
            let all: Vec<f64> = (0..20_000).map(|first| f64::from(mixing(alpha, 7, 3, first))).collect();
            assert!(all.iter().all(|v| (0.0..=1.0).contains(v)), "{alpha}");
            let moment = |k: u32| (0..k).map(f64::from).map(|i| (alpha + i) / (2.0 * alpha + i)).product::<f64>();
            for k in 1..=4 {
                let mean = all.iter().map(|v| v.powi(k)).sum::<f64>() / 20_000.0;
                let (k, variance) = (k as u32, moment(2 * k as u32) - moment(k as u32).powi(2));
                let error = 5.0 * (variance / 20_000.0).sqrt();
                assert!((mean - moment(k)).abs() < error, "{alpha}, {k}: {mean} is not {}", moment(k));
            }
        }
    }

    /// Beta(1, 1) is the uniform distribution, so a tenth of the shares lies in each tenth of the range; the shares of neighbouring batches
    /// are not correlated, and another seed, epoch or batch has another share.
    #[test]
    fn batches_have_shares_of_their_own() {
        let all: Vec<f32> = (0..10_000).map(|first| mixing(1.0, 7, 3, first)).collect();
        for tenth in 0..10 {
            let low = tenth as f32 / 10.0;
            let count = all.iter().filter(|v| (low..low + 0.1).contains(*v)).count();
            assert!((900..1100).contains(&count), "from {low}: {count}");
        }
        let centred = |v: &f32| f64::from(*v) - 0.5;
        let products = all.windows(2).map(|pair| centred(&pair[0]) * centred(&pair[1])).sum::<f64>() / 10_000.0;
        assert!(products.abs() < 5.0 / 12.0 / 100.0, "{products}");
        let one = mixing(0.4, 7, 3, 5);
        assert_eq!(one, mixing(0.4, 7, 3, 5));
        assert!([mixing(0.4, 8, 3, 5), mixing(0.4, 7, 4, 5), mixing(0.4, 7, 3, 6)].iter().all(|other| *other != one));
    }
}
