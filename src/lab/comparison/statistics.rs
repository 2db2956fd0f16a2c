//! What accuracies over several seeds say about the optimizers, as section 2.6 of the AMVT paper asks: every test that
//! has enough seeds, and for the others why not.

use serde_json::{Value, json};

use crate::lab::stats::{self, Anova, Interval, PairedT};

/// Probability below which a difference is called significant.
const LEVEL: f64 = 0.05;

/// Which pairs are tested; Bonferroni's correction counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// Every pair of optimizers.
    All,
    /// Each optimizer with the first, as an ablation needs.
    WithFirst,
}

/// Two optimizers, compared over the same seeds.
struct Pair {
    a: String,
    b: String,
    test: stats::Result<PairedT>,
    effect: stats::Result<f64>,
}

/// One optimizer.
struct Sample {
    label: String,
    mean: stats::Result<f64>,
    interval: stats::Result<Interval>,
}

/// All statistics of a comparison; accuracies are in percent.
pub struct Statistics {
    samples: Vec<Sample>,
    pairs: Vec<Pair>,
    together: stats::Result<Anova>,
}

impl Statistics {
    /// Computes the statistics from the accuracies of each optimizer, in order of seeds.
    pub fn new(accuracies: &[(String, Vec<f64>)], which: Pairs) -> Self {
        let sample = |(label, values): &(String, Vec<f64>)| Sample {
            label: label.clone(),
            mean: stats::mean(values),
            interval: stats::bootstrap_mean(values, stats::RESAMPLES, 0),
        };
        let pair = |a: &(String, Vec<f64>), b: &(String, Vec<f64>)| Pair {
            a: a.0.clone(),
            b: b.0.clone(),
            test: stats::paired_t(&a.1, &b.1),
            effect: stats::cohens_d(&a.1, &b.1),
        };
        let pairs = match which {
            Pairs::All => {
                let later = |i: usize| accuracies[i + 1..].iter().map(move |b| (i, b));
                (0..accuracies.len()).flat_map(later).map(|(i, b)| pair(&accuracies[i], b)).collect()
            }
            Pairs::WithFirst => accuracies.iter().skip(1).map(|b| pair(b, &accuracies[0])).collect(),
        };
        let groups: Vec<&[f64]> = accuracies.iter().map(|(_, values)| values.as_slice()).collect();
        Self { samples: accuracies.iter().map(sample).collect(), pairs, together: stats::anova(&groups) }
    }

    fn corrected(&self, p: f64) -> f64 {
        stats::bonferroni(p, self.pairs.len())
    }

    /// The verdict first, then a line per interval, pair and test.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.verdict()];
        lines.extend(self.samples.iter().map(|s| match (&s.mean, &s.interval) {
            (Ok(mean), Ok(i)) => {
                let Interval { low, high } = i;
                format!(
                    "{}: mean {mean:.2} %, within {low:.2} to {high:.2} (95 %, {} resamples)",
                    s.label,
                    stats::RESAMPLES
                )
            }
            (Ok(mean), Err(why)) => format!("{}: {mean:.2} %, no interval: {why}", s.label),
            (Err(why), _) => format!("{}: no mean: {why}", s.label),
        }));
        lines.extend(self.pairs.iter().map(|pair| {
            let test = match &pair.test {
                Ok(t) => format!(
                    "{:+.2} points, paired t({:.0}) = {:.2}, p = {} after Bonferroni over {}",
                    t.mean_difference,
                    t.degrees,
                    t.t,
                    probability(self.corrected(t.p)),
                    count(self.pairs.len(), "test")
                ),
                Err(why) => format!("no paired t-test: {why}"),
            };
            let effect = match &pair.effect {
                Ok(d) => format!("Cohen's d = {d:.2} ({})", size(*d)),
                Err(why) => format!("no effect size: {why}"),
            };
            format!("{} against {}: {test}; {effect}", pair.a, pair.b)
        }));
        lines.push(match &self.together {
            Ok(a) => format!(
                "all together: F({:.0}, {:.0}) = {:.2}, p = {} (one-way analysis of variance)",
                a.degrees_between,
                a.degrees_within,
                a.f,
                probability(a.p)
            ),
            Err(why) => format!("no analysis of variance: {why}"),
        });
        lines
    }

    /// Which optimizer is best, and which differences are larger than chance over seeds would explain.
    fn verdict(&self) -> String {
        let means: Vec<(&str, f64)> =
            self.samples.iter().filter_map(|s| Some((s.label.as_str(), *s.mean.as_ref().ok()?))).collect();
        let Some(best) = means.iter().map(|(_, mean)| *mean).max_by(f64::total_cmp) else {
            return "No run has ended with an accuracy.".into();
        };
        // If sums of hits are equal, mean accuracies differ only by rounding.
        let first: Vec<&str> = means.iter().filter(|(_, mean)| best - mean < 1e-9).map(|(label, _)| *label).collect();
        let who = match first[..] {
            [alone] if means.len() == 1 => format!("The mean accuracy of {alone} is {best:.2} %."),
            [alone] => format!("The best mean accuracy is that of {alone}, {best:.2} %."),
            [.., last] => {
                let others = first[..first.len() - 1].join(", ");
                format!("Tied: {others} and {last} have the same best mean accuracy, {best:.2} %.")
            }
            [] => unreachable!("the largest mean is one of them"),
        };
        format!("{who} {}", self.significant())
    }

    fn significant(&self) -> String {
        let tested = self.pairs.iter().filter_map(|pair| pair.test.ok().map(|t| (pair, t)));
        let sure: Vec<String> = tested
            .clone()
            .filter(|(_, t)| self.corrected(t.p) < LEVEL)
            .map(|(pair, t)| {
                let (better, worse) = if t.mean_difference > 0.0 { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
                format!("{better} is better than {worse} by {:.2} points", t.mean_difference.abs())
            })
            .collect();
        let level = 100.0 * LEVEL;
        match (tested.count(), sure.is_empty()) {
            (0, _) => "No difference could be tested: see below for what is missing.".into(),
            (_, true) => format!("No difference is significant at {level:.0} % after correction."),
            (_, false) => format!("Significant at {level:.0} % after correction: {}.", sure.join("; ")),
        }
    }

    /// All numbers; `null`, with a reason, for those that cannot be computed.
    pub fn to_json(&self) -> Value {
        fn or_why<T: serde::Serialize>(result: &stats::Result<T>) -> Value {
            match result {
                Ok(value) => json!(value),
                Err(why) => json!({ "missing": why.to_string() }),
            }
        }
        let sample = |s: &Sample| json!({ "optimizer": s.label, "bootstrap_95": or_why(&s.interval) });
        let pair = |pair: &Pair| {
            json!({
                "a": pair.a,
                "b": pair.b,
                "paired_t": or_why(&pair.test),
                "p_bonferroni": pair.test.ok().map(|t| self.corrected(t.p)),
                "cohens_d": or_why(&pair.effect),
            })
        };
        json!({
            "of": "accuracy on the validation images, percent",
            "intervals": self.samples.iter().map(sample).collect::<Vec<_>>(),
            "pairs": self.pairs.iter().map(pair).collect::<Vec<_>>(),
            "anova": or_why(&self.together),
        })
    }
}

fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

fn probability(p: f64) -> String {
    if p < 1e-4 { format!("{p:.1e}") } else { format!("{p:.4}") }
}

/// Cohen's names for effect sizes (1988, section 2.2.3).
fn size(d: f64) -> &'static str {
    match d.abs() {
        d if d < 0.2 => "negligible",
        d if d < 0.5 => "small",
        d if d < 0.8 => "medium",
        _ => "large",
    }
}
