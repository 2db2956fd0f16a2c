//! `velograd bench`: times one update of one batch, or a suite of configurations.

mod suite;

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::{
    flags::device::TuneFlags,
    json_line, live,
    model::{ModelFlags, Subject},
    print::say,
};
use crate::{
    data::Batch,
    device::{Gpu, timing::dispatch_seconds},
    error::{Error, Result},
    training::{
        network::{Network, Place, Plans},
        weights::Weights,
    },
};
use pollster::block_on;

#[derive(Args)]
pub(super) struct Arguments {
    /// Updates to time, after two that are not [default: 10, of --suite on a software device 3]
    #[arg(long)]
    steps: Option<u32>,
    /// A list of configurations and the device's ceilings: both stems, f32 and mixed, several batch sizes and optimizers
    #[arg(long, conflicts_with_all = ["stem", "batch_size", "precision", "optimizer", "set", "lr", "weight_decay", "momentum", "config"])]
    suite: bool,
    /// One JSON object on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
    #[command(flatten)]
    model: ModelFlags,
    #[command(flatten)]
    tune: TuneFlags,
}

/// Number of timed updates if none is given.
const STEPS: u32 = 10;

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    if arguments.steps == Some(0) {
        return Err(Error::config("--steps is 0", "--steps is at least 1"));
    }
    if arguments.suite {
        return suite::run(arguments);
    }
    let subject = arguments.model.subject()?; // wrong arguments are reported before the device is opened
    let (gpu, plans) = subject.open(&arguments.tune)?;
    let mut row = measure(&gpu, &plans, &subject, arguments.steps.unwrap_or(STEPS), start)?;
    row["peak_host_bytes"] = json!(peak_host_bytes());
    if arguments.json {
        json_line(&row);
    } else {
        for (key, value) in row.as_object().into_iter().flatten() {
            match value {
                Value::Number(n) if n.is_f64() => say!("{key:<22} {:.2}", n.as_f64().unwrap_or(0.0)),
                Value::String(text) => say!("{key:<22} {text}"),
                Value::Null => say!("{key:<22} not measurable on this device"),
                other => say!("{key:<22} {other}"),
            }
        }
    }
    Ok(())
}

/// Measures one configuration: two updates to warm up, then `steps` timed ones, then each dispatch alone.
fn measure(gpu: &Gpu, plans: &Plans<'_>, subject: &Subject, steps: u32, start: Instant) -> Result<Value> {
    let (optimizer, _) = subject.optimizer.build(&subject.set)?;
    let lr = optimizer.lr();
    let planned_in_f32 = plans.planned_in_f32(Some(optimizer.as_ref()));
    let forward = plans.record(subject.batch_size, true).forward_calls;
    let first = |layout: &_| Ok(Weights::init(layout, 0));
    let ready = || block_on(Network::new(gpu, plans, Some(optimizer), first, 0));
    let mut network = live::during("preparing the network", ready)?;
    let batch = Batch::noise(subject.batch_size, plans.config.input, plans.config.classes);
    let place = Place { first: true, last: true, images: subject.batch_size, epoch: 1, lr };
    let warm_up = || -> Result<Duration> {
        network.train(&batch, place)?;
        block_on(network.drain())?;
        let first_step = start.elapsed();
        network.train(&batch, place)?;
        block_on(network.drain())?;
        Ok(first_step)
    };
    let first_step = live::during("running the first two updates", warm_up)?;
    let timing = format!("timing {steps} updates");
    let (step, host) = live::during(&timing, || seconds_per_update(&mut network, &batch, place, steps))?;
    let device_bytes = gpu.allocated_bytes();
    let split = live::during("timing every dispatch", || split(&network, forward))?;
    let milliseconds = |of: fn(&Split) -> f64| split.as_ref().map(|s| 1e3 * of(s));
    let settings = plans.config.settings.to_json();
    Ok(json!({
        "device": gpu.info.name,
        "driver": gpu.info.driver,
        "model": subject.model.name,
        "network": settings,
        "stem": settings["stem"],
        "width": settings["width"],
        "batch": subject.batch_size,
        "optimizer": subject.optimizer.name(),
        "precision": plans.recipe.precision.name(),
        "steps": steps,
        "dispatches": network.runtime.dispatches(0).len() + network.runtime.dispatches(network.update_program()).len(),
        "ms_per_step": 1e3 * step,
        "ms_forward": milliseconds(|s| s.forward),
        "ms_backward": milliseconds(|s| s.backward),
        "ms_optimizer": milliseconds(|s| s.optimizer),
        "ms_host": 1e3 * host,
        "ms_first_step": 1e3 * first_step.as_secs_f64(),
        "images_per_second": f64::from(subject.batch_size) * f64::from(plans.config.input.targets()) / step,
        "planned_device_bytes": network.runtime.planned_bytes,
        "planned_device_bytes_in_f32": planned_in_f32.unwrap_or(network.runtime.planned_bytes),
        "peak_device_bytes": device_bytes.unwrap_or(network.runtime.planned_bytes),
    }))
}

/// Seconds per update, and of them the host's own work.
fn seconds_per_update(network: &mut Network, batch: &Batch, place: Place, steps: u32) -> Result<(f64, f64)> {
    let (begin, processor, mut calls) = (Instant::now(), thread_seconds(), Duration::ZERO);
    for _ in 0..steps {
        block_on(network.make_room())?; // waits for the device
        let call = Instant::now();
        network.train(batch, place)?;
        calls += call.elapsed();
    }
    block_on(network.drain())?;
    let step = begin.elapsed().as_secs_f64() / f64::from(steps);
    // The processor time of this thread is the host's own work. A software driver may do the device's work inside the
    // calls while the thread waits; the duration of the calls would include that, and serves only where the system
    // gives no processor time.
    let computed = thread_seconds().zip(processor).map(|(end, start)| end - start);
    Ok((step, computed.unwrap_or(calls.as_secs_f64()) / f64::from(steps)))
}

/// Seconds of device time in one update of one batch.
struct Split {
    forward: f64,
    backward: f64,
    optimizer: f64,
}

fn split(network: &Network, forward: usize) -> Result<Option<Split>> {
    let Some(batch) = block_on(dispatch_seconds(&network.runtime, 0))? else { return Ok(None) };
    let Some(update) = block_on(dispatch_seconds(&network.runtime, network.update_program()))? else { return Ok(None) };
    let sum = |part: &[f64]| part.iter().sum();
    Ok(Some(Split { forward: sum(&batch[..forward]), backward: sum(&batch[forward..]), optimizer: sum(&update) }))
}

/// Processor seconds of this thread, where the system reports them (Linux).
fn thread_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse::<u64>().ok().map(|nanoseconds| nanoseconds as f64 * 1e-9)
}

/// The largest resident memory that this process ever had, in bytes, where the system reports it (Linux).
fn peak_host_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
