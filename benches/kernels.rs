//! Checks and times every dispatch of an update of ResNet-18: GFLOP/s and GB/s per kernel.
//!
//! ```text
//! cargo bench --bench kernels [-- [--stem cifar] [--width 64] [--batch-size 128] [--device NAME]]
//! ```
//!
//! Times are device time from timestamps between dispatches, the smallest of five runs. GFLOP/s counts each
//! multiply-add that meets no padding as two operations; GB/s counts each buffer argument once, whole.

use std::collections::BTreeMap;

use clap::Parser;
use pollster::block_on;
use velograd::{
    check::selftest::{self, Depth},
    cli::{ModelFlags, TuneFlags},
    device::{runtime::Runtime, timing::dispatch_seconds},
    error::{Error, Result},
    optim,
    program::{BufferKind, step::Step},
    training::weights::Weights,
};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    model: ModelFlags,
    #[command(flatten)]
    tune: TuneFlags,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

struct Row {
    calls: u32,
    seconds: f64,
    flop: f64,
    bytes: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let subject = arguments.model.subject()?;
    let (optimizer, _) = subject.optimizer.build(&subject.set)?;
    let (gpu, plans) = subject.open(&arguments.tune)?;
    let failed =
        block_on(selftest::run(&gpu, Depth::Short, &mut |_, _| ()))?.into_iter().filter(|row| !row.passed).count();
    if failed > 0 {
        let hint = "velograd selftest names them; a wrong kernel is not worth timing";
        return Err(Error::device(format!("{}: {failed} kernels are wrong", gpu.info.name), hint));
    }
    let (recordings, _) = plans.programs(Some(optimizer.as_ref())).numbered();
    let runtime = block_on(Runtime::new(&gpu, &recordings, true))?;
    runtime.write(runtime.buffer(&BufferKind::Params), &Weights::init(&recordings[0].layout, 0).params);
    optim::start(optimizer.as_ref(), &runtime, &recordings[0].layout);
    runtime.set_step(&Step { loss_scale: 1.0 / subject.batch_size as f32, rows: [[1.0; 4]; 8], ..Step::default() });

    let mut rows: BTreeMap<(bool, String), Row> = BTreeMap::new();
    let mut total = 0.0;
    for (program, recording) in recordings.iter().enumerate() {
        let mut best = vec![f64::INFINITY; recording.calls.len()];
        for _ in 0..5 {
            let Some(seconds) = block_on(dispatch_seconds(&runtime, program))? else {
                return Err(Error::device(format!("{} has no timestamps inside passes", gpu.info.name), ""));
            };
            best.iter_mut().zip(seconds).for_each(|(best, s)| *best = best.min(s));
        }
        for (call, seconds) in recording.calls.iter().zip(best) {
            // Convolutions are listed one by one, other dispatches by kernel.
            let name =
                if call.flop > 0.0 { format!("{:<30} {}", call.spec.path, call.label) } else { call.spec.to_string() };
            let row =
                rows.entry((call.flop == 0.0, name)).or_insert(Row { calls: 0, seconds: 0.0, flop: 0.0, bytes: 0 });
            row.calls += 1;
            row.seconds += seconds;
            row.flop += call.flop;
            row.bytes += recording.bytes(call);
            total += seconds;
        }
    }
    println!("{gpu}");
    println!("{:<84} {:>5} {:>9} {:>6} {:>9} {:>8}", "kernel", "calls", "ms", "share", "GFLOP/s", "GB/s");
    for ((_, name), Row { calls, seconds, flop, bytes }) in &rows {
        let gflops = if *flop > 0.0 { format!("{:.1}", flop / seconds / 1e9) } else { String::new() };
        let (ms, share, rate) = (1e3 * seconds, 100.0 * seconds / total, *bytes as f64 / seconds / 1e9);
        println!("{name:<84} {calls:>5} {ms:>9.3} {share:>5.1}% {gflops:>9} {rate:>8.2}");
    }
    println!("{:<84} {:>5} {:>9.3}", "sum", "", 1e3 * total);
    Ok(())
}
