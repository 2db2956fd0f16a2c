//! Adan (Xie et al. 2022; sail-sg/Adan).

use super::{Optimizer, finite, settable, zeros};

/// Adan. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// diff   = g - previous g, 0 at t = 1
/// m     <- EMA(m, beta1, g);   d <- EMA(d, beta2, diff);   n <- EMA(n, beta3, (g + beta2 diff)^2)
/// theta <- theta - lr (m / (1 - beta1^t) + beta2 d / (1 - beta2^t)) / (sqrt(n) / sqrt(1 - beta3^t) + eps)
/// theta <- theta / (1 + lr weight_decay), no_prox: theta (1 - lr weight_decay) before the step
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Adan {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the gradient's change.
    pub beta2: f64,
    /// Decay of the second moment.
    pub beta3: f64,
    /// Added to the root in the denominator.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Decay before the step, by a factor.
    pub no_prox: bool,
    /// State: updates done.
    pub updates: u64,
    /// State: first moments.
    pub m: Vec<Vec<f64>>,
    /// State: mean changes.
    pub d: Vec<Vec<f64>>,
    /// State: second moments.
    pub n: Vec<Vec<f64>>,
    /// State: gradients of the last update.
    pub previous: Vec<Vec<f64>>,
}

impl Default for Adan {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.98,
            beta2: 0.92,
            beta3: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            no_prox: false,
            updates: 0,
            m: Vec::new(),
            d: Vec::new(),
            n: Vec::new(),
            previous: Vec::new(),
        }
    }
}

impl Optimizer for Adan {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.m, self.d, self.n, self.previous) = (zeros(params), zeros(params), zeros(params), zeros(params));
        }
        self.updates += 1;
        if self.updates == 1 {
            self.previous = grads.to_vec();
        }
        let t = self.updates as f64;
        let (correction1, correction2) = (1.0 - self.beta1.powf(t), 1.0 - self.beta2.powf(t));
        let correction3 = 1.0 - self.beta3.powf(t);
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let g = grads[i][j];
                let diff = g - self.previous[i][j];
                let ahead = g + self.beta2 * diff;
                self.m[i][j] = self.beta1 * self.m[i][j] + (1.0 - self.beta1) * g;
                self.d[i][j] = self.beta2 * self.d[i][j] + (1.0 - self.beta2) * diff;
                self.n[i][j] = self.beta3 * self.n[i][j] + (1.0 - self.beta3) * ahead * ahead;
                let root = self.n[i][j].sqrt() / correction3.sqrt() + self.eps;
                if self.no_prox {
                    params[i][j] *= 1.0 - self.lr * self.weight_decay;
                }
                params[i][j] -= self.lr / correction1 * self.m[i][j] / root;
                params[i][j] -= self.lr * self.beta2 / correction2 * self.d[i][j] / root;
                if !self.no_prox {
                    params[i][j] /= 1.0 + self.lr * self.weight_decay;
                }
                self.previous[i][j] = g;
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, beta1, beta2, beta3, eps, weight_decay, no_prox)
    }
}
