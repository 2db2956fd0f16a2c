//! Lion (Chen et al. 2023; google/automl).

use super::{Optimizer, finite, settable, zeros};

/// Lion. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// theta <- theta (1 - lr weight_decay)
/// theta <- theta - lr sign(beta1 m + (1 - beta1) g)
/// m     <- EMA(m, beta2, g)
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Lion {
    /// Learning rate.
    pub lr: f64,
    /// Share of the momentum in the direction.
    pub beta1: f64,
    /// Decay of the momentum.
    pub beta2: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// State: updates done.
    pub updates: u64,
    /// State: momentum.
    pub m: Vec<Vec<f64>>,
    /// State: 1 where the sign once hung on the rounding of an f32, else 0.
    pub undecided: Vec<Vec<f64>>,
}

impl Default for Lion {
    fn default() -> Self {
        Self { lr: 1e-4, beta1: 0.9, beta2: 0.99, weight_decay: 0.0, updates: 0, m: Vec::new(), undecided: Vec::new() }
    }
}

impl Optimizer for Lion {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.m, self.undecided) = (zeros(params), zeros(params));
        }
        self.updates += 1;
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let (momentum, gradient) = (self.beta1 * self.m[i][j], (1.0 - self.beta1) * grads[i][j]);
                let direction = momentum + gradient;
                if direction.abs() < 1e-6 * momentum.abs().max(gradient.abs()) {
                    self.undecided[i][j] = 1.0;
                }
                params[i][j] *= 1.0 - self.lr * self.weight_decay;
                if direction != 0.0 {
                    params[i][j] -= self.lr * direction.signum();
                }
                self.m[i][j] = self.beta2 * self.m[i][j] + (1.0 - self.beta2) * grads[i][j];
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, beta1, beta2, weight_decay)
    }

    fn undecided(&self, tensor: usize, element: usize) -> bool {
        self.undecided[tensor][element] != 0.0
    }
}
