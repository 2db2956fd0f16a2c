//! AMVT: Adam with the variance of the gradient beside its second moment.

use super::{BETA1, BETA2, ElementWise, Entry, Setting, Settings, correction};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "amvt",
    source: "the AMVT paper, Algorithm 1",
    settings: || {
        vec![
            Setting::lr(1e-3),
            Setting::below_one("beta1", 0.9, BETA1),
            Setting::below_one("beta2", 0.999, BETA2),
            Setting::below_one("beta3", 0.99, "the decay of the variance around the mean"),
            Setting::eps(1e-8, "what is added to the second moment, or as eps_mode says to its root"),
            Setting::number("weight_decay", 0.0, "the decay, as wd_mode says"),
            Setting::choice("wd_mode", &["literal", "decoupled"], "decay by weight_decay, or by lr * weight_decay"),
            Setting::choice("eps_mode", &["inside", "outside"], "eps under the root, or beside it"),
            Setting::flag("bias_corrected", true, "the corrected first moment in the step"),
            Setting::number("clip", 0.0, "the largest norm of the whole gradient; 0 for no limit"),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/amvt.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let [beta1, beta2, beta3] = ["beta1", "beta2", "beta3"].map(|key| set.number(key));
    let (corrected, clip) = (set.flag("bias_corrected"), set.number("clip"));
    let rule = ElementWise::new("optim/amvt", set).constant("CLIP", clip != 0.0);
    let rule = rule.constant("OUTSIDE", set.choice("eps_mode") == "outside");
    let rule = rule.constant("DECOUPLED", set.choice("wd_mode") == "decoupled");
    let rule = rule.one_minus("one_minus_beta1").one_minus("one_minus_beta2").one_minus("one_minus_beta3");
    let rule = rule.sizes(&["beta1", "eps", "weight_decay", "clip"]).words(&["m", "v", "s"]);
    rule.row(move |t| {
        let first = if corrected { correction(beta1, t) } else { 1.0 };
        [first, correction(beta2, t), correction(beta3, t), 0.0]
    })
}
