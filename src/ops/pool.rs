//! Pooling: the maximum of each window, the mean of a whole map, and means of parts of it.

use crate::program::{Dtype, Op, Tape, Tensor, params::padded};

/// The maximum of each `kernel` by `kernel` window; the first one wins a tie. PyTorch's `max_pool2d`.
///
/// # Panics
/// If a window could lie in the padding alone (`2 * padding > kernel`), or does not fit the map.
pub fn max_pool2d(t: &mut Tape, x: Tensor, kernel: u32, stride: u32, padding: u32) -> Tensor {
    let [n, h, w, c] = t.shape(x);
    assert!(
        kernel > 0 && stride > 0 && 2 * padding <= kernel && kernel <= h + 2 * padding && kernel <= w + 2 * padding,
        "max_pool2d: kernel {kernel}, stride {stride}, padding {padding} on an input of shape {:?}",
        [n, h, w, c]
    );
    let out = |size: u32| (size + 2 * padding - kernel) / stride + 1;
    let (p, q) = (out(h), out(w));
    let n_c4 = n * padded(c) / 4;
    let y = t.tensor_of(t.dtype(x), [n, p, q, c]);
    let winner = t.tensor_of(Dtype::F32, [n, p, q, c]);
    let call = t.call("pool/max_forward").sizes([("n_c4", n_c4), ("h", h), ("w", w), ("q", q), ("kernel", kernel)]);
    let call = call.sizes([("stride", stride), ("pad", padding)]).read(x).write(y).write(winner);
    call.grid(n_c4.div_ceil(64), p * q, 1);
    t.note(x, [Op::MaxPool2d { kernel, stride, padding }], y);
    t.on_backward(y, move |t, d_y| {
        let (d_x, accumulate) = t.write_gradient(x);
        let call = t.call("pool/max_backward").constant("ACCUMULATE", accumulate);
        let call = call.sizes([("n_c4", n_c4), ("w", w), ("p", p), ("q", q), ("kernel", kernel)]);
        let call = call.sizes([("stride", stride), ("pad", padding)]).read(d_y).read(winner).write(d_x);
        call.grid(n_c4.div_ceil(64), h * w, 1);
    });
    y
}

/// The mean over the map, of shape `[n, 1, 1, c]`. It is f32 in any precision, so that what follows (the classifier and
/// the loss) is f32 too. PyTorch's `adaptive_avg_pool2d(x, 1)`.
pub fn global_avg_pool(t: &mut Tape, x: Tensor) -> Tensor {
    let [n, h, w, c] = t.shape(x);
    let sizes = [("n_c4", n * padded(c) / 4), ("pixels", h * w)];
    let y = t.tensor_of(Dtype::F32, [n, 1, 1, c]);
    t.call("pool/global_avg_forward").sizes(sizes).read(x).write(y).grid(sizes[0].1.div_ceil(64), 1, 1);
    t.note(x, [Op::GlobalAvgPool], y);
    t.on_backward(y, move |t, d_y| {
        let (d_x, accumulate) = t.write_gradient(x);
        let call = t.call("pool/global_avg_backward").constant("ACCUMULATE", accumulate).sizes(sizes);
        call.read(d_y).write(d_x).grid(sizes[0].1.div_ceil(64), h * w, 1);
    });
    y
}

/// The mean over each of `out` by `out` windows that cover the map, `[n, out, out, c]`: window p has the rows from
/// `floor(p h / out)` to below `ceil((p + 1) h / out)`, so that windows overlap where `out` does not divide the map. PyTorch's
/// `adaptive_avg_pool2d(x, out)`.
///
/// # Panics
/// If `out` is 0.
pub fn adaptive_avg_pool2d(t: &mut Tape, x: Tensor, out: u32) -> Tensor {
    let [n, h, w, c] = t.shape(x);
    assert!(out > 0, "adaptive_avg_pool2d: no windows on an input of shape {:?}", [n, h, w, c]);
    let n_c4 = n * padded(c) / 4;
    let sizes = [("n_c4", n_c4), ("h", h), ("w", w), ("out", out)];
    let y = t.tensor_of(t.dtype(x), [n, out, out, c]);
    t.call("pool/adaptive_avg_forward").sizes(sizes).read(x).write(y).grid(n_c4.div_ceil(64), out * out, 1);
    t.note(x, [Op::AdaptiveAvgPool2d { map: [h, w], out }], y);
    t.on_backward(y, move |t, d_y| {
        let (d_x, accumulate) = t.write_gradient(x);
        let call = t.call("pool/adaptive_avg_backward").constant("ACCUMULATE", accumulate).sizes(sizes);
        call.read(d_y).write(d_x).grid(n_c4.div_ceil(64), w, h);
    });
    y
}
