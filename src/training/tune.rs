//! Finds the fastest form of each matrix product on this device, by timing the few forms that may be.
//!
//! The order of candidates (`program/product.rs`) is estimated. Tuning runs the products of a network in rounds, each
//! with the next candidate of every product, and reads the device's timestamps. The results are kept on disk by device,
//! driver, version and kernels, so that a network is measured once. A choice changes nothing but the order of sums;
//! `run.json` records it, so that the run can be repeated to the bit.

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

/// How much tuning tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Candidates of a product that are tried, the most promising first.
    pub candidates: usize,
    /// Runs of each candidate, of which the fastest counts.
    pub runs: usize,
    /// A time limit: no round but the first is begun if it would probably end later.
    pub budget: Duration,
}

impl Effort {
    /// The effort at the start of a run.
    pub const FAST: Self = Self { candidates: 4, runs: 3, budget: Duration::from_secs(2) };

    /// The effort that leaves nothing out.
    pub const FULL: Self = Self { candidates: usize::MAX, runs: 10, budget: Duration::MAX };
}

/// The share of the untuned choice's time that a candidate must save to replace it: less may be chance.
const GAIN: f64 = 0.03;

/// A product and the times of its candidates.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The product.
    pub product: Product,
    /// How often the network computes it in one batch of training and one of evaluation.
    pub times: u32,
    /// Seconds that computing it once takes with each candidate that was tried, the untuned choice first; at least one.
    pub seconds: Vec<(Choice, f64)>,
    /// Whether all candidates that the effort allows were tried.
    pub whole: bool,
}

impl Measured {
    /// The untuned choice and its time.
    pub fn table(&self) -> (Choice, f64) {
        self.seconds[0]
    }

    /// The fastest choice, or the untuned one if none is clearly faster.
    pub fn best(&self) -> (Choice, f64) {
        let fastest = self.seconds.iter().copied().fold(self.table(), |a, b| if b.1 < a.1 { b } else { a });
        if fastest.1 < (1.0 - GAIN) * self.table().1 { fastest } else { self.table() }
    }
}

/// Choices by the product's name.
pub type Choices = BTreeMap<String, Choice>;

/// Times candidates of the products of `plans` in its first batch sizes, except for the products in `known`. Empty if
/// the device has no timestamps or too little memory. The time of a candidate includes the calls that it needs besides:
/// the sum of its parts, and the pass over its result if it cannot leave batch norm's statistics.
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
            // Partial sums take memory. If this round does not fit, tuning ends, unless the device itself is at fault.
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

/// Whether a call computes a product, rather than something else that the product's form needs.
fn multiplies(call: &Call) -> bool {
    call.product.is_some() && call.flop > 0.0
}

/// Seconds that computing each product once takes, the smallest of several runs; `None` without timestamps.
async fn time(gpu: &Gpu, recordings: &[Recording], runs: usize) -> Result<Option<BTreeMap<String, f64>>> {
    let runtime = Runtime::new(gpu, recordings, true).await?;
    let mut best: BTreeMap<String, f64> = BTreeMap::new();
    // The first run does not count: it touches memory for the first time and wakes the device.
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
