//! Lion, as `google/automl`.

use super::{DECOUPLED, ElementWise, Entry, Setting, Settings};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "lion",
    source: "Chen et al. 2023; google/automl",
    settings: || {
        vec![
            Setting::lr(1e-4),
            Setting::below_one("beta1", 0.9, "the share of the momentum in the direction"),
            Setting::below_one("beta2", 0.99, "the decay of the momentum"),
            Setting::number("weight_decay", 0.0, DECOUPLED),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/lion.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let rule = ElementWise::new("optim/lion", set).sizes(&["beta1", "weight_decay"]);
    rule.one_minus("one_minus_beta1").one_minus("one_minus_beta2").words(&["m"])
}
