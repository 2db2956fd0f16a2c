//! LaProp (Ziyin, Wang, Ueda 2020; Z-T-WANG/LaProp-Optimizer).

use super::{Optimizer, finite, settable, zeros};

/// LaProp. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// v     <- EMA(v, beta2, g^2);   z = g / (sqrt(v / (1 - beta2^t)) + eps)
/// theta <- theta (1 - lr weight_decay)
/// u     <- EMA(u, beta1, z)
/// theta <- theta - lr / (1 - beta1^t) u
/// ```
///
/// The authors' code (official) has the rate in the average and decays after the step, without the rate:
///
/// ```text
/// q     <- EMA(q, beta1, lr);   u <- EMA(u, beta1, lr z)
/// theta <- theta - u lr / q, at lr = 0 theta - u
/// theta <- theta - weight_decay theta
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LaProp {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the momentum of normalized gradients.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root in the denominator.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// The authors' code.
    pub official: bool,
    /// State: updates done.
    pub updates: u64,
    /// State: average rate q.
    pub lr_average: f64,
    /// State: second moments.
    pub v: Vec<Vec<f64>>,
    /// State: momentum of normalized gradients.
    pub u: Vec<Vec<f64>>,
}

impl Default for LaProp {
    fn default() -> Self {
        Self {
            lr: 4e-4,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-15,
            weight_decay: 0.0,
            official: false,
            updates: 0,
            lr_average: 0.0,
            v: Vec::new(),
            u: Vec::new(),
        }
    }
}

impl Optimizer for LaProp {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.v, self.u) = (zeros(params), zeros(params));
        }
        self.updates += 1;
        let t = self.updates as f64;
        let (correction1, correction2) = (1.0 - self.beta1.powf(t), 1.0 - self.beta2.powf(t));
        self.lr_average = self.beta1 * self.lr_average + (1.0 - self.beta1) * self.lr;
        let official_correction = if self.lr == 0.0 { 1.0 } else { self.lr_average / self.lr };
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let g = grads[i][j];
                self.v[i][j] = self.beta2 * self.v[i][j] + (1.0 - self.beta2) * g * g;
                let z = g / ((self.v[i][j] / correction2).sqrt() + self.eps);
                if self.official {
                    self.u[i][j] = self.beta1 * self.u[i][j] + (1.0 - self.beta1) * self.lr * z;
                    params[i][j] -= self.u[i][j] / official_correction;
                    params[i][j] -= self.weight_decay * params[i][j];
                } else {
                    params[i][j] *= 1.0 - self.lr * self.weight_decay;
                    self.u[i][j] = self.beta1 * self.u[i][j] + (1.0 - self.beta1) * z;
                    params[i][j] -= self.lr / correction1 * self.u[i][j];
                }
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, beta1, beta2, eps, weight_decay, official)
    }
}
