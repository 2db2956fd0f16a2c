//! RAdam as `torch.optim.RAdam` (Liu et al. 2020).

use super::{Optimizer, finite, settable, zeros};

/// RAdam. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// g      <- g + weight_decay theta, or decoupled: theta <- theta (1 - lr weight_decay)
/// m      <- EMA(m, beta1, g);   v <- EMA(v, beta2, g^2)
/// rho_inf = 2 / (1 - beta2) - 1;   rho = rho_inf - 2 t beta2^t / (1 - beta2^t)
/// r       = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
/// theta  <- theta - lr r sqrt(1 - beta2^t) m / (1 - beta1^t) / (sqrt(v) + eps)         where rho > 5
/// theta  <- theta - lr m / (1 - beta1^t)                                               else
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RAdam {
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
    /// Decay the parameter itself, not by the gradient.
    pub decoupled_weight_decay: bool,
    /// State: updates done.
    pub updates: u64,
    /// State: first moments.
    pub m: Vec<Vec<f64>>,
    /// State: second moments.
    pub v: Vec<Vec<f64>>,
}

impl Default for RAdam {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled_weight_decay: false,
            updates: 0,
            m: Vec::new(),
            v: Vec::new(),
        }
    }
}

impl Optimizer for RAdam {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.m, self.v) = (zeros(params), zeros(params));
        }
        self.updates += 1;
        let t = self.updates as f64;
        let (correction1, correction2) = (1.0 - self.beta1.powf(t), 1.0 - self.beta2.powf(t));
        let longest = 2.0 / (1.0 - self.beta2) - 1.0;
        let rho = longest - 2.0 * t * self.beta2.powf(t) / correction2;
        let r = ((rho - 4.0) * (rho - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * rho)).sqrt();
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
                let mean = self.m[i][j] / correction1;
                if rho > 5.0 {
                    params[i][j] -= self.lr * r * correction2.sqrt() * mean / (self.v[i][j].sqrt() + self.eps);
                } else {
                    params[i][j] -= self.lr * mean;
                }
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, beta1, beta2, eps, weight_decay, decoupled_weight_decay)
    }
}
