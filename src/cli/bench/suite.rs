//! `velograd bench --suite`: times several configurations, and measures the device's ceilings.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Arguments, STEPS, measure};
use crate::{
    cli::{
        flags::{
            device::TuneFlags,
            network::PrecisionFlag::{self, F32, Mixed},
        },
        json_line,
        model::Subject,
        print::say,
    },
    device::Gpu,
    error::{Error, Result},
    lab::ceilings::Ceilings,
    models::resnet::Stem::{self, Cifar, Imagenet},
    settings::Settings,
};
use pollster::block_on;

/// Stem, storage of activations, images per batch, update rule.
type Configuration = (Stem, PrecisionFlag, u32, &'static str);

/// The suite for a GPU.
const FULL: [Configuration; 12] = [
    (Imagenet, F32, 128, "velograd"),
    (Imagenet, F32, 512, "velograd"),
    (Imagenet, Mixed, 128, "velograd"),
    (Imagenet, Mixed, 512, "velograd"),
    (Cifar, F32, 128, "velograd"),
    (Cifar, F32, 512, "velograd"),
    (Cifar, Mixed, 128, "velograd"),
    (Cifar, Mixed, 512, "velograd"),
    (Imagenet, F32, 128, "sgd"),
    (Imagenet, F32, 128, "adamw"),
    (Imagenet, F32, 128, "schedulefree"),
    (Imagenet, F32, 128, "muon"),
];

/// The suite for a processor, within a minute or two on two cores. With the CIFAR stem an image costs many times as
/// much.
const SMALL: [Configuration; 6] = [
    (Imagenet, F32, 128, "velograd"),
    (Imagenet, F32, 32, "velograd"),
    (Imagenet, Mixed, 128, "velograd"),
    (Cifar, F32, 16, "velograd"),
    (Imagenet, F32, 128, "sgd"),
    (Imagenet, F32, 128, "adamw"),
];

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let subject = arguments.model.subject()?;
    let gpu = subject.open_gpu()?;
    let (list, configurations, steps) =
        if gpu.info.is_software() { ("small", &SMALL[..], 3) } else { ("full", &FULL[..], STEPS) };
    let steps = arguments.steps.unwrap_or(steps);
    let f16 = gpu.features.f16;
    let stems = subject.model.has("stem");
    let possible = |(stem, precision, ..): &&Configuration| (f16 || *precision == F32) && (stems || *stem == Imagenet);
    let configurations: Vec<_> = configurations.iter().filter(possible).collect();
    let ceilings = block_on(Ceilings::measure(&gpu))?;
    if !arguments.json {
        head(&gpu, &ceilings);
        let (model, count) = (subject.model.name, configurations.len());
        let without = if f16 { "" } else { ", without mixed precision, for which the shaders have no f16" };
        let width = subject.config.settings.find("width");
        let width = width.map_or(String::new(), |value| format!(" of width {value}"));
        say!("\n{model}{width}, the {list} list: {count} configurations{without}; updates timed of each: {steps}");
        columns(HEADER.map(str::to_owned));
    }
    let mut rows = Vec::new();
    for &&(stem, precision, batch_size, optimizer) in &configurations {
        let mut subject = Subject { precision, batch_size, optimizer: optimizer.into(), ..subject.clone() };
        if stems {
            subject.config.settings = with_stem(&subject, stem)?;
        }
        let row = row(&gpu, &subject, &arguments.tune, steps)?;
        if !arguments.json {
            line(&row);
        }
        rows.push(row);
    }
    if arguments.json {
        let (device, driver) = (&gpu.info.name, &gpu.info.driver);
        json_line(&json!({ "device": device, "driver": driver, "list": list, "ceilings": ceilings, "rows": rows }));
    }
    Ok(())
}

/// The results of `velograd bench` for one configuration, or the reason why it cannot run.
fn row(gpu: &Gpu, subject: &Subject, tune: &TuneFlags, steps: u32) -> Result<Value> {
    let start = Instant::now();
    let measured = subject.on(gpu, tune).and_then(|plans| measure(gpu, &plans, subject, steps, start));
    let row = match measured {
        // It needs more memory than the device has, and nothing was submitted yet: other configurations may fit.
        Err(Error::Device { message, .. }) if gpu.check().is_ok() => json!({
            "stem": subject.config.settings.to_json()["stem"],
            "precision": if subject.precision == Mixed { "mixed" } else { "f32" },
            "batch": subject.batch_size,
            "optimizer": subject.optimizer.name(),
            "error": message,
        }),
        other => other?,
    };
    block_on(gpu.wait())?; // the memory of this network is free before the next one's is counted
    Ok(row)
}

/// The settings of the network with another stem.
fn with_stem(subject: &Subject, stem: Stem) -> Result<Settings> {
    let mut set: Vec<_> = subject.config.settings.iter().map(|(key, value)| (key.into(), value.to_string())).collect();
    set.push(("stem".into(), stem.name().into())); // the last one counts
    subject.model.parse(&set)
}

fn head(gpu: &Gpu, ceilings: &Ceilings) {
    say!("{gpu}\n");
    say!("{:<34}{:>10.1} GB/s", "copy, read and written", ceilings.bytes_per_second / 1e9);
    say!("{:<34}{:>10.1} GFLOP/s", "multiply-adds in f32", ceilings.flop_per_second / 1e9);
    say!("{:<34}{:>10.1} us", "from one dispatch to the next", 1e6 * ceilings.dispatch_seconds);
}

/// `step ms` to `update` are in milliseconds; `forward`, `backward` and `update` are sums of dispatches timed alone.
const HEADER: [&str; 10] =
    ["stem", "precision", "batch", "optimizer", "images/s", "step ms", "forward", "backward", "update", "memory MB"];

fn columns([stem, precision, batch, optimizer, numbers @ ..]: [String; 10]) {
    let numbers: String = numbers.iter().map(|n| format!("{n:>10}")).collect();
    say!("{stem:<9} {precision:<9} {batch:>5}  {optimizer:<12} {numbers}");
}

fn line(row: &Value) {
    let text = |key: &str| match &row[key] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if let Some(error) = row["error"].as_str() {
        let first = error.lines().next().unwrap_or_default();
        say!("{:<9} {:<9} {:>5}  {:<12} {first}", text("stem"), text("precision"), text("batch"), text("optimizer"));
        return;
    }
    // Null if the device has no timestamps.
    let number =
        |key: &str, unit: f64| row[key].as_f64().map_or_else(|| "-".to_owned(), |n| format!("{:.1}", n / unit));
    columns([
        text("stem"),
        text("precision"),
        text("batch"),
        text("optimizer"),
        number("images_per_second", 1.0),
        number("ms_per_step", 1.0),
        number("ms_forward", 1.0),
        number("ms_backward", 1.0),
        number("ms_optimizer", 1.0),
        number("peak_device_bytes", 1e6),
    ]);
}
