//! VeloGrad: Adam whose gradient scale, rate and decay depend on the gradient's norm and direction and on the loss.

use super::{Optimizer, finite, zeros};

/// Over which tensors norms and similarity are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Each tensor by itself, as in the published program.
    Tensor,
    /// All tensors together, as in the paper.
    Global,
}

/// The norm that lowers the weight decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecayNorm {
    /// The norm of the direction u, as in the published program.
    Direction,
    /// The norm of the applied change `a (1 + sim_coef sim) u`, as in the paper.
    Delta,
}

/// VeloGrad, as in its paper and its published program. `cap(x)` stands for `1 / max(1, x + eps)`, and
/// `b <- EMA(b, beta, x)` for `b <- beta b + (1 - beta) x`. Once per update:
///
/// ```text
/// l <- EMA(l, beta2, loss)
/// ```
///
/// For every tensor, with t = 1 in the first update:
///
/// ```text
/// n      = ||g||
/// sim    = 0 at t = 1, else <g, previous g> / (n ||previous g|| + eps)
/// s      = 1 + 0.5 (1 - n) where n <= 1, else 1 / n                                use_select, else 1
/// m <- EMA(m, beta1, s g);   v <- EMA(v, beta2, (s g)^2)
/// u      = (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
/// a      = lr cap(l) cap(n)                                        use_loss, use_norm, else 1 for each cap
/// theta <- theta - a (1 + sim_coef sim) u                                             use_sim, else a u
/// decay  = weight_decay cap(l) cap(||u||)                     use_adaptive_decay, else weight_decay alone
/// theta <- theta (1 - a decay)
/// every lookahead_k updates:                                                               use_lookahead
///   slow  <- slow + alpha_slow (theta - slow)
///   theta <- (1 - alpha_interp) theta + alpha_interp slow
/// ```
///
/// slow starts as theta before the first update.
#[derive(Debug, Clone, PartialEq)]
pub struct VeloGrad {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment and of the loss average.
    pub beta2: f64,
    /// Added to denominators.
    pub eps: f64,
    /// Weight decay before it is adapted. It is multiplied by the learning rate a.
    pub weight_decay: f64,
    /// Updates between two interpolations with the slow weights; at least 1.
    pub lookahead_k: u64,
    /// How far the slow weights move towards the weights.
    pub alpha_slow: f64,
    /// How far the weights move towards the slow weights.
    pub alpha_interp: f64,
    /// How much the similarity of successive gradients changes the step.
    pub sim_coef: f64,
    /// Over which tensors norms and similarity are taken.
    pub scope: Scope,
    /// The norm that lowers the weight decay.
    pub decay_norm: DecayNorm,
    /// Whether to scale the gradient by its norm.
    pub use_select: bool,
    /// Whether to lower the learning rate while the average loss is above 1.
    pub use_loss: bool,
    /// Whether to lower the learning rate while the gradient's norm is above 1.
    pub use_norm: bool,
    /// Whether the similarity changes the step.
    pub use_sim: bool,
    /// Whether to lower the weight decay while the average loss or the norm of `decay_norm` is above 1.
    pub use_adaptive_decay: bool,
    /// Whether to interpolate with slow weights.
    pub use_lookahead: bool,
    /// State: the number of updates done.
    pub updates: u64,
    /// State: average loss l.
    pub loss_average: f64,
    /// State: first moments.
    pub m: Vec<Vec<f64>>,
    /// State: second moments.
    pub v: Vec<Vec<f64>>,
    /// State: gradients of the last update.
    pub previous: Vec<Vec<f64>>,
    /// State: slow weights.
    pub slow: Vec<Vec<f64>>,
    /// Cosine similarity of the last two gradients, for each tensor.
    pub similarity: Vec<f64>,
}

impl Default for VeloGrad {
    /// The published program's hyperparameters; those of the paper differ in `scope` and `decay_norm`.
    fn default() -> Self {
        Self {
            lr: 1.5e-3,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 1e-4,
            lookahead_k: 5,
            alpha_slow: 0.5,
            alpha_interp: 0.2,
            sim_coef: 0.1,
            scope: Scope::Tensor,
            decay_norm: DecayNorm::Direction,
            use_select: true,
            use_loss: true,
            use_norm: true,
            use_sim: true,
            use_adaptive_decay: true,
            use_lookahead: true,
            updates: 0,
            loss_average: 0.0,
            m: Vec::new(),
            v: Vec::new(),
            previous: Vec::new(),
            slow: Vec::new(),
            similarity: Vec::new(),
        }
    }
}

impl VeloGrad {
    fn cap(&self, x: f64) -> f64 {
        1.0 / (x + self.eps).max(1.0)
    }

    /// The dot product of `a` and `b` for every tensor; with global scope, that over all tensors, once for each tensor.
    fn dots(&self, a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<f64> {
        let mut dots = vec![0.0; a.len()];
        for i in 0..a.len() {
            for j in 0..a[i].len() {
                dots[i] += a[i][j] * b[i][j];
            }
        }
        if self.scope == Scope::Global { vec![dots.iter().sum(); a.len()] } else { dots }
    }
}

impl Optimizer for VeloGrad {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.m, self.v, self.previous) = (zeros(params), zeros(params), zeros(params));
            self.slow = params.to_vec();
        }
        self.updates += 1;
        let correction1 = 1.0 - self.beta1.powf(self.updates as f64);
        let correction2 = 1.0 - self.beta2.powf(self.updates as f64);
        self.loss_average = self.beta2 * self.loss_average + (1.0 - self.beta2) * loss;
        let loss_cap = self.cap(self.loss_average);

        let norm_squares = self.dots(grads, grads);
        let previous_squares = self.dots(&self.previous, &self.previous);
        let products = self.dots(grads, &self.previous);
        let (mut rate, mut u, mut delta) = (vec![0.0; params.len()], zeros(params), zeros(params));
        self.similarity = vec![0.0; params.len()];
        for i in 0..params.len() {
            let norm = norm_squares[i].sqrt();
            if self.updates > 1 {
                let sim = products[i] / (norm * previous_squares[i].sqrt() + self.eps);
                self.similarity[i] = sim.clamp(-1.0, 1.0);
            }
            let mut scale = 1.0;
            if self.use_select {
                scale = if norm <= 1.0 { 1.0 + 0.5 * (1.0 - norm) } else { 1.0 / norm };
            }
            rate[i] = self.lr;
            if self.use_loss {
                rate[i] *= loss_cap;
            }
            if self.use_norm {
                rate[i] *= self.cap(norm);
            }
            let momentum = if self.use_sim { 1.0 + self.sim_coef * self.similarity[i] } else { 1.0 };
            for j in 0..params[i].len() {
                let g = scale * grads[i][j];
                self.m[i][j] = self.beta1 * self.m[i][j] + (1.0 - self.beta1) * g;
                self.v[i][j] = self.beta2 * self.v[i][j] + (1.0 - self.beta2) * g * g;
                u[i][j] = (self.m[i][j] / correction1) / ((self.v[i][j] / correction2).sqrt() + self.eps);
                delta[i][j] = rate[i] * momentum * u[i][j];
            }
        }

        let update_squares = match self.decay_norm {
            DecayNorm::Direction => self.dots(&u, &u),
            DecayNorm::Delta => self.dots(&delta, &delta),
        };
        for i in 0..params.len() {
            let mut decay = self.weight_decay;
            if self.use_adaptive_decay {
                decay *= loss_cap * self.cap(update_squares[i].sqrt());
            }
            for j in 0..params[i].len() {
                params[i][j] -= delta[i][j];
                params[i][j] *= 1.0 - rate[i] * decay;
                if self.use_lookahead && self.updates.is_multiple_of(self.lookahead_k) {
                    self.slow[i][j] += self.alpha_slow * (params[i][j] - self.slow[i][j]);
                    params[i][j] = (1.0 - self.alpha_interp) * params[i][j] + self.alpha_interp * self.slow[i][j];
                }
            }
        }
        self.previous = grads.to_vec();
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match (key, value) {
            ("lr", _) => self.lr = value.parse().ok()?,
            ("beta1", _) => self.beta1 = value.parse().ok()?,
            ("beta2", _) => self.beta2 = value.parse().ok()?,
            ("eps", _) => self.eps = value.parse().ok()?,
            ("weight_decay", _) => self.weight_decay = value.parse().ok()?,
            ("lookahead_k", _) => self.lookahead_k = value.parse().ok()?,
            ("alpha_slow", _) => self.alpha_slow = value.parse().ok()?,
            ("alpha_interp", _) => self.alpha_interp = value.parse().ok()?,
            ("sim_coef", _) => self.sim_coef = value.parse().ok()?,
            ("scope", "tensor") => self.scope = Scope::Tensor,
            ("scope", "global") => self.scope = Scope::Global,
            ("decay_norm", "direction") => self.decay_norm = DecayNorm::Direction,
            ("decay_norm", "delta") => self.decay_norm = DecayNorm::Delta,
            ("use_select", _) => self.use_select = value.parse().ok()?,
            ("use_loss", _) => self.use_loss = value.parse().ok()?,
            ("use_norm", _) => self.use_norm = value.parse().ok()?,
            ("use_sim", _) => self.use_sim = value.parse().ok()?,
            ("use_adaptive_decay", _) => self.use_adaptive_decay = value.parse().ok()?,
            ("use_lookahead", _) => self.use_lookahead = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }

    fn valid(&self) -> bool {
        let shares = [self.alpha_slow, self.alpha_interp];
        self.lookahead_k >= 1 && self.weight_decay >= 0.0 && shares.iter().all(|share| (0.0..=1.0).contains(share))
    }
}
