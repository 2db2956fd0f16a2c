//! The flags about checkpoints that `train`, `compare`, `sweep` and `ablate` share. They change no number of a run.

use clap::{Args, ValueEnum};

use crate::host::checkpoint::keeper::{self, Every, Policy};

#[derive(Args, Clone, Debug)]
pub(super) struct CheckpointFlags {
    /// How often a checkpoint is written beside the training: 1epoch, 50steps, 10min, 30s, or off
    #[arg(long, value_name = "INTERVAL", default_value = "1epoch", value_parser = every)]
    checkpoint_every: Every,
    /// Checkpoints kept: the newest so many, and of those at the end of an epoch the one with the best validation accuracy
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    keep: u32,
    /// Where a checkpoint cannot be written: end with an error, or train on without it
    #[arg(long, value_enum, default_value = "stop")]
    on_disk_full: OnDiskFull,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnDiskFull {
    Stop,
    Continue,
}

impl CheckpointFlags {
    pub(super) fn policy(&self) -> Policy {
        let on_disk_full = match self.on_disk_full {
            OnDiskFull::Stop => keeper::OnDiskFull::Stop,
            OnDiskFull::Continue => keeper::OnDiskFull::Continue,
        };
        Policy { every: self.checkpoint_every, keep: self.keep as usize, on_disk_full }
    }

    /// Adds what is not the default, so that `--resume` need not be told again.
    pub(super) fn to_toml(&self, table: &mut toml::Table) {
        let (policy, default) = (self.policy(), Policy::default());
        let mut put = |key: &str, value: toml::Value| drop(table.insert(key.into(), value));
        if policy.every != default.every {
            put("checkpoint-every", policy.every.to_string().into());
        }
        if policy.keep != default.keep {
            put("keep", i64::from(self.keep).into());
        }
        if policy.on_disk_full != default.on_disk_full {
            put("on-disk-full", "continue".into());
        }
    }
}

fn every(text: &str) -> std::result::Result<Every, String> {
    text.parse().map_err(|e: crate::error::Error| e.to_string())
}
