//! `velograd selftest`

use std::process::ExitCode;

use clap::Args;

use super::print::say;
use crate::{
    check::selftest::{self, Depth, Table},
    error::Result,
    host::device::open,
};
use pollster::block_on;

#[derive(Args)]
pub(super) struct Arguments {
    /// Each kernel at a size or two instead of the whole table
    #[arg(long)]
    short: bool,
    /// Adapter by index or part of its name
    #[arg(long, value_name = "NAME|INDEX")]
    device: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let gpu = open(arguments.device.as_deref())?;
    say!("{gpu}");
    let rows = block_on(selftest::run(&gpu, if arguments.short { Depth::Short } else { Depth::Full }))?;
    say!("{}", Table(&rows));
    Ok(if rows.iter().all(|row| row.passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
