//! Whether a rule from outside leaves alone what has no gradient.

use super::Optimizer;
use crate::error::{Error, Result};

/// A rule from outside the program under some of its settings.
pub struct Trial {
    /// The file that the rule is from.
    pub rule: String,
    /// Which settings these are, for an error to say.
    pub settings: &'static str,
    /// The rule.
    pub optimizer: Box<dyn Optimizer>,
}

/// The parameters of a trial, which never have a gradient: 0, as the padding of tensors is, has to stay 0, and 1 a number.
pub(super) const PARAMS: [f32; 2] = [0.0, 1.0];

/// What is run: updates at the rate of the settings, and then at a rate of 0, with which schedules end.
pub(super) const STAGES: [(Option<f64>, usize); 2] = [(None, 8), (Some(0.0), 2)];

/// Judges what has become of tensors of [`PARAMS`] after a stage of this rate.
///
/// # Errors
/// [`Error::Config`], naming the `rule`, its `settings` and what became of a parameter.
pub(super) fn judge(rule: &str, settings: &str, rate: Option<f64>, found: &[Vec<f32>]) -> Result<()> {
    let moved = found[0].iter().find(|p| **p != 0.0).map(|p| (0, p));
    let lost = found[1].iter().find(|p| !p.is_finite()).map(|p| (1, p));
    let Some((from, to)) = moved.or(lost) else { return Ok(()) };
    let at = if rate.is_some() { " and a rate of 0" } else { "" };
    let message = format!("{rule}: {settings}{at}, a parameter of {from} without a gradient becomes {to}");
    let hint = match from {
        0 => "tensors are padded with zeros, which have to stay: an eps in the denominator keeps 0/0 away",
        _ => "weights without a gradient are common: an eps in the denominator keeps 0/0 away",
    };
    Err(Error::config(message, hint))
}
