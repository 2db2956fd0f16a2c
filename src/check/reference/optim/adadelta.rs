//! Adadelta as `torch.optim.Adadelta` (Zeiler 2012).

use super::{Optimizer, finite, settable, zeros};

/// Adadelta. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// g     <- g + weight_decay theta
/// v     <- EMA(v, rho, g^2)
/// d      = sqrt(u + eps) / sqrt(v + eps) g
/// u     <- EMA(u, rho, d^2)
/// theta <- theta - lr d
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Adadelta {
    /// Learning rate.
    pub lr: f64,
    /// Decay of both averages.
    pub rho: f64,
    /// Added to the root in the denominator.
    pub eps: f64,
    /// Coupled (L2) weight decay.
    pub weight_decay: f64,
    /// State: updates done.
    pub updates: u64,
    /// State: second moments.
    pub v: Vec<Vec<f64>>,
    /// State: mean squared steps.
    pub u: Vec<Vec<f64>>,
}

impl Default for Adadelta {
    fn default() -> Self {
        Self { lr: 1.0, rho: 0.9, eps: 1e-6, weight_decay: 0.0, updates: 0, v: Vec::new(), u: Vec::new() }
    }
}

impl Optimizer for Adadelta {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.v, self.u) = (zeros(params), zeros(params));
        }
        self.updates += 1;
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let g = grads[i][j] + self.weight_decay * params[i][j];
                self.v[i][j] = self.rho * self.v[i][j] + (1.0 - self.rho) * g * g;
                let d = (self.u[i][j] + self.eps).sqrt() / (self.v[i][j] + self.eps).sqrt() * g;
                self.u[i][j] = self.rho * self.u[i][j] + (1.0 - self.rho) * d * d;
                params[i][j] -= self.lr * d;
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, rho, eps, weight_decay)
    }
}
