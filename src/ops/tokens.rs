//! From the data set's tokens to the network's input, on the device.

use crate::{
    data::Tokens,
    program::{BufferKind, Dtype, Input, Op, Tape, Tensor},
};

/// The tokens of the batch's `n` blocks as whole numbers, `[n, length, 1, 1]`, in the order in which activations are stored. A
/// token that the vocabulary does not have becomes its last one.
pub fn tokens(t: &mut Tape, n: u32, tokens: Tokens) -> Tensor {
    let Tokens { length, vocabulary } = tokens;
    let len = n * length;
    let samples = t.buffer(BufferKind::Input(Input::Samples), 4 * u64::from(len));
    let x = t.tensor_of(Dtype::U32, [n, length, 1, 1]);
    t.no_gradient(x);
    let call = t.call("tokens/place").sizes([("len", len), ("n", n), ("length", length), ("last", vocabulary - 1)]);
    call.read(samples).write(x).over(len);
    t.note(None::<Tensor>, [Op::Tokens], x);
    x
}
