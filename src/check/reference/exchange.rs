//! What several ranks put together: sums of gradients, and running statistics.
//!
//! Source: `torch.nn.BatchNorm2d`, the update of the running statistics.

/// The sum of each pair.
pub fn sum(share: &[f64], sum: &[f64]) -> Vec<f64> {
    share.iter().zip(sum).map(|(a, b)| a + b).collect()
}

/// `(1 - momentum) running + momentum batch`, for each channel whose mean the batch has touched, which is not -0.
pub fn moved(running: &[f64], batch: &[f64], batch_mean: &[f64], momentum: f64) -> Vec<f64> {
    let untouched = |mean: f64| mean == 0.0 && mean.is_sign_negative();
    let each = running.iter().zip(batch).zip(batch_mean);
    each.map(|((r, b), &m)| if untouched(m) { *r } else { (1.0 - momentum) * r + momentum * b }).collect()
}
