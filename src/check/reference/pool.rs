//! Max-pooling, global and adaptive average pooling with their gradients.
//!
//! Source: `torch.nn.functional.max_pool2d` (no dilation, `ceil_mode=False`) and `adaptive_avg_pool2d`.

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

/// The shape of an adaptive average pooling: x is `[n][c][h][w]`, y `[n][c][out][out]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveAvgPool {
    /// Images.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Input rows.
    pub h: usize,
    /// Input columns.
    pub w: usize,
    /// Output rows and columns.
    pub out: usize,
}

impl AdaptiveAvgPool {
    /// Calls `visit` for each pair of an output and an input in its window: their indices, and the window's elements.
    fn pairs(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let window = |p: usize, size: usize| {
            let begin = (p as f64 * size as f64 / self.out as f64).floor() as usize;
            let end = ((p + 1) as f64 * size as f64 / self.out as f64).ceil() as usize;
            begin..end
        };
        for map in 0..self.n * self.c {
            for p in 0..self.out {
                for q in 0..self.out {
                    let (rows, columns) = (window(p, self.h), window(q, self.w));
                    let elements = rows.len() * columns.len();
                    for row in rows {
                        for column in columns.clone() {
                            let y_index = (map * self.out + p) * self.out + q;
                            visit(y_index, (map * self.h + row) * self.w + column, elements);
                        }
                    }
                }
            }
        }
    }
}

/// The mean over each window; window p has the rows from `floor(p h / out)` to below `ceil((p + 1) h / out)`.
pub fn adaptive_avg_pool2d(shape: &AdaptiveAvgPool, x: &[f64]) -> Sum {
    expect_len("x", x.len(), shape.n * shape.c * shape.h * shape.w);
    let mut y = Accumulator::new(shape.n * shape.c * shape.out * shape.out);
    shape.pairs(|y_index, x_index, elements| y.add(y_index, x[x_index] / elements as f64));
    y.finish()
}

/// The gradient of x: every output passes its gradient to the inputs of its window in equal parts.
pub fn adaptive_avg_pool2d_backward(shape: &AdaptiveAvgPool, d_y: &[f64]) -> Sum {
    expect_len("d_y", d_y.len(), shape.n * shape.c * shape.out * shape.out);
    let mut d_x = Accumulator::new(shape.n * shape.c * shape.h * shape.w);
    shape.pairs(|y_index, x_index, elements| d_x.add(x_index, d_y[y_index] / elements as f64));
    d_x.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.nn.functional.adaptive_avg_pool2d(torch.arange(10.).reshape(1, 1, 2, 5), 3)` and the gradient of its sum.
    #[test]
    fn windows_are_pytorchs() {
        let (shape, x) =
            (AdaptiveAvgPool { n: 1, c: 1, h: 2, w: 5, out: 3 }, (0..10).map(f64::from).collect::<Vec<_>>());
        let y = adaptive_avg_pool2d(&shape, &x).value;
        assert_eq!(y, [0.5, 2.0, 3.5, 3.0, 4.5, 6.0, 5.5, 7.0, 8.5]);
        let d_x = adaptive_avg_pool2d_backward(&shape, &[1.0; 9]).value;
        assert!((d_x.iter().sum::<f64>() - 9.0).abs() < 1e-12);
        // Column 1 lies in windows 0 (columns 0, 1) and 1 (columns 1 to 3), row 0 in windows 0 (row 0) and 1 (rows 0, 1).
        assert!((d_x[1] - (0.5 + 0.25 + 1.0 / 3.0 + 1.0 / 6.0)).abs() < 1e-12);
    }
}
