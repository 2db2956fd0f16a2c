//! Batch normalization with an optional summand and ReLU behind it, as every convolution of a ResNet wants it.

use super::{conv2d, scaler::scaler};
use crate::{
    params::{Init, Role, Shape, padded},
    tape::{Slot, Tape, Tensor},
};

/// PyTorch's defaults.
const EPS: f32 = 1e-5;
const MOMENTUM: f32 = 0.1;

/// What follows the normalization in the same pass over memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchNorm {
    /// Added after scale and shift; the same shape as the input.
    pub add: Option<Tensor>,
    /// `max(y, 0)` at the end.
    pub relu: bool,
}

/// A matrix of `rows` by channels, cut into chunks of rows (`shaders/shared/rows.wgsl`).
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub rows: u32,
    pub c4: u32,
    pub chunk_rows: u32,
}

impl Rows {
    /// At most about 256 chunks, so that one workgroup can merge them, and at least 16 rows in each.
    pub(crate) fn of([n, h, w, c]: [u32; 4]) -> Self {
        let rows = n * h * w;
        Self { rows, c4: padded(c) / 4, chunk_rows: rows.div_ceil(256).max(16) }
    }

    fn chunks(self) -> u32 {
        self.rows.div_ceil(self.chunk_rows)
    }

    pub(crate) fn fields(self) -> [(&'static str, u32); 3] {
        [("rows", self.rows), ("c4", self.c4), ("chunk_rows", self.chunk_rows)]
    }

    /// One per chunk and four channels.
    pub(crate) fn invocations(self) -> u32 {
        self.chunks() * self.c4
    }
}

/// `y = (x - mean) / sqrt(var + 1e-5) * weight + bias [+ add] [then max(., 0)]`, per channel.
///
/// In training over the batch (biased variance), moving the running statistics by 0.1 towards the batch (unbiased
/// variance); in evaluation over the running statistics. Ioffe and Szegedy 2015; PyTorch's `BatchNorm2d`.
///
/// # Panics
/// If `add` has another shape, or is stored otherwise.
pub fn batch_norm(t: &mut Tape, x: Tensor, options: BatchNorm) -> Tensor {
    let BatchNorm { add, relu } = options;
    let shape = t.shape(x);
    if let Some(add) = add {
        assert_eq!(t.shape(add), shape, "batch_norm: the summand has another shape than the input");
        assert_eq!(t.dtype(add), t.dtype(x), "batch_norm: the summand is stored otherwise than the input");
    }
    let c = shape[3];
    let rows = Rows::of(shape);
    let gamma = t.param("weight", Shape::Vector { c }, Init::Constant(1.0), Role::Norm);
    let beta = t.param("bias", Shape::Vector { c }, Init::Constant(0.0), Role::Norm);
    let running = [t.running("running_mean", c, 0.0), t.running("running_var", c, 1.0)];

    let saved = t.scratch(8 * rows.c4);
    if t.training {
        batch_statistics(t, x, saved, running)
    } else {
        stored_statistics(t, rows, saved, running)
    }

    let y = t.tensor_of(t.dtype(x), shape);
    let call = t.call(if add.is_some() { "batchnorm/apply_add" } else { "batchnorm/apply" });
    let mut call = call.constant("RELU", relu).sizes(rows.fields()).read(x).read(saved);
    call = call.read(gamma.value.clone()).read(beta.value);
    if let Some(add) = add {
        call = call.read(add);
    }
    call.write(y).over(rows.invocations());

    t.on_backward(y, move |t, d_y| {
        let partial = t.scratch(8 * rows.invocations());
        // Without ReLU the kernel does not look at y; binding x instead lets y's buffer go.
        let mask = if relu { y } else { x };
        let call = t.call("batchnorm/backward_partial").constant("RELU", relu).sizes(rows.fields());
        call.read(d_y).read(mask).read(x).read(saved).write(partial).over(rows.invocations());

        let (sums, scaler) = (t.scratch(8 * rows.c4), scaler(t));
        let call = t.call_reduce("batchnorm/backward_finish").sizes(rows.fields()).read(partial).read(scaler);
        call.write(sums).write(gamma.gradient).write(beta.gradient).groups(rows.c4);

        let (d_x, accumulate) = t.write_gradient(x);
        assert!(!accumulate, "batch_norm: its input has another consumer; add the gradients by an op of your own");
        let other = add.map(|add| t.write_gradient(add));
        let path = if other.is_some() { "batchnorm/backward_apply_add" } else { "batchnorm/backward_apply" };
        let mut call = t.call(path).constant("RELU", relu);
        if let Some((_, accumulate)) = other {
            call = call.constant("ACCUMULATE", accumulate);
        }
        call =
            call.sizes(rows.fields()).read(d_y).read(mask).read(x).read(saved).read(sums).read(gamma.value).write(d_x);
        if let Some((d_other, _)) = other {
            call = call.write(d_other);
        }
        call.over(rows.invocations());
    });
    y
}

/// Of chunks of rows by the convolution that makes `x`, or else by a pass over it; then of all.
fn batch_statistics(t: &mut Tape, x: Tensor, saved: Tensor, [mean, var]: [Slot; 2]) {
    let (rows, partial) = conv2d::statistics(t, x).unwrap_or_else(|| {
        let rows = Rows::of(t.shape(x));
        let partial = t.scratch(8 * rows.invocations());
        t.call("batchnorm/partial").sizes(rows.fields()).read(x).write(partial).over(rows.invocations());
        (rows, partial)
    });
    let call = t.call_reduce("batchnorm/finish").sizes(rows.fields()).size("eps", EPS).size("momentum", MOMENTUM);
    call.read(partial).write(saved).write(mean).write(var).groups(rows.c4);
}

fn stored_statistics(t: &mut Tape, rows: Rows, saved: Tensor, [mean, var]: [Slot; 2]) {
    let call = t.call("batchnorm/running").size("c4", rows.c4).size("eps", EPS);
    call.read(mean).read(var).write(saved).over(rows.c4);
}
