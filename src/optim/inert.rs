//! Checks what a rule from outside the program does to elements without a gradient: zeros, such as padding, have to
//! stay zeros, and other values have to stay finite.

use super::Optimizer;
use crate::{
    error::{Error, Result},
    program::params::{Init, Layout, Shape},
};

/// A rule from outside the program under some of its settings.
pub struct Trial {
    /// The rule's file, as errors name it.
    pub rule: String,
    /// The words with which an error names the settings.
    pub settings: &'static str,
    /// The optimizer of the rule under these settings.
    pub optimizer: Box<dyn Optimizer>,
}

/// A tensor of a trial: its shape, the initial value of all its elements, whether it ever has a gradient, and whether
/// weight decay applies to it.
struct Tensor(Shape, f32, bool, bool);

/// The first two tensors never have a gradient: the zeros have to stay zeros, as padding has, and the ones have to stay
/// finite. The others have gradients, and padding after their channels, their filters and their ends.
const TENSORS: [Tensor; 4] = [
    Tensor(Shape::Vector { c: 4 }, 0.0, false, true),
    Tensor(Shape::Vector { c: 4 }, 1.0, false, true),
    Tensor(Shape::Filter { k: 5, c: 3, r: 1, s: 2 }, 0.5, true, true),
    Tensor(Shape::Vector { c: 5 }, 0.5, true, false),
];

/// The stages of a trial: a learning rate (`None` for that of the settings) and a number of updates. A rate of 0 is
/// tried because schedules end with it. All stages run without any gradient, and then again from the start with
/// gradients.
pub(super) const STAGES: [(Option<f64>, usize); 2] = [(None, 8), (Some(0.0), 2)];

/// The layout of the tensors.
pub(super) fn layout() -> Layout {
    let mut layout = Layout::default();
    for (i, Tensor(shape, value, _, decays)) in TENSORS.iter().enumerate() {
        layout.param(i.to_string(), *shape, Init::Constant(*value), *decays);
    }
    layout
}

/// The initial values of the tensors.
pub(super) fn params() -> Vec<Vec<f32>> {
    TENSORS.iter().map(|Tensor(shape, value, ..)| vec![*value; shape.elements()]).collect()
}

/// The gradients of the tensors in an update: with `any`, values of either sign and several sizes. Every fourth update
/// has zeros only, in which the rule's state alone moves the parameters.
pub(super) fn gradients(update: usize, any: bool) -> Vec<Vec<f32>> {
    let of = |i: usize| [0.1, -0.2, 0.3, -0.4, 0.5][(i + update) % 5];
    let tensor = |Tensor(shape, _, has, _): &Tensor| {
        let there = any && *has && update % 4 != 3;
        (0..shape.elements()).map(|i| if there { of(i) } else { 0.0 }).collect()
    };
    TENSORS.iter().map(tensor).collect()
}

/// Compares the arena `found` after updates at the learning rate `rate` with the arena `before` them; `beside` says
/// whether some parameters had gradients.
///
/// # Errors
/// [`Error::Config`] if a zero did not stay zero or a one did not stay finite. It names the rule and the settings of
/// the `trial`, and what became of the parameter.
pub(super) fn judge(trial: (&str, &str), rate: Option<f64>, beside: bool, before: &[f32], found: &[f32]) -> Result<()> {
    let wrong = |(from, to): &(&f32, &f32)| match **from {
        0.0 => **to != 0.0,
        1.0 => !to.is_finite(),
        _ => false, // it has a gradient, so the rule may change it
    };
    let Some((from, to)) = before.iter().zip(found).find(wrong) else { return Ok(()) };
    let (rule, settings) = trial;
    let at = if rate.is_some() { " and a rate of 0" } else { "" };
    let others = if beside { ", beside others that have one," } else { "" };
    let message = format!("{rule}: {settings}{at}, a parameter of {from} without a gradient{others} becomes {to}");
    let hint = match (*from == 0.0, beside) {
        (true, true) => {
            "tensors are padded with zeros, which must stay zero: the four elements of a vec4 are different parameters, \
             and a norm or a sum may only be a factor of the element's own gradient, parameter or state"
        }
        (true, false) => "tensors are padded with zeros, which must stay zero: an eps in the denominator prevents 0/0",
        (false, _) => "weights without a gradient are common: an eps in the denominator prevents 0/0",
    };
    Err(Error::config(message, hint))
}
