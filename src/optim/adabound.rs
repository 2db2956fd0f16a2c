//! AdaBound and AMSBound, as the authors' code.

use super::{AMSGRAD, BETA1, BETA2, EPS, ElementWise, Entry, L2, Setting, Settings, correction};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "adabound",
    source: "Luo, Xiong, Liu, Sun 2019; Luolc/AdaBound",
    settings: || {
        vec![
            Setting::lr(1e-3),
            Setting::below_one("beta1", 0.9, BETA1),
            Setting::below_one("beta2", 0.999, BETA2),
            Setting::number("final_lr", 0.1, "the rate that both bounds close on"),
            Setting::below_one("gamma", 1e-3, "how fast the bounds close"),
            Setting::eps(1e-8, EPS),
            Setting::number("weight_decay", 0.0, L2),
            Setting::flag("amsbound", false, AMSGRAD),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/adabound.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let (beta1, beta2, gamma) = (set.number("beta1"), set.number("beta2"), set.number("gamma"));
    let (lr, amsbound) = (set.number("lr"), set.flag("amsbound"));
    let ratio = if lr == 0.0 { 0.0 } else { set.number("final_lr") / lr };
    let rule = ElementWise::new("optim/adabound", set).constant("AMSBOUND", amsbound).size("final_ratio", ratio);
    let rule = rule.sizes(&["eps", "weight_decay"]).one_minus("one_minus_beta1").one_minus("one_minus_beta2");
    rule.words(&["m", "v"]).word_if("v_max", amsbound).row(move |t| {
        let size = correction(beta1, t) / correction(beta2, t).sqrt();
        let time = gamma * t as f64;
        // Without gamma there is no upper bound; shaders know no infinity.
        [size, 1.0 - 1.0 / (time + 1.0), (1.0 + 1.0 / time).min(1e30), 0.0]
    })
}
