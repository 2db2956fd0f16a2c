//! AdaBelief, as `adabelief_pytorch`.

use super::{BETA1, ElementWise, Entry, Setting, Settings, correction, radam::rectification};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "adabelief",
    source: "adabelief_pytorch 0.2.1; Zhuang et al. 2020",
    settings: || {
        vec![
            Setting::lr(1e-3),
            Setting::below_one("beta1", 0.9, BETA1),
            Setting::below_one("beta2", 0.999, "the decay of the squared distance from the mean"),
            Setting::eps(1e-16, "what is added to the root, and to the state under it at every update"),
            Setting::number("weight_decay", 0.0, "the decay, as wd_mode says"),
            Setting::choice(
                "wd_mode",
                &["decoupled", "fixed", "l2"],
                "decay by lr * weight_decay, by weight_decay, or an L2 penalty",
            ),
            Setting::flag("rectify", false, "RAdam's rectification"),
            Setting::flag(
                "amsgrad",
                false,
                "division by the largest second moment so far; a rectified step does not read it",
            ),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/adabelief.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let (beta1, beta2, rectify) = (set.number("beta1"), set.number("beta2"), set.flag("rectify"));
    // As in the authors' code, the rectified step divides by the second moment of now.
    let amsgrad = set.flag("amsgrad") && !rectify;
    let mode = set.choice("wd_mode");
    let rule = ElementWise::new("optim/adabelief", set).constant("AMSGRAD", amsgrad);
    let rule = rule.constant("L2", mode == "l2").constant("FIXED", mode == "fixed");
    let rule = rule.sizes(&["beta1", "eps", "weight_decay"]).one_minus("one_minus_beta1").one_minus("one_minus_beta2");
    rule.words(&["m", "s"]).word_if("s_max", amsgrad).row(move |t| {
        let (momentum, root) = (correction(beta1, t), correction(beta2, t).sqrt());
        let (rho, r) = rectification(beta2, t);
        match (rectify, rho >= 5.0) {
            (false, _) => [momentum, root, 0.0, 0.0],
            (true, true) => [momentum * r / root, 1.0, 0.0, 0.0],
            (true, false) => [momentum, 1.0, 1.0, 0.0],
        }
    })
}
