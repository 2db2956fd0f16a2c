//! Statistics against values from SciPy (`tests/data/scipy_stats.py`), and what is refused.

use serde_json::Value;

use velograd::lab::stats::{
    Missing, RESAMPLES, anova, bonferroni, bootstrap_mean, cohens_d, mean, paired_t, sample_sd,
};
use velograd::random::Rng;

fn scipy() -> Value {
    serde_json::from_str(include_str!("../data/scipy_stats.json")).expect("the committed file is JSON")
}

fn sample(file: &Value, name: &Value) -> Vec<f64> {
    let values = file["samples"][name.as_str().unwrap()].as_array().unwrap();
    values.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn list<'a>(file: &'a Value, key: &str) -> &'a Vec<Value> {
    file[key].as_array().unwrap()
}

/// Both compute in f64 from the same numbers. For n values of size x, the sums are rounded by up to n x 2^-53, and the
/// differences from the mean lose the digits of x / spread: 1e-11 leaves room for x / spread of 1e4.
fn near(ours: f64, theirs: &Value, relative: f64, what: &str) {
    let theirs = theirs.as_f64().unwrap();
    assert!((ours - theirs).abs() <= relative * theirs.abs(), "{what}: {ours:e}, SciPy has {theirs:e}");
}

#[test]
fn mean_and_sd_are_scipys() {
    let file = scipy();
    for case in list(&file, "single") {
        let values = sample(&file, &case["sample"]);
        near(mean(&values).unwrap(), &case["mean"], 1e-15, "mean");
        near(sample_sd(&values).unwrap(), &case["sd"], 1e-11, "standard deviation");
    }
}

#[test]
fn pairs_are_scipys() {
    let file = scipy();
    for case in list(&file, "pairs") {
        let (a, b) = (sample(&file, &case["samples"][0]), sample(&file, &case["samples"][1]));
        let test = paired_t(&a, &b).unwrap();
        near(test.t, &case["t"], 1e-11, "t");
        near(test.degrees, &case["degrees"], 0.0, "degrees of freedom");
        near(test.p, &case["p"], 1e-9, "p of t");
        near(test.mean_difference, &case["mean_difference"], 1e-11, "mean difference");
        near(cohens_d(&a, &b).unwrap(), &case["d"], 1e-11, "Cohen's d");
        let other = paired_t(&b, &a).unwrap();
        assert_eq!((other.t, other.p), (-test.t, test.p), "the other way round");
    }
}

#[test]
fn analysis_of_variance_is_scipys() {
    let file = scipy();
    for case in list(&file, "groups") {
        let groups: Vec<_> = list(case, "samples").iter().map(|name| sample(&file, name)).collect();
        let test = anova(&groups.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        // `f_oneway` subtracts sums of squares, and so keeps fewer digits.
        near(test.f, &case["f"], 1e-9, "F");
        near(test.p, &case["p"], 1e-8, "p of F");
    }
}

/// For two samples, F is the square of the unpaired t, and Cohen's d is t over the root of n / 2.
#[test]
fn two_groups_agree_with_cohens_d() {
    let (a, b) = ([80.79, 81.02, 80.41], [78.95, 79.21, 78.80]);
    let d = cohens_d(&a, &b).unwrap();
    approx::assert_relative_eq!(anova(&[&a, &b]).unwrap().f, d * d * 1.5, max_relative = 1e-12);
}

/// With 10,000 resamples the ends of the interval are at ranks 250 and 9750, with a standard deviation of 16. Five of
/// these are the percentiles 2.5 and 97.5 ± 0.8 of the million resamples that SciPy drew.
#[test]
fn intervals_are_scipys() {
    let file = scipy();
    for case in list(&file, "intervals") {
        let values = sample(&file, &case["sample"]);
        let interval = bootstrap_mean(&values, RESAMPLES, 0).unwrap();
        for (ours, key) in [(interval.low, "around_low"), (interval.high, "around_high")] {
            let (from, to) = (case[key][0].as_f64().unwrap(), case[key][1].as_f64().unwrap());
            // Sums are taken in another order, so the last digits differ.
            let rounding = 1e-14 * to.abs();
            assert!(from - rounding <= ours && ours <= to + rounding, "{}: {ours} and {case}", case["sample"]);
        }
    }
}

#[test]
fn the_same_seed_draws_the_same_interval() {
    let values: Vec<_> = (0..12).map(|i| f64::from(i).sin()).collect();
    assert_eq!(bootstrap_mean(&values, 500, 7), bootstrap_mean(&values, 500, 7));
    assert_ne!(bootstrap_mean(&values, 500, 7), bootstrap_mean(&values, 500, 8));
}

#[test]
fn bonferroni_stops_at_one() {
    assert_eq!(bonferroni(0.01, 3), 0.03);
    assert_eq!(bonferroni(0.4, 3), 1.0);
    assert_eq!(bonferroni(0.4, 0), 0.4);
}

#[test]
fn too_few_seeds_are_a_reason() {
    let reason = paired_t(&[1.0], &[2.0]).unwrap_err();
    assert_eq!(reason.to_string(), "needs at least 2 seeds, there is 1");
    assert_eq!(anova(&[&[1.0, 2.0], &[]]).unwrap_err().to_string(), "needs at least 2 seeds, there are 0");
    assert_eq!(mean(&[]), Err(Missing::TooFewSeeds { needs: 1, has: 0 }));
    assert_eq!(sample_sd(&[3.0]), Err(Missing::TooFewSeeds { needs: 2, has: 1 }));
    assert_eq!(bootstrap_mean(&[3.0], 10, 0), Err(Missing::TooFewSeeds { needs: 2, has: 1 }));
    assert_eq!(anova(&[&[1.0, 2.0]]), Err(Missing::TooFewGroups));
    assert_eq!(paired_t(&[1.0, 2.0], &[1.0]), Err(Missing::NotPaired));
}

#[test]
fn no_variance_is_a_reason() {
    // 0.1 + 0.2 - 0.2 is not 0.1: values that are equal up to rounding count as equal.
    let shifted: Vec<_> = [0.2, 0.3, 0.7].iter().map(|v| v + 0.1).collect();
    let reason = paired_t(&shifted, &[0.2, 0.3, 0.7]).unwrap_err();
    assert_eq!(reason.to_string(), "the differences have no variance");
    assert_eq!(cohens_d(&[1.0, 1.0], &[2.0, 2.0]), Err(Missing::NoVariance));
    assert_eq!(anova(&[&[1.0, 1.0], &[2.0, 2.0]]), Err(Missing::NoVariance));
    assert_eq!(sample_sd(&[2.0, 2.0]), Ok(0.0));
}

/// Whatever the input, there is no NaN and no panic.
#[test]
fn never_nan() {
    let odd = [f64::NAN, f64::INFINITY, -f64::INFINITY, f64::MAX, -f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.0, -0.0, 1.0];
    let mut rng = Rng::new(0);
    for _ in 0..20_000 {
        let count = rng.below(4) as usize;
        let mut draw = || (0..count).map(|_| odd[rng.below(10) as usize]).collect::<Vec<_>>();
        let (a, b) = (draw(), draw());
        let test = paired_t(&a, &b).map(|t| [t.t, t.p, t.mean_difference]);
        let variance = anova(&[&a, &b]).map(|t| [t.f, t.p, t.degrees_within]);
        let interval = bootstrap_mean(&a, 10, 0).map(|i| [i.low, i.high, 0.0]);
        let singles = [mean(&a), sample_sd(&a), cohens_d(&a, &b)].map(|v| v.map(|v| [v; 3]));
        for result in [test, variance, interval].into_iter().chain(singles).flatten() {
            assert!(result.iter().all(|v| v.is_finite()), "{a:?} {b:?}: {result:?}");
        }
    }
}
