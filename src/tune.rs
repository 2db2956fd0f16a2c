//! Which form of each matrix product is fastest on this device, by trying the few that may be.
//!
//! The table's order (`gpu/gemm.rs`) is a guess. Tuning runs the products of a network in rounds, each with the next of their
//! candidates, and reads the device's timestamps. What it found is kept on disk by device, driver and version, so that a network is
//! measured once. A choice changes the order of sums and nothing else: `run.json` keeps it, for the same bits.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    error::Result,
    files::{TEXT_LIMIT, read, write_atomically},
    gpu::{
        Gpu,
        gemm::{Choice, Product},
        runtime::Runtime,
        target::Target,
        timing::dispatch_seconds,
        user_cache,
    },
    network::Plans,
    tape::Recording,
};

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// The first candidates of products that are not known yet, for about two seconds.
    Fast,
    /// Every candidate of every product.
    Full,
}

/// The longest that [`Effort::Fast`] goes on beginning rounds.
const FAST: Duration = Duration::from_secs(2);

/// Candidates of a product that [`Effort::Fast`] tries.
const FEW: usize = 4;

/// The part of the table's time that a candidate must save to replace it: less may be chance.
const GAIN: f64 = 0.03;

/// A product and what its candidates take.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The product.
    pub product: Product,
    /// How often the network computes it for one batch.
    pub times: u32,
    /// Seconds that computing it once takes, per candidate that was tried, the table's first.
    pub seconds: Vec<(Choice, f64)>,
}

impl Measured {
    /// The fastest, or the table's where none is clearly faster.
    pub fn best(&self) -> Option<(Choice, f64)> {
        let table = *self.seconds.first()?;
        let (choice, seconds) = self.seconds.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(if seconds < (1.0 - GAIN) * table.1 { (choice, seconds) } else { table })
    }
}

/// Choices by the product's name.
pub type Choices = BTreeMap<String, Choice>;

/// Times the candidates of the products of `plans`, in its first batch sizes, but for those in `known`. Empty where the device has
/// no timestamps.
///
/// # Errors
/// [`Error::Device`](crate::error::Error::Device) if the device cannot run them.
pub fn measure(gpu: &Gpu, plans: &Plans<'_>, known: &Choices, effort: Effort) -> Result<Vec<Measured>> {
    let begin = Instant::now();
    let record = |target: &Target| -> Vec<Recording> {
        let sizes = [(&plans.train, true), (&plans.evaluate, false)];
        let first = sizes.iter().filter_map(|(sizes, training)| Some((*sizes.first()?, *training)));
        first.map(|(n, training)| plans.record(target, n, training)).collect()
    };
    let most = if effort == Effort::Fast { FEW } else { usize::MAX };
    let target = gpu.target.with(plans.recipe.precision);
    let mut products: BTreeMap<String, (Measured, Vec<Choice>)> = BTreeMap::new();
    for recording in record(&target) {
        let own = recording.calls.iter().filter(|call| call.spec.path != SUM).filter_map(|call| call.product.as_ref());
        for product in own.filter(|product| !known.contains_key(&product.name)) {
            let candidates = || target.candidates(product).into_iter().take(most).collect::<Vec<_>>();
            let new = || (Measured { product: product.clone(), times: 0, seconds: vec![] }, candidates());
            products.entry(product.name.clone()).or_insert_with(new).0.times += 1;
        }
    }
    let rounds = products.values().map(|(_, candidates)| candidates.len()).max().unwrap_or(0);
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        let start = Instant::now();
        if effort == Effort::Fast && begin.elapsed() + longest > FAST {
            break;
        }
        let tried = |(name, (_, candidates)): (&String, &(Measured, Vec<Choice>))| {
            candidates.get(round).map(|&choice| (name.clone(), choice))
        };
        let choices: Choices = products.iter().filter_map(tried).collect();
        let target = Target { tuned: Arc::new(choices.clone()), ..gpu.target.clone() };
        let mut recordings = record(&target);
        recordings.iter_mut().for_each(|recording| {
            recording.calls.retain(|call| call.product.as_ref().is_some_and(|p| choices.contains_key(&p.name)));
        });
        let Some(seconds) = time(gpu, &recordings, if effort == Effort::Fast { 3 } else { 10 })? else { break };
        for (name, choice) in choices {
            let times = &mut products.get_mut(&name).expect("it was tried").0.seconds;
            times.push((choice, seconds[&name]));
        }
        longest = longest.max(start.elapsed());
    }
    Ok(products.into_values().map(|(measured, _)| measured).collect())
}

/// The kernel that belongs to a product but is none.
const SUM: &str = "conv2d/sum_parts";

/// Seconds that each product takes once, the smallest of several runs; `None` without timestamps.
fn time(gpu: &Gpu, recordings: &[Recording], runs: usize) -> Result<Option<BTreeMap<String, f64>>> {
    let runtime = Runtime::new(gpu, recordings, true)?;
    let mut best: BTreeMap<String, f64> = BTreeMap::new();
    // The first run touches memory and wakes the device.
    for run in 0..=runs {
        let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for (program, recording) in recordings.iter().enumerate() {
            let Some(seconds) = dispatch_seconds(&runtime, program)? else { return Ok(None) };
            for (call, seconds) in recording.calls.iter().zip(seconds) {
                let product = call.product.as_ref().expect("others were left out");
                let (sum, count) = sums.entry(&product.name).or_default();
                *sum += seconds;
                *count += if call.spec.path == SUM { 0.0 } else { 1.0 };
            }
        }
        for (name, (sum, count)) in sums.into_iter().filter(|_| run > 0) {
            let best = best.entry(name.to_owned()).or_insert(f64::INFINITY);
            *best = best.min(sum / count);
        }
    }
    Ok(Some(best))
}

/// What was found on a device before.
pub struct Memory {
    path: Option<PathBuf>,
    /// Choices as text: another version may know others.
    words: BTreeMap<String, String>,
}

impl Memory {
    /// What the user's cache folder has on this device and driver; nothing, if it has nothing or that cannot be read.
    pub fn of(gpu: &Gpu) -> Self {
        let info = &gpu.info;
        let device = format!("{:?} {} {} {}", info.backend, info.name, info.driver, info.driver_info);
        let name = format!("tuned_{}_{:08x}.json", env!("CARGO_PKG_VERSION"), crc32fast::hash(device.as_bytes()));
        let path = user_cache().map(|folder| folder.join(name));
        let words = path.as_ref().and_then(|path| serde_json::from_slice(&read(path, TEXT_LIMIT).ok()?).ok());
        Self { path, words: words.unwrap_or_default() }
    }

    /// The choices that this target can make.
    pub fn choices(&self, target: &Target) -> Choices {
        let known = self.words.iter().filter_map(|(name, word)| Some((name.clone(), target.choice(word)?)));
        known.collect()
    }

    /// Keeps what was found. That it cannot be written is no fault: the next start measures again.
    pub fn keep(&mut self, found: &[Measured]) {
        let best = found.iter().filter_map(|m| Some((m.product.name.clone(), m.best()?.0.to_string())));
        self.words.extend(best);
        let Some(path) = &self.path else { return };
        if path.parent().is_some_and(|folder| std::fs::create_dir_all(folder).is_ok()) {
            let _ = write_atomically(path, &serde_json::to_vec_pretty(&self.words).unwrap_or_default());
        }
    }
}
