//! Schedule-Free AdamW: gradients at one point, evaluation at another, an average that needs no schedule.
//! `shaders/optim/schedulefree.wgsl` has the formula.

use std::cell::RefCell;

use super::{Entry, Kind, Optimizer, Setting, Settings, Start, arena, decays, norm_and_guard, report, state};
use crate::{
    error::{Error, Result},
    optim::updates::correction,
    tape::Tape,
};

const fn number(key: &'static str, default: f64, high: f64, doc: &'static str) -> Setting {
    Setting { key, kind: Kind::Number { default, low: 0.0, high }, doc }
}

/// The registry's row, with the defaults of the published code.
pub static ENTRY: Entry = Entry {
    name: "schedulefree",
    source: "Schedule-Free AdamW: Defazio et al. 2024, github.com/facebookresearch/schedule_free",
    settings: &[
        number("lr", 2.5e-3, f64::INFINITY, "the learning rate"),
        number("beta1", 0.9, 1.0, "how far gradients are taken towards the average; above 0"),
        number("beta2", 0.999, 1.0, "the decay of the second moment"),
        number("eps", 1e-8, f64::INFINITY, "what is added to the denominator"),
        number("weight_decay", 0.0, f64::INFINITY, "the decoupled decay, of the point where gradients are taken"),
        number("warmup_steps", 0.0, f64::INFINITY, "the updates over which the rate rises to lr"),
        number("r", 0.0, f64::INFINITY, "the power of t in the weights of the average"),
        number("weight_lr_power", 2.0, f64::INFINITY, "the power of the largest rate so far in those weights"),
    ],
    build: |settings| Ok(Box::new(ScheduleFree::new(settings)?)),
};

/// The rule with its settings.
pub struct ScheduleFree {
    settings: Settings,
    /// Sums of the first n weights of the average, as far as they were asked for.
    weights: RefCell<Vec<f64>>,
}

impl ScheduleFree {
    fn new(settings: Settings) -> Result<Self> {
        if settings.number("beta1") == 0.0 {
            let message = "schedulefree: beta1=0: expected a number above 0 and below 1";
            return Err(Error::config(message, "the average is found from y and z, which beta1=0 makes the same"));
        }
        Ok(Self { settings, weights: RefCell::new(vec![0.0]) })
    }

    fn warmup(&self, t: u64) -> f64 {
        let steps = self.settings.number("warmup_steps");
        if (t as f64) < steps { t as f64 / steps } else { 1.0 }
    }

    /// `w_t / (w_1 + ... + w_t)` with `w_t = t^r lr_max^power`. The rate only rises, so lr_max is that of update t; a factor
    /// that all weights share, such as lr, cancels.
    fn share(&self, t: u64) -> f64 {
        let mut sums = self.weights.borrow_mut();
        let (r, power) = (self.settings.number("r"), self.settings.number("weight_lr_power"));
        while (sums.len() as u64) <= t {
            let n = sums.len() as u64;
            let weight = (n as f64).powf(r) * self.warmup(n).powf(power);
            let sum = sums[sums.len() - 1] + weight;
            sums.push(sum);
        }
        let t = t as usize;
        (sums[t] - sums[t - 1]) / sums[t]
    }
}

impl Optimizer for ScheduleFree {
    fn state(&self) -> Vec<(&'static str, Start)> {
        vec![("z", Start::Params), ("v", Start::Zero)]
    }

    fn record(&self, t: &mut Tape) {
        norm_and_guard(t);
        let set = &self.settings;
        let len4 = t.layout().param_floats() / 4;
        let (report, decays, grads, params) = (report(t), decays(t), arena(t, "grads"), arena(t, "params"));
        let (z, v) = (state(t, "z"), state(t, "v"));
        let call = t.call("optim/schedulefree").size("len4", len4).size("eps", set.number("eps") as f32);
        let call = call.size("one_minus_beta2", (1.0 - set.number("beta2")) as f32);
        let call = call.size("weight_decay", set.number("weight_decay") as f32);
        call.read(report).read(decays).read(grads).write(params).write(z).write(v).groups(len4.div_ceil(256));
    }

    fn scalars(&self, t: u64) -> [f64; 4] {
        let share = self.share(t);
        let beta1 = self.settings.number("beta1");
        [self.warmup(t), share, correction(self.settings.number("beta2"), t), beta1 * (1.0 - share) - 1.0]
    }

    fn lr(&self) -> f64 {
        self.settings.number("lr")
    }

    fn record_evaluation(&self, t: &mut Tape) {
        let beta1 = self.settings.number("beta1");
        let len4 = t.layout().param_floats() / 4;
        let (z, params) = (state(t, "z"), arena(t, "params"));
        let call = t.call("optim/schedulefree_average").size("len4", len4);
        call.size("ratio", ((1.0 - beta1) / beta1) as f32).read(z).write(params).groups(len4.div_ceil(256));
    }
}
