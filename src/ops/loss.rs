//! Softmax cross-entropy: loss, hits, confusion matrix and the gradient of the logits in one pass.

use super::scaler::scaler;
use crate::program::{BufferKind, Input, Tape, Tensor, params::padded};

/// The most classes of a confusion matrix, which has a cell for each pair of them.
pub const MOST_CONFUSED: u32 = 1024;

/// The kernel for so many classes: one invocation takes a row of up to 64 alone, a workgroup a longer one.
pub(crate) fn kernel(classes: u32) -> &'static str {
    if classes <= 64 { "loss/cross_entropy" } else { "loss/cross_entropy_rows" }
}

/// Adds `-log softmax(logits)[label]` of the batch's images to the report and, in training, starts the backward pass
/// with the gradient `(softmax - onehot) * Step.loss_scale`, times the loss scale of mixed precision. `logits` are
/// `[n, 1, 1, classes]`; labels come with the batch.
///
/// `smoothing` is PyTorch's `label_smoothing`, in [0, 1). Predictions are counted in the confusion matrix, if there are at most
/// [`MOST_CONFUSED`] classes.
pub fn cross_entropy(t: &mut Tape, logits: Tensor, smoothing: f32) {
    let [n, h, w, classes] = t.shape(logits);
    assert!(h == 1 && w == 1 && classes > 1, "cross_entropy: logits of shape {:?}", [n, h, w, classes]);
    let labels = t.buffer(BufferKind::Input(Input::Labels), 4 * u64::from(n));
    let confused = classes <= MOST_CONFUSED;
    let cells = if confused { u64::from(classes) * u64::from(classes) } else { 1 };
    let confusion = t.buffer(BufferKind::Confusion, 4 * cells);
    let (report, scaler) = (t.report(), scaler(t));
    let (d_logits, accumulate) = t.write_gradient(logits);
    assert!(!accumulate, "cross_entropy: the logits have a second loss");
    let rows = t.scratch(4 * n);
    let kernel = kernel(classes);
    let whole_rows = kernel != "loss/cross_entropy";
    let call = if whole_rows { t.call_reduce(kernel).constant("CONFUSION", confused) } else { t.call(kernel) };
    let call = call.sizes([("n", n), ("classes", classes), ("c4", padded(classes) / 4)]).size("smoothing", smoothing);
    let call = call.read(logits).read(labels).read(scaler).write(d_logits).write(rows).write(confusion);
    if whole_rows {
        call.groups(n)
    } else {
        call.over(n)
    }
    t.call_reduce("loss/finish").size("n", n).read(rows).write(report).grid(1, 1, 1);
}
