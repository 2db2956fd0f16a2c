//! Which form of each matrix product is fastest on this device, by trying the few that may be.
//!
//! The table's order (`gpu/gemm.rs`) is a guess. Tuning runs the products of a network in rounds, each with the next of their
//! candidates, and reads the device's timestamps. What it found is kept on disk by device, driver, version and kernels, so that a
//! network is measured once. A choice changes the order of sums and nothing else: `run.json` keeps it, for the same bits.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    device::{Gpu, runtime::Runtime, timing::dispatch_seconds},
    error::{Error, Result},
    program::{
        Call, Recording, identity,
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
pub fn measure(gpu: &Gpu, plans: &Plans<'_>, known: &Choices, effort: Effort) -> Result<Vec<Measured>> {
    let begin = Instant::now();
    let record = |target: &Target| -> Vec<Recording> {
        let first = [(plans.train.first(), true), (plans.evaluate.first(), false)];
        first.iter().filter_map(|(n, training)| Some(plans.record(target, *(*n)?, *training))).collect()
    };
    let target = gpu.target.with(plans.recipe.precision);
    let mut products: BTreeMap<String, (Measured, Vec<Choice>)> = BTreeMap::new();
    for call in record(&target).iter().flat_map(|recording| &recording.calls).filter(|call| multiplies(call)) {
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
        let mut recordings = record(&Target { tuned: choices.clone(), ..gpu.target.clone() });
        for recording in &mut recordings {
            recording.calls.retain(|call| call.product.as_ref().is_some_and(|p| choices.contains_key(&p.name)));
        }
        let seconds = match time(gpu, &recordings, effort.runs) {
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

/// What was found on a device before.
pub struct Memory {
    path: Option<PathBuf>,
    /// Choices as text: another version may know others.
    words: BTreeMap<String, String>,
}

impl Memory {
    /// What the user's cache folder has on this device, driver and kernels; nothing, if it has nothing or that cannot be read.
    pub fn of(gpu: &Gpu) -> Self {
        let device = format!("{:?} {gpu}", gpu.info.backend);
        let path = user_cache().map(|folder| folder.join(file_name(&device, identity::KERNELS)));
        let words = path.as_ref().and_then(|path| serde_json::from_slice(&read(path, TEXT_LIMIT).ok()?).ok());
        Self { path, words: words.unwrap_or_default() }
    }

    /// The choices that this target can make.
    pub fn choices(&self, target: &Target) -> Choices {
        let known = self.words.iter().filter_map(|(name, word)| Some((name.clone(), target.choice(word)?)));
        known.collect()
    }

    /// Keeps what was found of products that were measured whole. That it cannot be written is no fault: the next start
    /// measures again.
    pub fn keep(&mut self, found: &[Measured]) {
        let whole = found.iter().filter(|measured| measured.whole);
        self.words.extend(whole.map(|m| (m.product.name.clone(), m.best().0.to_string())));
        let Some(path) = &self.path else { return };
        if path.parent().is_some_and(|folder| std::fs::create_dir_all(folder).is_ok()) {
            let _ = write_atomically(path, &serde_json::to_vec_pretty(&self.words).unwrap_or_default());
        }
    }
}

/// What was measured of other kernels, or by a version with other forms, says nothing of these.
fn file_name(device: &str, kernels: &str) -> String {
    format!("tuned_{}_{kernels}_{:08x}.json", identity::VERSION, crc32fast::hash(device.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{Measured, Memory, file_name};
    use crate::program::{
        product::{Choice, Gemm, Product},
        target::Target,
    };

    #[test]
    fn each_device_and_all_kernels_have_a_file() {
        let names = [("a", "0123"), ("b", "0123"), ("a", "4567")].map(|(device, kernels)| file_name(device, kernels));
        assert!(names[0] != names[1] && names[0] != names[2], "{names:?}");
    }

    /// What was begun is measured again at the next start; what was measured whole is not.
    #[test]
    fn only_what_was_measured_whole_is_remembered() {
        let [table, other] = [0, 1].map(|nth| Choice { gemm: Gemm::TILES[nth], parts: 1 });
        let measured = |name: &str, whole| {
            let name = name.to_owned();
            let product =
                Product { path: "conv2d/forward", name, rows: 64, cols: 64, count: 1, terms: 64, half: false };
            Measured { product, times: 1, seconds: vec![(table, 2.0), (other, 1.0)], whole }
        };
        let mut memory = Memory { path: None, words: Default::default() };
        memory.keep(&[measured("whole", true), measured("begun", false)]);
        let choices = memory.choices(&Target::portable());
        assert_eq!(choices.into_iter().collect::<Vec<_>>(), [("whole".to_owned(), other)]);
    }
}
