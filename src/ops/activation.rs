//! Activations that follow a normalization or a bias in the same pass over memory (`shaders/shared/activation.wgsl`).

use crate::program::{CallBuilder, Op};

/// An element-wise function of `z`, the result of the normalization or the bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// `z`
    #[default]
    None,
    /// `max(z, 0)`
    Relu,
    /// `z P(z)` with the standard normal distribution function P, computed with erf: PyTorch's `GELU()`. Hendrycks and
    /// Gimpel 2016.
    Gelu,
    /// The same with P(z) by tanh, as GPT-2 has it: PyTorch's `GELU("tanh")`.
    GeluTanh,
    /// `max(z, 0)^2`. So, Mańke, Liu and others 2021 (Primer).
    Relu2,
}

impl Activation {
    /// The name that test cases use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Relu => ", relu",
            Self::Gelu => ", gelu",
            Self::GeluTanh => ", gelu by tanh",
            Self::Relu2 => ", relu squared",
        }
    }

    /// What it computes; `None` if it changes nothing.
    pub(super) fn op(self) -> Option<Op> {
        match self {
            Self::None => None,
            Self::Relu => Some(Op::Relu),
            Self::Gelu => Some(Op::Gelu),
            Self::GeluTanh => Some(Op::GeluTanh),
            Self::Relu2 => Some(Op::Relu2),
        }
    }

    /// Sets the constants by which a kernel that imports `activation` selects this one.
    pub(super) fn choose(self, call: CallBuilder<'_>) -> CallBuilder<'_> {
        let call = call.constant("RELU", self == Self::Relu).constant("GELU", self == Self::Gelu);
        call.constant("GELU_TANH", self == Self::GeluTanh).constant("RELU2", self == Self::Relu2)
    }
}
