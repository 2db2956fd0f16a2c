//! What a run reports about each update and each epoch.

use serde::{Deserialize, Serialize};

/// One update.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StepRow {
    /// The number of the update, counted from 1.
    pub step: u64,
    /// The number of the epoch, counted from 1.
    pub epoch: u32,
    /// Mean loss over the update's images, or over the tokens of its blocks, at the parameters before the update.
    pub loss: f32,
    /// Learning rate.
    pub lr: f64,
    /// 2-norm of the gradient over all parameters, as `torch.nn.utils.clip_grad_norm_` returns it: before clipping by
    /// norm, and after clipping by value if both are used.
    pub grad_norm: f32,
    /// Whether clipping changed the gradient, by value or by norm.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub clipped: bool,
    /// Whether the update was skipped because loss or gradient was not finite.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// The loss scale, if the precision is mixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f32>,
}

/// One epoch. Accuracies are percentages; F1, precision and recall are weighted by class frequency, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// The number of the epoch, counted from 1.
    pub epoch: u32,
    /// Mean loss over the images or tokens seen, in training mode; NaN (in files: null) if no update of the epoch was finite.
    #[serde(deserialize_with = "number_or_nan")]
    pub train_loss: f64,
    /// Accuracy over the images or tokens seen, in training mode.
    #[serde(deserialize_with = "number_or_nan")]
    pub train_acc: f64,
    /// Mean loss over the validation images or tokens; absent if there are none, and after an epoch without validation.
    pub val_loss: Option<f64>,
    /// Accuracy on the validation images or tokens.
    pub val_acc: Option<f64>,
    /// How many validation images in a hundred are of one of the five likeliest classes; absent if there are no more classes, and of
    /// text.
    pub val_top5: Option<f64>,
    /// scikit-learn's `f1_score(average='weighted')`.
    pub val_f1: Option<f64>,
    /// `precision_score(average='weighted')`.
    pub val_precision: Option<f64>,
    /// `recall_score(average='weighted')`.
    pub val_recall: Option<f64>,
    /// Seconds of training and evaluation.
    pub seconds: f64,
    /// Training images or tokens per second of training, without evaluation.
    pub images_per_second: f64,
}

fn number_or_nan<'de, D: serde::Deserializer<'de>>(reader: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or(f64::NAN))
}

/// The fewest epochs whose losses have a meaningful variance.
pub const LEAST_EPOCHS: usize = 3;

/// Population variance of the epochs' training losses, as NumPy's `var`; `None` for fewer than [`LEAST_EPOCHS`].
pub fn loss_variance(rows: &[EpochRow]) -> Option<f64> {
    if rows.len() < LEAST_EPOCHS {
        return None;
    }
    let count = rows.len() as f64;
    let mean = rows.iter().map(|r| r.train_loss).sum::<f64>() / count;
    Some(rows.iter().map(|r| (r.train_loss - mean).powi(2)).sum::<f64>() / count)
}
