//! 2-D convolution (cross-correlation, no bias, no dilation, no groups) and its two gradients.
//!
//! Source: `torch.nn.functional.conv2d`.

use super::{Accumulator, Sum, expect_len};

/// The shape of a convolution: x is `[n][c][h][w]`, weight `[k][c][r][s]`, y `[n][k][p][q]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Images.
    pub n: usize,
    /// Input channels.
    pub c: usize,
    /// Input rows.
    pub h: usize,
    /// Input columns.
    pub w: usize,
    /// Output channels.
    pub k: usize,
    /// Kernel rows.
    pub r: usize,
    /// Kernel columns.
    pub s: usize,
    /// Stride of the window in both directions.
    pub stride: usize,
    /// Zeros around the input, on every side.
    pub padding: usize,
}

impl Conv {
    /// Output rows: `(h + 2 padding - r) / stride + 1`.
    pub fn p(&self) -> usize {
        (self.h + 2 * self.padding - self.r) / self.stride + 1
    }

    /// Output columns: `(w + 2 padding - s) / stride + 1`.
    pub fn q(&self) -> usize {
        (self.w + 2 * self.padding - self.s) / self.stride + 1
    }

    /// Elements of x.
    pub fn x_len(&self) -> usize {
        self.n * self.c * self.h * self.w
    }

    /// Elements of the weight.
    pub fn weight_len(&self) -> usize {
        self.k * self.c * self.r * self.s
    }

    /// Elements of y.
    pub fn y_len(&self) -> usize {
        self.n * self.k * self.p() * self.q()
    }

    /// Calls `visit(x index, weight index, y index)` for every product that the convolution consists of. Positions in
    /// the padding contribute zero and are left out.
    fn for_each_product(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let (rows, columns) = (self.p(), self.q());
        for n in 0..self.n {
            for k in 0..self.k {
                for p in 0..rows {
                    for q in 0..columns {
                        let y_index = ((n * self.k + k) * rows + p) * columns + q;
                        for c in 0..self.c {
                            for r in 0..self.r {
                                for s in 0..self.s {
                                    let (row, column) = (p * self.stride + r, q * self.stride + s);
                                    if row < self.padding || row >= self.h + self.padding {
                                        continue;
                                    }
                                    if column < self.padding || column >= self.w + self.padding {
                                        continue;
                                    }
                                    let (row, column) = (row - self.padding, column - self.padding);
                                    let x_index = ((n * self.c + c) * self.h + row) * self.w + column;
                                    let weight_index = ((k * self.c + c) * self.r + r) * self.s + s;
                                    visit(x_index, weight_index, y_index);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `y[n][k][p][q] = sum over c, r, s of x[n][c][p stride + r - padding][q stride + s - padding] weight[k][c][r][s]`.
pub fn forward(shape: &Conv, x: &[f64], weight: &[f64]) -> Sum {
    expect_len("x", x.len(), shape.x_len());
    expect_len("weight", weight.len(), shape.weight_len());
    let mut y = Accumulator::new(shape.y_len());
    shape.for_each_product(|x_index, weight_index, y_index| y.add(y_index, x[x_index] * weight[weight_index]));
    y.finish()
}

/// The gradient of x, `[n][c][h][w]`: every product of the forward pass adds `d_y weight` to the x it read.
pub fn backward_input(shape: &Conv, d_y: &[f64], weight: &[f64]) -> Sum {
    expect_len("d_y", d_y.len(), shape.y_len());
    expect_len("weight", weight.len(), shape.weight_len());
    let mut d_x = Accumulator::new(shape.x_len());
    shape.for_each_product(|x_index, weight_index, y_index| d_x.add(x_index, d_y[y_index] * weight[weight_index]));
    d_x.finish()
}

/// The gradient of the weight, `[k][c][r][s]`: every product of the forward pass adds `d_y x` to the weight it read.
pub fn backward_weight(shape: &Conv, x: &[f64], d_y: &[f64]) -> Sum {
    expect_len("x", x.len(), shape.x_len());
    expect_len("d_y", d_y.len(), shape.y_len());
    let mut d_weight = Accumulator::new(shape.weight_len());
    shape.for_each_product(|x_index, weight_index, y_index| d_weight.add(weight_index, d_y[y_index] * x[x_index]));
    d_weight.finish()
}
