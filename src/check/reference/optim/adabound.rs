//! AdaBound and AMSBound (Luo, Xiong, Liu, Sun 2019; Luolc/AdaBound).

use super::{Optimizer, finite, settable, zeros};

/// AdaBound. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// g     <- g + weight_decay theta
/// m     <- EMA(m, beta1, g);   v <- EMA(v, beta2, g^2);   v_max <- max(v_max, v)
/// f      = final_lr lr / lr of the first update
/// low    = f (1 - 1 / (gamma t + 1));   high = f (1 + 1 / (gamma t))
/// theta <- theta - clamp(lr sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + eps), low, high) m
/// ```
///
/// with v_max for v with amsbound.
#[derive(Debug, Clone, PartialEq)]
pub struct AdaBound {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// The rate that both bounds close on.
    pub final_lr: f64,
    /// How fast the bounds close.
    pub gamma: f64,
    /// Added to the root in the denominator.
    pub eps: f64,
    /// Coupled (L2) weight decay.
    pub weight_decay: f64,
    /// Divide by the largest second moment so far.
    pub amsbound: bool,
    /// State: updates done.
    pub updates: u64,
    /// State: rate of the first update.
    pub first_lr: f64,
    /// State: first moments.
    pub m: Vec<Vec<f64>>,
    /// State: second moments.
    pub v: Vec<Vec<f64>>,
    /// State: largest second moments.
    pub v_max: Vec<Vec<f64>>,
}

impl Default for AdaBound {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            final_lr: 0.1,
            gamma: 1e-3,
            eps: 1e-8,
            weight_decay: 0.0,
            amsbound: false,
            updates: 0,
            first_lr: 0.0,
            m: Vec::new(),
            v: Vec::new(),
            v_max: Vec::new(),
        }
    }
}

impl Optimizer for AdaBound {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.m, self.v, self.v_max) = (zeros(params), zeros(params), zeros(params));
        }
        self.updates += 1;
        if self.updates == 1 {
            self.first_lr = self.lr;
        }
        let t = self.updates as f64;
        let (correction1, correction2) = (1.0 - self.beta1.powf(t), 1.0 - self.beta2.powf(t));
        let size = self.lr * correction2.sqrt() / correction1;
        let end = self.final_lr * self.lr / self.first_lr;
        let low = end * (1.0 - 1.0 / (self.gamma * t + 1.0));
        let high = end * (1.0 + 1.0 / (self.gamma * t));
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let g = grads[i][j] + self.weight_decay * params[i][j];
                self.m[i][j] = self.beta1 * self.m[i][j] + (1.0 - self.beta1) * g;
                self.v[i][j] = self.beta2 * self.v[i][j] + (1.0 - self.beta2) * g * g;
                self.v_max[i][j] = self.v_max[i][j].max(self.v[i][j]);
                let second = if self.amsbound { self.v_max[i][j] } else { self.v[i][j] };
                params[i][j] -= (size / (second.sqrt() + self.eps)).clamp(low, high) * self.m[i][j];
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, beta1, beta2, final_lr, gamma, eps, weight_decay, amsbound)
    }
}
