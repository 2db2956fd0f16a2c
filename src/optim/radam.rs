//! RAdam, as `torch.optim.RAdam`.

use super::{BETA1, BETA2, EITHER, EPS, ElementWise, Entry, Setting, Settings, correction};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "radam",
    source: "torch.optim.RAdam; Liu et al. 2020",
    settings: || {
        vec![
            Setting::lr(1e-3),
            Setting::below_one("beta1", 0.9, BETA1),
            Setting::below_one("beta2", 0.999, BETA2),
            Setting::eps(1e-8, EPS),
            Setting::number("weight_decay", 0.0, EITHER),
            Setting::flag("decoupled_weight_decay", false, "decay as AdamW's instead of an L2 penalty"),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings))),
};

/// The rule with its settings; `shaders/optim/radam.wgsl` has the formula.
fn rule(set: &Settings) -> ElementWise {
    let (beta1, beta2) = (set.number("beta1"), set.number("beta2"));
    let rule = ElementWise::new("optim/radam", set).constant("DECOUPLED", set.flag("decoupled_weight_decay"));
    let rule = rule.sizes(&["eps", "weight_decay"]).one_minus("one_minus_beta1").one_minus("one_minus_beta2");
    rule.words(&["m", "v"]).row(move |t| {
        let (rho, r) = rectification(beta2, t);
        let momentum = correction(beta1, t);
        if rho > 5.0 { [momentum * r / correction(beta2, t).sqrt(), 1.0, 0.0, 0.0] } else { [momentum, 0.0, 0.0, 0.0] }
    })
}

/// rho and r of update t (Liu et al. 2020, equations 5 and 6): the length of the moving average as a simple one, and the
/// factor that gives the step the variance it has in the end. r is a number only where rho is above 4.
pub(super) fn rectification(beta2: f64, t: u64) -> (f64, f64) {
    let longest = 2.0 / (1.0 - beta2) - 1.0;
    // beta2^t / (1 - beta2^t) is the correction less 1.
    let rho = longest - 2.0 * t as f64 * (correction(beta2, t) - 1.0);
    let r = (rho - 4.0) * (rho - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * rho);
    (rho, r.sqrt())
}
