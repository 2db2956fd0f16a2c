//! Weight decay that leaves some tensors out.

use super::{Optimizer, finite};

/// Two copies of one rule, one with weight decay and one without. Each tensor takes its parameters from one of them.
/// This works because no rule lets the parameters of one tensor influence another.
pub struct NoDecay {
    with: Box<dyn Optimizer>,
    without: Box<dyn Optimizer>,
    left_out: Vec<usize>,
    /// The parameters of each copy, both those that are used and those that are not.
    params: [Vec<Vec<f64>>; 2],
    evaluation: Option<Vec<Vec<f64>>>,
}

impl NoDecay {
    /// `with` and `without` are the same rule with its weight decay and with none; `left_out` are the indices of the
    /// tensors that weight decay leaves out.
    pub fn new(with: Box<dyn Optimizer>, without: Box<dyn Optimizer>, left_out: &[usize]) -> Self {
        Self { with, without, left_out: left_out.to_vec(), params: [vec![], vec![]], evaluation: None }
    }

    fn of(&self, tensor: usize) -> &dyn Optimizer {
        if self.left_out.contains(&tensor) { self.without.as_ref() } else { self.with.as_ref() }
    }
}

impl Optimizer for NoDecay {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        if self.params[0].is_empty() {
            self.params = [params.to_vec(), params.to_vec()];
        }
        self.with.step(&mut self.params[0], grads, loss);
        self.without.step(&mut self.params[1], grads, loss);
        for (i, tensor) in params.iter_mut().enumerate() {
            tensor.clone_from(&self.params[usize::from(self.left_out.contains(&i))][i]);
        }
        let evaluated = |i: usize| Some(self.of(i).evaluation()?[i].clone());
        self.evaluation = (0..params.len()).map(evaluated).collect();
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        self.with.set(key, value)?;
        self.without.set(key, value)
    }

    fn shapes(&mut self, dims: &[Vec<usize>]) {
        self.with.shapes(dims);
        self.without.shapes(dims);
    }

    fn evaluation(&self) -> Option<&[Vec<f64>]> {
        self.evaluation.as_deref()
    }

    fn undecided(&self, tensor: usize, element: usize) -> bool {
        self.of(tensor).undecided(tensor, element)
    }
}
