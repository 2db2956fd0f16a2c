//! The flags of a run, which `train`, `compare`, `sweep` and `ablate` share, and where they come from.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Preset,
    data::{DataFlags, ImageFlags},
    device::{DeviceFlags, TuneFlags},
    network::{BatchFlags, NetworkFlags, PrecisionFlags},
    regularization::RegularizationFlags,
    reliability::ReliabilityFlags,
    schedule::ScheduleFlags,
    validation::ValidationFlags,
};

/// Where flags come from that are not on the command line.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Sources {
    /// A TOML file with any of these flags; flags given here override it
    #[arg(long, value_name = "FILE.toml")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Where every other flag starts: the published experiment, or a first look [default: paper on a GPU, quick on a
    /// software adapter]
    #[arg(long, value_enum, ignore_case = true)]
    pub preset: Option<Preset>,
    /// Short for --preset quick
    #[arg(long, conflicts_with = "preset")]
    #[serde(skip)]
    pub quick: bool,
}

/// The flags of a run whose update rules are named by `R`. In the order in which `--help` has them.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct RunFlags<R: Args + Default> {
    #[command(flatten)]
    #[serde(flatten)]
    pub sources: Sources,
    #[command(flatten)]
    #[serde(flatten)]
    pub data: DataFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub images: ImageFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub network: NetworkFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub rules: R,
    #[command(flatten)]
    #[serde(flatten)]
    pub batch: BatchFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub schedule: ScheduleFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub regularization: RegularizationFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub validation: ValidationFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub precision: PrecisionFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub device: DeviceFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub tune: TuneFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub reliability: ReliabilityFlags,
}

impl<R: Args + Default> RunFlags<R> {
    /// VeloGrad's published experiment.
    pub fn defaults() -> Self {
        Self {
            images: ImageFlags::defaults(),
            network: NetworkFlags::defaults(),
            batch: BatchFlags::defaults(),
            schedule: ScheduleFlags::defaults(),
            regularization: RegularizationFlags::defaults(),
            validation: ValidationFlags::defaults(),
            precision: PrecisionFlags::defaults(),
            reliability: ReliabilityFlags::defaults(),
            ..Self::default()
        }
    }

    /// A network of this width trained for so many epochs, with updates of one batch.
    pub fn small(width: u32, epochs: u32) -> Self {
        Self {
            network: NetworkFlags { width: Some(width), ..NetworkFlags::default() },
            schedule: ScheduleFlags { epochs: Some(epochs), accumulate: Some(1), ..ScheduleFlags::default() },
            ..Self::default()
        }
    }
}
