//! What a network computes, in PyTorch's terms, where a [`Call`](super::Call) says how.

use super::{Slot, Tensor};

/// A function of one activation, whose places are the pixels of a map or the tokens of a block. Parameters and running statistics are named by the ranges of buffers that the kernels
/// read.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The images of a batch with values from 0 to 1, each colour less its mean and divided by its standard deviation. It
    /// has no argument.
    Images {
        /// Colours: 1 or 3, of which the first numbers are taken.
        channels: u32,
        /// Means of red, green and blue.
        mean: [f64; 3],
        /// Standard deviations of red, green and blue.
        std: [f64; 3],
    },
    /// The tokens of a batch's blocks. It has no argument.
    Tokens,
    /// `embedding`: a row of the matrix for each token.
    Embedding(Slot),
    /// The sum with a row for each place, of a parameter that may have more of them.
    Positions(Slot),
    /// The sum with the first row of a parameter that may have more of them.
    FirstRow(Slot),
    /// A token before the places.
    ClassToken(Slot),
    /// The first place alone.
    FirstPlace,
    /// `layer_norm`.
    LayerNorm {
        /// The factor of each channel.
        weight: Slot,
        /// The summand of each channel, if it has one.
        bias: Option<Slot>,
        /// Added to the variance.
        eps: f32,
    },
    /// `rms_norm`.
    RmsNorm {
        /// The factor of each channel.
        weight: Slot,
        /// Added to the mean square.
        eps: f32,
    },
    /// `rms_norm` of each head's queries and keys, which lie beside its values.
    QkNorm {
        /// Heads.
        heads: u32,
        /// Added to the mean square.
        eps: f32,
    },
    /// Each head's queries and keys rotated by their place.
    Rope {
        /// Heads.
        heads: u32,
    },
    /// `cat` of queries, which are the argument, with keys and values, along the channels.
    Pack {
        /// Keys.
        key: Tensor,
        /// Values.
        value: Tensor,
    },
    /// `scaled_dot_product_attention` of queries, keys and values side by side.
    Attention {
        /// Heads.
        heads: u32,
        /// Whether a place sees itself and those before it only.
        causal: bool,
    },
    /// A layer of `LSTM`, from the state that is carried to it.
    Lstm {
        /// The matrices of inputs and of hidden states, `[4 units, inputs]` and `[4 units, units]`, and the bias of each: input, forget,
        /// cell, output.
        params: [Slot; 4],
        /// Units.
        units: u32,
        /// Its number.
        layer: u32,
    },
    /// The sum with sines and cosines of the place.
    Sinusoids,
    /// Queries with keys and values of another activation in place of their own, all three side by side.
    Cross(Tensor),
    /// `conv2d` without bias.
    Conv2d {
        /// The filters.
        weight: Slot,
        /// Rows and columns between two windows.
        stride: u32,
        /// Rows and columns of zeros on each side.
        padding: u32,
    },
    /// `linear`, at each place.
    Linear {
        /// The matrix, `[outputs, inputs]`.
        weight: Slot,
        /// The bias, if it has one.
        bias: Option<Slot>,
    },
    /// `batch_norm` with running statistics.
    BatchNorm {
        /// The factor of each channel.
        weight: Slot,
        /// The summand of each channel.
        bias: Slot,
        /// The mean of each channel.
        mean: Slot,
        /// The variance of each channel.
        var: Slot,
        /// Added to the variance.
        eps: f32,
    },
    /// The sum with a bias of each channel.
    Bias(Slot),
    /// `max_pool2d`.
    MaxPool2d {
        /// Height and width of the window.
        kernel: u32,
        /// Rows and columns between two windows.
        stride: u32,
        /// Rows and columns on each side that are no maximum.
        padding: u32,
    },
    /// The mean over a map: `adaptive_avg_pool2d(x, 1)`.
    GlobalAvgPool,
    /// `adaptive_avg_pool2d`.
    AdaptiveAvgPool2d {
        /// Rows and columns of the argument.
        map: [u32; 2],
        /// Rows and columns of the result.
        out: u32,
    },
    /// `flatten(x, 1)`.
    Flatten,
    /// The sum with an activation of the same shape.
    Add(Tensor),
    /// The product with a constant.
    Scale(f32),
    /// `relu`.
    Relu,
    /// `gelu`, by erf.
    Gelu,
    /// `gelu`, by tanh.
    GeluTanh,
    /// `relu(x)^2`.
    Relu2,
}

impl Op {
    /// The parameters and running statistics that it reads.
    pub fn params(&self) -> Vec<Slot> {
        match *self {
            Self::Conv2d { weight, .. } => vec![weight],
            Self::Linear { weight, bias } => std::iter::once(weight).chain(bias).collect(),
            Self::BatchNorm { weight, bias, mean, var, .. } => vec![weight, bias, mean, var],
            Self::LayerNorm { weight, bias, .. } => std::iter::once(weight).chain(bias).collect(),
            Self::RmsNorm { weight, .. } => vec![weight],
            Self::Lstm { params, .. } => params.to_vec(),
            Self::Embedding(param)
            | Self::Positions(param)
            | Self::FirstRow(param)
            | Self::ClassToken(param)
            | Self::Bias(param) => vec![param],
            Self::Images { .. }
            | Self::Tokens
            | Self::FirstPlace
            | Self::QkNorm { .. }
            | Self::Rope { .. }
            | Self::Pack { .. }
            | Self::Attention { .. }
            | Self::Sinusoids
            | Self::Cross(_)
            | Self::MaxPool2d { .. }
            | Self::GlobalAvgPool
            | Self::AdaptiveAvgPool2d { .. }
            | Self::Flatten
            | Self::Add(_)
            | Self::Scale(_)
            | Self::Relu
            | Self::Gelu
            | Self::GeluTanh
            | Self::Relu2 => vec![],
        }
    }
}

/// What some successive calls of a recording compute: ops that are applied one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The place in the network, as `layer1.0.bn2`.
    pub label: String,
    /// The argument of the first op; `None` if that takes the batch's samples.
    pub x: Option<Tensor>,
    /// The ops; each but the first takes the result of the one before.
    pub ops: Vec<Op>,
    /// The result of the last.
    pub y: Tensor,
    /// How many calls had been recorded when it was noted; its own are the last of them.
    pub(super) calls: usize,
}

impl Node {
    /// The activations that it reads.
    pub fn inputs(&self) -> impl Iterator<Item = Tensor> {
        let added = self.ops.iter().flat_map(|op| match *op {
            Op::Add(other) | Op::Cross(other) => vec![other],
            Op::Pack { key, value } => vec![key, value],
            _ => vec![],
        });
        self.x.into_iter().chain(added)
    }
}
