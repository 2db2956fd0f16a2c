//! Checks and times every update rule over ResNet-18's 11.2 million parameters: bytes moved, GB/s, and how near that
//! comes to a kernel that only copies.
//!
//! ```text
//! cargo bench --bench optimizers [-- [--quick] [--optimizers NAME,...] [--device NAME]]
//! ```
//!
//! An update is all of a rule's dispatches, including the norm and the check for non-finite values. Its bytes are
//! computed, not measured: for each dispatch, the length of each buffer that its kernel loads from, and again of each
//! that it stores to, as naga finds them in the WGSL. So nothing is stated by hand. AdamW's 8 words per parameter, for
//! example, are the gradient for the norm; gradient, parameter and both moments read; parameter and both moments
//! written. Muon binds whole arenas of which it uses a part, and its products are bound by arithmetic, so it gets
//! GFLOP/s instead.
//!
//! A round times the copy kernel, AdamW and the rule one after the other, so that other load on the machine affects all
//! three; the smallest time over the rounds counts for each. Times are device time from timestamps if there are any,
//! else that of a submission. The update timed is the tenth, in which VeloGrad's lookahead is due and every bound
//! buffer is used.

use std::time::Instant;

use clap::Parser;
use pollster::block_on;
use velograd::{
    check::selftest::{self, Depth},
    device::{Gpu, runtime::Runtime, timing::program_seconds},
    error::{Error, Result},
    models::{
        self,
        resnet::{self, Stem},
    },
    optim::{self, Clip, Optimizer, Updates},
    program::{BufferKind, Recording, Tape, params::Layout},
    training::{
        network::{Plans, Recipe},
        weights::Weights,
    },
};

#[derive(Parser)]
struct Arguments {
    /// Three rounds instead of eleven
    #[arg(long)]
    quick: bool,
    /// The update rules [default: all, and SGD with momentum]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    optimizers: Vec<String>,
    /// Adapter by index or part of its name
    #[arg(long, value_name = "NAME|INDEX")]
    device: Option<String>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The update that is timed, and one in which VeloGrad's lookahead, due every fifth update, is not due.
const DUE: u64 = 10;
const NOT_DUE: u64 = 9;

/// Number of copies in one submission: with a single one, the submission itself would dominate the time.
const COPIES: u32 = 8;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut rules: Vec<_> = arguments.optimizers.iter().map(|name| (name.as_str(), vec![])).collect();
    if rules.is_empty() {
        rules.extend(optim::ALL.iter().map(|rule| (rule.name.as_str(), vec![])));
        rules.push(("sgd", vec![("momentum".to_owned(), "0.9".to_owned())]));
    }
    rules.iter().try_for_each(|(name, set)| optim::build(name, set).map(drop))?;
    let gpu = velograd::host::device::open(arguments.device.as_deref())?;
    let failed =
        block_on(selftest::run(&gpu, Depth::Short, &mut |_, _| ()))?.into_iter().filter(|row| !row.passed).count();
    if failed > 0 {
        let hint = "velograd selftest names them; a wrong kernel is not worth timing";
        return Err(Error::device(format!("{}: {failed} kernels are wrong", gpu.info.name), hint));
    }

    let layout = resnet18(&gpu)?;
    let rounds = if arguments.quick { 3 } else { 11 };
    let copy = Copy::new(&gpu, &layout)?;
    let adamw = Rule::new(&gpu, &layout, "adamw", &[])?;
    println!("{gpu}");
    println!("{} parameters in {} tensors, {rounds} rounds", layout.elements(), layout.params.len());
    copy.compare_with_buffer_copy(rounds)?;
    println!(
        "{:<20} {:>5} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "rule", "words", "dispatches", "MB", "ms", "GB/s", "of copy", "x AdamW"
    );
    for (name, set) in &rules {
        let rule = Rule::new(&gpu, &layout, name, set)?;
        let mut best = [f64::INFINITY; 4]; // the copy, AdamW, the rule, VeloGrad without lookahead
        for _ in 0..rounds {
            let not_due = if *name == "velograd" { rule.seconds(NOT_DUE)? } else { f64::INFINITY };
            let times = [copy.seconds()?, adamw.seconds(DUE)?, rule.seconds(DUE)?, not_due];
            best.iter_mut().zip(times).for_each(|(best, time)| *best = best.min(time));
        }
        rule.print(best, copy.bytes);
    }
    Ok(())
}

/// The layout of the published network's parameters.
fn resnet18(gpu: &Gpu) -> Result<Layout> {
    let plans = Plans {
        model: models::find("resnet18")?,
        config: resnet::config(Stem::Imagenet, 64, 10),
        recipe: Recipe::default(),
        target: gpu.target.clone(),
        train: vec![1],
        evaluate: vec![],
    };
    Ok(plans.record(1, true).layout)
}

/// A rule on a device.
struct Rule {
    name: String,
    optimizer: Box<dyn Optimizer>,
    recording: Recording,
    runtime: Runtime,
}

impl Rule {
    fn new(gpu: &Gpu, layout: &Layout, name: &str, set: &[(String, String)]) -> Result<Self> {
        let (optimizer, _) = optim::build(name, set)?;
        let recording = optim::record(optimizer.as_ref(), Clip::default(), Tape::over_layout(&gpu.target, layout));
        let recordings = [recording];
        let runtime = block_on(Runtime::new(gpu, &recordings, true))?;
        // Another draw of initial weights serves as gradients: it has numbers of ordinary size, and zeros in the
        // padding.
        runtime.write(runtime.buffer(&BufferKind::Params), &Weights::init(layout, 0).params);
        runtime.write(runtime.buffer(&BufferKind::Grads), &Weights::init(layout, 1).params);
        optim::start(optimizer.as_ref(), &runtime, layout);
        let [recording] = recordings;
        let set: String = set.iter().map(|(key, value)| format!(" {key}={value}")).collect();
        Ok(Self { name: format!("{name}{set}"), optimizer, recording, runtime })
    }

    /// Device time of update `t`.
    fn seconds(&self, t: u64) -> Result<f64> {
        let optimizer = self.optimizer.as_ref();
        let mut step = Updates { issued: t - 1, ..Updates::default() }.next(optimizer, optimizer.lr());
        (step.loss_scale, step.loss_mean) = (1.0, 1.0);
        self.runtime.set_step(&step);
        block_on(program_seconds(&self.runtime, 0))
    }

    fn print(&self, [copy, adamw, due, not_due]: [f64; 4], copied: u64) {
        let calls = &self.recording.calls;
        let flop: f64 = calls.iter().map(|call| call.flop).sum();
        let bytes: u64 = calls.iter().map(|call| self.recording.moved_bytes(call)).sum();
        let (ms, times) = (1e3 * due, due / adamw);
        print!("{:<20} {:>5} {:>10} ", self.name, self.optimizer.words(), calls.len());
        if flop > 0.0 {
            println!("{:>8} {ms:>8.2} {:>8} {:>8} {times:>8.2}  {:.1} GFLOP/s", "", "", "", flop / due / 1e9);
            return;
        }
        let (rate, copy) = (bytes as f64 / due / 1e9, copied as f64 / copy / 1e9);
        let share = format!("{:.0} %", 100.0 * rate / copy);
        print!("{:>8.1} {ms:>8.2} {rate:>8.2} {share:>8} {times:>8.2}", bytes as f64 / 1e6);
        if not_due.is_finite() {
            let mean = (due + 4.0 * not_due) / 5.0;
            print!("  over five updates, one with a lookahead: {:.2} ms, {:.2} x AdamW", 1e3 * mean, mean / adamw);
        }
        println!();
    }
}

/// A copy between two buffers as long as the parameters.
struct Copy {
    runtime: Runtime,
    /// Bytes read and written.
    bytes: u64,
}

impl Copy {
    fn new(gpu: &Gpu, layout: &Layout) -> Result<Self> {
        let floats = layout.param_floats();
        let mut t = Tape::new(&gpu.target, true);
        let arena = |t: &mut Tape, name: &'static str| t.buffer(BufferKind::scratch(name), 4 * u64::from(floats));
        let (source, copy) = (arena(&mut t, "source"), arena(&mut t, "copy"));
        t.call("bench/copy").size("len4", floats / 4).read(source).write(copy).groups(floats / 4 / 256);
        let recordings = [t.finish()];
        let runtime = block_on(Runtime::new(gpu, &recordings, true))?;
        let values: Vec<f32> = (0..floats).map(|i| i as f32).collect();
        runtime.write(runtime.buffer(&BufferKind::scratch("source")), &values);
        let bytes = recordings[0].moved_bytes(&recordings[0].calls[0]);
        Ok(Self { runtime, bytes })
    }

    fn seconds(&self) -> Result<f64> {
        block_on(program_seconds(&self.runtime, 0))
    }

    /// Seconds of wgpu's own copy from buffer to buffer.
    fn buffer_copy_seconds(&self) -> Result<f64> {
        let mut submission = self.runtime.submission();
        for _ in 0..COPIES {
            submission.copy(
                self.runtime.buffer(&BufferKind::scratch("source")),
                self.runtime.buffer(&BufferKind::scratch("copy")),
            );
        }
        let start = Instant::now();
        submission.submit();
        block_on(self.runtime.gpu.wait())?;
        Ok(start.elapsed().as_secs_f64() / f64::from(COPIES))
    }

    fn compare_with_buffer_copy(&self, rounds: u32) -> Result<()> {
        let mut best = [f64::INFINITY; 2];
        for _ in 0..rounds {
            best = [best[0].min(self.seconds()?), best[1].min(self.buffer_copy_seconds()?)];
        }
        let [kernel, buffer] = best.map(|seconds| self.bytes as f64 / seconds / 1e9);
        println!("copy kernel {kernel:.2} GB/s, copy from buffer to buffer {buffer:.2} GB/s, read and written bytes");
        Ok(())
    }
}
