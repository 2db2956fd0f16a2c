//! AMVT (the AMVT paper, Algorithm 1 with the corrected mean of its step 7).

use super::{Optimizer, finite, settable, zeros};

/// Whether the rate multiplies AMVT's decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmvtDecay {
    /// No, as printed.
    Literal,
    /// Yes.
    Decoupled,
}

impl std::str::FromStr for AmvtDecay {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "literal" => Ok(Self::Literal),
            "decoupled" => Ok(Self::Decoupled),
            _ => Err(()),
        }
    }
}

/// Where AMVT adds eps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpsMode {
    /// Under the root.
    Inside,
    /// To the root.
    Outside,
}

impl std::str::FromStr for EpsMode {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "inside" => Ok(Self::Inside),
            "outside" => Ok(Self::Outside),
            _ => Err(()),
        }
    }
}

/// AMVT. With `EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`:
///
/// ```text
/// g     <- g clip / ||g|| where ||g|| > clip                  over all tensors; clip = 0 for no limit
/// m     <- EMA(m, beta1, g);   v <- EMA(v, beta2, g^2);   s <- EMA(s, beta3, (g - m)^2)
/// mh     = m / (1 - beta1^t), or m without bias_corrected
/// vh     = v / (1 - beta2^t);   sh = s / (1 - beta3^t)
/// a      = lr (1 + sh / (vh + eps))^(-1/2) / sqrt(vh + eps), eps outside: / (sqrt(vh) + eps)
/// theta <- theta - a mh - weight_decay theta, decoupled: - lr weight_decay theta
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Amvt {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Decay of the variance.
    pub beta3: f64,
    /// Added to the root in the denominator.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Whether the rate multiplies the decay.
    pub wd_mode: AmvtDecay,
    /// Where eps is added.
    pub eps_mode: EpsMode,
    /// Whether the step takes the corrected mean.
    pub bias_corrected: bool,
    /// Largest norm of the gradient; 0 for no limit.
    pub clip: f64,
    /// State: updates done.
    pub updates: u64,
    /// State: first moments.
    pub m: Vec<Vec<f64>>,
    /// State: second moments.
    pub v: Vec<Vec<f64>>,
    /// State: variances.
    pub s: Vec<Vec<f64>>,
}

impl Default for Amvt {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            beta3: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            wd_mode: AmvtDecay::Literal,
            eps_mode: EpsMode::Inside,
            bias_corrected: true,
            clip: 0.0,
            updates: 0,
            m: Vec::new(),
            v: Vec::new(),
            s: Vec::new(),
        }
    }
}

impl Optimizer for Amvt {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.m, self.v, self.s) = (zeros(params), zeros(params), zeros(params));
        }
        self.updates += 1;
        let t = self.updates as f64;
        let (correction1, correction2) = (1.0 - self.beta1.powf(t), 1.0 - self.beta2.powf(t));
        let correction3 = 1.0 - self.beta3.powf(t);
        let norm = grads.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
        let scale = if self.clip > 0.0 && norm > self.clip { self.clip / norm } else { 1.0 };
        let decay = match self.wd_mode {
            AmvtDecay::Literal => self.weight_decay,
            AmvtDecay::Decoupled => self.lr * self.weight_decay,
        };
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let g = scale * grads[i][j];
                self.m[i][j] = self.beta1 * self.m[i][j] + (1.0 - self.beta1) * g;
                self.v[i][j] = self.beta2 * self.v[i][j] + (1.0 - self.beta2) * g * g;
                let distance = g - self.m[i][j];
                self.s[i][j] = self.beta3 * self.s[i][j] + (1.0 - self.beta3) * distance * distance;
                let mean = if self.bias_corrected { self.m[i][j] / correction1 } else { self.m[i][j] };
                let (v, s) = (self.v[i][j] / correction2, self.s[i][j] / correction3);
                let root = match self.eps_mode {
                    EpsMode::Inside => (v + self.eps).sqrt(),
                    EpsMode::Outside => v.sqrt() + self.eps,
                };
                let a = self.lr * (1.0 + s / (v + self.eps)).powf(-0.5) / root;
                params[i][j] = params[i][j] - a * mean - decay * params[i][j];
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        settable!(self, key, value, lr, beta1, beta2, beta3, eps, weight_decay, wd_mode, eps_mode, bias_corrected, clip)
    }
}
