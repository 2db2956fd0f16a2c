//! `velograd selftest`

use std::process::ExitCode;

use clap::Args;

use crate::{error::Result, gpu::Gpu};

#[derive(Args)]
pub(super) struct Arguments {
    /// Adapter by index or part of its name
    #[arg(long, value_name = "NAME|INDEX")]
    device: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let _gpu = Gpu::open(arguments.device.as_deref())?;
    Ok(ExitCode::SUCCESS)
}
