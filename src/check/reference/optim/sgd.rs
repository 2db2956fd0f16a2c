//! Stochastic gradient descent as `torch.optim.SGD`.

use super::{Optimizer, finite, zeros};

/// SGD with momentum, Nesterov momentum and coupled weight decay:
///
/// ```text
/// d      = g + weight_decay theta
/// buffer = d at the first update, else momentum buffer + (1 - dampening) d      (with momentum only)
/// d      = buffer, or d + momentum buffer with nesterov
/// theta <- theta - lr d
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Share of the buffer that is kept; 0 for none.
    pub momentum: f64,
    /// Share of the gradient that does not enter the buffer; not applied at the first update.
    pub dampening: f64,
    /// Coupled (L2) weight decay.
    pub weight_decay: f64,
    /// Nesterov momentum; needs momentum and no dampening.
    pub nesterov: bool,
    /// Updates done.
    pub updates: u64,
    /// Momentum buffers.
    pub buffer: Vec<Vec<f64>>,
}

impl Default for Sgd {
    /// PyTorch's defaults.
    fn default() -> Self {
        Self {
            lr: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            weight_decay: 0.0,
            nesterov: false,
            updates: 0,
            buffer: Vec::new(),
        }
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            self.buffer = zeros(params);
        }
        self.updates += 1;
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let mut d = grads[i][j] + self.weight_decay * params[i][j];
                if self.momentum != 0.0 {
                    if self.updates == 1 {
                        self.buffer[i][j] = d;
                    } else {
                        self.buffer[i][j] = self.momentum * self.buffer[i][j] + (1.0 - self.dampening) * d;
                    }
                    d = if self.nesterov { d + self.momentum * self.buffer[i][j] } else { self.buffer[i][j] };
                }
                params[i][j] -= self.lr * d;
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "lr" => self.lr = value.parse().ok()?,
            "momentum" => self.momentum = value.parse().ok()?,
            "dampening" => self.dampening = value.parse().ok()?,
            "weight_decay" => self.weight_decay = value.parse().ok()?,
            "nesterov" => self.nesterov = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }

    fn valid(&self) -> bool {
        !self.nesterov || (self.momentum > 0.0 && self.dampening == 0.0)
    }
}
