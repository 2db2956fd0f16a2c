//! Stochastic gradient descent with momentum, as `torch.optim.SGD`.

use super::{Entry, Kind, Optimizer, Setting, Settings, Start, arena, norm_and_guard, report, state};
use crate::{
    error::{Error, Result},
    tape::Tape,
};

/// The registry's row.
pub static ENTRY: Entry = Entry {
    name: "sgd",
    source: "torch.optim.SGD; Sutskever, Martens, Dahl, Hinton 2013",
    settings: &[
        Setting {
            key: "lr",
            kind: Kind::Number { default: 1e-3, low: 0.0, high: f64::INFINITY },
            doc: "the learning rate",
        },
        Setting {
            key: "momentum",
            kind: Kind::Number { default: 0.0, low: 0.0, high: f64::INFINITY },
            doc: "the factor of the momentum buffer",
        },
        Setting {
            key: "dampening",
            kind: Kind::Closed { default: 0.0, low: 0.0, high: 1.0 },
            doc: "1 minus the factor of a new gradient in the buffer",
        },
        Setting {
            key: "weight_decay",
            kind: Kind::Number { default: 0.0, low: 0.0, high: f64::INFINITY },
            doc: "the L2 penalty, added to the gradient",
        },
        Setting { key: "nesterov", kind: Kind::Flag { default: false }, doc: "Nesterov's look ahead" },
    ],
    build: |settings| Ok(Box::new(Sgd::new(&settings)?)),
};

/// The rule with its settings; `shaders/optim/sgd.wgsl` has the formula.
pub struct Sgd {
    lr: f64,
    momentum: f64,
    dampening: f64,
    weight_decay: f64,
    nesterov: bool,
}

impl Sgd {
    fn new(settings: &Settings) -> Result<Self> {
        let number = |key| settings.number(key);
        let sgd = Self {
            lr: number("lr"),
            momentum: number("momentum"),
            dampening: number("dampening"),
            weight_decay: number("weight_decay"),
            nesterov: settings.flag("nesterov"),
        };
        if sgd.nesterov && (sgd.momentum == 0.0 || sgd.dampening != 0.0) {
            let message = "sgd: nesterov=true needs momentum above 0 and dampening=0";
            return Err(Error::config(message, "add --set momentum=0.9"));
        }
        Ok(sgd)
    }
}

impl Optimizer for Sgd {
    fn state(&self) -> Vec<(&'static str, Start)> {
        vec![("momentum_buffer", Start::Zero)]
    }

    fn record(&self, t: &mut Tape) {
        norm_and_guard(t);
        let len4 = t.layout().param_floats() / 4;
        let (report, grads, params) = (report(t), arena(t, "grads"), arena(t, "params"));
        let buffer = state(t, "momentum_buffer");
        let call = t.call("optim/sgd").constant("MOMENTUM", self.momentum != 0.0).constant("NESTEROV", self.nesterov);
        let call = call.size("len4", len4).size("momentum", self.momentum as f32);
        let call = call.size("dampening", self.dampening as f32).size("weight_decay", self.weight_decay as f32);
        call.read(report).read(grads).write(params).write(buffer).groups(len4.div_ceil(256));
    }

    fn scalars(&self, t: u64) -> [f64; 4] {
        [f64::from(u8::from(t == 1)), 0.0, 0.0, 0.0]
    }

    fn lr(&self) -> f64 {
        self.lr
    }
}
