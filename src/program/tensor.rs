//! The arguments of a call: activations, which have a shape and a type, and ranges of persistent buffers.

use super::{Buffer, params::padded};

/// An activation, or the gradient of one: shape `[n, h, w, c]`, stored as `[h][w][n][c padded to 4]`, or as `[h][w][n][c]` if
/// its elements are whole numbers.
///
/// With the samples inside and the places outside, the values at one pixel or token are a dense matrix of samples by channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tensor(pub(super) u32);

impl Tensor {
    /// The tensor with index `nth` in a recording.
    pub fn nth(nth: usize) -> Self {
        Self(nth as u32)
    }

    /// Its index in its recording.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// How the elements of a buffer are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// Four bytes.
    F32,
    /// Two bytes.
    F16,
    /// A whole number in four bytes, such as a token.
    U32,
}

impl Dtype {
    fn bytes(self) -> u64 {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F16 => 2,
        }
    }

    /// The number of channels as stored: numbers that kernels compute with are padded to vectors of four.
    pub fn stored(self, channels: u32) -> u32 {
        if self == Self::U32 { channels } else { padded(channels) }
    }

    /// The length of a tensor of this shape in words of four bytes.
    pub(super) fn words(self, [n, h, w, c]: [u32; 4]) -> u64 {
        u64::from(n) * u64::from(h) * u64::from(w) * u64::from(self.stored(c)) * self.bytes() / 4
    }
}

/// What the tape records about a tensor.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    /// Logical `[n, h, w, c]`.
    pub shape: [u32; 4],
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its length in 4-byte words as stored.
    pub words: u64,
    /// The scope and the op that made it.
    pub label: String,
    /// Whether it stays readable after the last call.
    pub keep: bool,
    pub(super) gradient: Option<Tensor>,
    pub(super) no_gradient: bool,
}

/// A buffer argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// An activation or the gradient of one; the planner decides which buffer it lives in.
    Tensor(Tensor),
    /// A range of a persistent buffer.
    Buffer {
        /// The buffer.
        buffer: Buffer,
        /// First byte.
        offset: u64,
        /// Length in bytes.
        bytes: u64,
    },
}

impl From<Tensor> for Slot {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}
