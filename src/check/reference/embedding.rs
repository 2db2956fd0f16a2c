//! Embeddings of tokens and of places. Activations are `[n][places][c]`.
//!
//! Source: `torch.nn.functional.embedding`, and the sum with one row for each place.

use super::{Accumulator, Sum, expect_len};

/// `y[i] = weight[tokens[i]]`, with a weight `[vocabulary][c]`.
pub fn embedding(tokens: &[u32], weight: &[f64], c: usize) -> Vec<f64> {
    let mut y = vec![];
    for &token in tokens {
        y.extend(&weight[token as usize * c..(token as usize + 1) * c]);
    }
    y
}

/// `d_weight[v] = sum over the i with tokens[i] = v of d_y[i]`.
pub fn embedding_backward(tokens: &[u32], d_y: &[f64], vocabulary: usize, c: usize) -> Sum {
    expect_len("d_y", d_y.len(), tokens.len() * c);
    let mut d_weight = Accumulator::new(vocabulary * c);
    for (i, &token) in tokens.iter().enumerate() {
        for channel in 0..c {
            d_weight.add(token as usize * c + channel, d_y[i * c + channel]);
        }
    }
    d_weight.finish()
}

/// `y[n][place] = x[n][place] + weight[place]`.
pub fn add_positions(x: &[f64], weight: &[f64]) -> Vec<f64> {
    let mut y = vec![];
    for x in x.chunks_exact(weight.len()) {
        for i in 0..weight.len() {
            y.push(x[i] + weight[i]);
        }
    }
    y
}

/// `d_weight[place] = sum over n of d_y[n][place]`, with `elements` of the weight.
pub fn add_positions_backward(d_y: &[f64], elements: usize) -> Sum {
    let mut d_weight = Accumulator::new(elements);
    for (i, d_y) in d_y.iter().enumerate() {
        d_weight.add(i % elements, *d_y);
    }
    d_weight.finish()
}
