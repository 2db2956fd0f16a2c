//! Schedule-Free AdamW: gradients at y, evaluation at the average x.

use super::{Optimizer, finite, zeros};

/// Schedule-Free AdamW (Defazio et al. 2024, <https://arxiv.org/abs/2405.15682>), storing all three points. The
/// parameters of [`Optimizer::step`] are y; x, y and z start as the initial parameters.
///
/// ```text
/// lr_t   = lr min(1, t / warmup_steps);   lr_max <- max(lr_max, lr_t)
/// w      = t^r lr_max^weight_lr_power;    W <- W + w;    c = w / W
/// z     <- z - lr_t weight_decay y
/// v     <- beta2 v + (1 - beta2) g^2
/// z     <- z - lr_t g / (sqrt(v / (1 - beta2^t)) + eps)
/// x     <- (1 - c) x + c z
/// y      = beta1 x + (1 - beta1) z
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleFree {
    /// Learning rate.
    pub lr: f64,
    /// Weight of x in y.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Decoupled weight decay, applied at y.
    pub weight_decay: f64,
    /// Number of warm-up updates.
    pub warmup_steps: u64,
    /// Power of t in the weights.
    pub r: f64,
    /// Power of the largest learning rate so far in the weights.
    pub weight_lr_power: f64,
    /// State: the number of updates done.
    pub updates: u64,
    /// State: the largest learning rate so far.
    pub lr_max: f64,
    /// State: the sum of the weights.
    pub weights: f64,
    /// State: the averages.
    pub x: Vec<Vec<f64>>,
    /// State: the base iterates.
    pub z: Vec<Vec<f64>>,
    /// State: second moments.
    pub v: Vec<Vec<f64>>,
}

impl Default for ScheduleFree {
    /// The published defaults.
    fn default() -> Self {
        Self {
            lr: 2.5e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            warmup_steps: 0,
            r: 0.0,
            weight_lr_power: 2.0,
            updates: 0,
            lr_max: 0.0,
            weights: 0.0,
            x: Vec::new(),
            z: Vec::new(),
            v: Vec::new(),
        }
    }
}

impl Optimizer for ScheduleFree {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            (self.x, self.z, self.v) = (params.to_vec(), params.to_vec(), zeros(params));
        }
        self.updates += 1;
        let t = self.updates as f64;
        let warm = if self.updates < self.warmup_steps { t / self.warmup_steps as f64 } else { 1.0 };
        let lr = self.lr * warm;
        self.lr_max = self.lr_max.max(lr);
        let weight = t.powf(self.r) * self.lr_max.powf(self.weight_lr_power);
        self.weights += weight;
        let c = if self.weights > 0.0 { weight / self.weights } else { 0.0 };
        let correction = 1.0 - self.beta2.powf(t);
        for i in 0..params.len() {
            for j in 0..params[i].len() {
                let (x, z, v) = (&mut self.x[i][j], &mut self.z[i][j], &mut self.v[i][j]);
                let (y, g) = (params[i][j], grads[i][j]);
                *z -= lr * self.weight_decay * y;
                *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
                *z -= lr * g / ((*v / correction).sqrt() + self.eps);
                *x = (1.0 - c) * *x + c * *z;
                params[i][j] = self.beta1 * *x + (1.0 - self.beta1) * *z;
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "lr" => self.lr = value.parse().ok()?,
            "beta1" => self.beta1 = value.parse().ok()?,
            "beta2" => self.beta2 = value.parse().ok()?,
            "eps" => self.eps = value.parse().ok()?,
            "weight_decay" => self.weight_decay = value.parse().ok()?,
            "warmup_steps" => self.warmup_steps = value.parse().ok()?,
            "r" => self.r = value.parse().ok()?,
            "weight_lr_power" => self.weight_lr_power = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }

    fn evaluation(&self) -> Option<&[Vec<f64>]> {
        (self.updates > 0).then_some(&self.x)
    }

    fn valid(&self) -> bool {
        self.beta1 > 0.0
    }
}
