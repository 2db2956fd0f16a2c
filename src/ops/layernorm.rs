//! Layer norm and RMS norm: the normalization of each row over its channels.

use super::{activation::Activation, bias, rows::Rows};
use crate::program::{
    Op, Tape, Tensor,
    params::{Init, Role, Shape},
};

/// The options of a layer norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    /// Whether it has a bias.
    pub bias: bool,
    /// Added to the variance.
    pub eps: f32,
}

impl Default for LayerNorm {
    /// PyTorch's.
    fn default() -> Self {
        Self { bias: true, eps: EPS }
    }
}

const EPS: f32 = 1e-5;

/// `y = (x - mean) / sqrt(var + eps) * weight [+ bias]`, with mean and biased variance over the channels at each place of each
/// sample. Ba, Kiros and Hinton 2016; PyTorch's `LayerNorm(channels)`.
pub fn layer_norm(t: &mut Tape, x: Tensor, options: LayerNorm) -> Tensor {
    norm(t, x, options, true)
}

/// `y = x / sqrt(mean(x^2) + 1e-5) * weight`, with the mean over the channels at each place of each sample. Zhang and Sennrich
/// 2019; PyTorch's `RMSNorm(channels, eps=1e-5)`.
pub fn rms_norm(t: &mut Tape, x: Tensor) -> Tensor {
    norm(t, x, LayerNorm { bias: false, eps: EPS }, false)
}

/// `centre` says whether the mean is subtracted.
fn norm(t: &mut Tape, x: Tensor, options: LayerNorm, centre: bool) -> Tensor {
    let LayerNorm { bias: biased, eps } = options;
    let shape = t.shape(x);
    let (c, rows) = (shape[3], Rows::of(shape));
    let weight = t.param("weight", Shape::Vector { c }, Init::Constant(1.0), Role::Norm);
    let shift = biased.then(|| t.param("bias", Shape::Vector { c }, Init::Constant(0.0), Role::Norm));
    let y = t.tensor_of(t.dtype(x), shape);
    let saved = t.scratch(2 * rows.rows);
    let sizes = [("rows", rows.rows), ("c", c), ("c4", rows.c4)];
    let call = t.call_reduce("layernorm/forward").constant("BIAS", biased).constant("CENTRE", centre);
    // Without a bias the kernel reads none, but has a binding for it.
    let call = call.sizes(sizes).size("eps", eps).read(x).read(weight.value);
    let call = call.read(shift.map_or(weight.value, |shift| shift.value));
    call.write(y).write(saved).groups(rows.rows);
    let op = match centre {
        true => Op::LayerNorm { weight: weight.value, bias: shift.map(|shift| shift.value), eps },
        false => Op::RmsNorm { weight: weight.value, eps },
    };
    t.note(x, [op], y);
    t.on_backward(y, move |t, d_y| {
        let chunks = bias::rows(shape);
        let partial = t.scratch(4 * chunks.invocations());
        let call = t.call("layernorm/backward_partial").sizes(chunks.fields()).read(d_y).read(x).read(saved);
        call.write(partial).over(chunks.invocations());
        bias::finish(t, chunks, partial, weight.gradient);
        if let Some(shift) = &shift {
            bias::gradient(t, chunks, Activation::None, d_y, x, shift);
        }
        let (d_x, accumulate) = t.write_gradient(x);
        let call = t.call_reduce("layernorm/backward_input").constant("ACCUMULATE", accumulate);
        let call = call.constant("CENTRE", centre).sizes(sizes);
        call.read(d_y).read(x).read(weight.value).read(saved).write(d_x).groups(rows.rows);
    });
    y
}
