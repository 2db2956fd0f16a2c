//! Convolution: three passes, each a sum of dense matrix products (`shaders/shared/conv.wgsl` says why).

use super::scaler::scaler;
use crate::{
    params::{Init, Role, Shape, padded},
    tape::{CallBuilder, Param, Tape, Tensor},
};

/// The choices of a convolution; square filters, no bias, no dilation, one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Output channels.
    pub outputs: u32,
    /// Filter height and width.
    pub kernel: u32,
    /// Step between windows.
    pub stride: u32,
    /// Zeros around the map.
    pub padding: u32,
}

/// Everything the kernels must know; shared by the three passes.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub n: u32,
    pub c: u32,
    pub k: u32,
    h: u32,
    w: u32,
    p: u32,
    q: u32,
    kernel: u32,
    stride: u32,
    pad: u32,
}

impl Sizes {
    /// A 1x1 map: the matrix product of a linear layer.
    pub(super) fn matrix(n: u32, c: u32, k: u32) -> Self {
        Self { n, c, k, h: 1, w: 1, p: 1, q: 1, kernel: 1, stride: 1, pad: 0 }
    }

    fn fill<'a>(&self, call: CallBuilder<'a>) -> CallBuilder<'a> {
        let (c4, k4) = (padded(self.c) / 4, padded(self.k) / 4);
        call.sizes([("n", self.n), ("h", self.h), ("w", self.w), ("c4", c4), ("p", self.p), ("q", self.q)])
            .sizes([("k4", k4), ("r", self.kernel), ("s", self.kernel), ("stride", self.stride), ("pad", self.pad)])
            .flop(self.flop())
    }

    /// Multiply-adds that meet no padding, as two operations each; the same in all three passes.
    fn flop(&self) -> f64 {
        let taps = |inputs: u32, outputs: u32| -> f64 {
            let hits = |p: u32| {
                (0..self.kernel)
                    .filter(|r| (p * self.stride + r).checked_sub(self.pad).is_some_and(|h| h < inputs))
                    .count()
            };
            (0..outputs).map(|p| hits(p) as f64).sum()
        };
        let pairs = taps(self.h, self.p) * taps(self.w, self.q);
        2.0 * pairs * f64::from(self.n) * f64::from(self.c) * f64::from(self.k)
    }
}

/// `y[n,p,q,k] = sum over r,s,c of x[n, p*stride+r-padding, q*stride+s-padding, c] * weight[k,r,s,c]`: PyTorch's `conv2d`.
///
/// # Panics
/// If the filter does not fit the padded map.
pub fn conv2d(t: &mut Tape, x: Tensor, conv: Conv2d) -> Tensor {
    conv2d_of(t, x, conv, Init::KaimingFanOut, Role::Weight)
}

/// [`conv2d`] with filters that start otherwise; those of [`Role::Frozen`] get no gradient.
///
/// # Panics
/// As [`conv2d`].
pub fn conv2d_of(t: &mut Tape, x: Tensor, conv: Conv2d, init: Init, role: Role) -> Tensor {
    let [n, h, w, c] = t.shape(x);
    let Conv2d { outputs: k, kernel, stride, padding: pad } = conv;
    assert!(
        k > 0 && kernel > 0 && stride > 0 && kernel <= h + 2 * pad && kernel <= w + 2 * pad,
        "conv2d: {conv:?} does not fit an input of shape {:?}",
        [n, h, w, c]
    );
    let out = |size: u32| (size + 2 * pad - kernel) / stride + 1;
    let sizes = Sizes { n, c, k, h, w, p: out(h), q: out(w), kernel, stride, pad };
    let weight = t.param("weight", Shape::Filter { k, c, r: kernel, s: kernel }, init, role);
    let y = t.tensor_of(t.dtype(x), [n, sizes.p, sizes.q, k]);
    forward(t, sizes, x, &weight, y);
    t.on_backward(y, move |t, d_y| {
        if role != Role::Frozen {
            backward_weight(t, sizes, d_y, x, &weight);
        }
        if t.wants_gradient(x) {
            backward_input(t, sizes, d_y, &weight, x);
        }
    });
    y
}

pub(super) fn forward(t: &mut Tape, sizes: Sizes, x: Tensor, weight: &Param, y: Tensor) {
    let columns = padded(sizes.k);
    let (tile, call) = t.call_gemm("conv2d/forward", t.dtype(x), columns);
    let call = sizes.fill(call).read(x).read(weight.value.clone()).write(y);
    call.grid(sizes.n.div_ceil(tile.rows), columns.div_ceil(tile.cols), sizes.p * sizes.q);
}

pub(super) fn backward_input(t: &mut Tape, sizes: Sizes, d_y: Tensor, weight: &Param, x: Tensor) {
    let (d_x, accumulate) = t.write_gradient(x);
    let columns = padded(sizes.c);
    let (tile, call) = t.call_gemm("conv2d/backward_input", t.dtype(x), columns);
    let call = sizes.fill(call.constant("ACCUMULATE", accumulate)).read(d_y).read(weight.value.clone()).write(d_x);
    call.grid(sizes.n.div_ceil(tile.rows), columns.div_ceil(tile.cols), sizes.h * sizes.w);
}

pub(super) fn backward_weight(t: &mut Tape, sizes: Sizes, d_y: Tensor, x: Tensor, weight: &Param) {
    let (c, k) = (padded(sizes.c), padded(sizes.k));
    // A row of taps fills a tile better than few channels do, and costs a test per load.
    let wide_row = c < 16 && sizes.kernel > 1;
    let columns = if wide_row { sizes.kernel * c } else { c };
    let taps = if wide_row { sizes.kernel } else { sizes.kernel * sizes.kernel };
    let scaler = scaler(t);
    let (tile, call) = t.call_gemm("conv2d/backward_weight", t.dtype(x), columns);
    let call = sizes.fill(call.constant("WIDE_ROW", wide_row)).read(d_y).read(x).read(scaler);
    let call = call.write(weight.gradient.clone());
    call.grid(k.div_ceil(tile.rows), columns.div_ceil(tile.cols), taps);
}
