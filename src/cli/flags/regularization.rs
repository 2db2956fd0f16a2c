//! Regularization and gradient clipping.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::values;
use crate::program::params::NoDecay;

#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Regularization")]
pub struct RegularizationFlags {
    /// Share of the target spread over all classes [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = values::number)]
    pub label_smoothing: Option<f64>,
    /// Mixes each training image and its label with those of the image before it in the batch, by a share from Beta(ALPHA, ALPHA)
    /// that is drawn for each batch (Zhang et al. 2018; torchvision's MixUp); 0.2 is usual, and 0 mixes none. For images alone
    /// [default: 0]
    #[arg(long, value_name = "ALPHA", value_parser = values::number)]
    pub mixup: Option<f64>,
    /// Probability of dropout where the network has it: before the classifier, or in each block of a transformer [default: 0]
    #[arg(long, value_name = "P", value_parser = values::number)]
    pub dropout: Option<f64>,
    /// Bound of the gradient's norm over all parameters
    #[arg(long, value_name = "NORM", value_parser = values::number)]
    pub clip_norm: Option<f64>,
    /// Bound of each element of the gradient
    #[arg(long, value_name = "VALUE", value_parser = values::number, hide_short_help = true)]
    pub clip_value: Option<f64>,
    /// Parameters that weight decay leaves out: norm (weights and biases of norms), bias (of convolutions and linear
    /// layers), both with a comma, or none [default: none]
    #[arg(long, value_name = "norm,bias", value_parser = values::parsed::<NoDecay>, hide_short_help = true)]
    #[serde(with = "values::text")]
    pub no_decay: Option<NoDecay>,
}

impl RegularizationFlags {
    pub fn defaults() -> Self {
        let zero = Some(0.0);
        Self {
            label_smoothing: zero,
            mixup: zero,
            dropout: zero,
            no_decay: Some(NoDecay::default()),
            ..Self::default()
        }
    }
}
