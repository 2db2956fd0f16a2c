//! Convolution: three passes, each a sum of dense matrix products (`shaders/shared/conv.wgsl` says why).

use super::{rows::Rows, scaler::scaler};
use crate::program::{
    CallBuilder, Dtype, Op, Param, Slot, Tape, Tensor,
    params::{Init, Role, Shape, padded},
    product::{Choice, Product},
    shader::Access,
};

/// The options of a convolution with square filters, without bias, without dilation, and with one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Output channels.
    pub outputs: u32,
    /// Filter height and width.
    pub kernel: u32,
    /// Rows and columns between two windows.
    pub stride: u32,
    /// Rows and columns of zeros on each side of the map.
    pub padding: u32,
}

/// What the kernels must know; the three passes share it.
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
    /// The sizes on a 1x1 map, where a convolution is the matrix product of a linear layer.
    pub(super) fn matrix(n: u32, c: u32, k: u32) -> Self {
        Self { n, c, k, h: 1, w: 1, p: 1, q: 1, kernel: 1, stride: 1, pad: 0 }
    }

    /// Fills `Sizes`. The gradient of the filter is computed for these taps along r and s: the first, and how many.
    fn fill<'a>(
        &self,
        call: CallBuilder<'a>,
        [[first_r, live_r], [first_s, live_s]]: [[u32; 2]; 2],
    ) -> CallBuilder<'a> {
        let (c4, k4) = (padded(self.c) / 4, padded(self.k) / 4);
        call.sizes([("n", self.n), ("h", self.h), ("w", self.w), ("c4", c4), ("p", self.p), ("q", self.q)])
            .sizes([("k4", k4), ("r", self.kernel), ("s", self.kernel), ("stride", self.stride), ("pad", self.pad)])
            .sizes([("first_r", first_r), ("first_s", first_s), ("live_r", live_r), ("live_s", live_s)])
            .flop(2.0 * self.products())
    }

    /// The number of outputs along one side for which a tap lies on the map.
    fn hits(&self, tap: u32, inputs: u32, outputs: u32) -> u32 {
        let at = |p: u32| (p * self.stride + tap).checked_sub(self.pad);
        (0..outputs).filter(|&p| at(p).is_some_and(|h| h < inputs)).count() as u32
    }

    /// Multiply-adds that do not involve padding; all three passes have the same number.
    fn products(&self) -> f64 {
        let hits =
            |inputs, outputs| -> f64 { (0..self.kernel).map(|tap| f64::from(self.hits(tap, inputs, outputs))).sum() };
        let pairs = hits(self.h, self.p) * hits(self.w, self.q);
        pairs * f64::from(self.n) * f64::from(self.c) * f64::from(self.k)
    }

    fn all(&self) -> [[u32; 2]; 2] {
        [[0, self.kernel]; 2]
    }

    /// The taps along one side that lie on the map for at least one output: the first, and how many.
    fn live(&self, inputs: u32, outputs: u32) -> [u32; 2] {
        let live: Vec<_> = (0..self.kernel).filter(|&tap| self.hits(tap, inputs, outputs) > 0).collect();
        let [first, last] = [live.first(), live.last()].map(|tap| tap.copied().unwrap_or(0));
        [first, last + 1 - first]
    }

    /// One pass as a [`Product`], by which its form is chosen: `count` outputs of `rows` by `cols`.
    fn product(&self, path: &'static str, dtype: Dtype, [rows, cols, count]: [u32; 3]) -> Product {
        let Self { n, h, w, kernel, stride, pad, .. } = *self;
        let (c, k, half) = (padded(self.c), padded(self.k), dtype == Dtype::F16);
        let kind = if half { "f16" } else { "f32" };
        let name = format!("{path} {n}x{h}x{w}x{c} to {k}, {kernel}x{kernel} by {stride}, padding {pad}, {kind}");
        // Rows, columns and terms that only pad to whole vectors are multiplied too, so they count.
        let outputs = f64::from(rows) * f64::from(cols) * f64::from(count);
        let filled = f64::from(c) / f64::from(self.c) * f64::from(k) / f64::from(self.k);
        Product { path, name, rows, cols, count, terms: (self.products() * filled / outputs).ceil() as u32, half }
    }
}

/// `y[n,p,q,k] = sum over r,s,c of x[n, p*stride+r-padding, q*stride+s-padding, c] * weight[k,r,s,c]`: PyTorch's `conv2d`.
///
/// # Panics
/// If the filter does not fit the padded map.
pub fn conv2d(t: &mut Tape, x: Tensor, conv: Conv2d) -> Tensor {
    conv2d_of(t, x, conv, Init::KaimingFanOut, Role::Weight)
}

/// [`conv2d`] with filters of this initialization and role; those of [`Role::Frozen`] get no gradient.
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
    let sizes = match (kernel, stride, pad) {
        (1, 1, 0) => Sizes::matrix(n * h * w, c, k), // each pixel can be taken for an image, which gives one product
        _ => Sizes { n, c, k, h, w, p: out(h), q: out(w), kernel, stride, pad },
    };
    let weight = t.param("weight", Shape::Filter { k, c, r: kernel, s: kernel }, init, role);
    let y = t.tensor_of(t.dtype(x), [n, out(h), out(w), k]);
    forward(t, sizes, x, &weight, y);
    t.note(x, [Op::Conv2d { weight: weight.value, stride, padding: pad }], y);
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
    let outputs = [sizes.n, padded(sizes.k), sizes.p * sizes.q];
    let product = sizes.product("conv2d/forward", t.dtype(x), outputs);
    record(t, &product, y.into(), false, |call| sizes.fill(call, sizes.all()).read(x).read(weight.value));
}

pub(super) fn backward_input(t: &mut Tape, sizes: Sizes, d_y: Tensor, weight: &Param, x: Tensor) {
    let (d_x, accumulate) = t.write_gradient(x);
    let outputs = [sizes.n, padded(sizes.c), sizes.h * sizes.w];
    let product = sizes.product("conv2d/backward_input", t.dtype(x), outputs);
    record(t, &product, d_x.into(), accumulate, |call| sizes.fill(call, sizes.all()).read(d_y).read(weight.value));
}

pub(super) fn backward_weight(t: &mut Tape, sizes: Sizes, d_y: Tensor, x: Tensor, weight: &Param) {
    let (c, k) = (padded(sizes.c), padded(sizes.k));
    // Taking a row of taps as columns fills a tile better than few channels do, but costs a test per load.
    let wide_row = c < 16 && sizes.kernel > 1;
    let product = |[[_, r], [_, s]]: [[u32; 2]; 2], dtype| {
        let outputs = if wide_row { [k, sizes.kernel * c, r] } else { [k, c, r * s] };
        sizes.product("conv2d/backward_weight", dtype, outputs)
    };
    let mut taps = [sizes.live(sizes.h, sizes.p), sizes.live(sizes.w, sizes.q)];
    if t.target.choose(&product(taps, t.dtype(x))).parts > 1 {
        taps = sizes.all(); // `sum_parts` reads all taps, so all must be written
    }
    let (product, scaler) = (product(taps, t.dtype(x)), scaler(t));
    record(t, &product, weight.gradient, true, |call| {
        sizes.fill(call.constant("WIDE_ROW", wide_row), taps).read(d_y).read(x).read(scaler)
    });
}

/// The most tiles whose statistics one workgroup can merge in less time than another pass over the result would take.
const TILES: u32 = 1024;

/// Makes the convolution that computes `y`, if there is one and it can, write the mean and the sum of squared
/// differences of each of its tiles. Returns `y` as rows, cut into those tiles, and the tensor of their statistics.
pub(super) fn statistics(t: &mut Tape, y: Tensor) -> Option<(Rows, Tensor)> {
    let call = t.maker(y).filter(|call| call.spec.path == "conv2d/forward")?;
    let product = call.product.clone().expect("a convolution is a product");
    let Choice { gemm, parts } = t.target.choose(&product);
    let tiles = product.rows / gemm.rows() * product.count;
    if parts > 1 || !product.rows.is_multiple_of(gemm.rows()) || tiles > TILES {
        return None;
    }
    let rows = Rows { rows: product.rows * product.count, c4: product.cols / 4, chunk_rows: gemm.rows() };
    let partial = t.scratch(8 * rows.invocations());
    let call = t.maker(y).expect("it was there");
    call.spec.path = "conv2d/forward_statistics".into();
    call.args.push((partial.into(), Access::ReadWrite));
    Some((rows, partial))
}

/// Records a pass in the form that is chosen for it: with whole sums, or with partial sums that a second kernel adds
/// up. The result is assigned to `out`, or added to it.
fn record(
    t: &mut Tape,
    product: &Product,
    out: Slot,
    accumulate: bool,
    inputs: impl FnOnce(CallBuilder<'_>) -> CallBuilder<'_>,
) {
    let Choice { gemm, parts } = t.target.choose(product);
    let [down, across] = gemm.tiles(product.rows, product.cols);
    if parts == 1 {
        let call = inputs(t.call_product(product, gemm)).size("parts", 1).constant("ACCUMULATE", accumulate);
        return call.write(out).grid(down, across, product.count);
    }
    let floats = product.rows * product.cols * product.count;
    let partial = t.scratch(parts * floats);
    let call = inputs(t.call_product(product, gemm)).size("parts", parts).constant("ACCUMULATE", false);
    call.import("result", "result_f32").write(partial).grid(down, across, product.count * parts);
    let call = t.call("conv2d/sum_parts").part_of(product).constant("ACCUMULATE", accumulate);
    call.sizes([("len4", floats / 4), ("parts", parts)]).read(partial).write(out).over(floats / 4);
}
