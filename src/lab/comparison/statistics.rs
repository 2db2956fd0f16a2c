//! What accuracies or validation losses over several seeds say about the optimizers, as section 2.6 of the AMVT paper asks: every test that
//! has enough seeds, and for the others why not.

use serde_json::{Value, json};

use crate::{
    lab::stats::{self, Anova, Interval, PairedT},
    training::{Measure, Score},
};

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

/// All statistics of a comparison.
pub struct Statistics {
    /// What the values are.
    score: Score,
    samples: Vec<Sample>,
    pairs: Vec<Pair>,
    together: stats::Result<Anova>,
}

impl Statistics {
    /// Computes the statistics from the values of each optimizer, which are scores, in order of seeds.
    pub fn new(scores: &[(String, Vec<f64>)], score: Score, which: Pairs) -> Self {
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
                let later = |i: usize| scores[i + 1..].iter().map(move |b| (i, b));
                (0..scores.len()).flat_map(later).map(|(i, b)| pair(&scores[i], b)).collect()
            }
            Pairs::WithFirst => scores.iter().skip(1).map(|b| pair(b, &scores[0])).collect(),
        };
        let groups: Vec<&[f64]> = scores.iter().map(|(_, values)| values.as_slice()).collect();
        Self { score, samples: scores.iter().map(sample).collect(), pairs, together: stats::anova(&groups) }
    }

    fn corrected(&self, p: f64) -> f64 {
        stats::bonferroni(p, self.pairs.len())
    }

    /// The verdict first, then a line per interval, pair and test.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.verdict()];
        lines.extend(self.samples.iter().map(|s| match (&s.mean, &s.interval) {
            (Ok(mean), Ok(i)) => {
                let ([low, high], mean) = ([i.low, i.high].map(|end| self.score.number(end)), self.score.text(*mean));
                format!("{}: mean {mean}, within {low} to {high} (95 %, {} resamples)", s.label, stats::RESAMPLES)
            }
            (Ok(mean), Err(why)) => format!("{}: {}, no interval: {why}", s.label, self.score.text(*mean)),
            (Err(why), _) => format!("{}: no mean: {why}", s.label),
        }));
        lines.extend(self.pairs.iter().map(|pair| {
            let test = match &pair.test {
                Ok(t) => format!(
                    "{:+.*} {}, paired t({:.0}) = {:.2}, p = {} after Bonferroni over {}",
                    self.score.measure().digits,
                    t.mean_difference,
                    self.score.step(),
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
        let (score, name) = (self.score, self.score.measure().name);
        let better = |a: f64, b: f64| if score.is_better(b, a) { b } else { a };
        let Some(best) = means.iter().map(|(_, mean)| *mean).reduce(better) else {
            return format!("No run has ended with {}.", score.one());
        };
        // If sums of hits are equal, mean accuracies differ only by rounding.
        let first = means.iter().filter(|(_, mean)| score.gain(best, *mean) < 1e-9);
        let first: Vec<&str> = first.map(|(label, _)| *label).collect();
        let value = score.text(best);
        let who = match first[..] {
            [alone] if means.len() == 1 => format!("The mean {name} of {alone} is {value}."),
            [alone] => format!("The best mean {name} is that of {alone}, {value}."),
            [.., last] => {
                let others = first[..first.len() - 1].join(", ");
                format!("Tied: {others} and {last} have the same best mean {name}, {value}.")
            }
            [] => unreachable!("the best mean is one of them"),
        };
        format!("{who} {}", self.significant())
    }

    fn significant(&self) -> String {
        let tested = self.pairs.iter().filter_map(|pair| pair.test.ok().map(|t| (pair, t)));
        let sure: Vec<String> = tested
            .clone()
            .filter(|(_, t)| self.corrected(t.p) < LEVEL)
            .map(|(pair, t)| {
                let a_is_better = self.score.is_better(t.mean_difference, 0.0);
                let (better, worse) = if a_is_better { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
                let by = self.score.number(t.mean_difference.abs());
                format!("{better} is better than {worse} by {by} {}", self.score.step())
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
        let Measure { name, unit, .. } = self.score.measure();
        let of = match self.score {
            Score::Accuracy => format!("{name} on the validation images, {unit}"),
            Score::Loss(_) => format!("{name}, {unit}"),
        };
        json!({
            "of": of,
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
