//! `velograd profile`: times every dispatch of an update.

use std::{fs, path::PathBuf};

use clap::Args;

use super::{flags::device::TuneFlags, live, model::ModelFlags, print::say};
use crate::{
    data::Batch,
    error::{Error, Result},
    host::files::write_atomically,
    lab::profile::{Profile, chrome_trace, memory},
    program::plan::Plan,
    training::{
        network::{Network, Place},
        weights::Weights,
    },
};
use pollster::block_on;

#[derive(Args)]
pub(super) struct Arguments {
    /// Times each dispatch is timed; the smallest counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Folder for profile.csv, trace.json (for ui.perfetto.dev) and memory.svg
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    #[command(flatten)]
    model: ModelFlags,
    #[command(flatten)]
    tune: TuneFlags,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let subject = arguments.model.subject()?;
    let (optimizer, _) = subject.optimizer.build(&subject.set)?;
    let lr = optimizer.lr();
    let (gpu, plans) = subject.open(&arguments.tune)?;
    let (recordings, _) = plans.programs(Some(optimizer.as_ref())).numbered();
    let first = |layout: &_| Ok(Weights::init(layout, 0));
    let ready = || block_on(Network::new(&gpu, &plans, Some(optimizer), first, 0));
    let mut network = live::during("preparing the network", ready)?;
    // Two updates come first, so that memory has been touched and numbers are as in training.
    let place = Place { first: true, last: true, images: subject.batch_size, epoch: 1, lr };
    let warm_up = || -> Result<()> {
        for _ in 0..2 {
            block_on(network.make_room())?;
            network.train(&Batch::noise(subject.batch_size, plans.config.input, plans.config.classes), place)?;
        }
        block_on(network.drain())?;
        Ok(())
    };
    live::during("running the first two updates", warm_up)?;
    let update = network.update_program();
    let timed = || block_on(Profile::new(&network.runtime, &recordings[0], [update, arguments.rounds], &recordings[1]));
    let profile = live::during("timing every dispatch", timed)?;
    let ceilings = profile.ceilings;
    say!("{gpu}");
    say!("{}", profile.table().text().trim_end());
    say!(
        "ceilings: copy {:.1} GB/s, multiply-adds {:.0} GFLOP/s, {:.1} us from one dispatch to the next",
        ceilings.bytes_per_second / 1e9,
        ceilings.flop_per_second / 1e9,
        1e6 * ceilings.dispatch_seconds
    );
    let (taken, floor) = (1e3 * profile.seconds(), 1e3 * profile.floor());
    say!("an update takes {taken:.2} ms; at the ceilings it would take {floor:.2} ms ({:.0} %)", 100.0 * floor / taken);
    let Some(out) = &arguments.out else { return Ok(()) };
    fs::create_dir_all(out).map_err(Error::io("create", out))?;
    let memory = memory(&recordings[0], &Plan::new(&recordings, true), 0);
    write_atomically(&out.join("profile.csv"), profile.csv().as_bytes())?;
    write_atomically(&out.join("trace.json"), chrome_trace(&profile, &gpu.info.name).to_string().as_bytes())?;
    write_atomically(&out.join("memory.png"), &memory.png()?)?;
    write_atomically(&out.join("memory.svg"), memory.svg().as_bytes())?;
    say!("wrote profile.csv, trace.json, memory.svg, memory.png to {}", out.display());
    Ok(())
}
