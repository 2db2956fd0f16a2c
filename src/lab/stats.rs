//! Statistics over seeds, as section 2.6 of the AMVT paper asks for: means, paired t-tests with Bonferroni's correction,
//! one-way analysis of variance, bootstrap intervals and Cohen's d.
//!
//! Everything returns a finite number or the reason why there is none ([`Missing`]); no result is ever NaN. The numbers
//! agree with SciPy's, see `tests/data/scipy_stats.py`. Distributions are statrs's; its own t-test and analysis of variance are not
//! used, since they compute p as 1 - cdf, which is 0 below 1e-16, and refuse a group of equal values.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, FisherSnedecor, StudentsT};

use crate::random::Rng;

/// The number of resamples for a bootstrap interval, as in the AMVT paper's section 2.6.
pub const RESAMPLES: usize = 10_000;

/// Key of the bootstrap's generator under its seed.
const BOOTSTRAP: u64 = 0x626f_6f74;

/// Why a statistic is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Fewer values than the statistic is defined for.
    #[error("needs at least {needs} seeds, there {} {has}", if *has == 1 { "is" } else { "are" })]
    TooFewSeeds {
        /// The number that the statistic needs, per optimizer.
        needs: usize,
        /// The number that there is.
        has: usize,
    },
    /// Fewer groups than can be compared.
    #[error("needs at least 2 optimizers")]
    TooFewGroups,
    /// All values are the same, up to the rounding of their sums.
    #[error("the values have no variance")]
    NoVariance,
    /// All paired differences are the same, up to the rounding of their sums.
    #[error("the differences have no variance")]
    NoVarianceOfDifferences,
    /// A value is NaN or infinite, or a sum of them is.
    #[error("a value is not finite")]
    NotFinite,
    /// The two samples of a paired test are of different lengths.
    #[error("the samples are not pairs")]
    NotPaired,
}

/// A number, or the reason why there is none.
pub type Result<T> = std::result::Result<T, Missing>;

fn check(values: &[f64], needs: usize) -> Result<()> {
    if values.len() < needs {
        return Err(Missing::TooFewSeeds { needs, has: values.len() });
    }
    if values.iter().all(|v| v.is_finite()) { Ok(()) } else { Err(Missing::NotFinite) }
}

fn finite(value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(Missing::NotFinite) }
}

/// Arithmetic mean, Σx / n.
///
/// # Errors
/// No value, or one that is not finite.
pub fn mean(values: &[f64]) -> Result<f64> {
    check(values, 1)?;
    finite(values.iter().sum::<f64>() / values.len() as f64)
}

/// Sum of squared distances from the mean, in two passes.
fn squares(values: &[f64]) -> Result<f64> {
    let mean = mean(values)?;
    finite(values.iter().map(|v| (v - mean).powi(2)).sum())
}

/// Sample standard deviation, √(Σ(x - mean)² / (n - 1)): NumPy's `std(ddof=1)`.
///
/// # Errors
/// Fewer than 2 values, or one that is not finite.
pub fn sample_sd(values: &[f64]) -> Result<f64> {
    check(values, 2)?;
    Ok((squares(values)? / (values.len() - 1) as f64).sqrt())
}

/// Whether a standard deviation is no larger than rounding makes it for equal values of this size.
fn negligible(sd: f64, values: &[&[f64]]) -> bool {
    let largest = values.iter().flat_map(|v| v.iter()).fold(0.0_f64, |most, v| most.max(v.abs()));
    sd <= 8.0 * f64::EPSILON * largest
}

/// Result of [`paired_t`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedT {
    /// Mean of a - b, where a and b are the samples.
    pub mean_difference: f64,
    /// The statistic, mean / (sd / √n) of the differences.
    pub t: f64,
    /// Degrees of freedom, n - 1.
    pub degrees: f64,
    /// The two-sided probability of this t or a larger one if the means are equal.
    pub p: f64,
}

/// Student's paired t-test of two samples of the same seeds, two-sided: SciPy's `ttest_rel`.
///
/// # Errors
/// Samples of different lengths, fewer than 2 pairs, differences without variance, or a value that is not finite.
pub fn paired_t(a: &[f64], b: &[f64]) -> Result<PairedT> {
    if a.len() != b.len() {
        return Err(Missing::NotPaired);
    }
    check(a, 2)?;
    check(b, 2)?;
    let differences: Vec<_> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let (mean_difference, sd) = (mean(&differences)?, sample_sd(&differences)?);
    if negligible(sd, &[a, b]) {
        return Err(Missing::NoVarianceOfDifferences);
    }
    let degrees = (a.len() - 1) as f64;
    let t = finite(mean_difference / (sd / (a.len() as f64).sqrt()))?;
    let distribution = StudentsT::new(0.0, 1.0, degrees).expect("at least one degree of freedom");
    let p = finite(2.0 * distribution.sf(t.abs()))?.clamp(0.0, 1.0);
    Ok(PairedT { mean_difference, t, degrees, p })
}

/// Bonferroni's correction: min(1, p · `tests`), the probability to compare with the level when so many tests are made
/// (O. J. Dunn, "Multiple Comparisons Among Means", JASA 1961).
pub fn bonferroni(p: f64, tests: usize) -> f64 {
    (p * tests.max(1) as f64).min(1.0)
}

/// Result of [`anova`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anova {
    /// Mean square between the groups divided by mean square within them.
    pub f: f64,
    /// Degrees of freedom between the groups, groups - 1.
    pub degrees_between: f64,
    /// Degrees of freedom within the groups, values - groups.
    pub degrees_within: f64,
    /// The probability of this F or a larger one if all means are equal.
    pub p: f64,
}

/// One-way analysis of variance, F = (Σ nᵢ(meanᵢ - mean)² / (k - 1)) / (Σ(x - meanᵢ)² / (n - k)): SciPy's `f_oneway`.
///
/// # Errors
/// Fewer than 2 groups, a group of fewer than 2 values, no variance within the groups, or a value that is not finite.
pub fn anova(groups: &[&[f64]]) -> Result<Anova> {
    if groups.len() < 2 {
        return Err(Missing::TooFewGroups);
    }
    let total: usize = groups.iter().map(|g| g.len()).sum();
    let (mut grand, mut within) = (0.0, 0.0);
    for group in groups {
        check(group, 2)?;
        grand += group.iter().sum::<f64>() / total as f64;
        within += squares(group)?;
    }
    let mut between = 0.0;
    for group in groups {
        between += group.len() as f64 * (mean(group)? - grand).powi(2);
    }
    let (degrees_between, degrees_within) = ((groups.len() - 1) as f64, (total - groups.len()) as f64);
    if negligible((within / degrees_within).sqrt(), groups) {
        return Err(Missing::NoVariance);
    }
    let f = finite((between / degrees_between) / (within / degrees_within))?;
    let distribution = FisherSnedecor::new(degrees_between, degrees_within).expect("degrees of freedom above 0");
    let p = finite(distribution.sf(f))?.clamp(0.0, 1.0);
    Ok(Anova { f, degrees_between, degrees_within, p })
}

/// Result of [`bootstrap_mean`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The 95 % bootstrap percentile interval of the mean: the 2.5th and 97.5th percentiles of the means of `resamples`
/// samples drawn with replacement, as SciPy's `bootstrap(method="percentile")` (B. Efron, "Bootstrap Methods: Another
/// Look at the Jackknife", 1979). The same seed always draws the same samples. With few values it is too narrow: three
/// values have ten different resamples.
///
/// # Errors
/// Fewer than 2 values, no resamples asked for, or a value that is not finite.
pub fn bootstrap_mean(values: &[f64], resamples: usize, seed: u64) -> Result<Interval> {
    check(values, 2)?;
    let count = u32::try_from(values.len()).map_err(|_| Missing::NotFinite)?;
    if resamples == 0 {
        return Err(Missing::TooFewSeeds { needs: 1, has: 0 });
    }
    let mut rng = Rng::keyed(seed, &[BOOTSTRAP]);
    let mut draw = || (0..count).map(|_| values[rng.below(count) as usize]).sum::<f64>() / f64::from(count);
    let mut means: Vec<_> = (0..resamples).map(|_| draw()).collect();
    means.sort_by(f64::total_cmp);
    Ok(Interval { low: finite(percentile(&means, 0.025))?, high: finite(percentile(&means, 0.975))? })
}

/// A percentile of sorted values with linear interpolation, the default of NumPy's `percentile`.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

/// Cohen's d with the pooled standard deviation, (mean a - mean b) / √(((nₐ-1)sₐ² + (n_b-1)s_b²) / (nₐ+n_b-2)) (J. Cohen,
/// *Statistical Power Analysis for the Behavioral Sciences*, 1988). It is the effect relative to the spread over seeds,
/// not d_z, which divides by the spread of the paired differences.
///
/// # Errors
/// Fewer than 2 values in a sample, no variance in both, or a value that is not finite.
pub fn cohens_d(a: &[f64], b: &[f64]) -> Result<f64> {
    check(a, 2)?;
    check(b, 2)?;
    let pooled = ((squares(a)? + squares(b)?) / (a.len() + b.len() - 2) as f64).sqrt();
    if negligible(pooled, &[a, b]) {
        return Err(Missing::NoVariance);
    }
    finite((mean(a)? - mean(b)?) / pooled)
}
