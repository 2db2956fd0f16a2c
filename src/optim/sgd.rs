//! Stochastic gradient descent with momentum, as `torch.optim.SGD`.

use super::{ElementWise, Entry, L2, Setting, Settings};
use crate::error::{Error, Result};

/// The registry's row.
pub(super) static ENTRY: Entry = Entry {
    name: "sgd",
    source: "torch.optim.SGD; Sutskever, Martens, Dahl, Hinton 2013",
    settings: || {
        vec![
            Setting::lr(1e-3),
            Setting::number("momentum", 0.0, "the factor of the momentum buffer"),
            Setting::fraction("dampening", 0.0, "1 minus the factor of a new gradient in the buffer"),
            Setting::number("weight_decay", 0.0, L2),
            Setting::flag("nesterov", false, "Nesterov's look ahead"),
        ]
    },
    build: |settings| Ok(Box::new(rule(&settings)?)),
};

/// The rule with its settings; `shaders/optim/sgd.wgsl` has the formula.
fn rule(set: &Settings) -> Result<ElementWise> {
    let momentum = set.number("momentum") != 0.0;
    if set.flag("nesterov") && (!momentum || set.number("dampening") != 0.0) {
        let message = "sgd: nesterov=true needs momentum above 0 and dampening=0";
        return Err(Error::config(message, "add --set momentum=0.9"));
    }
    let rule = ElementWise::new("optim/sgd", set).constant("MOMENTUM", momentum);
    let rule = rule.constant("NESTEROV", set.flag("nesterov")).sizes(&["momentum", "dampening", "weight_decay"]);
    Ok(rule.word_if("momentum_buffer", momentum).row(|t| [f64::from(u8::from(t == 1)), 0.0, 0.0, 0.0]))
}
