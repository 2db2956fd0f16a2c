//! `velograd plan`: prints the recorded program of an update.

use std::collections::BTreeMap;

use clap::Args;

use super::{flags::device::TuneFlags, model::ModelFlags, print::say};
use crate::{
    device::runtime::{fits, planned_bytes},
    error::Result,
    program::plan::Plan,
};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelFlags,
    #[command(flatten)]
    tune: TuneFlags,
}

/// By how many percent `bytes` is less than `of`.
fn percent_saved(bytes: u64, of: u64) -> f64 {
    100.0 * (1.0 - bytes as f64 / of as f64)
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let subject = arguments.model.subject()?;
    let (optimizer, _) = subject.optimizer.build(&subject.set)?;
    let (gpu, plans) = subject.open(&arguments.tune.or_off())?;
    let (recordings, _) = plans.programs(Some(optimizer.as_ref())).numbered();
    for (title, recording) in ["forward and backward", "update", "to where it is evaluated"].iter().zip(&recordings) {
        say!("{title}: {} dispatches", recording.calls.len());
        say!("{recording}");
    }
    let calls: usize = recordings[..2].iter().map(|r| r.calls.len()).sum();
    let flop: f64 = recordings[..2].iter().flat_map(|r| &r.calls).map(|c| c.flop).sum();
    say!("{calls} dispatches, {:.3} GFLOP in matrix products that meet no padding", flop / 1e9);

    let plan = Plan::new(&recordings, true);
    let apart = Plan::new(&recordings, false);
    let buffers: BTreeMap<_, _> =
        recordings.iter().flat_map(|r| &r.buffers).map(|(kind, bytes)| (kind, bytes)).collect();
    for (kind, bytes) in buffers {
        say!("{:<24} {bytes:>14} bytes", kind.to_string());
    }
    let (shared, alone) = (plan.bytes(), apart.bytes());
    say!("activations              {shared:>14} bytes in {} buffers ({alone} without sharing)", plan.pool.len());
    let peak = planned_bytes(&recordings, &plan);
    say!("peak                     {peak:>14} bytes");
    if let Some(f32) = plans.planned_in_f32(Some(optimizer.as_ref())) {
        say!("peak in f32              {f32:>14} bytes: mixed precision saves {:.1} %", percent_saved(peak, f32));
    }
    if let Err(error) = fits(&gpu, &recordings, &plan) {
        say!("does not fit: {error}");
    }
    Ok(())
}
