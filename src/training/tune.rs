//! Which form of each matrix product is fastest on this device, by trying the few that may be.
//!
//! The table's order (`program/product.rs`) is a guess. Tuning runs the products of a network in rounds, each with the next of their
//! candidates, and reads the device's timestamps. What it found is kept on disk by device, driver, version and kernels, so that a
//! network is measured once. A choice changes the order of sums and nothing else: `run.json` keeps it, for the same bits.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use web_time::Instant;

use crate::{
    device::{Gpu, runtime::Runtime, timing::dispatch_seconds},
    error::{Error, Result},
    program::{
        Call, Recording,
        product::{Choice, Product},
        target::Target,
    },
    training::network::Plans,
};

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Candidates of a product, the most promising first.
    pub candidates: usize,
    /// Runs of each, of which the fastest counts.
    pub runs: usize,
    /// No round but the first begins that would probably end later.
    pub budget: Duration,
}

impl Effort {
    /// For the start of a run.
    pub const FAST: Self = Self { candidates: 4, runs: 3, budget: Duration::from_secs(2) };

    /// Everything.
    pub const FULL: Self = Self { candidates: usize::MAX, runs: 10, budget: Duration::MAX };
}

/// The part of the table's time that a candidate must save to replace it: less may be chance.
const GAIN: f64 = 0.03;

/// A product and what its candidates take.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The product.
    pub product: Product,
    /// How often the network computes it for a batch of training and one of evaluation.
    pub times: u32,
    /// Seconds that computing it once takes, per candidate that was tried, the table's first; at least one.
    pub seconds: Vec<(Choice, f64)>,
    /// Whether all candidates were tried that were to be.
    pub whole: bool,
}

impl Measured {
    /// What the table chooses.
    pub fn table(&self) -> (Choice, f64) {
        self.seconds[0]
    }

    /// The fastest, or the table's where none is clearly faster.
    pub fn best(&self) -> (Choice, f64) {
        let fastest = self.seconds.iter().copied().fold(self.table(), |a, b| if b.1 < a.1 { b } else { a });
        if fastest.1 < (1.0 - GAIN) * self.table().1 { fastest } else { self.table() }
    }
}

/// Choices by the product's name.
pub type Choices = BTreeMap<String, Choice>;

/// Times candidates of the products of `plans`, in its first batch sizes, but for those in `known`. Empty where the device has no
/// timestamps, or not the memory. What a candidate needs beside it counts: the sum of its parts, and the pass over its result
/// where batch norm cannot have the statistics from it.
///
/// # Errors
/// [`Error::Device`] if the device cannot run them.
pub async fn measure(gpu: &Gpu, plans: &Plans<'_>, known: &Choices, effort: Effort) -> Result<Vec<Measured>> {
    let begin = Instant::now();
    let record = |plans: &Plans<'_>| -> Vec<Recording> {
        let first = [(plans.train.first(), true), (plans.evaluate.first(), false)];
        first.iter().filter_map(|(n, training)| Some(plans.record(*(*n)?, *training))).collect()
    };
    let target = plans.target();
    let mut products: BTreeMap<String, (Measured, Vec<Choice>)> = BTreeMap::new();
    for call in record(plans).iter().flat_map(|recording| &recording.calls).filter(|call| multiplies(call)) {
        let product = call.product.clone().expect("it multiplies");
        if !known.contains_key(&product.name) {
            let mut candidates = target.candidates(&product);
            candidates.truncate(effort.candidates);
            let name = product.name.clone();
            let new = || (Measured { product, times: 0, seconds: vec![], whole: false }, candidates);
            products.entry(name).or_insert_with(new).0.times += 1;
        }
    }
    let rounds = products.values().map(|(_, candidates)| candidates.len()).max().unwrap_or(0);
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        let start = Instant::now();
        if round > 0 && begin.elapsed() + longest > effort.budget {
            break;
        }
        let tried = products.iter().filter_map(|(name, (_, all))| Some((name.clone(), *all.get(round)?)));
        let choices = Arc::new(tried.collect::<Choices>());
        let target = Target { tuned: choices.clone(), ..plans.target.clone() };
        let mut recordings = record(&Plans { target, ..plans.clone() });
        for recording in &mut recordings {
            recording.calls.retain(|call| call.product.as_ref().is_some_and(|p| choices.contains_key(&p.name)));
        }
        let seconds = match time(gpu, &recordings, effort.runs).await {
            // Parts take memory. What does not fit is the table's to say, and more than this round's to find out.
            Err(Error::Device { .. }) if gpu.check().is_ok() => None,
            other => other?,
        };
        let Some(seconds) = seconds else { break };
        for (name, (measured, candidates)) in &mut products {
            if let Some(&choice) = choices.get(name) {
                measured.seconds.push((choice, seconds[name]));
                measured.whole = measured.seconds.len() == candidates.len();
            }
        }
        longest = longest.max(start.elapsed());
    }
    Ok(products.into_values().map(|(measured, _)| measured).filter(|m| !m.seconds.is_empty()).collect())
}

/// Whether a call is a product, and not what one needs beside it.
fn multiplies(call: &Call) -> bool {
    call.product.is_some() && call.flop > 0.0
}

/// Seconds that each product takes once, the smallest of several runs; `None` without timestamps.
async fn time(gpu: &Gpu, recordings: &[Recording], runs: usize) -> Result<Option<BTreeMap<String, f64>>> {
    let runtime = Runtime::new(gpu, recordings, true).await?;
    let mut best: BTreeMap<String, f64> = BTreeMap::new();
    // The first run touches memory and wakes the device.
    for run in 0..=runs {
        let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for (program, recording) in recordings.iter().enumerate() {
            let Some(seconds) = dispatch_seconds(&runtime, program).await? else { return Ok(None) };
            for (call, seconds) in recording.calls.iter().zip(seconds) {
                let product = call.product.as_ref().expect("others were left out");
                let (sum, count) = sums.entry(&product.name).or_default();
                *sum += seconds;
                *count += if multiplies(call) { 1.0 } else { 0.0 };
            }
        }
        for (name, (sum, count)) in sums.into_iter().filter(|_| run > 0) {
            let best = best.entry(name.to_owned()).or_insert(f64::INFINITY);
            *best = best.min(sum / count);
        }
    }
    Ok(Some(best))
}
