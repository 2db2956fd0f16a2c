//! The flags of `velograd compare`, `sweep` and `ablate`.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{Flags, Preset, optimizer::RulesFlags, values};
use crate::cli::{compare::ExperimentOf, recipe::RunFlags};

/// What the three have in common.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ExperimentFlags {
    #[command(flatten)]
    #[serde(flatten)]
    pub run: RunFlags,
    /// Runs per optimizer, with seeds 0, 1, ... [default: 3; of --preset quick 2]
    #[arg(long, value_name = "N", help_heading = "Experiment")]
    #[serde(with = "values::whole")]
    pub seeds: Option<u64>,
    /// Accuracy on the validation images, percent, whose first epoch is of interest
    #[arg(long, value_name = "PERCENT", value_parser = values::number, help_heading = "Experiment")]
    pub target: Option<f64>,
    /// Folder for runs, tables, figures and report.html; what has ended there is not run again, what was interrupted goes on
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
}

impl ExperimentFlags {
    fn defaults() -> Self {
        Self { run: RunFlags::defaults(), seeds: Some(3), ..Self::default() }
    }

    /// Small runs to see how it works.
    fn of_preset(preset: Preset) -> Self {
        match preset {
            Preset::Paper => Self::default(), // the defaults are the published experiment
            Preset::Quick => {
                let mut run = RunFlags::small(8, 3);
                run.batch.batch_size = Some(64);
                Self { run, seeds: Some(2), ..Self::default() }
            }
        }
    }
}

/// The flags of `velograd compare`.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct CompareFlags {
    #[command(flatten)]
    #[serde(flatten)]
    pub experiment: ExperimentFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub rules: RulesFlags,
}

/// The flags of `velograd sweep`.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct SweepFlags {
    #[command(flatten)]
    #[serde(flatten)]
    pub experiment: ExperimentFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub rules: RulesFlags,
    /// Learning rates: LOW:HIGH:logN, LOW:HIGH:linN or a list [default: 1e-4:1e-1:log7; of --preset quick log4]
    #[arg(long, value_name = "RATES", help_heading = "Optimizers")]
    #[serde(with = "values::text")]
    pub lr: Option<String>,
}

/// The flags of `velograd ablate`.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct AblateFlags {
    #[command(flatten)]
    #[serde(flatten)]
    pub experiment: ExperimentFlags,
}

impl Flags for CompareFlags {
    const COMMAND: &'static str = "compare";

    fn defaults() -> Self {
        Self { experiment: ExperimentFlags::defaults(), ..Self::default() }
    }

    fn of_preset(preset: Preset) -> Self {
        Self { experiment: ExperimentFlags::of_preset(preset), ..Self::default() }
    }

    fn of_run(&self) -> Option<&RunFlags> {
        Some(&self.experiment.run)
    }
}

impl Flags for SweepFlags {
    const COMMAND: &'static str = "sweep";

    fn defaults() -> Self {
        let optimizers = ["velograd", "adam", "sgd"].map(str::to_owned).to_vec();
        Self {
            experiment: ExperimentFlags::defaults(),
            rules: RulesFlags { optimizers, ..RulesFlags::default() },
            lr: Some("1e-4:1e-1:log7".into()),
        }
    }

    fn of_preset(preset: Preset) -> Self {
        let lr = (preset == Preset::Quick).then(|| "1e-4:1e-1:log4".into());
        Self { experiment: ExperimentFlags::of_preset(preset), lr, ..Self::default() }
    }

    fn of_run(&self) -> Option<&RunFlags> {
        Some(&self.experiment.run)
    }
}

impl Flags for AblateFlags {
    const COMMAND: &'static str = "ablate";

    fn defaults() -> Self {
        Self { experiment: ExperimentFlags::defaults() }
    }

    fn of_preset(preset: Preset) -> Self {
        Self { experiment: ExperimentFlags::of_preset(preset) }
    }

    fn of_run(&self) -> Option<&RunFlags> {
        Some(&self.experiment.run)
    }
}

impl ExperimentOf for CompareFlags {
    fn experiment(&self) -> &ExperimentFlags {
        &self.experiment
    }
}

impl ExperimentOf for SweepFlags {
    fn experiment(&self) -> &ExperimentFlags {
        &self.experiment
    }
}

impl ExperimentOf for AblateFlags {
    fn experiment(&self) -> &ExperimentFlags {
        &self.experiment
    }
}
