//! LaProp, the textbook form or the authors' code.

use super::{BETA2, EPS, ElementWise, Entry, Setting, Settings, correction, report};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "laprop",
    source: "Ziyin, Wang, Ueda 2020; Z-T-WANG/LaProp-Optimizer",
    settings: || {
        vec![
            Setting::lr(4e-4),
            Setting::below_one("beta1", 0.9, "the decay of the momentum of normalized gradients"),
            Setting::below_one("beta2", 0.999, BETA2),
            Setting::eps(1e-15, EPS),
            Setting::number(
                "weight_decay",
                0.0,
                "the decoupled decay: by lr * weight_decay, in the authors' code by weight_decay",
            ),
            Setting::flag(
                "official",
                false,
                "the rate inside the average and decay after the step, as the authors' code",
            ),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/laprop.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let (beta1, beta2, official) = (set.number("beta1"), set.number("beta2"), set.flag("official"));
    let rule = ElementWise::new("optim/laprop", set).constant("OFFICIAL", official).sizes(&["eps", "weight_decay"]);
    let rule = rule.one_minus("one_minus_beta1").one_minus("one_minus_beta2").words(&["v", "u"]);
    let rule = rule.number_if("lr_average", official, |t, set, average| {
        let report = report(t);
        let call = t.call("optim/laprop_rate").size("one_minus_beta1", (1.0 - set.number("beta1")) as f32);
        call.read(report).write(average).grid(1, 1, 1);
    });
    rule.row(move |t| [correction(beta1, t), correction(beta2, t), 0.0, 0.0])
}
