//! `velograd plan`

use clap::Args;

use super::ModelFlags;
use crate::{
    error::Result,
    gpu::{Gpu, runtime::planned_bytes},
    network::Plans,
    optim,
    tape::plan::Plan,
    train::find_model,
};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelFlags,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let flags = &arguments.model;
    let (optimizer, _) = optim::build(&flags.optimizer, &flags.set)?;
    let plans = plans(flags)?;
    let gpu = Gpu::open(flags.device.as_deref())?;
    let recordings = plans.recordings(&gpu, Some(optimizer.as_ref()));
    for (title, recording) in ["forward and backward", "update"].iter().zip(&recordings) {
        println!("{title}: {} dispatches", recording.calls.len());
        println!("{recording}");
    }
    let calls: usize = recordings.iter().map(|r| r.calls.len()).sum();
    let flop: f64 = recordings.iter().flat_map(|r| &r.calls).map(|c| c.flop).sum();
    println!("{calls} dispatches, {:.3} GFLOP in matrix products that meet no padding", flop / 1e9);

    let plan = Plan::new(&recordings, true);
    let apart = Plan::new(&recordings, false);
    for (name, bytes) in &recordings[0].buffers {
        println!("{name:<24} {bytes:>14} bytes");
    }
    for (name, bytes) in recordings[1].buffers.iter().filter(|(name, _)| !recordings[0].buffers.contains_key(*name)) {
        println!("{name:<24} {bytes:>14} bytes");
    }
    let (shared, alone) = (plan.bytes(), apart.bytes());
    println!("activations              {shared:>14} bytes in {} buffers ({alone} without sharing)", plan.pool.len());
    println!("peak                     {:>14} bytes", planned_bytes(&recordings, &plan));
    Ok(())
}

/// One batch size, no evaluation.
pub(super) fn plans(flags: &ModelFlags) -> Result<Plans<'static>> {
    Ok(Plans {
        model: find_model(&flags.model)?,
        config: flags.config()?,
        augment: true,
        smoothing: 0.0,
        train: vec![flags.batch_size],
        evaluate: vec![],
    })
}
