//! Embeddings: a row of a matrix for each token, and one for each place.

use super::{
    activation::Activation,
    bias,
    elementwise::{pass_gradient, vectors},
    rows::Rows,
    scaler::scaler,
};
use crate::program::{
    Dtype, Op, Param, Tape, Tensor,
    params::{Init, Role, Shape, padded},
};

/// `y = weight[token]`: PyTorch's `Embedding(vocabulary, c)`. Takes tokens `[n, h, w, 1]` below the vocabulary, and returns
/// `[n, h, w, c]` and the weight, which a head may share ([`linear_tied`](super::linear_tied)).
///
/// # Panics
/// If `tokens` are no `u32`.
pub fn embedding(t: &mut Tape, tokens: Tensor, vocabulary: u32, c: u32, init: Init) -> (Tensor, Param) {
    let [n, h, w, one] = t.shape(tokens);
    let shape = [n, h, w, one];
    assert!(t.dtype(tokens) == Dtype::U32 && one == 1, "embedding: tokens of shape {shape:?}, {:?}", t.dtype(tokens));
    let weight = t.param("weight", Shape::Matrix { outputs: vocabulary, inputs: c }, init, Role::Embedding);
    let y = t.tensor([n, h, w, c]);
    let (len4, c4, rows) = (vectors(t, y), padded(c) / 4, n * h * w);
    let call = t.call("embedding/forward").sizes([("len4", len4), ("c4", c4)]);
    call.read(tokens).read(weight.value).write(y).over(len4);
    t.note(tokens, [Op::Embedding(weight.value)], y);
    t.on_backward(y, move |t, d_y| {
        let scaler = scaler(t);
        let call = t.call_reduce("embedding/backward").sizes([("rows", rows), ("c4", c4)]);
        call.read(tokens).read(d_y).read(scaler).write(weight.gradient).groups(rows);
    });
    (y, weight)
}

/// `y = x + weight[place]`: a learned embedding of the position, a parameter called `name`. GPT-2 and BERT have a matrix of at least
/// as many rows as `x` has places, [`Shape::Matrix`], and ViT one row for each, [`Shape::Rows`].
///
/// # Panics
/// If it has fewer rows, or not as many channels as `x`.
pub fn add_positions(t: &mut Tape, x: Tensor, name: &str, shape: Shape, init: Init) -> Tensor {
    let [n, h, w, c] = t.shape(x);
    let (Shape::Matrix { outputs: rows, inputs } | Shape::Rows { rows, c: inputs }) = shape else {
        panic!("add_positions: {shape:?} has no row for each place")
    };
    assert!(h * w <= rows && c == inputs, "add_positions: {shape:?} for an input of shape {:?}", [n, h, w, c]);
    let weight = t.param(name, shape, init, Role::Embedding);
    let y = t.tensor_of(t.dtype(x), [n, h, w, c]);
    let (len4, c4) = (vectors(t, x), padded(c) / 4);
    let call = t.call("embedding/add_positions").sizes([("len4", len4), ("n", n), ("c4", c4)]);
    call.read(x).read(weight.value).write(y).over(len4);
    t.note(x, [Op::Positions(weight.value)], y);
    t.on_backward(y, move |t, d_y| {
        let (scaler, len4) = (scaler(t), h * w * c4);
        let call = t.call("embedding/backward_positions").sizes([("len4", len4), ("n", n), ("c4", c4)]);
        call.read(d_y).read(scaler).write(weight.gradient).over(len4);
        pass_gradient(t, d_y, x);
    });
    y
}

/// `y = x + weight[0]`: the embedding of the kind of a token, where all are of the first kind. The parameter has two rows, as BERT's
/// `token_type_embeddings` for the two sentences of a pair, and the second one gets no gradient.
pub fn add_first_row(t: &mut Tape, x: Tensor, init: Init) -> Tensor {
    let shape = t.shape(x);
    let c = shape[3];
    let weight = t.param("weight", Shape::Matrix { outputs: 2, inputs: c }, init, Role::Embedding);
    let (rows, spread) = (bias::rows(shape), Rows::spread(shape));
    let y = t.tensor_of(t.dtype(x), shape);
    // The row is a bias of each channel, and its gradient that of one.
    let call = Activation::None.choose(t.call("bias/apply")).sizes(spread.fields()).read(x).read(weight.value);
    call.write(y).over(spread.invocations());
    t.note(x, [Op::FirstRow(weight.value)], y);
    t.on_backward(y, move |t, d_y| {
        bias::gradient(t, rows, Activation::None, d_y, x, &weight);
        pass_gradient(t, d_y, x);
    });
    y
}
