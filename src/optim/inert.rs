//! Whether a rule from outside leaves alone what has no gradient.

use super::{Optimizer, Stepper};
use crate::{
    device::Gpu,
    error::{Error, Result},
};

/// Updates at the rate of the settings, and then at a rate of 0, with which schedules end.
const UPDATES: [usize; 2] = [8, 2];

/// A rule from outside the program under some of its settings.
pub struct Trial {
    /// The file that the rule is from.
    pub rule: String,
    /// Which settings these are, for an error to say.
    pub settings: &'static str,
    /// The rule.
    pub optimizer: Box<dyn Optimizer>,
}

/// Tries a rule that came from outside the program on parameters without gradients, which it has to leave alone. A rule of the program
/// is left untried.
///
/// # Errors
/// [`Error::Config`], naming the rule and what became of a parameter; [`Error::Device`] on a fault.
pub async fn try_out(gpu: &Gpu, optimizer: &dyn Optimizer) -> Result<()> {
    for trial in optimizer.trials()? {
        check(gpu, trial).await?;
    }
    Ok(())
}

/// Runs the rule on the device over parameters that never have a gradient: 0, as the padding of tensors is, has to stay 0, and 1 a number.
async fn check(gpu: &Gpu, Trial { rule, settings, optimizer }: Trial) -> Result<()> {
    let start = [vec![0.0; 4], vec![1.0; 4]];
    let none = [vec![0.0; 4], vec![0.0; 4]];
    let mut stepper = Stepper::untried(gpu, optimizer, &start).await?;
    for (rate, updates) in [None, Some(0.0)].into_iter().zip(UPDATES) {
        if let Some(rate) = rate {
            stepper.set_lr(rate);
        }
        for _ in 0..updates {
            stepper.step(&none, 1.0).await?;
        }
        let found = stepper.params().await?;
        let moved = found[0].iter().find(|p| **p != 0.0).map(|p| (0, p));
        let lost = found[1].iter().find(|p| !p.is_finite()).map(|p| (1, p));
        let Some((from, to)) = moved.or(lost) else { continue };
        let at = if rate.is_some() { " and a rate of 0" } else { "" };
        let message = format!("{rule}: {settings}{at}, a parameter of {from} without a gradient becomes {to}");
        let hint = match from {
            0 => "tensors are padded with zeros, which have to stay: an eps in the denominator keeps 0/0 away",
            _ => "weights without a gradient are common: an eps in the denominator keeps 0/0 away",
        };
        return Err(Error::config(message, hint));
    }
    Ok(())
}
