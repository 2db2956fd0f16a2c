//! Compares every kernel with its f64 reference on an open device: what `velograd selftest` and the tests run.
//!
//! A [`Case`] records one op of known size, names the buffers of its inputs and outputs ([`Port`]) and says what should
//! come out and how far off float32 may be ([`Expected`]). [`execute`] runs it under adverse conditions: every buffer
//! is filled with NaN and is longer than its contents, and activations do not share memory. A value that a kernel must
//! not read shows as a NaN, and a word that it must not write shows as changed.

mod activation;
mod attention;
mod batchnorm;
mod bias;
mod cases;
mod class_token;
mod conv2d;
mod conv_norm;
mod copy;
mod cross;
mod elementwise;
mod embedding;
mod exchange;
mod execute;
mod expected;
mod fma;
mod image;
mod jitter;
mod layernorm;
mod linear;
mod loss;
mod lstm;
mod mixup;
mod optim;
mod outcome;
mod pack;
mod pool;
mod port;
mod queries_keys;
mod recipe;
mod reshape;
mod second;
mod sinusoids;
mod targets;
mod tokens;
mod unary;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    check::reference::Sum,
    device::Gpu,
    error::{Error, Result},
    ops::Activation,
    program::{
        Recording, Tape,
        product::Choice,
        step::Step,
        target::{Precision, Target},
    },
};

pub use attention::AttentionCase;
pub use batchnorm::BatchNormCase;
pub use bias::BiasCase;
pub use cases::{Entry, table};
pub use class_token::{ClassTokenCase, FirstPlaceCase};
pub use conv_norm::ConvNormCase;
pub use conv2d::Conv2dCase;
pub use copy::CopyCase;
pub use cross::CrossCase;
pub use elementwise::{AddCase, ReluCase};
pub use embedding::{EmbeddingCase, FirstRowCase, PositionsCase};
pub use exchange::{AddShareCase, MoveRunningCase};
pub use execute::execute;
pub use expected::Expected;
use expected::{EPS, EPS16, SPREAD, TINY, TINY16, plus};
pub use fma::FmaCase;
pub use image::{AugmentCase, AverageViewsCase, DrawCase};
pub use layernorm::LayerNormCase;
pub use linear::LinearCase;
pub use loss::CrossEntropyCase;
pub use lstm::LstmCase;
pub use mixup::{MixedCrossEntropyCase, MixupCase};
pub use optim::{OPTIMIZER_CASES, OptimizerCase, OptimizerInputs, narrow, optimizer_bound, optimizer_case};
pub use outcome::Outcome;
pub use pack::PackCase;
pub use pool::{AdaptiveAvgPoolCase, GlobalAvgPoolCase, MaxPoolCase};
use port::Word;
pub use port::{At, Port};
pub use queries_keys::{QueriesKeys, QueriesKeysCase};
pub use recipe::{ClipCase, DropoutCase, ScaleCase};
pub use reshape::FlattenCase;
pub use sinusoids::SinusoidsCase;
use targets::matrix_targets;
pub use targets::{targets, variants};
pub use tokens::TokensCase;
pub use unary::{Unary, UnaryCase};

/// How many cases to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// One or two sizes for each kernel.
    Short,
    /// The whole table, edges of every tile included.
    Full,
}

/// Values by port name, in PyTorch's order.
pub type Data = BTreeMap<&'static str, Vec<f64>>;

/// An op of known size, with its inputs and its expected outputs.
pub trait Case {
    /// What distinguishes it from other cases of the op.
    fn name(&self) -> String;

    /// Whether the tape is in training.
    fn training(&self) -> bool {
        true
    }

    /// Records the op, and its backward pass if there is one; returns the buffers to fill and to check.
    fn record(&self, t: &mut Tape) -> Vec<Port>;

    /// The contents of the uniform `Step`.
    fn step(&self) -> Step {
        Step::default()
    }

    /// The inputs, the same at every call, all exact in float32.
    fn data(&self) -> Data;

    /// Changes inputs, after they are rounded to what the buffers hold, where rounding would decide the result.
    fn settle(&self, data: &mut Data) {
        let _ = data;
    }

    /// What ports hold before the last kernel adds to them: under mixed precision that is rounded too.
    fn intermediate(&self, data: &Data) -> Data {
        let _ = data;
        Data::new()
    }

    /// What should come out for these inputs.
    fn expected(&self, data: &Data) -> Vec<Expected>;

    /// The recording that the benches time.
    fn recording(&self, target: &Target) -> Recording {
        let mut tape = Tape::new(target, self.training());
        self.record(&mut tape);
        tape.finish()
    }

    /// Floating-point operations of all calls that state them; 0 for an op that only moves bytes.
    fn flop(&self) -> f64 {
        self.recording(&Target::portable()).calls.iter().map(|call| call.flop).sum()
    }
}

/// The result of one kernel in one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Path below `shaders/`, or `guard words` for the memory that the case must not change.
    pub kernel: String,
    /// The kernel's constants and cores.
    pub form: String,
    /// The case's name.
    pub case: String,
    /// Largest error divided by its bound, over all elements that the kernel wrote; the number of changed words for
    /// `guard words`.
    pub worst: f64,
    /// The bound where the error is largest.
    pub bound: f64,
    /// Whether every element is within its bound.
    pub passed: bool,
}

/// Runs the table on the device: with the portable kernels, with those that the device normally uses, and with the
/// subgroup cores if its subgroups have one size. `progress` is called after each case of the table with the numbers of
/// cases that are done and of all; the cases of the optimizers come after the last.
///
/// # Errors
/// [`crate::error::Error::Device`] if the device cannot run a case at all; a wrong result is not an error but a row.
pub async fn run(gpu: &Gpu, depth: Depth, progress: &mut dyn FnMut(usize, usize)) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut cases: Vec<_> = table().into_iter().enumerate().collect();
    cases.retain(|(_, entry)| entry.short || depth == Depth::Full);
    let total = cases.len();
    for (done, (nth, entry)) in cases.into_iter().enumerate() {
        // The short cases run in every variant, the others in every target and in one further variant, by turns.
        let all = variants(gpu);
        let some =
            if entry.short { all } else { targets(gpu).into_iter().chain([all[nth % all.len()].clone()]).collect() };
        rows.extend(check(gpu, entry.case.as_ref(), &some).await?);
        progress(done + 1, total);
    }
    for target in targets(gpu) {
        rows.extend(optim::rows(gpu, &target, depth == Depth::Short).await?);
    }
    Ok(rows)
}

/// Runs the short cases of the kernels for which `uses` holds, by their paths, in the forms of `target`, which training is to
/// use; the first convolution in each form of `choices`; and the first case of one optimizer.
///
/// # Errors
/// As [`run`], and [`Error::Device`] with the worst kernel if a result is wrong.
pub async fn assure(
    gpu: &Gpu,
    target: &Target,
    choices: impl IntoIterator<Item = Choice>,
    optimizer: &str,
    uses: impl Fn(&str) -> bool,
) -> Result<()> {
    let mut rows = Vec::new();
    let short: Vec<_> = table().into_iter().filter(|entry| entry.short).collect();
    let used = |case: &dyn Case| case.recording(target).calls.iter().any(|call| uses(&call.spec.path));
    for entry in short.iter().filter(|entry| used(entry.case.as_ref())) {
        rows.extend(compare(gpu, target, entry.case.as_ref()).await?);
    }
    // Two parts or thirty use the same kernels, so at most three are tried.
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

/// Runs one case in every precision with these targets and with those of cooperative matrices, leaving out repeated
/// kernels.
///
/// # Errors
/// As [`run`].
pub async fn check(gpu: &Gpu, case: &dyn Case, targets: &[Target]) -> Result<Vec<Row>> {
    let (mut rows, mut seen) = (Vec::new(), Vec::new());
    for precision in precisions(gpu) {
        // Targets with the same inputs share the reference's work.
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

/// The inputs of a case in the target's precision, and the expected outputs.
pub fn truth(target: &Target, case: &dyn Case) -> (Data, Vec<Expected>) {
    let data = execute::inputs(target, case);
    let (half, before) = (execute::half_ports(target, case), case.intermediate(&data));
    let mut expected = case.expected(&data);
    for expected in expected.iter_mut().filter(|expected| half.contains(&expected.port)) {
        expected.store_as_f16(before.get(expected.port));
    }
    (data, expected)
}

/// The precisions that this device supports.
pub fn precisions(gpu: &Gpu) -> Vec<Precision> {
    let mut precisions = vec![Precision::F32, Precision::Mixed];
    precisions.retain(|&precision| gpu.supports(precision).is_ok());
    precisions
}

/// Rows as a table, with a summary in the last line.
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

/// The exponent of the loss scale, in every case whose kernels use it.
const SCALE_EXPONENT: u32 = 5;

/// The loss scale as the words of the port `scaler`.
fn scaler() -> Vec<f64> {
    vec![f64::from(SCALE_EXPONENT), 0.0, 0.0, 0.0]
}

/// A parameter's gradient without the loss scale, from one with it.
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
