//! `velograd selftest`

use std::process::ExitCode;

use clap::Args;

use super::{flags::device::DeviceFlags, open_device, print::say};
use crate::{check::selftest::{Depth, Table, self}, device::Gpu, error::Result};

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
    let rows = selftest::run(&gpu, if arguments.short { Depth::Short } else { Depth::Full })?;
    say!("{}", Table(&rows));
    Ok(if rows.iter().all(|row| row.passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
