//! VRAdam (arXiv 2505.13196, Algorithm 1; pranavjv/vradam).

use super::{Optimizer, finite, settable, zeros};

/// Whose norm lowers the rate of VRAdam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormOf {
    /// Of the first moment, not corrected.
    Velocity,
    /// Of the gradient.
    Grad,
}

impl std::str::FromStr for NormOf {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "velocity" => Ok(Self::Velocity),
            "grad" => Ok(Self::Grad),
            _ => Err(()),
        }
    }
}

/// VRAdam. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// m     <- EMA(m, beta1, g);   v <- EMA(v, beta2, g^2)
/// eta    = lr / (1 + min(beta3 ||m||^2, alpha1))              over all tensors; norm_of grad: ||g||^2
/// theta <- theta (1 - eta weight_decay)
/// theta <- theta - eta m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct VrAdam {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// How much the norm lowers the rate.
    pub beta3: f64,
    /// The most that it does.
    pub alpha1: f64,
    /// Added to the root in the denominator.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// What the norm is of.
    pub norm_of: NormOf,
    /// State: updates done.
    pub updates: u64,
    /// State: first moments.
    pub m: Vec<Vec<f64>>,
    /// State: second moments.
    pub v: Vec<Vec<f64>>,
}

impl Default for VrAdam {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            beta3: 1.0,
            alpha1: 10.0,
            eps: 1e-8,
            weight_decay: 1e-5,
            norm_of: NormOf::Velocity,
            updates: 0,
            m: Vec::new(),
            v: Vec::new(),
        }
    }
}

impl Optimizer for VrAdam {
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
        for (i, grads) in grads.iter().enumerate() {
            for (j, &g) in grads.iter().enumerate() {
                self.m[i][j] = self.beta1 * self.m[i][j] + (1.0 - self.beta1) * g;
                self.v[i][j] = self.beta2 * self.v[i][j] + (1.0 - self.beta2) * g * g;
            }
        }
        let of: &[Vec<f64>] = if self.norm_of == NormOf::Velocity { &self.m } else { grads };
        let square: f64 = of.iter().flatten().map(|x| x * x).sum();
        let eta = self.lr / (1.0 + (self.beta3 * square).min(self.alpha1));
        for (i, tensor) in params.iter_mut().enumerate() {
            for (j, theta) in tensor.iter_mut().enumerate() {
                *theta *= 1.0 - eta * self.weight_decay;
                *theta -= eta * (self.m[i][j] / correction1) / ((self.v[i][j] / correction2).sqrt() + self.eps);
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, beta1, beta2, beta3, alpha1, eps, weight_decay, norm_of)
    }
}
