//! Batch norm with an optional summand and an activation behind it, as the convolutions of a ResNet need it.

use super::{activation::Activation, conv2d, rows::Rows, scaler::scaler};
use crate::program::{
    Op, Slot, Tape, Tensor,
    params::{Init, Role, Shape},
};

/// The options of a batch norm, and what follows it in the same pass over memory. The defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// A tensor of the input's shape that is added after scale and shift.
    pub add: Option<Tensor>,
    /// The activation at the end. With a summand it must be ReLU or none.
    pub activation: Activation,
    /// Added to the variance.
    pub eps: f32,
    /// The weight of the batch's statistics in the update of the running ones, from 0 to 1.
    pub momentum: f32,
    /// The weight stays at 1: PyTorch's `weight.requires_grad = False`.
    pub frozen_weight: bool,
    /// The weight starts at 0, not at 1.
    pub zero_weight: bool,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self {
            add: None,
            activation: Activation::None,
            eps: 1e-5,
            momentum: 0.1,
            frozen_weight: false,
            zero_weight: false,
        }
    }
}

impl BatchNorm {
    /// The defaults, followed by an activation.
    pub fn then(activation: Activation) -> Self {
        Self { activation, ..Self::default() }
    }
}

/// `y = activation((x - mean) / sqrt(var + eps) * weight + bias [+ add])`, per channel.
///
/// In training, the statistics are those of the batch (biased variance), and the running statistics move by `momentum`
/// towards them (unbiased variance); in evaluation, they are the running statistics. Ioffe and Szegedy 2015; PyTorch's
/// `BatchNorm2d`.
///
/// # Panics
/// If `add` has another shape or type than `x`, or comes with GELU.
pub fn batch_norm(t: &mut Tape, x: Tensor, options: BatchNorm) -> Tensor {
    let BatchNorm { add, activation, eps, momentum, frozen_weight, zero_weight } = options;
    let shape = t.shape(x);
    if let Some(add) = add {
        assert_eq!(t.shape(add), shape, "batch_norm: the summand has another shape than the input");
        assert_eq!(t.dtype(add), t.dtype(x), "batch_norm: the summand is stored otherwise than the input");
    }
    // With a summand, the backward pass does not recompute the activation's argument: ReLU's gradient only needs the
    // sign of y.
    assert!(add.is_none() || activation != Activation::Gelu, "batch_norm: a summand goes with ReLU or none, not GELU");
    let relu = activation == Activation::Relu;
    let c = shape[3];
    let (rows, spread) = (Rows::of(shape), Rows::spread(shape));
    let of_weight = if frozen_weight { Role::Frozen } else { Role::Norm };
    let gamma = t.param("weight", Shape::Vector { c }, Init::Constant(if zero_weight { 0.0 } else { 1.0 }), of_weight);
    let beta = t.param("bias", Shape::Vector { c }, Init::Constant(0.0), Role::Norm);
    let running = [t.running("running_mean", c, 0.0), t.running("running_var", c, 1.0)];

    let saved = t.scratch(8 * rows.c4);
    if t.training {
        batch_statistics(t, x, saved, running, [eps, momentum])
    } else {
        stored_statistics(t, rows, saved, running, eps)
    }

    let y = t.tensor_of(t.dtype(x), shape);
    let call = match add {
        Some(_) => t.call("batchnorm/apply_add").constant("RELU", relu),
        None => activation.choose(t.call("batchnorm/apply")),
    };
    let call = call.sizes(spread.fields()).read(x).read(saved).read(gamma.value).read(beta.value);
    let call = if let Some(add) = add { call.read(add) } else { call };
    call.write(y).over(spread.invocations());
    let [mean, var] = running;
    let norm = Op::BatchNorm { weight: gamma.value, bias: beta.value, mean, var, eps };
    t.note(x, [Some(norm), add.map(Op::Add), activation.op()].into_iter().flatten(), y);

    t.on_backward(y, move |t, d_y| {
        let partial = t.scratch(8 * rows.invocations());
        // Without ReLU the kernel does not read y; binding x instead lets y's buffer be released.
        let mask = if relu { y } else { x };
        let call = match add {
            Some(_) => t.call("batchnorm/backward_partial_add").constant("RELU", relu).read(d_y).read(mask),
            None => activation.choose(t.call("batchnorm/backward_partial")).read(d_y),
        };
        let call = call.sizes(rows.fields()).read(x).read(saved);
        let call = match add {
            Some(_) => call,
            None => call.read(gamma.value).read(beta.value),
        };
        call.write(partial).over(rows.invocations());

        let (sums, scaler) = (t.scratch(8 * rows.c4), scaler(t));
        let call = t.call_reduce("batchnorm/backward_finish").constant("FROZEN", frozen_weight).sizes(rows.fields());
        let call = call.read(partial).read(scaler).write(sums);
        call.write(gamma.gradient).write(beta.gradient).groups(rows.c4);

        let (d_x, accumulate) = t.write_gradient(x);
        assert!(!accumulate, "batch_norm: its input has another consumer; add the gradients by an op of your own");
        let Some(add) = add else {
            let call = activation.choose(t.call("batchnorm/backward_apply")).sizes(spread.fields()).read(d_y).read(x);
            let call = call.read(saved).read(sums).read(gamma.value).read(beta.value);
            return call.write(d_x).over(spread.invocations());
        };
        let (d_add, accumulate) = t.write_gradient(add);
        let call = t.call("batchnorm/backward_apply_add").constant("RELU", relu).constant("ACCUMULATE", accumulate);
        let call = call.sizes(spread.fields()).read(d_y).read(mask).read(x).read(saved).read(sums).read(gamma.value);
        call.write(d_x).write(d_add).over(spread.invocations());
    });
    y
}

/// Records the statistics of a batch: first those of chunks of rows, written by the convolution that makes `x` or else
/// by a pass over it, and then those of all rows.
fn batch_statistics(t: &mut Tape, x: Tensor, saved: Tensor, running: [Slot; 2], [eps, momentum]: [f32; 2]) {
    let [mean, var] = running;
    let (rows, partial) = conv2d::statistics(t, x).unwrap_or_else(|| {
        let rows = Rows::of(t.shape(x));
        let partial = t.scratch(8 * rows.invocations());
        let product = t.maker(x).and_then(|call| call.product.clone());
        let call = t.call("batchnorm/partial").sizes(rows.fields()).read(x).write(partial);
        product.iter().fold(call, |call, product| call.part_of(product)).over(rows.invocations());
        (rows, partial)
    });
    let call = t.call_reduce("batchnorm/finish").sizes(rows.fields()).size("eps", eps).size("momentum", momentum);
    call.read(partial).write(saved).write(mean).write(var).groups(rows.c4);
}

fn stored_statistics(t: &mut Tape, rows: Rows, saved: Tensor, [mean, var]: [Slot; 2], eps: f32) {
    let call = t.call("batchnorm/running").size("c4", rows.c4).size("eps", eps);
    call.read(mean).read(var).write(saved).over(rows.c4);
}
