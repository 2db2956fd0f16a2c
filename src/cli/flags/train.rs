//! The flags of `velograd train`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::{
    data::Spec,
    error::Result,
    host::{
        pretrained::{Head, Pretrained},
        run::LogFormat,
    },
    models::Config,
};

use super::{
    Flags, Preset, given,
    optimizer::RuleFlags,
    run::{RunFlags, Sources},
    values,
};

/// The flags of `velograd train`.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct TrainFlags {
    /// Seed of first weights, order and augmentation (and of drawn images) [default: 0]
    #[arg(long, value_name = "N")]
    #[serde(with = "values::whole")]
    pub seed: Option<u64>,
    #[command(flatten)]
    #[serde(flatten)]
    pub run: RunFlags<RuleFlags>,
    /// First weights: what `train` wrote, checkpoints included, or a state dict of PyTorch as safetensors; the network's
    /// settings and classes come from their shapes
    #[arg(long, value_name = "FILE.safetensors", help_heading = "Network")]
    pub init: Option<PathBuf>,
    /// What becomes of the last layer of --init, whose rows are its classes: it is read like the others, or left out, and one
    /// is drawn from the seed [default: load]
    #[arg(long, value_enum, ignore_case = true, help_heading = "Network", hide_short_help = true)]
    pub init_head: Option<InitHead>,
    /// Continue a run where its newest whole checkpoint was taken; no other flag is needed. A run's folder, one with several
    /// (the newest of them), `latest` (the newest below runs/), or one of its checkpoints (that one)
    #[arg(long, value_name = "RUN", conflicts_with = "out", help_heading = "Reliability")]
    pub resume: Option<PathBuf>,
    /// With --resume: train so many epochs more than the run was to have, or has had if it has ended. (For a run that was to end
    /// after --max-steps, a larger --max-steps does the same by updates)
    #[arg(long, value_name = "EPOCHS", help_heading = "Reliability")]
    pub extend: Option<u32>,
    /// Compares the device's kernels with CPU values before the run, each at a size or two, and refuses a device that is wrong
    /// [default: short]
    #[arg(long, value_enum, ignore_case = true, help_heading = "Reliability", hide_short_help = true)]
    pub selftest: Option<Selftest>,
    /// Ends the run at the first update that is not finite, and names the kernel and layer where it began; slower
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "true|false",
        help_heading = "Reliability",
        hide_short_help = true
    )]
    pub debug_nan: Option<bool>,
    /// What to do when the device is lost, as by a reset of its driver: stop, or open a device once more and go on from the
    /// newest checkpoint [default: stop]
    #[arg(long, value_enum, ignore_case = true, help_heading = "Reliability", hide_short_help = true)]
    pub on_device_lost: Option<OnDeviceLost>,
    /// Of several ranks, as `mpirun` starts them: how many seconds one waits for another before all are ended [default: 600]
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Reliability",
        hide_short_help = true
    )]
    pub rank_timeout: Option<u32>,
    /// Folder for logs, checkpoints and weights [default: runs/<date-time>-<optimizer>]
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Logs besides steps.jsonl and metrics.jsonl, with commas: csv writes the same rows as steps.csv and metrics.csv; tensorboard
    /// writes event files with curves, update-to-weight ratios, images and settings. A run that is resumed keeps its logs; jsonl
    /// alone ends the others there [default: jsonl]
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "csv|tensorboard|jsonl,...",
        value_parser = values::parsed::<LogFormat>,
        help_heading = "Output"
    )]
    #[serde(with = "values::names")]
    pub log: Vec<LogFormat>,
}

impl TrainFlags {
    /// How long a rank waits for another.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(given(self.rank_timeout).into())
    }
}

impl Flags for TrainFlags {
    const COMMAND: &'static str = "train";

    fn defaults() -> Self {
        Self {
            seed: Some(0),
            run: RunFlags { rules: RuleFlags::defaults(), ..RunFlags::defaults() },
            init_head: Some(InitHead::Load),
            selftest: Some(Selftest::Short),
            debug_nan: Some(false),
            on_device_lost: Some(OnDeviceLost::Stop),
            rank_timeout: Some(600),
            log: vec![LogFormat::Jsonl],
            ..Self::default()
        }
    }

    fn of_preset(preset: Preset) -> Self {
        let run = match preset {
            Preset::Paper => RunFlags::default(), // the defaults are the published experiment
            Preset::Quick => RunFlags::small(16, 8),
        };
        Self { run, ..Self::default() }
    }

    fn sources(&self) -> Sources {
        self.run.sources.clone()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDeviceLost {
    Stop,
    Resume,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selftest {
    Off,
    Short,
}

/// `--init-head`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitHead {
    Load,
    Skip,
}

impl InitHead {
    /// The shape of the network for these images that starts from these weights.
    ///
    /// # Errors
    /// [`Error::Config`](crate::error::Error::Config) if the weights do not fit the images.
    pub fn config(self, weights: &Pretrained, spec: &Spec) -> Result<Config> {
        let config = weights.config_on(spec.input)?;
        match self {
            Self::Load => {
                let hint = "'init_head' skip leaves their last layer out, and draws a new one";
                weights.fit_classes(spec, hint).map(|()| config)
            }
            Self::Skip => Ok(Config { classes: spec.classes.len() as u32, ..config }),
        }
    }
}

impl From<InitHead> for Head {
    fn from(flag: InitHead) -> Self {
        match flag {
            InitHead::Load => Self::Load,
            InitHead::Skip => Self::Skip,
        }
    }
}
