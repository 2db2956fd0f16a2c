//! Adagrad as `torch.optim.Adagrad` (Duchi, Hazan, Singer 2011).

use super::{Optimizer, finite, settable, zeros};

/// Adagrad:
///
/// ```text
/// g     <- g + weight_decay theta
/// sum   <- sum + g^2, from initial_accumulator_value
/// theta <- theta - lr / (1 + (t - 1) lr_decay) g / (sqrt(sum) + eps)
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Adagrad {
    /// Learning rate.
    pub lr: f64,
    /// How fast the rate falls.
    pub lr_decay: f64,
    /// Coupled (L2) weight decay.
    pub weight_decay: f64,
    /// What the sums start from.
    pub initial_accumulator_value: f64,
    /// Added to the root in the denominator.
    pub eps: f64,
    /// State: updates done.
    pub updates: u64,
    /// State: sums of squared gradients.
    pub sum: Vec<Vec<f64>>,
}

impl Default for Adagrad {
    fn default() -> Self {
        Self {
            lr: 1e-2,
            lr_decay: 0.0,
            weight_decay: 0.0,
            initial_accumulator_value: 0.0,
            eps: 1e-10,
            updates: 0,
            sum: Vec::new(),
        }
    }
}

impl Optimizer for Adagrad {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            self.sum = zeros(params);
        }
        self.updates += 1;
        let rate = self.lr / (1.0 + (self.updates - 1) as f64 * self.lr_decay);
        let first = self.updates == 1;
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let g = grads[i][j] + self.weight_decay * params[i][j];
                if first {
                    self.sum[i][j] = self.initial_accumulator_value;
                }
                self.sum[i][j] += g * g;
                params[i][j] -= rate * g / (self.sum[i][j].sqrt() + self.eps);
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, lr_decay, weight_decay, initial_accumulator_value, eps)
    }
}
