//! Softmax cross-entropy: loss, hits, confusion matrix and the gradient of the logits in one pass.

use super::scaler::scaler;
use crate::program::{BufferKind, Input, Tape, Tensor, params::padded};

/// Adds `-log softmax(logits)[label]` of the batch's images to the report and, in training, starts the backward pass
/// with the gradient `(softmax - onehot) * Step.loss_scale`, times the loss scale of mixed precision. `logits` are
/// `[n, 1, 1, classes]`; labels come with the batch.
///
/// `smoothing` is PyTorch's `label_smoothing`, in [0, 1).
pub fn cross_entropy(t: &mut Tape, logits: Tensor, smoothing: f32) {
    let [n, h, w, classes] = t.shape(logits);
    assert!(h == 1 && w == 1 && classes > 1, "cross_entropy: logits of shape {:?}", [n, h, w, classes]);
    let labels = t.buffer(BufferKind::Input(Input::Labels), 4 * u64::from(n));
    let confusion = t.buffer(BufferKind::Confusion, 4 * u64::from(classes) * u64::from(classes));
    let (report, scaler) = (t.report(), scaler(t));
    let (d_logits, accumulate) = t.write_gradient(logits);
    assert!(!accumulate, "cross_entropy: the logits have a second loss");
    let rows = t.scratch(4 * n);
    let call = t.call("loss/cross_entropy").sizes([("n", n), ("classes", classes), ("c4", padded(classes) / 4)]);
    let call = call.size("smoothing", smoothing).read(logits).read(labels).read(scaler).write(d_logits).write(rows);
    call.write(confusion).over(n);
    t.call_reduce("loss/finish").size("n", n).read(rows).write(report).grid(1, 1, 1);
}
