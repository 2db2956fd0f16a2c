//! Queries, keys and values side by side. Activations are `[n][places][c]`.
//!
//! Source: `torch.cat((query, key, value), -1)`.

use super::expect_len;

/// `y[row][part c + i] = parts[part][row][i]`.
pub fn pack(parts: [&[f64]; 3], c: usize) -> Vec<f64> {
    let rows = parts[0].len() / c;
    let mut y = vec![0.0; 3 * rows * c];
    for (part, values) in parts.iter().enumerate() {
        expect_len("a part", values.len(), rows * c);
        for row in 0..rows {
            for i in 0..c {
                y[(row * 3 + part) * c + i] = values[row * c + i];
            }
        }
    }
    y
}

/// The gradient of one part: `d_x[row][i] = d_y[row][part c + i]`.
pub fn pack_backward(d_y: &[f64], part: usize, c: usize) -> Vec<f64> {
    let mut d_x = vec![];
    for row in 0..d_y.len() / (3 * c) {
        for i in 0..c {
            d_x.push(d_y[(row * 3 + part) * c + i]);
        }
    }
    d_x
}
