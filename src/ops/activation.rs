//! What may follow a normalization or a bias in the same pass over memory (`shaders/shared/activation.wgsl`).

use crate::program::CallBuilder;

/// An element-wise function of a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// `z`
    #[default]
    None,
    /// `max(z, 0)`
    Relu,
    /// `z P(z)`, P the normal distribution function, by erf: PyTorch's `GELU()`. Hendrycks and Gimpel 2016.
    Gelu,
}

impl Activation {
    /// Its name in the names of cases.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Relu => ", relu",
            Self::Gelu => ", gelu",
        }
    }

    /// The constants of a kernel that imports `activation`.
    pub(super) fn choose(self, call: CallBuilder<'_>) -> CallBuilder<'_> {
        call.constant("RELU", self == Self::Relu).constant("GELU", self == Self::Gelu)
    }
}
