//! NAdam as `torch.optim.NAdam` (Dozat 2016).

use super::{Optimizer, finite, settable, zeros};

/// NAdam. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// g     <- g + weight_decay theta, or decoupled: theta <- theta (1 - lr weight_decay)
/// mu_t   = beta1 (1 - 0.5 0.96^(t momentum_decay));   P <- P mu_t, from 1
/// m     <- EMA(m, beta1, g);   v <- EMA(v, beta2, g^2)
/// d      = sqrt(v / (1 - beta2^t)) + eps
/// theta <- theta - lr (1 - mu_t) / (1 - P) g / d - lr mu_(t+1) / (1 - P mu_(t+1)) m / d
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NAdam {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root in the denominator.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// How fast the momentum rises to beta1.
    pub momentum_decay: f64,
    /// Decay the parameter itself, not by the gradient.
    pub decoupled_weight_decay: bool,
    /// State: updates done.
    pub updates: u64,
    /// State: product P of all mu.
    pub product: f64,
    /// State: first moments.
    pub m: Vec<Vec<f64>>,
    /// State: second moments.
    pub v: Vec<Vec<f64>>,
}

impl Default for NAdam {
    fn default() -> Self {
        Self {
            lr: 2e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum_decay: 4e-3,
            decoupled_weight_decay: false,
            updates: 0,
            product: 1.0,
            m: Vec::new(),
            v: Vec::new(),
        }
    }
}

impl Optimizer for NAdam {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.m, self.v) = (zeros(params), zeros(params));
        }
        self.updates += 1;
        let t = self.updates as f64;
        let mu = |t: f64| self.beta1 * (1.0 - 0.5 * 0.96_f64.powf(t * self.momentum_decay));
        let (now, next) = (mu(t), mu(t + 1.0));
        self.product *= now;
        let correction2 = 1.0 - self.beta2.powf(t);
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let mut g = grads[i][j];
                if self.decoupled_weight_decay {
                    params[i][j] *= 1.0 - self.lr * self.weight_decay;
                } else {
                    g += self.weight_decay * params[i][j];
                }
                self.m[i][j] = self.beta1 * self.m[i][j] + (1.0 - self.beta1) * g;
                self.v[i][j] = self.beta2 * self.v[i][j] + (1.0 - self.beta2) * g * g;
                let root = (self.v[i][j] / correction2).sqrt() + self.eps;
                params[i][j] -= self.lr * (1.0 - now) / (1.0 - self.product) * g / root;
                params[i][j] -= self.lr * next / (1.0 - self.product * next) * self.m[i][j] / root;
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, beta1, beta2, eps, weight_decay, momentum_decay, decoupled_weight_decay)
    }
}
