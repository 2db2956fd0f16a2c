//! AdamW as `torch.optim.AdamW` (Loshchilov, Hutter 2019).

use super::{Optimizer, finite, settable, zeros};

/// AdamW. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// theta <- theta (1 - lr weight_decay)
/// m     <- EMA(m, beta1, g);   v <- EMA(v, beta2, g^2);   v_max <- max(v_max, v)
/// theta <- theta - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)          v_max for v with amsgrad
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root in the denominator.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Divide by the largest second moment so far.
    pub amsgrad: bool,
    /// State: updates done.
    pub updates: u64,
    /// State: first moments.
    pub m: Vec<Vec<f64>>,
    /// State: second moments.
    pub v: Vec<Vec<f64>>,
    /// State: largest second moments.
    pub v_max: Vec<Vec<f64>>,
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 1e-2,
            amsgrad: false,
            updates: 0,
            m: Vec::new(),
            v: Vec::new(),
            v_max: Vec::new(),
        }
    }
}

impl Optimizer for AdamW {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.m, self.v, self.v_max) = (zeros(params), zeros(params), zeros(params));
        }
        self.updates += 1;
        let t = self.updates as f64;
        let (correction1, correction2) = (1.0 - self.beta1.powf(t), 1.0 - self.beta2.powf(t));
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let g = grads[i][j];
                params[i][j] *= 1.0 - self.lr * self.weight_decay;
                self.m[i][j] = self.beta1 * self.m[i][j] + (1.0 - self.beta1) * g;
                self.v[i][j] = self.beta2 * self.v[i][j] + (1.0 - self.beta2) * g * g;
                self.v_max[i][j] = self.v_max[i][j].max(self.v[i][j]);
                let second = if self.amsgrad { self.v_max[i][j] } else { self.v[i][j] };
                params[i][j] -= self.lr / correction1 * self.m[i][j] / (second.sqrt() / correction2.sqrt() + self.eps);
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, beta1, beta2, eps, weight_decay, amsgrad)
    }
}
