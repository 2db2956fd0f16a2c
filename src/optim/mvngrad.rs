//! MVN-Grad: momentum of variance-normalized gradients.

use super::{EPS, ElementWise, Entry, Setting, Settings, correction};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "mvngrad",
    source: "Patitucci, Mokhtari 2026, arXiv 2602.10204",
    settings: || {
        vec![
            Setting::lr(1e-3),
            Setting::below_one("beta1", 0.9, "the decay of the mean gradient and of the momentum"),
            Setting::below_one("beta2", 0.999, "the decay of the squared distance from the mean"),
            Setting::eps(1e-8, EPS),
            Setting::number("eps_s", 1e-16, "what is added to the second moment at every update"),
            Setting::number("weight_decay", 0.0, "the decay, as wd_mode says"),
            Setting::choice("wd_mode", &["decoupled", "l2"], "decay by lr * weight_decay, or an L2 penalty"),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/mvngrad.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let (beta1, beta2) = (set.number("beta1"), set.number("beta2"));
    let rule = ElementWise::new("optim/mvngrad", set).constant("L2", set.choice("wd_mode") == "l2");
    let rule = rule.sizes(&["beta1", "eps", "eps_s", "weight_decay"]);
    let rule = rule.one_minus("one_minus_beta1").one_minus("one_minus_beta2").words(&["m", "v", "u"]);
    rule.row(move |t| [correction(beta1, t), correction(beta2, t), 0.0, 0.0])
}
