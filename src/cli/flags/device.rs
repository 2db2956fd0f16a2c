//! The device that computes, and the choice of its kernels.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::values;

#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Device")]
pub struct DeviceFlags {
    /// Adapter by index or part of its name; for several ranks of a machine, one for each, with commas [default: WGPU_ADAPTER_NAME,
    /// or the first that `velograd devices` lists, and for ranks those that are like it]
    #[arg(long, value_name = "NAME|INDEX")]
    pub device: Option<String>,
}

/// Which form of each matrix product runs.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Device")]
pub struct TuneFlags {
    /// Measures which form of each matrix product is fastest; what is found is kept by device and driver [default: fast on a
    /// GPU, off on a software adapter]
    #[arg(long, value_enum, ignore_case = true, hide_short_help = true)]
    pub tune: Option<TuneFlag>,
    /// A form that was found before, as run.json keeps it, as often as needed
    #[arg(long = "choice", value_name = "PRODUCT=FORM", value_parser = values::key_value, hide_short_help = true)]
    #[serde(with = "values::pairs")]
    pub choice: Vec<(String, String)>,
}

/// `--tune`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TuneFlag {
    /// As the table says
    Off,
    /// A few forms of products that were not measured before, for about two seconds
    Fast,
    /// Every form of every product
    Full,
}
