//! Adan, as `sail-sg/Adan`.

use super::{BETA1, BETA2, EPS, ElementWise, Entry, Setting, Settings, correction};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "adan",
    source: "Xie et al. 2022; sail-sg/Adan",
    settings: || {
        vec![
            Setting::lr(1e-3),
            Setting::below_one("beta1", 0.98, BETA1),
            Setting::below_one("beta2", 0.92, "the decay of the gradient's change"),
            Setting::below_one("beta3", 0.99, BETA2),
            Setting::eps(1e-8, EPS),
            Setting::number("weight_decay", 0.0, "the decay: division by 1 + lr * weight_decay after the step"),
            Setting::flag("no_prox", false, "decay as AdamW's instead"),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/adan.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let [beta1, beta2, beta3] = ["beta1", "beta2", "beta3"].map(|key| set.number(key));
    let rule = ElementWise::new("optim/adan", set).constant("NO_PROX", set.flag("no_prox"));
    let rule = rule.one_minus("one_minus_beta1").one_minus("one_minus_beta2").one_minus("one_minus_beta3");
    let rule = rule.sizes(&["beta2", "eps", "weight_decay"]).words(&["m", "d", "n", "previous"]);
    rule.row(move |t| {
        let change = beta2 * correction(beta2, t);
        [correction(beta1, t), change, correction(beta3, t).sqrt(), f64::from(u8::from(t == 1))]
    })
}
