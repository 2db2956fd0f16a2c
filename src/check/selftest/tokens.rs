//! Tokens on their way to a network.

use super::{At, Case, Data, Expected, Port};
use crate::{
    data::Tokens,
    ops::tokens,
    program::{BufferKind, Input, Tape},
};

/// The tokens of `n` blocks.
#[derive(Clone, Copy, Debug)]
pub struct TokensCase {
    /// Blocks.
    pub n: u32,
    /// Their size.
    pub tokens: Tokens,
}

impl TokensCase {
    /// The token at a place of a block. One is beyond the vocabulary, and one is the largest word.
    fn token(&self, block: u32, place: u32) -> u32 {
        match block * self.tokens.length + place {
            1 => self.tokens.vocabulary,
            2 => u32::MAX,
            i => i.wrapping_mul(2_654_435_761) % self.tokens.vocabulary,
        }
    }
}

impl Case for TokensCase {
    fn name(&self) -> String {
        let Tokens { length, vocabulary } = self.tokens;
        format!("{} blocks of {length} tokens, of {vocabulary} kinds", self.n)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let x = tokens(t, self.n, self.tokens);
        let words = self.n * self.tokens.length;
        let samples = At::Buffer { kind: BufferKind::Input(Input::Samples), first: 0, words };
        vec![Port::integers("tokens", samples), Port::integers("out", At::Tensor(x))]
    }

    fn data(&self) -> Data {
        let places = 0..self.tokens.length;
        let all = (0..self.n).flat_map(|block| places.clone().map(move |place| f64::from(self.token(block, place))));
        Data::from([("tokens", all.collect())])
    }

    /// In PyTorch's order of elements, which the values here have, nothing moves.
    fn expected(&self, data: &Data) -> Vec<Expected> {
        let last = f64::from(self.tokens.vocabulary - 1);
        vec![Expected::exact("out", data["tokens"].iter().map(|token| token.min(last)).collect())]
    }
}
