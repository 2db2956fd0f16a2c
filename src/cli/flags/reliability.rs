//! Checkpoints, and what happens when something goes wrong. None of these flags changes a number of a run that goes
//! well.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{given, values};
use crate::{
    error::{Error, Result},
    host::checkpoint::keeper::{self, Every, Policy},
    training::OnNan,
};

#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Reliability")]
pub struct ReliabilityFlags {
    /// How often a checkpoint is written beside the training: 1epoch, 50steps, 10min, 30s, or off [default: 1epoch]
    #[arg(long, value_name = "INTERVAL", value_parser = values::parsed::<Every>)]
    #[serde(with = "values::text")]
    pub checkpoint_every: Option<Every>,
    /// Checkpoints kept: the newest so many, and of those at the end of an epoch the one with the best validation
    /// accuracy, of text the least validation loss [default: 2]
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub keep: Option<u32>,
    /// Where a checkpoint cannot be written: end with an error, or train on without it [default: stop]
    #[arg(long, value_enum, ignore_case = true, hide_short_help = true)]
    pub on_disk_full: Option<OnDiskFullFlag>,
    /// At an update whose loss or gradient is not finite: skip it (twenty in a row end the run), or stop [default: skip]
    #[arg(long, value_enum, ignore_case = true, hide_short_help = true)]
    pub on_nan: Option<OnNanFlag>,
}

impl ReliabilityFlags {
    pub fn defaults() -> Self {
        let policy = Policy::default();
        Self {
            checkpoint_every: Some(policy.every),
            keep: Some(policy.keep as u32),
            on_disk_full: Some(OnDiskFullFlag::Stop),
            on_nan: Some(OnNanFlag::Skip),
        }
    }

    /// When checkpoints are taken and which are kept.
    ///
    /// # Errors
    /// [`Error::Config`] if no checkpoint is to be kept.
    pub fn policy(&self) -> Result<Policy> {
        let keep = given(self.keep);
        if keep == 0 {
            return Err(Error::setting("keep", 0, "at least 1"));
        }
        let on_disk_full = match given(self.on_disk_full) {
            OnDiskFullFlag::Stop => keeper::OnDiskFull::Stop,
            OnDiskFullFlag::Continue => keeper::OnDiskFull::Continue,
        };
        Ok(Policy { every: given(self.checkpoint_every), keep: keep as usize, on_disk_full })
    }
}

/// `--on-disk-full`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDiskFullFlag {
    Stop,
    Continue,
}

/// `--on-nan`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNanFlag {
    Skip,
    Stop,
}

impl From<OnNanFlag> for OnNan {
    fn from(flag: OnNanFlag) -> Self {
        match flag {
            OnNanFlag::Skip => Self::Skip,
            OnNanFlag::Stop => Self::Stop,
        }
    }
}
