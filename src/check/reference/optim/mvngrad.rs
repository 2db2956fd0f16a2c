//! MVN-Grad (Patitucci, Mokhtari 2026, arXiv 2602.10204).

use super::{Optimizer, finite, settable, zeros};

/// What MVN-Grad's decay acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MvnDecay {
    /// The parameter, by `lr weight_decay`.
    Decoupled,
    /// The gradient.
    L2,
}

impl std::str::FromStr for MvnDecay {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "decoupled" => Ok(Self::Decoupled),
            "l2" => Ok(Self::L2),
            _ => Err(()),
        }
    }
}

/// MVN-Grad. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// theta <- theta (1 - lr weight_decay), l2: g <- g + weight_decay theta
/// m     <- EMA(m, beta1, g);   v <- EMA(v, beta2, (g - m)^2) + eps_s
/// z      = g / (sqrt(v / (1 - beta2^t)) + eps);   u <- EMA(u, beta1, z)
/// theta <- theta - lr / (1 - beta1^t) u
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MvnGrad {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean gradient and of the momentum.
    pub beta1: f64,
    /// Decay of the squared distance from the mean.
    pub beta2: f64,
    /// Added to the root in the denominator.
    pub eps: f64,
    /// Added to the second moment at every update.
    pub eps_s: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// What the decay acts on.
    pub wd_mode: MvnDecay,
    /// State: updates done.
    pub updates: u64,
    /// State: mean gradients.
    pub m: Vec<Vec<f64>>,
    /// State: squared distances from the mean.
    pub v: Vec<Vec<f64>>,
    /// State: momentum of normalized gradients.
    pub u: Vec<Vec<f64>>,
}

impl Default for MvnGrad {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            eps_s: 1e-16,
            weight_decay: 0.0,
            wd_mode: MvnDecay::Decoupled,
            updates: 0,
            m: Vec::new(),
            v: Vec::new(),
            u: Vec::new(),
        }
    }
}

impl Optimizer for MvnGrad {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.m, self.v, self.u) = (zeros(params), zeros(params), zeros(params));
        }
        self.updates += 1;
        let t = self.updates as f64;
        let (correction1, correction2) = (1.0 - self.beta1.powf(t), 1.0 - self.beta2.powf(t));
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let mut g = grads[i][j];
                match self.wd_mode {
                    MvnDecay::Decoupled => params[i][j] *= 1.0 - self.lr * self.weight_decay,
                    MvnDecay::L2 => g += self.weight_decay * params[i][j],
                }
                self.m[i][j] = self.beta1 * self.m[i][j] + (1.0 - self.beta1) * g;
                let distance = g - self.m[i][j];
                self.v[i][j] = self.beta2 * self.v[i][j] + (1.0 - self.beta2) * distance * distance + self.eps_s;
                let z = g / ((self.v[i][j] / correction2).sqrt() + self.eps);
                self.u[i][j] = self.beta1 * self.u[i][j] + (1.0 - self.beta1) * z;
                params[i][j] -= self.lr / correction1 * self.u[i][j];
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, beta1, beta2, eps, eps_s, weight_decay, wd_mode)
    }
}
