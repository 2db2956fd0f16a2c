//! The length of a run, how batches become updates, and the schedule of the learning rate.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::values;
use crate::{optim::Lookahead, training::Remainder};

#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Schedule")]
pub struct ScheduleFlags {
    /// Passes over the data [default: 20; fewer with --preset quick]
    #[arg(long, short)]
    pub epochs: Option<u32>,
    /// End after this many updates
    #[arg(long, value_name = "UPDATES")]
    #[serde(with = "values::whole")]
    pub max_steps: Option<u64>,
    /// Batches whose gradients are averaged into one update [default: 2; 1 with --preset quick]
    #[arg(long, value_name = "BATCHES")]
    pub accumulate: Option<u32>,
    /// What becomes of an epoch's images that do not fill an update: step makes a smaller update of them, drop leaves them out,
    /// carry adds their gradient to that of the next epoch's first update [default: step]
    #[arg(long, value_name = "step|drop|carry", value_parser = values::parsed::<Remainder>)]
    #[serde(with = "values::text")]
    pub remainder: Option<Remainder>,
    /// Whether each update clears the gradient, as with PyTorch's optimizer.zero_grad(); without, it is the sum of those of all
    /// batches so far [default: on]
    #[arg(long, value_name = "on|off", value_parser = values::switch, action = clap::ArgAction::Set, hide_short_help = true)]
    #[serde(with = "values::on_off")]
    pub zero_grad: Option<bool>,
    /// How the learning rate moves, per update: constant, step, cosine, cosine-restarts, linear or triangle, with choices
    /// as in step:every=1950,gamma=0.1 [default: constant]
    #[arg(long, value_name = "NAME[:KEY=VALUE,...]")]
    pub schedule: Option<String>,
    /// Updates over which the learning rate rises in a straight line [default: 0]
    #[arg(long, value_name = "UPDATES")]
    #[serde(with = "values::whole")]
    pub warmup: Option<u64>,
    /// Zhang's Lookahead around the optimizer: every K updates the weights go ALPHA of the way from the slow ones
    #[arg(long, value_name = "K,ALPHA", value_parser = values::parsed::<Lookahead>, hide_short_help = true)]
    #[serde(with = "values::text")]
    pub lookahead: Option<Lookahead>,
}

impl ScheduleFlags {
    pub fn defaults() -> Self {
        Self {
            epochs: Some(20),
            accumulate: Some(2),
            remainder: Some(Remainder::Step),
            zero_grad: Some(true),
            schedule: Some("constant".into()),
            warmup: Some(0),
            ..Self::default()
        }
    }
}
