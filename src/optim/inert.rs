//! Whether a rule from outside leaves alone what has no gradient.

use super::{Optimizer, Stepper};
use crate::{
    device::Gpu,
    error::{Error, Result},
};

/// Updates at the rate of the settings, and then at a rate of 0, with which schedules end.
const UPDATES: [usize; 2] = [8, 2];

/// Runs the rule on the device over parameters that never have a gradient: 0, as the padding of tensors is, has to stay 0, and 1 a number.
///
/// # Errors
/// [`Error::Config`], naming the `rule` and what became of the parameter; [`Error::Device`] on a fault.
pub(super) fn check(gpu: &Gpu, rule: &str, settings: &str, optimizer: Box<dyn Optimizer>) -> Result<()> {
    let start = [vec![0.0; 4], vec![1.0; 4]];
    let none = [vec![0.0; 4], vec![0.0; 4]];
    let mut stepper = Stepper::untried(gpu, optimizer, &start)?;
    let mut rates = [None, Some(0.0)].into_iter().zip(UPDATES);
    rates.try_for_each(|(rate, updates)| {
        if let Some(rate) = rate {
            stepper.set_lr(rate);
        }
        for _ in 0..updates {
            stepper.step(&none, 1.0)?;
        }
        let found = stepper.params()?;
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
    })
}
