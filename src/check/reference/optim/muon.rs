//! Muon: orthogonalized momentum for matrices, AdamW or SGD for all other tensors.

use super::{Optimizer, finite, zeros};

/// Muon (Jordan et al. 2024; <https://github.com/KellerJordan/Muon>). A tensor of two or four dimensions is taken as
/// the matrix of its first dimension by all others; every other tensor is updated by AdamW or by SGD with the `aux_`
/// settings, at a rate that keeps its ratio to lr when a schedule changes lr. Tensors have no names here, so there are
/// no first and last layers.
///
/// ```text
/// keller:   buf <- momentum buf + (1 - momentum) g;   d = momentum buf + (1 - momentum) g with nesterov, else buf
///           theta <- theta (1 - lr weight_decay)
///           theta <- theta - lr factor NS(d)                                factor: see scale
/// airbench: buf <- momentum buf + g;                  d = g + momentum buf with nesterov, else buf
///           theta <- theta sqrt(rows) / ||theta||
///           theta <- theta - lr NS(d)
/// sgd:      g <- g + aux_weight_decay theta;  m <- aux_momentum m + g;  theta <- theta - rate (g + aux_momentum m)
/// NS(G):    X = G / (||G|| + 1e-7);   ns_steps times X <- 3.4445 X + (-4.7750 A + 2.0315 A A) X with A = X X^T
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Muon {
    /// Learning rate of matrices.
    pub lr: f64,
    /// Decay of the momentum buffer.
    pub momentum: f64,
    /// Nesterov momentum.
    pub nesterov: bool,
    /// Number of Newton-Schulz steps.
    pub ns_steps: u32,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Whether to use the variant of the CIFAR-10 speed record (airbench) instead of the published one.
    pub airbench: bool,
    /// The factor on the learning rate: `flat` (the square root of rows / columns, but at least 1), `keller` (the same
    /// for the last two dimensions, the rule before KellerJordan/Muon's pull request 60), `none` (1), or
    /// `match_rms_adamw` (0.2 times the square root of the longer side).
    pub scale: String,
    /// Whether other tensors are updated by SGD with Nesterov momentum instead of AdamW.
    pub aux_sgd: bool,
    /// SGD's momentum.
    pub aux_momentum: f64,
    /// The learning rate of other tensors.
    pub aux_lr: f64,
    /// AdamW's decay of the first moment.
    pub aux_beta1: f64,
    /// AdamW's decay of the second moment.
    pub aux_beta2: f64,
    /// The number that AdamW adds to the denominator.
    pub aux_eps: f64,
    /// AdamW's decoupled weight decay, or SGD's L2 penalty.
    pub aux_weight_decay: f64,
    /// State: dimensions of the tensors.
    pub dims: Vec<Vec<usize>>,
    /// State: lr at the first update, to which later values of lr are compared.
    pub first_lr: f64,
    /// State: the number of updates done.
    pub updates: u64,
    /// State: momentum buffers of matrices; first moments, or SGD's momentum buffers, of other tensors.
    pub buffer: Vec<Vec<f64>>,
    /// State: second moments of other tensors.
    pub v: Vec<Vec<f64>>,
}

impl Default for Muon {
    /// The published defaults.
    fn default() -> Self {
        Self {
            lr: 0.02,
            momentum: 0.95,
            nesterov: true,
            ns_steps: 5,
            weight_decay: 0.0,
            airbench: false,
            scale: "flat".into(),
            aux_sgd: false,
            aux_momentum: 0.85,
            aux_lr: 3e-4,
            aux_beta1: 0.9,
            aux_beta2: 0.95,
            aux_eps: 1e-10,
            aux_weight_decay: 0.0,
            dims: Vec::new(),
            first_lr: 0.0,
            updates: 0,
            buffer: Vec::new(),
            v: Vec::new(),
        }
    }
}

/// The product of `a` (`rows` by `depth`) and the transpose of `b` (`cols` by `depth`).
fn times_transposed(a: &[f64], b: &[f64], rows: usize, cols: usize, depth: usize) -> Vec<f64> {
    let dot = |i: usize, j: usize| (0..depth).map(|k| a[i * depth + k] * b[j * depth + k]).sum();
    (0..rows * cols).map(|at| dot(at / cols, at % cols)).collect()
}

fn transposed(a: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    (0..rows * cols).map(|at| a[at % rows * cols + at / rows]).collect()
}

fn norm(a: &[f64]) -> f64 {
    a.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The quintic Newton-Schulz iteration on a matrix of `rows` by `cols`, which brings the singular values to between 0.7
/// and 1.2.
pub fn newton_schulz(g: &[f64], rows: usize, cols: usize, steps: u32) -> Vec<f64> {
    if rows > cols {
        return transposed(&newton_schulz(&transposed(g, rows, cols), cols, rows, steps), cols, rows);
    }
    let divisor = norm(g) + 1e-7;
    let mut x: Vec<f64> = g.iter().map(|v| v / divisor).collect();
    for _ in 0..steps {
        let a = times_transposed(&x, &x, rows, rows, cols);
        let a_squared = times_transposed(&a, &a, rows, rows, rows); // A is symmetric
        let b: Vec<f64> = a.iter().zip(&a_squared).map(|(a, aa)| -4.7750 * a + 2.0315 * aa).collect();
        let b_x = times_transposed(&b, &transposed(&x, rows, cols), rows, cols, rows);
        x.iter_mut().zip(b_x).for_each(|(x, b_x)| *x = 3.4445 * *x + b_x);
    }
    x
}

impl Muon {
    fn matrix(&mut self, i: usize, theta: &mut [f64], grad: &[f64]) {
        let (mu, buffer) = (self.momentum, &mut self.buffer[i]);
        let share = if self.airbench { 1.0 } else { 1.0 - mu };
        buffer.iter_mut().zip(grad).for_each(|(b, g)| *b = mu * *b + share * g);
        let nesterov = |(b, g): (&f64, &f64)| if self.nesterov { share * g + mu * b } else { *b };
        let d: Vec<f64> = buffer.iter().zip(grad).map(nesterov).collect();
        let dims = &self.dims[i];
        let (rows, cols) = (dims[0], dims[1..].iter().product::<usize>());
        let o = newton_schulz(&d, rows, cols, self.ns_steps);
        let ratio = |rows: usize, cols: usize| (rows as f64 / cols as f64).max(1.0).sqrt();
        let factor = match self.scale.as_str() {
            _ if self.airbench => 1.0,
            "flat" => ratio(rows, cols),
            "none" => 1.0,
            "match_rms_adamw" => 0.2 * (rows.max(cols) as f64).sqrt(),
            _ => ratio(dims[dims.len() - 2], dims[dims.len() - 1]),
        };
        let length = norm(theta);
        let shrink = match self.airbench {
            true if length > 0.0 => (rows as f64).sqrt() / length,
            true => 1.0,
            false => 1.0 - self.lr * self.weight_decay,
        };
        theta.iter_mut().zip(o).for_each(|(p, o)| *p = *p * shrink - self.lr * factor * o);
    }

    fn rest(&mut self, i: usize, theta: &mut [f64], grad: &[f64]) {
        let lr = if self.first_lr > 0.0 { self.aux_lr * self.lr / self.first_lr } else { 0.0 };
        let correction = |beta: f64| 1.0 - beta.powi(self.updates as i32);
        let (m, v) = (&mut self.buffer[i], &mut self.v[i]);
        if self.aux_sgd {
            for j in 0..theta.len() {
                let g = grad[j] + self.aux_weight_decay * theta[j];
                m[j] = self.aux_momentum * m[j] + g;
                theta[j] -= lr * (g + self.aux_momentum * m[j]);
            }
            return;
        }
        for j in 0..theta.len() {
            let g = grad[j];
            m[j] = self.aux_beta1 * m[j] + (1.0 - self.aux_beta1) * g;
            v[j] = self.aux_beta2 * v[j] + (1.0 - self.aux_beta2) * g * g;
            let denominator = (v[j] / correction(self.aux_beta2)).sqrt() + self.aux_eps;
            theta[j] *= 1.0 - lr * self.aux_weight_decay;
            theta[j] -= lr * m[j] / correction(self.aux_beta1) / denominator;
        }
    }
}

impl Optimizer for Muon {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.buffer, self.v, self.first_lr) = (zeros(params), zeros(params), self.lr);
        }
        self.updates += 1;
        for (i, (theta, grad)) in params.iter_mut().zip(grads).enumerate() {
            match self.dims.get(i).map_or(1, Vec::len) {
                2 | 4 => self.matrix(i, theta, grad),
                _ => self.rest(i, theta, grad),
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "lr" => self.lr = value.parse().ok()?,
            "momentum" => self.momentum = value.parse().ok()?,
            "nesterov" => self.nesterov = value.parse().ok()?,
            "ns_steps" => self.ns_steps = value.parse().ok()?,
            "weight_decay" => self.weight_decay = value.parse().ok()?,
            "variant" => self.airbench = ["keller", "airbench"].iter().position(|v| *v == value)? == 1,
            "scale" if ["keller", "flat", "none", "match_rms_adamw"].contains(&value) => self.scale = value.into(),
            "aux" => self.aux_sgd = ["adamw", "sgd"].iter().position(|v| *v == value)? == 1,
            "aux_momentum" => self.aux_momentum = value.parse().ok()?,
            "aux_lr" => self.aux_lr = value.parse().ok()?,
            "aux_beta1" => self.aux_beta1 = value.parse().ok()?,
            "aux_beta2" => self.aux_beta2 = value.parse().ok()?,
            "aux_eps" => self.aux_eps = value.parse().ok()?,
            "aux_weight_decay" => self.aux_weight_decay = value.parse().ok()?,
            // Settings of particular layers, which have no effect here.
            "head_lr" | "head_weight_decay" | "first_bias_updates" => _ = value.parse::<f64>().ok()?,
            _ => return None,
        }
        Some(())
    }

    fn shapes(&mut self, dims: &[Vec<usize>]) {
        self.dims = dims.to_vec();
    }
}
