//! Every kernel against its f64 value on an open device: what `velograd selftest` and the tests run.
//!
//! A [`Case`] records one op of known size, names the buffers that go in and come out ([`Port`]) and says what should come
//! out and how far off float32 may be ([`Expected`]). [`execute`] runs it in the worst surroundings: every buffer is filled
//! with NaN, is longer than its contents, and activations do not share. What a kernel must not read would show as NaN, and
//! what it must not write as a changed word.

mod activation;
mod batchnorm;
mod bias;
mod cases;
mod conv2d;
mod conv_norm;
mod copy;
mod elementwise;
mod execute;
mod fma;
mod image;
mod linear;
mod loss;
mod optim;
mod outcome;
mod pool;
mod port;
mod recipe;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    check::reference::Sum,
    device::{Gpu, fixed_subgroup},
    error::{Error, Result},
    ops::Activation,
    program::{
        Recording, Tape,
        product::{Choice, Matrix},
        step::Step,
        target::{Precision, Target},
    },
};

pub use batchnorm::BatchNormCase;
pub use bias::BiasCase;
pub use cases::{Entry, table};
pub use conv_norm::ConvNormCase;
pub use conv2d::Conv2dCase;
pub use copy::CopyCase;
pub use elementwise::{ReluCase, ScaleByCase};
pub use execute::execute;
pub use fma::FmaCase;
pub use image::{AugmentCase, AverageViewsCase, DrawCase};
pub use linear::LinearCase;
pub use loss::CrossEntropyCase;
pub use optim::{OPTIMIZER_CASES, OptimizerCase, OptimizerInputs, narrow, optimizer_bound, optimizer_case};
pub use outcome::Outcome;
pub use pool::{GlobalAvgPoolCase, MaxPoolCase};
use port::Word;
pub use port::{At, Port};
pub use recipe::{ClipCase, DropoutCase, ScaleCase};

/// How much to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Each kernel at a size or two.
    Short,
    /// The whole table, edges of every tile included.
    Full,
}

/// Values by port name, in PyTorch's order.
pub type Data = BTreeMap<&'static str, Vec<f64>>;

/// An op of known size, with its inputs and what should come of them.
pub trait Case {
    /// What distinguishes it from other cases of the op.
    fn name(&self) -> String;

    /// Whether the tape is in training.
    fn training(&self) -> bool {
        true
    }

    /// Appends the op, and its backward pass where there is one; returns the buffers that matter.
    fn record(&self, t: &mut Tape) -> Vec<Port>;

    /// The step's uniform.
    fn step(&self) -> Step {
        Step::default()
    }

    /// Inputs, the same at every call, all exact in float32.
    fn data(&self) -> Data;

    /// Changes inputs, once they are rounded to what the buffers hold, whose effect rounding would decide.
    fn settle(&self, data: &mut Data) {
        let _ = data;
    }

    /// What a port holds before the last kernel adds to it, by port: under mixed precision that is rounded too.
    fn intermediate(&self, data: &Data) -> Data {
        let _ = data;
        Data::new()
    }

    /// What should come out of these inputs.
    fn expected(&self, data: &Data) -> Vec<Expected>;

    /// What the benches time.
    fn recording(&self, target: &Target) -> Recording {
        let mut tape = Tape::new(target, self.training());
        self.record(&mut tape);
        tape.finish()
    }

    /// Floating-point operations of all calls that count them; 0 for what moves bytes.
    fn flop(&self) -> f64 {
        self.recording(&Target::portable()).calls.iter().map(|call| call.flop).sum()
    }
}

/// What a port should hold after the run.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The port's name.
    pub port: &'static str,
    /// In PyTorch's order.
    pub value: Vec<f64>,
    /// How far off each element may be.
    pub bound: Vec<f64>,
    /// Share of the elements that may be further off: only where the result jumps, as a rotated image does.
    pub exempt: f64,
}

/// Factor of [`Sum::bound`]: rounding errors that are independent stay within 4 standard deviations for all of the
/// table's elements, and the cores' order of summation only makes them smaller.
const SPREAD: f64 = 4.0;

/// Error of one float32 operation relative to its result, twice over: devices need not round to nearest.
const EPS: f64 = f32::EPSILON as f64;

/// The smallest normal float32: a device may flush what is smaller.
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// Error of storing a number as f16, relative to it: half a unit of 11 digits. WGSL wants the nearest.
const EPS16: f64 = 1.0 / 2048.0;

/// The smallest normal f16: as above.
const TINY16: f64 = 1.0 / 16_384.0;

impl Expected {
    /// Values that the device can but copy.
    pub fn exact(port: &'static str, value: Vec<f64>) -> Self {
        let bound = vec![0.0; value.len()];
        Self { port, value, bound, exempt: 0.0 }
    }

    /// Values that take `roundings` operations of their own magnitude.
    pub fn rounded(port: &'static str, value: Vec<f64>, roundings: f64) -> Self {
        let bound = value.iter().map(|v| roundings * EPS * v.abs() + TINY).collect();
        Self { port, value, bound, exempt: 0.0 }
    }

    /// Sums, within `4 sqrt(terms) eps32 magnitude`.
    pub fn sum(port: &'static str, sum: &Sum) -> Self {
        let bound = (0..sum.value.len()).map(|i| sum.bound(i, SPREAD)).collect();
        Self { port, value: sum.value.clone(), bound, exempt: 0.0 }
    }

    /// Widens the bounds of a port that is stored as f16, after `before` was: each rounding is relative to what is stored. From
    /// half a unit above the largest number on, the nearest is infinity.
    fn store_as_f16(&mut self, before: Option<&Vec<f64>>) {
        for (i, (value, bound)) in self.value.iter_mut().zip(&mut self.bound).enumerate() {
            if value.abs() >= 65_520.0 {
                *value = value.signum() * f64::INFINITY;
                continue;
            }
            *bound += before.map_or(0.0, |values| EPS16 * values[i].abs() + TINY16);
            let exact = *bound == 0.0 && Word::F16.round(*value) == *value;
            if !exact {
                *bound += EPS16 * (value.abs() + *bound) + TINY16;
            }
        }
    }

    /// What was there before, and a sum added to it.
    pub fn added(port: &'static str, before: &[f64], sum: &Sum) -> Self {
        Self::sum(port, &plus(before, sum))
    }
}

/// A sum with one more term per element.
fn plus(before: &[f64], sum: &Sum) -> Sum {
    Sum {
        value: sum.value.iter().zip(before).map(|(value, before)| value + before).collect(),
        magnitude: sum.magnitude.iter().zip(before).map(|(magnitude, before)| magnitude + before.abs()).collect(),
        terms: sum.terms + 1,
    }
}

/// One kernel in one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Path below `shaders/`, or `guard words` for the memory that the case must leave alone.
    pub kernel: String,
    /// The kernel's constants and cores.
    pub form: String,
    /// The case's name.
    pub case: String,
    /// Largest error divided by its bound, over all elements that the kernel wrote; words changed for `guard words`.
    pub worst: f64,
    /// The bound where the error is largest.
    pub bound: f64,
    /// Every element is within its bound.
    pub passed: bool,
}

/// Runs the table on the device: with portable kernels, with those the device is run with, and with the subgroup cores
/// where its subgroups have one size.
///
/// # Errors
/// [`crate::error::Error::Device`] if the device cannot run a case at all; a wrong result is a row.
pub async fn run(gpu: &Gpu, depth: Depth) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (nth, entry) in table().into_iter().enumerate().filter(|(_, entry)| entry.short || depth == Depth::Full) {
        // The first cases meet every variant, the others one by turns: each has sizes of its own to be wrong at.
        let all = variants(gpu);
        let some =
            if entry.short { all } else { targets(gpu).into_iter().chain([all[nth % all.len()].clone()]).collect() };
        rows.extend(check(gpu, entry.case.as_ref(), &some).await?);
    }
    for target in targets(gpu) {
        rows.extend(optim::rows(gpu, &target, depth == Depth::Short).await?);
    }
    Ok(rows)
}

/// Runs the short cases with the kernels of `target`, those that training is to use, the first convolution in each form of
/// `choices`, and the first case of one optimizer.
///
/// # Errors
/// As [`run`], and [`Error::Device`] with the worst kernel if a result is wrong.
pub async fn assure(
    gpu: &Gpu,
    target: &Target,
    choices: impl IntoIterator<Item = Choice>,
    optimizer: &str,
) -> Result<()> {
    let mut rows = Vec::new();
    let short: Vec<_> = table().into_iter().filter(|entry| entry.short).collect();
    for entry in &short {
        rows.extend(compare(gpu, target, entry.case.as_ref()).await?);
    }
    // Whether in two parts or in thirty, the kernels are the same.
    let forms: BTreeSet<_> = choices.into_iter().map(|c| Choice { parts: c.parts.min(3), ..c }).collect();
    for form in forms {
        let forced = Target { forced: Some(form), ..target.clone() };
        rows.extend(compare(gpu, &forced, short[0].case.as_ref()).await?);
    }
    rows.extend(optim::first(gpu, target, optimizer).await?);
    let wrong: Vec<&Row> = rows.iter().filter(|row| !row.passed).collect();
    let Some(worst) = wrong.iter().max_by(|a, b| a.worst.total_cmp(&b.worst)) else { return Ok(()) };
    let Row { kernel, form, case, worst, bound, .. } = worst;
    let name = &gpu.info.name;
    let message = format!(
        "{name} computes wrong numbers in {} of {} kernels and cases; the worst is {kernel} {form}, {case}: {worst:.1} times \
         the bound of {bound:.1e}",
        wrong.len(),
        rows.len()
    );
    let hint = "try another version of the driver or another 'device'; `velograd selftest` shows every kernel, and \
                'selftest' off trains regardless";
    Err(Error::device(message, hint))
}

/// Runs one case with the kernels of one target.
async fn compare(gpu: &Gpu, target: &Target, case: &dyn Case) -> Result<Vec<Row>> {
    let (data, expected) = truth(target, case);
    Ok(execute(gpu, target, case, &data).await?.rows(&case.name(), &expected))
}

/// Runs one case in every precision with these targets, and those of cooperative matrices, as far as they change its kernels.
///
/// # Errors
/// As [`run`].
pub async fn check(gpu: &Gpu, case: &dyn Case, targets: &[Target]) -> Result<Vec<Row>> {
    let (mut rows, mut seen) = (Vec::new(), Vec::new());
    for precision in precisions(gpu) {
        // Targets that read the same numbers share the reference's work.
        let mut last: Option<(bool, Data, Vec<Expected>)> = None;
        for target in targets.iter().cloned().chain(matrix_targets(gpu)) {
            let target = target.with(precision);
            let calls = case.recording(&target).calls;
            let forms: Vec<_> = calls.into_iter().map(|call| (call.spec, call.grid)).collect();
            if seen.contains(&forms) {
                continue;
            }
            let rounds = target.matrix.is_some();
            let (_, data, expected) = match last.take() {
                Some(truth) if truth.0 == rounds => last.insert(truth),
                _ => {
                    let (data, expected) = truth(&target, case);
                    last.insert((rounds, data, expected))
                }
            };
            rows.extend(execute(gpu, &target, case, data).await?.rows(&case.name(), expected));
            seen.push(forms);
        }
    }
    Ok(rows)
}

/// The inputs of a case in the target's precision, and what should come of them.
pub fn truth(target: &Target, case: &dyn Case) -> (Data, Vec<Expected>) {
    let data = execute::inputs(target, case);
    let (half, before) = (execute::half_ports(target, case), case.intermediate(&data));
    let mut expected = case.expected(&data);
    for expected in expected.iter_mut().filter(|expected| half.contains(&expected.port)) {
        expected.store_as_f16(before.get(expected.port));
    }
    (data, expected)
}

/// The precisions that this device can run.
pub fn precisions(gpu: &Gpu) -> Vec<Precision> {
    let mut precisions = vec![Precision::F32, Precision::Mixed];
    precisions.retain(|&precision| gpu.supports(precision).is_ok());
    precisions
}

/// The targets that this device can run, in f32.
pub fn targets(gpu: &Gpu) -> Vec<Target> {
    let mut targets = vec![Target::portable()];
    if !targets.contains(&gpu.target) {
        targets.push(gpu.target.clone());
    }
    if let Some(size) = fixed_subgroup(&gpu.info, gpu.features.subgroups) {
        let software = Target::software(size);
        if !targets.contains(&software) {
            targets.push(software);
        }
    }
    targets
}

/// The targets, and with each of their cores alone, sums in one part and in three: whatever a product may be given.
pub fn variants(gpu: &Gpu) -> Vec<Target> {
    let mut variants = targets(gpu);
    for target in targets(gpu) {
        for &core in &target.gemm {
            let forced = |parts| Target { forced: Some(Choice { gemm: core, parts }), ..target.clone() };
            variants.extend([1, 3].map(forced));
        }
    }
    variants
}

/// Targets whose products of f16 activations run on the device's cooperative matrices, and on what stands in for those; their
/// weights are rounded.
fn matrix_targets(gpu: &Gpu) -> Vec<Target> {
    if gpu.device.limits().max_compute_workgroup_storage_size < Matrix::MEMORY {
        return vec![];
    }
    let plain = [8, 16].map(|tile| Matrix { tile, subgroup: 32, plain: true });
    let all = gpu.matrix.into_iter().chain(plain);
    all.map(|matrix| Target { matrix: Some(matrix), ..Target::portable() }).collect()
}

/// Rows as a table with a line of summary.
pub struct Table<'a>(pub &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = |text: fn(&Row) -> usize| self.0.iter().map(text).max().unwrap_or(0);
        let (kernel, form) = (widest(|row| row.kernel.len()), widest(|row| row.form.len()));
        let case = widest(|row| row.case.len());
        let line = |[a, b, c, d, e, g]: [&str; 6]| format!("{a:kernel$}  {b:form$}  {c:case$}  {d:>8} {e:>8}  {g}");
        writeln!(f, "{}", line(["kernel", "form", "case", "worst", "bound", ""]).trim_end())?;
        for row in self.0 {
            let (worst, bound) = (format!("{:.3}", row.worst), format!("{:.1e}", row.bound));
            let verdict = if row.passed { "ok" } else { "FAILED" };
            writeln!(f, "{}", line([&row.kernel, &row.form, &row.case, &worst, &bound, verdict]))?;
        }
        let failed = self.0.iter().filter(|row| !row.passed).count();
        write!(f, "{} rows, {failed} failed; worst is the largest error divided by its bound", self.0.len())
    }
}

/// Exponent of the loss's scale in every case whose kernels know it.
const SCALE_EXPONENT: u32 = 5;

/// The words of that scale, for the port `scaler`.
fn scaler() -> Vec<f64> {
    vec![f64::from(SCALE_EXPONENT), 0.0, 0.0, 0.0]
}

/// A parameter's gradient from one of the scaled loss: without the scale.
fn unscaled(mut sum: Sum) -> Sum {
    let inverse = 0.5_f64.powi(SCALE_EXPONENT as i32);
    sum.value.iter_mut().chain(&mut sum.magnitude).for_each(|v| *v *= inverse);
    sum
}

/// `len` numbers in [-1, 1), multiples of 2^-23, from a linear congruential generator.
fn random(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((state >> 40) as u32) / 8_388_608.0 - 1.0
    };
    next();
    (0..len).map(|_| next()).collect()
}

/// The nearest float32.
fn single(value: f64) -> f64 {
    f64::from(value as f32)
}
