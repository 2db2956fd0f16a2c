//! Adagrad, as `torch.optim.Adagrad`.

use super::{EPS, ElementWise, Entry, L2, Setting, Settings};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "adagrad",
    source: "torch.optim.Adagrad; Duchi, Hazan, Singer 2011",
    settings: || {
        vec![
            Setting::lr(1e-2),
            Setting::number("lr_decay", 0.0, "how fast the rate falls: lr / (1 + (t-1) * lr_decay)"),
            Setting::number("weight_decay", 0.0, L2),
            Setting::number("initial_accumulator_value", 0.0, "what the sum of squares starts from"),
            Setting::eps(1e-10, EPS),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/adagrad.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let lr_decay = set.number("lr_decay");
    let rule = ElementWise::new("optim/adagrad", set).sizes(&["eps", "weight_decay"]);
    let rule = rule.size("initial", set.number("initial_accumulator_value")).words(&["sum"]);
    rule.row(move |t| [1.0 / (1.0 + (t - 1) as f64 * lr_decay), f64::from(u8::from(t == 1)), 0.0, 0.0])
}
