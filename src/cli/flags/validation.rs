//! Which images a run is validated on, and when.

use clap::Args;
use serde::{Deserialize, Serialize};

#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Validation")]
pub struct ValidationFlags {
    /// Hold this many training images out for validation and leave the test images alone
    #[arg(long, value_name = "IMAGES")]
    pub val_split: Option<u32>,
    /// Epochs from one validation to the next; the last epoch has one anyway [default: 1]
    #[arg(long, value_name = "EPOCHS", hide_short_help = true)]
    pub validate_every: Option<u32>,
    /// End when the validation loss has not improved for this many validations
    #[arg(long, value_name = "VALIDATIONS")]
    pub early_stop: Option<u32>,
    /// Test-time augmentation: validation takes the weighted mean of the logits of six views of each image, as it is, a pixel
    /// up and left and a pixel down and right, each also mirrored
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false", hide_short_help = true)]
    pub tta: Option<bool>,
}

impl ValidationFlags {
    pub fn defaults() -> Self {
        Self { validate_every: Some(1), tta: Some(false), ..Self::default() }
    }
}
