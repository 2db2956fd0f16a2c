//! Max-pooling and global average pooling with their gradients.
//!
//! Source: `torch.nn.functional.max_pool2d` (no dilation, `ceil_mode=False`) and `adaptive_avg_pool2d(x, 1)`.

use super::{Accumulator, Sum, expect_len};

/// The shape of a max-pooling: x is `[n][c][h][w]`, y `[n][c][p][q]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool {
    /// Images.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Input rows.
    pub h: usize,
    /// Input columns.
    pub w: usize,
    /// Rows and columns of the window.
    pub kernel: usize,
    /// Stride of the window in both directions.
    pub stride: usize,
    /// Positions around the input that never win, on every side; at most half the kernel, as in PyTorch.
    pub padding: usize,
}

impl MaxPool {
    /// Output rows: `(h + 2 padding - kernel) / stride + 1`.
    pub fn p(&self) -> usize {
        (self.h + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Output columns: `(w + 2 padding - kernel) / stride + 1`.
    pub fn q(&self) -> usize {
        (self.w + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Elements of x.
    pub fn x_len(&self) -> usize {
        self.n * self.c * self.h * self.w
    }

    /// Elements of y.
    pub fn y_len(&self) -> usize {
        self.n * self.c * self.p() * self.q()
    }
}

/// The outputs `[n][c][p][q]` and, for each, the index into x of its maximum, the first in row-major order if several
/// values are equal.
pub fn max_pool2d(shape: &MaxPool, x: &[f64]) -> (Vec<f64>, Vec<usize>) {
    expect_len("x", x.len(), shape.x_len());
    assert!(2 * shape.padding <= shape.kernel, "reference: max-pooling with padding above half its kernel");
    let (mut y, mut winner) = (vec![f64::NEG_INFINITY; shape.y_len()], vec![usize::MAX; shape.y_len()]);
    let (rows, columns) = (shape.p(), shape.q());
    for n in 0..shape.n {
        for c in 0..shape.c {
            for p in 0..rows {
                for q in 0..columns {
                    let y_index = ((n * shape.c + c) * rows + p) * columns + q;
                    for r in 0..shape.kernel {
                        for s in 0..shape.kernel {
                            let (row, column) = (p * shape.stride + r, q * shape.stride + s);
                            if row < shape.padding || row >= shape.h + shape.padding {
                                continue;
                            }
                            if column < shape.padding || column >= shape.w + shape.padding {
                                continue;
                            }
                            let (row, column) = (row - shape.padding, column - shape.padding);
                            let x_index = ((n * shape.c + c) * shape.h + row) * shape.w + column;
                            if winner[y_index] == usize::MAX || x[x_index] > y[y_index] {
                                y[y_index] = x[x_index];
                                winner[y_index] = x_index;
                            }
                        }
                    }
                }
            }
        }
    }
    (y, winner)
}

/// The gradient of x, `[n][c][h][w]`: every output passes its gradient to its maximum; windows overlap, so one input
/// may be the maximum of several.
pub fn max_pool2d_backward(shape: &MaxPool, winner: &[usize], d_y: &[f64]) -> Sum {
    expect_len("winner", winner.len(), shape.y_len());
    expect_len("d_y", d_y.len(), shape.y_len());
    let mut d_x = Accumulator::new(shape.x_len());
    for i in 0..d_y.len() {
        d_x.add(winner[i], d_y[i]);
    }
    d_x.finish()
}

/// The shape of a global average pooling: x is `[n][c][h][w]`, y `[n][c]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalAvgPool {
    /// Images.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Input rows.
    pub h: usize,
    /// Input columns.
    pub w: usize,
}

/// `y[n][c] = sum over h, w of x[n][c][h][w] / (h w)`.
pub fn global_avg_pool(shape: &GlobalAvgPool, x: &[f64]) -> Sum {
    let pixels = shape.h * shape.w;
    expect_len("x", x.len(), shape.n * shape.c * pixels);
    let mut y = Accumulator::new(shape.n * shape.c);
    for n in 0..shape.n {
        for c in 0..shape.c {
            for h in 0..shape.h {
                for w in 0..shape.w {
                    let x_index = ((n * shape.c + c) * shape.h + h) * shape.w + w;
                    y.add(n * shape.c + c, x[x_index] / pixels as f64);
                }
            }
        }
    }
    y.finish()
}

/// `d_x[n][c][h][w] = d_y[n][c] / (h w)`.
pub fn global_avg_pool_backward(shape: &GlobalAvgPool, d_y: &[f64]) -> Vec<f64> {
    let pixels = shape.h * shape.w;
    expect_len("d_y", d_y.len(), shape.n * shape.c);
    let mut d_x = vec![0.0; shape.n * shape.c * pixels];
    for n in 0..shape.n {
        for c in 0..shape.c {
            for h in 0..shape.h {
                for w in 0..shape.w {
                    let x_index = ((n * shape.c + c) * shape.h + h) * shape.w + w;
                    d_x[x_index] = d_y[n * shape.c + c] / pixels as f64;
                }
            }
        }
    }
    d_x
}
