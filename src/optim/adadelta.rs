//! Adadelta, as `torch.optim.Adadelta`.

use super::{ElementWise, Entry, L2, Setting, Settings};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "adadelta",
    source: "torch.optim.Adadelta; Zeiler 2012",
    settings: || {
        vec![
            Setting::lr(1.0),
            Setting::below_one("rho", 0.9, "the decay of both averages of squares"),
            Setting::eps(1e-6, "what is added to both averages under their roots"),
            Setting::number("weight_decay", 0.0, L2),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/adadelta.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let rule = ElementWise::new("optim/adadelta", set).sizes(&["eps", "weight_decay"]);
    rule.one_minus("one_minus_rho").words(&["v", "u"])
}
