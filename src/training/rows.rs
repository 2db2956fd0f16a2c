//! What a run tells of each update and each epoch.

use serde::{Deserialize, Serialize};

/// One update.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StepRow {
    /// From 1.
    pub step: u64,
    /// From 1.
    pub epoch: u32,
    /// Mean over the update's images, at the parameters before it.
    pub loss: f32,
    /// Learning rate.
    pub lr: f64,
    /// 2-norm of the gradient over all parameters, as `torch.nn.utils.clip_grad_norm_` returns it: before the norm is
    /// bounded, and after each element was bounded by value where both are asked for.
    pub grad_norm: f32,
    /// True if a bound changed the gradient: an element's value, or the norm.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub clipped: bool,
    /// True if loss or gradient was not finite and the update was left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// What the loss's gradient was multiplied by; under mixed precision alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f32>,
}

/// One epoch. Accuracies are percentages; F1, precision and recall are weighted by class frequency, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// From 1.
    pub epoch: u32,
    /// Mean over the images seen, in training mode; NaN (in files: null) if no update of the epoch was finite.
    #[serde(deserialize_with = "number_or_nan")]
    pub train_loss: f64,
    /// Over the images seen, in training mode.
    #[serde(deserialize_with = "number_or_nan")]
    pub train_acc: f64,
    /// Mean over the validation images; absent where there are none, and after an epoch without validation.
    pub val_loss: Option<f64>,
    /// Accuracy on the validation images.
    pub val_acc: Option<f64>,
    /// scikit-learn's `f1_score(average='weighted')`.
    pub val_f1: Option<f64>,
    /// `precision_score(average='weighted')`.
    pub val_precision: Option<f64>,
    /// `recall_score(average='weighted')`.
    pub val_recall: Option<f64>,
    /// Training and evaluation.
    pub seconds: f64,
    /// Training images over the seconds of training alone.
    pub images_per_second: f64,
}

fn number_or_nan<'de, D: serde::Deserializer<'de>>(reader: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or(f64::NAN))
}

/// Population variance of the epochs' training losses, as NumPy's `var`.
pub fn loss_variance(rows: &[EpochRow]) -> f64 {
    let count = rows.len().max(1) as f64;
    let mean = rows.iter().map(|r| r.train_loss).sum::<f64>() / count;
    rows.iter().map(|r| (r.train_loss - mean).powi(2)).sum::<f64>() / count
}
