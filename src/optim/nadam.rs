//! NAdam, as `torch.optim.NAdam`.

use super::{BETA1, BETA2, EITHER, EPS, ElementWise, Entry, Setting, Settings, correction};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "nadam",
    source: "torch.optim.NAdam; Dozat 2016",
    settings: || {
        vec![
            Setting::lr(2e-3),
            Setting::below_one("beta1", 0.9, BETA1),
            Setting::below_one("beta2", 0.999, BETA2),
            Setting::eps(1e-8, EPS),
            Setting::number("weight_decay", 0.0, EITHER),
            Setting::number("momentum_decay", 4e-3, "how fast the momentum rises to beta1"),
            Setting::flag("decoupled_weight_decay", false, "decay as AdamW's instead of an L2 penalty"),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/nadam.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let (beta1, beta2, decay) = (set.number("beta1"), set.number("beta2"), set.number("momentum_decay"));
    let rule = ElementWise::new("optim/nadam", set).constant("DECOUPLED", set.flag("decoupled_weight_decay"));
    let rule = rule.sizes(&["eps", "weight_decay"]).one_minus("one_minus_beta1").one_minus("one_minus_beta2");
    rule.words(&["m", "v"]).row(move |t| {
        let mu = |t: u64| beta1 * (1.0 - 0.5 * 0.96_f64.powf(t as f64 * decay));
        let product = product(t, mu);
        let of_gradient = (1.0 - mu(t)) / (1.0 - product);
        let of_moment = mu(t + 1) / (1.0 - product * mu(t + 1));
        [of_gradient, of_moment, correction(beta2, t), 0.0]
    })
}

/// `mu(1) * ... * mu(t)`. Below 2^-60 it changes nothing in `1 - product`, and the loop may end.
fn product(t: u64, mu: impl Fn(u64) -> f64) -> f64 {
    let mut product = 1.0;
    for i in 1..=t {
        product *= mu(i);
        if product < 1e-18 {
            break;
        }
    }
    product
}
