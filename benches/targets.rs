//! Measures the project's targets for a machine with two cores and no GPU: each row has its target, and whether it is
//! met.
//!
//! ```text
//! cargo bench --bench targets [-- [--device NAME]]
//! ```
//!
//! The network is ResNet-18 with the ImageNet stem, batch 128, f32, VeloGrad. The targets are for lavapipe on two
//! otherwise idle cores of x86-64 with AVX2; on another device the figures have no target. Ratios to other programs are
//! measured by `benches/peers/train_step.py`.

use std::{path::Path, process::Command, time::Instant};

use clap::Parser;
use pollster::block_on;
use velograd::{
    check::selftest,
    data::{Batch, Image},
    device::{Gpu, timing::dispatch_seconds},
    error::{Error, Result},
    lab::table::Table,
    models::{
        self,
        resnet::{self, Stem},
    },
    ops::Augment,
    optim,
    program::{Call, Size},
    training::{
        network::{Network, Place, Plans, Recipe},
        weights::Weights,
    },
};

#[derive(Parser)]
struct Arguments {
    /// Adapter by index or part of its name
    #[arg(long, value_name = "NAME|INDEX")]
    device: Option<String>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

const BATCH: u32 = 128;

/// Whether a convolution counts as large: at least 0.4 GFLOP, and not on three colours, where padding is a quarter of
/// the operands.
fn large(call: &Call) -> bool {
    call.flop > 4e8 && !call.sizes.contains(&("c4".into(), Size::U32(1)))
}

/// A figure with its unit, and its upper or lower limit.
struct Row {
    what: &'static str,
    figure: f64,
    unit: &'static str,
    target: Target,
}

enum Target {
    Below(f64),
    Above(f64),
}

impl Row {
    fn met(&self) -> bool {
        match self.target {
            Target::Below(most) => self.figure < most,
            Target::Above(least) => self.figure > least,
        }
    }

    fn cells(&self, judged: bool) -> Vec<String> {
        let Self { what, figure, unit, .. } = self;
        let target = match self.target {
            Target::Below(most) => format!("below {most} {unit}"),
            Target::Above(least) => format!("above {least} {unit}"),
        };
        let verdict = match (judged, self.met()) {
            (false, _) => "",
            (true, true) => "met",
            (true, false) => "missed",
        };
        vec![(*what).into(), format!("{figure:.2} {unit}"), target, verdict.into()]
    }
}

fn main() -> Result<()> {
    let Arguments { device, .. } = Arguments::parse();
    let gpu = velograd::host::device::open(device.as_deref())?;
    println!("{gpu}");
    block_on(selftest::assure(&gpu, &gpu.target, [], "velograd", |_| true))?;
    let mut rows = steps(&gpu)?;
    let [cold, warm] = starts(device.as_deref())?;
    rows.push(Row {
        what: "start to first step, nothing cached",
        figure: cold,
        unit: "s",
        target: Target::Below(10.0),
    });
    rows.push(Row { what: "start to first step, warm", figure: warm, unit: "s", target: Target::Below(1.5) });
    let judged = gpu.info.is_software();
    let header = ["what", "measured", "target", ""].map(str::to_owned).to_vec();
    let table = Table { header, rows: rows.iter().map(|row| row.cells(judged)).collect() };
    print!("{}", table.text());
    match rows.iter().filter(|row| judged && !row.met()).count() {
        0 => Ok(()),
        missed => Err(Error::device(format!("{missed} targets were missed"), "is anything else running?")),
    }
}

/// The figures that one process measures.
fn steps(gpu: &Gpu) -> Result<Vec<Row>> {
    let config = resnet::config(Stem::Imagenet, 64, 10);
    let recipe = Recipe { augment: Augment::PAPER, ..Recipe::default() };
    let model = models::find("resnet18")?;
    let target = gpu.target.clone();
    let plans = Plans { model, config, recipe, target, train: vec![BATCH], evaluate: vec![] };
    let (optimizer, _) = optim::build("velograd", &[])?;
    let lr = optimizer.lr();
    let calls = plans.record(BATCH, true).calls;
    let mut network = block_on(Network::new(gpu, &plans, Some(optimizer), |layout| Ok(Weights::init(layout, 0)), 0))?;
    let batch = Batch::noise(BATCH, Image::CIFAR, 10);
    let place = Place { first: true, last: true, images: BATCH, epoch: 1, lr };
    let mut updates = |count: usize| -> Result<f64> {
        let start = Instant::now();
        for _ in 0..count {
            block_on(network.make_room())?;
            network.train(&batch, place)?;
        }
        block_on(network.drain())?;
        Ok(start.elapsed().as_secs_f64())
    };
    updates(2)?;
    // Alternately, so that other load on the machine affects both.
    let (mut few, mut many) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..3 {
        few = few.min(updates(4)?);
        many = many.min(updates(12)?);
    }

    let mut rows = vec![
        Row { what: "an update", figure: 1e3 * many / 12.0, unit: "ms", target: Target::Below(1000.0) },
        Row { what: "12 updates against 4", figure: many / few, unit: "times", target: Target::Below(3.3) },
    ];
    let (mut slowest, mut optimizer) = (0.0_f64, f64::INFINITY);
    for _ in 0..3 {
        let (batch, update) = (
            block_on(dispatch_seconds(&network.runtime, 0))?,
            block_on(dispatch_seconds(&network.runtime, network.update_program()))?,
        );
        let (Some(batch), Some(update)) = (batch, update) else { return Ok(rows) };
        let rates = calls.iter().zip(&batch).filter(|(call, _)| large(call)).map(|(call, s)| call.flop / s / 1e9);
        slowest = slowest.max(rates.fold(f64::INFINITY, f64::min));
        optimizer = optimizer.min(update.iter().sum());
    }
    rows.push(Row {
        what: "of it VeloGrad, lookahead included",
        figure: 1e3 * optimizer,
        unit: "ms",
        target: Target::Below(120.0),
    });
    let what = "the slowest large convolution";
    rows.push(Row { what, figure: slowest, unit: "GFLOP/s", target: Target::Above(20.0) });
    Ok(rows)
}

/// Seconds from the start of the program to the end of its first step, without a cache of kernels and with the caches
/// of an earlier run.
fn starts(device: Option<&str>) -> Result<[f64; 2]> {
    let cache = std::env::temp_dir().join(format!("velograd-targets-{}", std::process::id()));
    let start = |cached: bool| -> Result<f64> {
        let program = Path::new(env!("CARGO_BIN_EXE_velograd"));
        let mut command = Command::new(program);
        command.args(["bench", "--steps", "1", "--json"]).args(device.iter().flat_map(|name| ["--device", name]));
        command.env("MESA_SHADER_CACHE_DIR", &cache).env("VELOGRAD_CACHE", cache.join("velograd"));
        if cached {
            command.env_remove("MESA_SHADER_CACHE_DISABLE");
        } else {
            command.env("MESA_SHADER_CACHE_DISABLE", "1").env("VELOGRAD_CACHE", "off");
        }
        let output = command.output().map_err(Error::io("run", program))?;
        let row: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        row["ms_first_step"].as_f64().map(|ms| ms / 1e3).ok_or_else(|| {
            Error::device(
                format!("velograd bench: {}", String::from_utf8_lossy(&output.stderr).trim()),
                "run it by hand",
            )
        })
    };
    let cold = start(false)?;
    start(true)?;
    let warm = [start(true)?, start(true)?];
    let _ = std::fs::remove_dir_all(cache);
    Ok([cold, warm[0].min(warm[1])])
}
