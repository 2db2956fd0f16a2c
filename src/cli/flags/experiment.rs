//! The flags of `velograd compare`, `sweep` and `ablate`.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::lab::experiment::paper::Base;

use super::{
    Flags, Preset,
    launch::LaunchFlags,
    optimizer::RulesFlags,
    run::{RunFlags, Sources},
    values,
};

/// The flags of an experiment whose update rules are named by `R`.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ExperimentFlags<R: Args + Default> {
    #[command(flatten)]
    #[serde(flatten)]
    pub run: RunFlags<R>,
    /// Runs per optimizer, with seeds 0, 1, ... [default: 3; 2 with --preset quick]
    #[arg(long, value_name = "N", help_heading = "Experiment")]
    #[serde(with = "values::whole")]
    pub seeds: Option<u64>,
    /// Accuracy on the validation images, percent, or validation loss of a text, whose first epoch is of interest
    #[arg(long, value_name = "VALUE", value_parser = values::number, help_heading = "Experiment")]
    pub target: Option<f64>,
    /// Folder for runs, tables, figures and report.html; what has ended there is not run again, what was interrupted goes on
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    #[serde(skip)]
    pub launch: LaunchFlags,
}

impl<R: Args + Default> ExperimentFlags<R> {
    fn published() -> Self {
        Self { run: RunFlags::defaults(), seeds: Some(3), ..Self::default() }
    }

    /// Small runs, for a first look.
    fn quick() -> Self {
        let mut run = RunFlags::small(8, 3);
        run.batch.batch_size = Some(64);
        Self { run, seeds: Some(2), ..Self::default() }
    }

    fn of(preset: Preset) -> Self {
        match preset {
            Preset::Paper => Self::default(), // the defaults are the published experiment
            Preset::Quick => Self::quick(),
        }
    }
}

/// Update rules that are compared.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Optimizer")]
pub struct ComparedFlags {
    #[command(flatten)]
    #[serde(flatten)]
    pub rules: RulesFlags,
    /// Where the settings of each optimizer start: paper, those of the VeloGrad paper's experiment for velograd, adam and sgd and
    /// the rule's defaults for others; or default, the rule's defaults for all. --set overrides either [default: paper]
    #[arg(long, value_name = "paper|default", value_parser = values::parsed::<Base>)]
    #[serde(with = "values::text")]
    pub settings: Option<Base>,
}

impl ComparedFlags {
    /// The optimizers of the VeloGrad paper.
    fn defaults() -> Self {
        let optimizers = ["velograd", "adam", "sgd"].map(str::to_owned).to_vec();
        Self { rules: RulesFlags { optimizers, ..RulesFlags::default() }, settings: Some(Base::Paper) }
    }
}

/// The flags of `velograd compare`.
pub type CompareFlags = ExperimentFlags<ComparedFlags>;

/// The flags of `velograd ablate`, whose rules are given.
pub type AblateFlags = ExperimentFlags<NoRules>;

/// No flags.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
pub struct NoRules {}

/// The flags of `velograd sweep`.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct SweepFlags {
    #[command(flatten)]
    #[serde(flatten)]
    pub experiment: ExperimentFlags<ComparedFlags>,
    /// Learning rates: LOW:HIGH:logN, LOW:HIGH:linN or a list [default: 1e-4:1e-1:log7; log4 with
    /// --preset quick]
    #[arg(long, value_name = "RATES", help_heading = "Optimizer")]
    #[serde(with = "values::text")]
    pub lr: Option<String>,
}

impl Flags for CompareFlags {
    const COMMAND: &'static str = "compare";

    fn defaults() -> Self {
        let mut flags = Self::published();
        flags.run.rules = ComparedFlags::defaults();
        flags
    }

    fn of_preset(preset: Preset) -> Self {
        Self::of(preset)
    }

    fn sources(&self) -> Sources {
        self.run.sources.clone()
    }
}

impl Flags for AblateFlags {
    const COMMAND: &'static str = "ablate";

    fn defaults() -> Self {
        Self::published()
    }

    fn of_preset(preset: Preset) -> Self {
        Self::of(preset)
    }

    fn sources(&self) -> Sources {
        self.run.sources.clone()
    }
}

impl Flags for SweepFlags {
    const COMMAND: &'static str = "sweep";

    fn defaults() -> Self {
        let mut experiment = ExperimentFlags::<ComparedFlags>::published();
        experiment.run.rules = ComparedFlags::defaults();
        Self { experiment, lr: Some("1e-4:1e-1:log7".into()) }
    }

    fn of_preset(preset: Preset) -> Self {
        let lr = (preset == Preset::Quick).then(|| "1e-4:1e-1:log4".into());
        Self { experiment: ExperimentFlags::of(preset), lr }
    }

    fn sources(&self) -> Sources {
        self.experiment.run.sources.clone()
    }
}
