//! Self-attention over the places of a sample.

use crate::program::{BufferKind, CallBuilder, Input, Op, Tape, Tensor, shader::Spec};

/// The options of a multi-head attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Heads; each has an equal share of the channels.
    pub heads: u32,
    /// Whether a place sees itself and those before it only.
    pub causal: bool,
    /// The probability with which a weight is dropped in training.
    pub dropout: f32,
}

/// What the three kernels must know.
#[derive(Clone, Copy)]
struct Sizes {
    n: u32,
    places: u32,
    /// Channels of a head.
    d: u32,
    options: Attention,
    /// Whether weights are dropped.
    drop: bool,
    /// A number that no other op that draws has.
    layer: u32,
    /// Invocations of a workgroup.
    lanes: u32,
}

impl Sizes {
    /// Begins a call with so many multiply-adds for each channel of a query and a key that it sees.
    fn call<'a>(&self, t: &'a mut Tape, kernel: &'static str, products: f64) -> CallBuilder<'a> {
        let Self { n, places, d, drop, layer, options: Attention { heads, causal, dropout }, .. } = *self;
        let indices = t.buffer(BufferKind::Input(Input::Indices), 4 * u64::from(n));
        let spec = t.target.tiling(Spec::new(kernel));
        let call = t.call_of(spec).constant("D4", d / 4).constant("CAUSAL", causal).constant("DROP", drop);
        let call = call.sizes([("n", n), ("places", places), ("heads", heads), ("layer", layer)]);
        let [n, places, c] = [n, places, heads * d].map(f64::from);
        let seen = if causal { places * (places + 1.0) / 2.0 } else { places * places };
        let call = call.size("factor", 1.0 / (d as f32).sqrt()).size("p", dropout);
        call.flop(2.0 * products * seen * n * c).read(indices)
    }

    /// Records the call with an invocation for each query or key of each head and sample.
    fn record(&self, call: CallBuilder<'_>) {
        call.grid(self.places.div_ceil(self.lanes), self.options.heads, self.n);
    }
}

/// For each head, `softmax(q k^T / sqrt(d)) v` with its `d` channels of queries, keys and values. Takes them side by side,
/// `[n, h, w, 3 c]`, each head by head, and returns `[n, h, w, c]`. Vaswani et al. 2017; PyTorch's
/// `scaled_dot_product_attention` over the places.
///
/// # Panics
/// If a head's channels are not a multiple of four, or the input has another consumer.
pub fn attention(t: &mut Tape, qkv: Tensor, options: Attention) -> Tensor {
    let Attention { heads, dropout, .. } = options;
    let [n, h, w, all] = t.shape(qkv);
    assert!(all.is_multiple_of(12 * heads), "attention: {heads} heads on an input of shape {:?}", [n, h, w, all]);
    let drop = t.training && dropout > 0.0;
    let layer = if drop { t.draw_key("attention") } else { 0 };
    let (places, d) = (h * w, all / 3 / heads);
    let sizes = Sizes { n, places, d, options, drop, layer, lanes: t.target.tile_lanes() };
    let y = t.tensor_of(t.dtype(qkv), [n, h, w, all / 3]);
    let log_sum = t.scratch(n * heads * places);
    sizes.record(sizes.call(t, "attention/forward", 2.0).read(qkv).write(y).write(log_sum));
    t.note(qkv, [Op::Attention { heads, causal: options.causal }], y);
    t.on_backward(y, move |t, d_y| {
        let (d_qkv, accumulate) = t.write_gradient(qkv);
        assert!(!accumulate, "attention: its input has another consumer; add the gradients by an op of your own");
        let delta = t.scratch(n * heads * places);
        let call = sizes.call(t, "attention/backward_query", 3.0).read(qkv).read(y).read(d_y).read(log_sum);
        sizes.record(call.write(delta).write(d_qkv));
        let call = sizes.call(t, "attention/backward_key_value", 4.0).read(qkv).read(d_y).read(log_sum);
        sizes.record(call.read(delta).write(d_qkv));
    });
    y
}
