//! `velograd probe`

use clap::{Args, Subcommand};

use super::print::say;
use crate::{error::Result, gpu::Gpu, optim, probe};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The largest update after one gradient spike, for spikes of several sizes (MVN-Grad's figure 3)
    Spike(Flags),
    /// The variance of the next update given the state, for gradients of several noises (MVN-Grad's figure 2)
    Variance(Flags),
}

#[derive(Args)]
struct Flags {
    /// The update rules [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    optimizers: Vec<String>,
    /// Of the gradients
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Adapter by index or part of its name
    #[arg(long, value_name = "NAME|INDEX")]
    device: Option<String>,
}

/// Sizes of a spike in standard deviations, and standard deviations of gradients of mean 1.
const SPIKES: [f64; 5] = [1.0, 10.0, 100.0, 1e3, 1e4];
const NOISES: [f64; 5] = [0.01, 0.1, 0.3, 1.0, 3.0];

/// Gradients per conditional variance.
const DRAWS: usize = 16;

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let (flags, values, title) = match &arguments.what {
        What::Spike(flags) => (flags, SPIKES, "largest update / lr after a spike of so many standard deviations"),
        What::Variance(flags) => {
            (flags, NOISES, "variance of the next update / lr^2 at this noise of a gradient of mean 1")
        }
    };
    let all = || optim::ALL.iter().map(|e| e.name.to_owned()).collect();
    let names: Vec<String> = if flags.optimizers.is_empty() { all() } else { flags.optimizers.clone() };
    names.iter().try_for_each(|name| optim::find(name).map(drop))?;
    let gpu = Gpu::open(flags.device.as_deref())?;
    let line = |name: &str, cells: [String; 5]| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>11}")).collect();
        say!("{name:<14}{cells}");
    };
    say!("{title}");
    line("", values.map(|v| v.to_string()));
    for name in &names {
        let mut cells = [const { String::new() }; 5];
        for (cell, value) in cells.iter_mut().zip(values) {
            let found = match &arguments.what {
                What::Spike(_) => probe::spike(&gpu, name, &[], value, flags.seed)?,
                What::Variance(_) => probe::conditional_variance(&gpu, name, &[], value, DRAWS, flags.seed)?,
            };
            *cell = format!("{found:.3e}");
        }
        line(name, cells);
    }
    Ok(())
}
