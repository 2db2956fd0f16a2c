//! Whether a rule from outside leaves alone what has no gradient: padding, above all.

use super::Optimizer;
use crate::{
    error::{Error, Result},
    program::params::{Init, Layout, Shape},
};

/// A rule from outside the program under some of its settings.
pub struct Trial {
    /// The file that the rule is from.
    pub rule: String,
    /// Which settings these are, for an error to say.
    pub settings: &'static str,
    /// The rule.
    pub optimizer: Box<dyn Optimizer>,
}

/// A tensor of a trial: its shape, the parameters that it is full of, whether it ever has a gradient, and whether weight decay reaches it.
struct Tensor(Shape, f32, bool, bool);

/// Zeros without a gradient have to stay, as padding has, and ones a number. Beside them are parameters that have one, with padding behind
/// their channels, filters and ends.
const TENSORS: [Tensor; 4] = [
    Tensor(Shape::Vector { c: 4 }, 0.0, false, true),
    Tensor(Shape::Vector { c: 4 }, 1.0, false, true),
    Tensor(Shape::Filter { k: 5, c: 3, r: 1, s: 2 }, 0.5, true, true),
    Tensor(Shape::Vector { c: 5 }, 0.5, true, false),
];

/// What is run: updates at the rate of the settings, and then at a rate of 0, with which schedules end. All of it without any gradient, and
/// from the beginning again with those that there are.
pub(super) const STAGES: [(Option<f64>, usize); 2] = [(None, 8), (Some(0.0), 2)];

/// Where the tensors lie.
pub(super) fn layout() -> Layout {
    let mut layout = Layout::default();
    for (i, Tensor(shape, value, _, decays)) in TENSORS.iter().enumerate() {
        layout.param(i.to_string(), *shape, Init::Constant(*value), *decays);
    }
    layout
}

/// Their parameters.
pub(super) fn params() -> Vec<Vec<f32>> {
    TENSORS.iter().map(|Tensor(shape, value, ..)| vec![*value; shape.elements()]).collect()
}

/// Their gradients in an update: of either sign and several sizes, and none in every fourth, which what a rule remembers outlasts.
pub(super) fn gradients(update: usize, any: bool) -> Vec<Vec<f32>> {
    let of = |i: usize| [0.1, -0.2, 0.3, -0.4, 0.5][(i + update) % 5];
    let tensor = |Tensor(shape, _, has, _): &Tensor| {
        let there = any && *has && update % 4 != 3;
        (0..shape.elements()).map(|i| if there { of(i) } else { 0.0 }).collect()
    };
    TENSORS.iter().map(tensor).collect()
}

/// Judges what has become of the arena `before` after updates of this rate; `beside` says that some parameters had gradients.
///
/// # Errors
/// [`Error::Config`], naming the `rule`, its `settings` and what became of a parameter.
pub(super) fn judge(trial: (&str, &str), rate: Option<f64>, beside: bool, before: &[f32], found: &[f32]) -> Result<()> {
    let wrong = |(from, to): &(&f32, &f32)| match **from {
        0.0 => **to != 0.0,
        1.0 => !to.is_finite(),
        _ => false, // it has a gradient: its way is the rule's affair
    };
    let Some((from, to)) = before.iter().zip(found).find(wrong) else { return Ok(()) };
    let (rule, settings) = trial;
    let at = if rate.is_some() { " and a rate of 0" } else { "" };
    let others = if beside { ", beside others that have one," } else { "" };
    let message = format!("{rule}: {settings}{at}, a parameter of {from} without a gradient{others} becomes {to}");
    let hint = match (*from == 0.0, beside) {
        (true, true) => {
            "tensors are padded with zeros, which have to stay: the four of a vec4 are parameters of their own, and what comes of \
             norms and sums is to be multiplied with what is the parameter's own"
        }
        (true, false) => "tensors are padded with zeros, which have to stay: an eps in the denominator keeps 0/0 away",
        (false, _) => "weights without a gradient are common: an eps in the denominator keeps 0/0 away",
    };
    Err(Error::config(message, hint))
}
