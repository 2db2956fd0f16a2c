//! RMSprop, plain, centered or with momentum, as `torch.optim.RMSprop`.

use super::{EPS, ElementWise, Entry, L2, Setting, Settings};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "rmsprop",
    source: "torch.optim.RMSprop; Tieleman, Hinton 2012",
    settings: || {
        vec![
            Setting::lr(1e-2),
            Setting::below_one("alpha", 0.99, "the decay of the second moment"),
            Setting::eps(1e-8, EPS),
            Setting::number("weight_decay", 0.0, L2),
            Setting::number("momentum", 0.0, "the factor of the momentum buffer"),
            Setting::flag("centered", false, "division by the deviation from the mean gradient"),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/rmsprop.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let (momentum, centered) = (set.number("momentum") != 0.0, set.flag("centered"));
    let rule = ElementWise::new("optim/rmsprop", set).constant("CENTERED", centered).constant("MOMENTUM", momentum);
    let rule = rule.sizes(&["alpha", "eps", "weight_decay", "momentum"]).one_minus("one_minus_alpha");
    rule.words(&["v"]).word_if("mean", centered).word_if("buffer", momentum)
}
