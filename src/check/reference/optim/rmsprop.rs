//! RMSprop as `torch.optim.RMSprop` (Tieleman, Hinton 2012; centered: Graves 2013).

use super::{Optimizer, finite, settable, zeros};

/// RMSprop. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// g      <- g + weight_decay theta
/// v      <- EMA(v, alpha, g^2);   mean <- EMA(mean, alpha, g)
/// d       = g / (sqrt(v) + eps), centered: g / (sqrt(v - mean^2) + eps)
/// buffer <- momentum buffer + d
/// theta  <- theta - lr buffer, without momentum theta - lr d
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the second moment.
    pub alpha: f64,
    /// Added to the root in the denominator.
    pub eps: f64,
    /// Coupled (L2) weight decay.
    pub weight_decay: f64,
    /// Share of the buffer that is kept; 0 for none.
    pub momentum: f64,
    /// Divide by the deviation from the mean gradient.
    pub centered: bool,
    /// State: updates done.
    pub updates: u64,
    /// State: second moments.
    pub v: Vec<Vec<f64>>,
    /// State: mean gradients.
    pub mean: Vec<Vec<f64>>,
    /// State: momentum buffers.
    pub buffer: Vec<Vec<f64>>,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self {
            lr: 1e-2,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
            updates: 0,
            v: Vec::new(),
            mean: Vec::new(),
            buffer: Vec::new(),
        }
    }
}

impl Optimizer for RmsProp {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.v, self.mean, self.buffer) = (zeros(params), zeros(params), zeros(params));
        }
        self.updates += 1;
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let g = grads[i][j] + self.weight_decay * params[i][j];
                self.v[i][j] = self.alpha * self.v[i][j] + (1.0 - self.alpha) * g * g;
                self.mean[i][j] = self.alpha * self.mean[i][j] + (1.0 - self.alpha) * g;
                let mut second = self.v[i][j];
                if self.centered {
                    second = (second - self.mean[i][j].powi(2)).max(0.0); // of a constant gradient rounding may leave less
                }
                let d = g / (second.sqrt() + self.eps);
                self.buffer[i][j] = self.momentum * self.buffer[i][j] + d;
                params[i][j] -= self.lr * self.buffer[i][j];
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, alpha, eps, weight_decay, momentum, centered)
    }
}
