//! Lookahead around another optimizer (Zhang, Lucas, Hinton, Ba 2019, <https://arxiv.org/abs/1907.08610>).

use super::{Optimizer, finite};

/// Lookahead. It does this after every k updates of the inner optimizer:
///
/// ```text
/// slow  <- slow + alpha (theta - slow)
/// theta <- slow
/// ```
///
/// slow starts as the initial parameters. The state of the inner optimizer does not change.
pub struct Lookahead {
    inner: Box<dyn Optimizer>,
    k: u64,
    alpha: f64,
    updates: u64,
    slow: Vec<Vec<f64>>,
}

impl Lookahead {
    /// Wraps `inner`; k is at least 1.
    pub fn new(inner: Box<dyn Optimizer>, k: u64, alpha: f64) -> Self {
        Self { inner, k, alpha, updates: 0, slow: Vec::new() }
    }
}

impl Optimizer for Lookahead {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.updates == 0 {
            self.slow = params.to_vec();
        }
        self.updates += 1;
        self.inner.step(params, grads, loss);
        if self.updates.is_multiple_of(self.k) {
            for (slow, theta) in self.slow.iter_mut().flatten().zip(params.iter_mut().flatten()) {
                *slow += self.alpha * (*theta - *slow);
                *theta = *slow;
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        self.inner.set(key, value)
    }

    fn shapes(&mut self, dims: &[Vec<usize>]) {
        self.inner.shapes(dims);
    }

    fn undecided(&self, tensor: usize, element: usize) -> bool {
        self.inner.undecided(tensor, element)
    }
}
