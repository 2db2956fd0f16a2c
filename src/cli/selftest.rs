//! `velograd selftest`: compares every kernel with its CPU reference on this device.

use std::process::ExitCode;

use clap::Args;
use pollster::block_on;

use super::{flags::device::DeviceFlags, live, open_device, print::say};
use crate::{
    check::selftest::{self, Depth, Table},
    error::Result,
};

#[derive(Args)]
pub(super) struct Arguments {
    /// Each kernel at a size or two instead of the whole table
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    device: DeviceFlags,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let gpu = open_device(arguments.device.device.as_deref())?;
    say!("{gpu}");
    let mut progress = |done, total| {
        live::show(if done < total { format!("case {done} of {total}") } else { "update rules".to_owned() });
    };
    progress(0, 1);
    let depth = if arguments.short { Depth::Short } else { Depth::Full };
    let rows = block_on(selftest::run(&gpu, depth, &mut progress))?;
    live::clear();
    say!("{}", Table(&rows));
    Ok(if rows.iter().all(|row| row.passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
