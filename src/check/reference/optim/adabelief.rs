//! AdaBelief as `adabelief_pytorch` 0.2.1 (Zhuang et al. 2020).

use super::{Optimizer, finite, settable, zeros};

/// What AdaBelief's decay acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeliefDecay {
    /// The parameter, by `lr weight_decay`.
    Decoupled,
    /// The parameter, by `weight_decay`.
    Fixed,
    /// The gradient.
    L2,
}

impl std::str::FromStr for BeliefDecay {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "decoupled" => Ok(Self::Decoupled),
            "fixed" => Ok(Self::Fixed),
            "l2" => Ok(Self::L2),
            _ => Err(()),
        }
    }
}

/// AdaBelief. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// theta <- theta (1 - lr weight_decay), fixed: theta (1 - weight_decay), l2: g <- g + weight_decay theta
/// m     <- EMA(m, beta1, g)
/// s     <- EMA(s, beta2, (g - m)^2) + eps;   s_max <- max(s_max, s)
/// theta <- theta - lr / (1 - beta1^t) m / (sqrt(s) / sqrt(1 - beta2^t) + eps)          s_max for s with amsgrad
/// ```
///
/// With rectify the last line is, with rho and r of RAdam,
///
/// ```text
/// theta <- theta - lr r sqrt(1 - beta2^t) m / (1 - beta1^t) / (sqrt(s) + eps)          where rho >= 5
/// theta <- theta - lr m / (1 - beta1^t)                                                else
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct AdaBelief {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the squared distance from the mean.
    pub beta2: f64,
    /// Added to the root in the denominator.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// What the decay acts on.
    pub wd_mode: BeliefDecay,
    /// RAdam's rectification.
    pub rectify: bool,
    /// Divide by the largest second moment so far; not read with rectify.
    pub amsgrad: bool,
    /// State: updates done.
    pub updates: u64,
    /// State: first moments.
    pub m: Vec<Vec<f64>>,
    /// State: squared distances from the mean.
    pub s: Vec<Vec<f64>>,
    /// State: largest of these.
    pub s_max: Vec<Vec<f64>>,
}

impl Default for AdaBelief {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-16,
            weight_decay: 0.0,
            wd_mode: BeliefDecay::Decoupled,
            rectify: false,
            amsgrad: false,
            updates: 0,
            m: Vec::new(),
            s: Vec::new(),
            s_max: Vec::new(),
        }
    }
}

impl Optimizer for AdaBelief {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.m, self.s, self.s_max) = (zeros(params), zeros(params), zeros(params));
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
                match self.wd_mode {
                    BeliefDecay::Decoupled => params[i][j] *= 1.0 - self.lr * self.weight_decay,
                    BeliefDecay::Fixed => params[i][j] *= 1.0 - self.weight_decay,
                    BeliefDecay::L2 => g += self.weight_decay * params[i][j],
                }
                self.m[i][j] = self.beta1 * self.m[i][j] + (1.0 - self.beta1) * g;
                let distance = g - self.m[i][j];
                self.s[i][j] = self.beta2 * self.s[i][j] + (1.0 - self.beta2) * distance * distance + self.eps;
                self.s_max[i][j] = self.s_max[i][j].max(self.s[i][j]);
                let mean = self.m[i][j] / correction1;
                params[i][j] -= if !self.rectify {
                    let second = if self.amsgrad { self.s_max[i][j] } else { self.s[i][j] };
                    self.lr * mean / (second.sqrt() / correction2.sqrt() + self.eps)
                } else if rho >= 5.0 {
                    self.lr * r * correction2.sqrt() * mean / (self.s[i][j].sqrt() + self.eps)
                } else {
                    self.lr * mean
                };
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, beta1, beta2, eps, weight_decay, wd_mode, rectify, amsgrad)
    }
}
