//! Optimizers over parameters in f64: the formulas as they are, one element after the other.
//!
//! A gradient or loss that is not finite makes [`Optimizer::step`] do nothing at all: neither parameters nor state nor
//! the count of updates change.

mod element;
mod lookahead;
mod muon;
mod no_decay;
mod rules;
mod schedulefree;
mod velograd;

pub use lookahead::Lookahead;
pub use muon::{Muon, newton_schulz};
pub use no_decay::NoDecay;
pub use schedulefree::ScheduleFree;
pub use velograd::{DecayNorm, Scope, VeloGrad};

use element::ElementWise;

/// An optimizer over a list of tensors. Its state is created at the first step; the tensors must stay the same from
/// then on.
pub trait Optimizer {
    /// One update of `params`, in place, from the gradients and the loss at these parameters.
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64);

    /// Sets one hyperparameter by its name (schedules are replayed by setting `lr` between two steps); `None` if there
    /// is no such name or the value does not parse.
    fn set(&mut self, key: &str, value: &str) -> Option<()>;

    /// Tells the dimensions of the tensors in PyTorch's order, before the first step, for rules that treat matrices
    /// differently.
    fn shapes(&mut self, dims: &[Vec<usize>]) {
        let _ = dims;
    }

    /// The parameters to evaluate with, if they are not those that `step` changes.
    fn evaluation(&self) -> Option<&[Vec<f64>]> {
        None
    }

    /// Whether the hyperparameters fit together.
    fn valid(&self) -> bool {
        true
    }

    /// Whether this element ever took a branch that rounding in f32 may decide otherwise.
    fn undecided(&self, _tensor: usize, _element: usize) -> bool {
        false
    }
}

/// The optimizer of this name with its defaults, changed by the settings; `None` if a name is unknown, a value does not
/// parse or the settings do not fit together.
pub fn build(name: &str, settings: &[(String, String)]) -> Option<Box<dyn Optimizer>> {
    let mut optimizer: Box<dyn Optimizer> = match name {
        "muon" => Box::new(Muon::default()),
        "schedulefree" => Box::new(ScheduleFree::default()),
        "velograd" => Box::new(VeloGrad::default()),
        _ => Box::new(ElementWise::new(rules::ALL.iter().find(|row| row.name == name)?)),
    };
    for (key, value) in settings {
        optimizer.set(key, value)?;
    }
    optimizer.valid().then_some(optimizer)
}

/// Whether the loss and every gradient are finite. Also checks that the shapes agree.
fn finite(params: &[Vec<f64>], grads: &[Vec<f64>], loss: f64) -> bool {
    assert_eq!(params.len(), grads.len(), "reference: as many gradients as parameters");
    for i in 0..params.len() {
        super::expect_len("gradient", grads[i].len(), params[i].len());
    }
    loss.is_finite() && grads.iter().flatten().all(|g| g.is_finite())
}

/// Zeros in the shapes of `params`.
fn zeros(params: &[Vec<f64>]) -> Vec<Vec<f64>> {
    params.iter().map(|tensor| vec![0.0; tensor.len()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn build_refuses_what_it_does_not_know() {
        assert!(build("velograd", &settings(&[("lr", "0.1"), ("scope", "global"), ("use_sim", "false")])).is_some());
        assert!(build("velogrod", &[]).is_none());
        assert!(build("velograd", &settings(&[("momentum", "0.9")])).is_none());
        assert!(build("velograd", &settings(&[("use_sim", "maybe")])).is_none());
        assert!(build("velograd", &settings(&[("lookahead_k", "0")])).is_none());
        assert!(build("sgd", &settings(&[("nesterov", "true")])).is_none());
    }

    /// Three steps, with a skipped one in between, give the same result as three steps without it.
    #[test]
    fn a_step_that_is_not_finite_does_nothing() {
        for (name, momentum) in [("sgd", settings(&[("momentum", "0.9")])), ("velograd", vec![])] {
            for (bad_gradient, bad_loss) in [(f64::NAN, 1.0), (f64::INFINITY, 1.0), (0.5, f64::NAN)] {
                let (mut plain, mut disturbed) = (build(name, &momentum).unwrap(), build(name, &momentum).unwrap());
                let (mut a, mut b) = (vec![vec![1.0, -2.0], vec![0.5]], vec![vec![1.0, -2.0], vec![0.5]]);
                for t in 0..3 {
                    let grads = [vec![0.3, 0.1 * f64::from(t)], vec![-0.2]];
                    disturbed.step(&mut b, &[vec![0.1, 0.1], vec![bad_gradient]], bad_loss);
                    plain.step(&mut a, &grads, 2.0);
                    disturbed.step(&mut b, &grads, 2.0);
                }
                assert_eq!(a, b, "{name}");
            }
        }
    }

    /// With every switch off and no decay VeloGrad is Adam, whose first step has size lr and the gradient's opposite
    /// sign.
    #[test]
    fn velograd_without_switches_starts_like_adam() {
        let mut optimizer = VeloGrad { lr: 0.01, weight_decay: 0.0, ..VeloGrad::default() };
        for switch in ["select", "loss", "norm", "sim", "adaptive_decay", "lookahead"] {
            optimizer.set(&format!("use_{switch}"), "false").unwrap();
        }
        let mut params = [vec![1.0, 1.0, 1.0]];
        optimizer.step(&mut params, &[vec![300.0, -0.2, 0.0]], 5.0);
        for (found, expected) in params[0].iter().zip([0.99, 1.01, 1.0]) {
            assert!((found - expected).abs() < 1e-8, "{found} is not {expected}");
        }
    }

    /// The cosine similarity is 1 for a repeated gradient and -1 for a negated one, whatever its length.
    #[test]
    fn velograd_similarity_of_repeated_and_negated_gradients() {
        let mut optimizer = VeloGrad::default();
        let mut params = [vec![1.0, 2.0]];
        for (gradient, expected) in [([3.0, 4.0], 0.0), ([3.0, 4.0], 1.0), ([-0.3, -0.4], -1.0)] {
            optimizer.step(&mut params, &[gradient.to_vec()], 1.0);
            assert!((optimizer.similarity[0] - expected).abs() < 1e-7, "{} is not {expected}", optimizer.similarity[0]);
        }
    }
}
