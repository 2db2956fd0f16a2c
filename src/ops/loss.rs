//! Softmax cross-entropy: loss, hits, confusion matrix and the gradient of the logits in one pass.

use super::{mixup::mixing, scaler::scaler};
use crate::program::{BufferKind, Input, Tape, Tensor, params::padded};

/// The most classes of a confusion matrix, which has a cell for each pair of them.
pub const MOST_CONFUSED: u32 = 1024;

/// Whether predictions are counted in a confusion matrix: those of samples with one target, among at most [`MOST_CONFUSED`]
/// classes.
pub fn confuses(places: u32, classes: u32) -> bool {
    places == 1 && classes <= MOST_CONFUSED
}

/// The kernel for so many classes: one invocation takes a row of up to 64 alone, a workgroup a longer one.
pub(crate) fn kernel(classes: u32) -> &'static str {
    if classes <= 64 { "loss/cross_entropy" } else { "loss/cross_entropy_rows" }
}

/// Adds `-log softmax(logits)[target]` of the batch's targets to the report and, in training, starts the backward pass
/// with the gradient `(softmax - onehot) * Step.loss_scale`, times the loss scale of mixed precision. `logits` are
/// `[n, h, w, classes]`; the `h * w` targets of each sample come with the batch, in the order of the places.
///
/// A target that is [`IGNORED`](crate::data::IGNORED) has no loss, its gradient is zero, and nothing counts it: PyTorch's
/// `ignore_index`.
///
/// `smoothing` is PyTorch's `label_smoothing`, in [0, 1). Predictions are counted in the confusion matrix, if there is one
/// target to a sample ([`confuses`]).
pub fn cross_entropy(t: &mut Tape, logits: Tensor, smoothing: f32) {
    let [n, h, w, classes] = t.shape(logits);
    assert!(classes > 1, "cross_entropy: logits of shape {:?}", [n, h, w, classes]);
    let places = h * w;
    let all = n * places;
    let targets = t.buffer(BufferKind::Input(Input::Targets), 4 * u64::from(all));
    let confused = confuses(places, classes);
    let cells = if confused { u64::from(classes) * u64::from(classes) } else { 1 };
    let confusion = t.buffer(BufferKind::Confusion, 4 * cells);
    let (report, scaler) = (t.report(), scaler(t));
    let (d_logits, accumulate) = t.write_gradient(logits);
    assert!(!accumulate, "cross_entropy: the logits have a second loss");
    let rows = t.scratch(4 * all);
    let kernel = kernel(classes);
    let whole_rows = kernel != "loss/cross_entropy";
    let call = if whole_rows { t.call_reduce(kernel).constant("CONFUSION", confused) } else { t.call(kernel) };
    let sizes = [("n", n), ("places", places), ("classes", classes), ("c4", padded(classes) / 4)];
    let call = call.sizes(sizes).size("smoothing", smoothing);
    let call = call.read(logits).read(targets).read(scaler).write(d_logits).write(rows).write(confusion);
    if whole_rows {
        call.groups(all)
    } else {
        call.over(all)
    }
    t.call_reduce("loss/finish").size("n", all).read(rows).write(report).grid(1, 1, 1);
}

/// [`cross_entropy`] of a batch of images that [`mixup`](super::mixup) has mixed: `lambda` times the loss of each image's own target
/// and `1 - lambda` times that of the image before it in the batch, which for the first is the last. That is PyTorch's
/// cross-entropy of torchvision's mixed one-hot targets, with `smoothing` too. A prediction is a hit if it is the target that has
/// the larger share, and none is counted in a confusion matrix. `logits` are `[n, 1, 1, classes]`; targets and `lambda` come with
/// the batch, and no target is ignored.
pub fn cross_entropy_mixed(t: &mut Tape, logits: Tensor, smoothing: f32) {
    let [n, h, w, classes] = t.shape(logits);
    assert!(classes > 1 && h * w == 1, "cross_entropy_mixed: logits of shape {:?}", [n, h, w, classes]);
    let targets = t.buffer(BufferKind::Input(Input::Targets), 4 * u64::from(n));
    let mixing = mixing(t);
    let (report, scaler) = (t.report(), scaler(t));
    let (d_logits, accumulate) = t.write_gradient(logits);
    assert!(!accumulate, "cross_entropy_mixed: the logits have a second loss");
    let rows = t.scratch(4 * n);
    let call = t.call_reduce("loss/cross_entropy_mixed");
    let call = call.sizes([("n", n), ("classes", classes), ("c4", padded(classes) / 4)]).size("smoothing", smoothing);
    call.read(logits).read(targets).read(mixing).read(scaler).write(d_logits).write(rows).groups(n);
    t.call_reduce("loss/finish").size("n", n).read(rows).write(report).grid(1, 1, 1);
}
