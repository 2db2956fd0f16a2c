//! Where each parameter is stored: flat arenas of named segments, and the conversion to and from PyTorch's layouts.
//!
//! The arenas `params`, `grads` and every state buffer of an optimizer share one layout. A tensor starts on a multiple
//! of [`CHUNK`] floats, so binding offsets and `vec4` access are always legal and an element-wise kernel may run over
//! the whole arena; padding has no effect (parameter 0, gradient 0). Channels are padded to multiples of four inside a
//! tensor.

use std::{fmt, str::FromStr};

use crate::error::{Error, Result, suggest};

/// Alignment of a tensor in the arenas, in floats (4,096 bytes).
pub const CHUNK: u32 = 1024;

/// The most floats in a block, which is what one workgroup of a reduction or of VeloGrad's update takes.
pub const BLOCK: u32 = 16 * CHUNK;

/// Alignment of a running statistic, in floats (256 bytes, the alignment of binding offsets that WebGPU guarantees).
const RUNNING_ALIGN: u32 = 64;

/// The number of channels as stored: rounded up to a multiple of four.
pub const fn padded(channels: u32) -> u32 {
    channels.next_multiple_of(4)
}

/// The logical shape of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A convolution's weight, `k` filters of `c` channels and `r` by `s` taps. PyTorch: `[k, c, r, s]`.
    Filter {
        /// Output channels.
        k: u32,
        /// Input channels.
        c: u32,
        /// Filter height.
        r: u32,
        /// Filter width.
        s: u32,
    },
    /// A linear layer's weight. PyTorch: `[outputs, inputs]`.
    Matrix {
        /// Rows.
        outputs: u32,
        /// Columns.
        inputs: u32,
    },
    /// A row of channels for each place. PyTorch: `[1, rows, c]`.
    Rows {
        /// Places.
        rows: u32,
        /// Channels.
        c: u32,
    },
    /// One value per channel: bias, batch-norm weight, running statistics.
    Vector {
        /// Channels.
        c: u32,
    },
}

impl Shape {
    /// The shape as `[k, c, taps]`: a matrix and rows have one tap, a vector one filter.
    fn kct(self) -> [u32; 3] {
        match self {
            Self::Filter { k, c, r, s } => [k, c, r * s],
            Self::Matrix { outputs, inputs } => [outputs, inputs, 1],
            Self::Rows { rows, c } => [rows, c, 1],
            Self::Vector { c } => [1, c, 1],
        }
    }

    /// The shape of a tensor with PyTorch's dimensions: two make a matrix, four a filter, any other number a vector of
    /// all elements. `None` for an empty tensor or one of 2^32 elements or more.
    pub fn of(dims: &[usize]) -> Option<Self> {
        let elements = dims.iter().try_fold(1_u32, |all, &d| all.checked_mul(u32::try_from(d).ok()?))?;
        let shape = match dims.iter().map(|&d| d as u32).collect::<Vec<_>>()[..] {
            [outputs, inputs] => Self::Matrix { outputs, inputs },
            [k, c, r, s] => Self::Filter { k, c, r, s },
            _ => Self::Vector { c: elements },
        };
        (elements > 0).then_some(shape)
    }

    /// The dimensions in PyTorch's order.
    pub fn dims(self) -> Vec<usize> {
        let dims = match self {
            Self::Filter { k, c, r, s } => vec![k, c, r, s],
            Self::Matrix { outputs, inputs } => vec![outputs, inputs],
            Self::Rows { rows, c } => vec![1, rows, c],
            Self::Vector { c } => vec![c],
        };
        dims.into_iter().map(|d| d as usize).collect()
    }

    /// The number of elements without padding.
    pub fn elements(self) -> usize {
        self.dims().iter().product()
    }

    /// The number of floats as stored, with padded channels; `u32::MAX` stands for more, which no network may have.
    pub fn stored(self) -> u32 {
        let [k, c, taps] = self.kct();
        let k = if matches!(self, Self::Vector { .. } | Self::Rows { .. }) { k } else { padded(k) };
        k.saturating_mul(taps).saturating_mul(padded(c))
    }

    /// Converts values from PyTorch's order to the stored one (`[k][r][s][c]`, with zeros in the padding).
    pub fn to_stored(self, values: &[f32]) -> Vec<f32> {
        let mut stored = vec![0.0; self.stored() as usize];
        self.for_each(|torch, at| stored[at] = values[torch]);
        stored
    }

    /// Converts values from the stored order to PyTorch's.
    pub fn from_stored(self, stored: &[f32]) -> Vec<f32> {
        let mut values = vec![0.0; self.elements()];
        self.for_each(|torch, at| values[torch] = stored[at]);
        values
    }

    fn for_each(self, mut visit: impl FnMut(usize, usize)) {
        let [k, c, taps] = self.kct().map(|d| d as usize);
        let c_stored = c.next_multiple_of(4);
        for k in 0..k {
            for c in 0..c {
                for tap in 0..taps {
                    visit((k * self.kct()[1] as usize + c) * taps + tap, (k * taps + tap) * c_stored + c);
                }
            }
        }
    }
}

/// How a parameter is initialized.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Normal with variance 2 / (k*r*s): He et al. 2015 with `fan_out`, as in torchvision's ResNet.
    KaimingFanOut,
    /// Uniform in +-1/sqrt(fan), as PyTorch initializes the weight and the bias of a linear layer.
    Uniform {
        /// Inputs of the layer.
        fan: u32,
    },
    /// The same value for all elements.
    Constant(f32),
    /// Normal with this standard deviation.
    Normal(f32),
    /// Uniform between this and its negative.
    Within(f32),
    /// For filters: the first `c` of them are PyTorch's `dirac_`, which passes an input channel on unchanged; the
    /// others are initialized as in PyTorch's convolution, uniform in +-1/sqrt(c*r*s).
    Dirac,
    /// For a matrix: uniform, then divided by its own standard deviation.
    UnitVariance,
    /// For filters: the whitening of image patches, which [`whiten`](crate::training::whiten) computes from a data set.
    /// Without a data set, as in PyTorch's convolution.
    Whiten,
}

/// What a parameter is in its layer, which decides whether it is trained and decayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A weight of a convolution or a linear layer.
    Weight,
    /// An embedding: a matrix with a row for each token or place.
    Embedding,
    /// A bias of a convolution or a linear layer.
    Bias,
    /// Weight or bias of a batch norm or a layer norm.
    Norm,
    /// Not trained: the gradient stays zero and there is no weight decay, so no optimizer changes the parameter.
    /// PyTorch's `requires_grad = False`.
    Frozen,
}

/// Which parameters weight decay leaves out; none by default, as in VeloGrad's published experiment.
///
/// Written as words separated by commas: `norm` stands for the weights and biases of norms, `bias` for the biases
/// of convolutions and linear layers, `none` for neither. `norm,bias` leaves out every tensor of one dimension, as
/// timm's `filter_bias_and_bn` does. (Torchvision's `--bias-weight-decay` counts a batch norm's bias as a bias; here it
/// belongs to the norm.)
///
/// ```
/// use velograd::program::params::NoDecay;
/// assert_eq!("norm,bias".parse::<NoDecay>().unwrap(), NoDecay { norm: true, bias: true });
/// assert!("weight".parse::<NoDecay>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoDecay {
    /// Weights and biases of batch norms and layer norms.
    pub norm: bool,
    /// Biases of convolutions and linear layers.
    pub bias: bool,
}

impl NoDecay {
    /// Whether weight decay leaves out a parameter of this role.
    pub fn leaves_out(self, role: Role) -> bool {
        match role {
            Role::Weight | Role::Embedding => false,
            Role::Bias => self.bias,
            Role::Norm => self.norm,
            Role::Frozen => true,
        }
    }
}

impl FromStr for NoDecay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut all = Self::default();
        for word in text.split(',') {
            match word.trim() {
                "norm" => all.norm = true,
                "bias" => all.bias = true,
                "none" => {}
                other => {
                    let message = format!("weight decay knows no parameters called `{other}`");
                    return Err(Error::config(message, suggest::hint(other, &["norm", "bias", "none"])));
                }
            }
        }
        Ok(all)
    }
}

impl fmt::Display for NoDecay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.norm, self.bias) {
            (true, true) => "norm,bias",
            (true, false) => "norm",
            (false, true) => "bias",
            (false, false) => "none",
        })
    }
}

/// One named tensor of an arena.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Its name, as in torchvision: e.g. `layer1.0.conv1.weight`.
    pub name: String,
    /// Logical shape.
    pub shape: Shape,
    /// The index of its first float in the arena.
    pub offset: u32,
    /// How it is initialized.
    pub init: Init,
    /// Whether weight decay applies to it.
    pub decays: bool,
    /// What it is in its layer.
    pub role: Role,
}

impl Segment {
    /// Whether it is not trained.
    pub fn frozen(&self) -> bool {
        self.role == Role::Frozen
    }

    /// The factor on the optimizer's weight decay: 1 or 0.
    pub fn decay(&self) -> f32 {
        f32::from(u8::from(self.decays))
    }
}

/// The arenas of a network: parameters, and running statistics apart from them because the forward pass writes those.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Parameters in order of declaration.
    pub params: Vec<Segment>,
    /// Running means and variances.
    pub running: Vec<Segment>,
    /// Whether the last layer has the weight of an embedding.
    pub tied: bool,
}

impl Layout {
    /// Declares a parameter; `decays` says whether weight decay applies to it.
    ///
    /// # Panics
    /// If the name is taken.
    pub fn param(&mut self, name: String, shape: Shape, init: Init, decays: bool) -> Segment {
        self.param_of(Role::Weight, name, shape, init, decays)
    }

    /// Declares a parameter of this role; `decays` says whether weight decay applies to it.
    ///
    /// # Panics
    /// If the name is taken.
    pub fn param_of(&mut self, role: Role, name: String, shape: Shape, init: Init, decays: bool) -> Segment {
        let offset = self.param_floats();
        declare(&mut self.params, Segment { name, shape, offset, init, decays, role })
    }

    /// Declares a running statistic of `c` channels, which starts at `value`.
    ///
    /// # Panics
    /// If the name is taken.
    pub fn running(&mut self, name: String, c: u32, value: f32) -> Segment {
        let offset = self.running_floats();
        let (shape, init) = (Shape::Vector { c }, Init::Constant(value));
        declare(&mut self.running, Segment { name, shape, offset, init, decays: false, role: Role::Frozen })
    }

    /// Length of the parameter arena in floats, padding included.
    pub fn param_floats(&self) -> u32 {
        let end = |s: &Segment| s.offset.saturating_add(s.shape.stored());
        self.params.last().map_or(0, |s| end(s).checked_next_multiple_of(CHUNK).unwrap_or(u32::MAX))
    }

    /// Length of the arena of running statistics in floats, padding included.
    pub fn running_floats(&self) -> u32 {
        self.running.last().map_or(0, |s| (s.offset + s.shape.stored()).next_multiple_of(RUNNING_ALIGN))
    }

    /// The number of parameters without padding.
    pub fn elements(&self) -> usize {
        self.params.iter().map(|s| s.shape.elements()).sum()
    }

    /// The tables that kernels read: blocks `(first vec4, number of vec4, segment, bits of the factor on weight
    /// decay)` and segments `(first block, number of blocks, bits of the same factor)`.
    pub fn tables(&self) -> (Vec<[u32; 4]>, Vec<[u32; 3]>) {
        let (mut blocks, mut segments) = (Vec::new(), Vec::new());
        for (index, segment) in (0u32..).zip(&self.params) {
            let first = blocks.len() as u32;
            let len = segment.shape.stored();
            for start in (0..len).step_by(BLOCK as usize) {
                blocks.push([
                    (segment.offset + start) / 4,
                    BLOCK.min(len - start) / 4,
                    index,
                    segment.decay().to_bits(),
                ]);
            }
            segments.push([first, blocks.len() as u32 - first, segment.decay().to_bits()]);
        }
        (blocks, segments)
    }

    /// The factor on weight decay of each chunk of the parameters: 1, or 0 in a tensor that weight decay leaves out.
    pub fn decays(&self) -> Vec<f32> {
        let chunks = |s: &Segment| s.shape.stored().div_ceil(CHUNK) as usize;
        self.params.iter().flat_map(|s| std::iter::repeat_n(s.decay(), chunks(s))).collect()
    }
}

fn declare(list: &mut Vec<Segment>, segment: Segment) -> Segment {
    assert!(list.iter().all(|s| s.name != segment.name), "parameter `{}` is declared twice", segment.name);
    list.push(segment.clone());
    segment
}
