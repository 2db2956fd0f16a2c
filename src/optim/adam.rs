//! Adam, as `torch.optim.Adam`.

use super::{AMSGRAD, BETA1, BETA2, EPS, ElementWise, Entry, L2, Setting, Settings, correction};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "adam",
    source: "torch.optim.Adam; Kingma, Ba 2015",
    settings: || {
        vec![
            Setting::lr(1e-3),
            Setting::below_one("beta1", 0.9, BETA1),
            Setting::below_one("beta2", 0.999, BETA2),
            Setting::eps(1e-8, EPS),
            Setting::number("weight_decay", 0.0, L2),
            Setting::flag("amsgrad", false, AMSGRAD),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/adam.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let (beta1, beta2, amsgrad) = (set.number("beta1"), set.number("beta2"), set.flag("amsgrad"));
    let rule = ElementWise::new("optim/adam", set).constant("AMSGRAD", amsgrad).sizes(&["eps", "weight_decay"]);
    let rule = rule.one_minus("one_minus_beta1").one_minus("one_minus_beta2");
    let rule = rule.words(&["m", "v"]).word_if("v_max", amsgrad);
    rule.row(move |t| [correction(beta1, t), correction(beta2, t).sqrt(), 0.0, 0.0])
}
