//! VRAdam: AdamW whose rate falls as the velocity grows. Three dispatches; `shaders/optim/vradam*.wgsl` have the formulas.

use super::{
    BETA1, BETA2, EPS, Entry, Optimizer, Setting, Settings, Start, arena, blocks, correction, decays, report, state,
};
use crate::tape::Tape;

/// The registry's row. The published CIFAR-10 setting is `lr=0.0846 beta3=1.015 alpha1=29`.
pub(super) static ENTRY: Entry = Entry {
    name: "vradam",
    source: "Velocity-Regularized Adam, arXiv 2505.13196; pranavjv/vradam",
    settings: || {
        vec![
            Setting::number("lr", 1e-3, "the learning rate at rest"),
            Setting::below_one("beta1", 0.9, BETA1),
            Setting::below_one("beta2", 0.999, BETA2),
            Setting::number("beta3", 1.0, "how much the squared norm lowers the rate; 0 is AdamW"),
            Setting::number("alpha1", 10.0, "the most that it does: the rate is at least lr / (1 + alpha1)"),
            Setting::eps(1e-8, EPS),
            Setting::number("weight_decay", 1e-5, "the decoupled decay, by the lowered rate"),
            Setting::choice("norm_of", &["velocity", "grad"], "what the norm is of: the first moment, or the gradient"),
        ]
    },
    build: |settings| Ok(Box::new(VRAdam { settings })),
};

/// The rule with its settings.
struct VRAdam {
    settings: Settings,
}

impl Optimizer for VRAdam {
    fn state(&self) -> Vec<(&'static str, Start)> {
        vec![("m", Start::Zero), ("v", Start::Zero)]
    }

    fn record(&self, t: &mut Tape) {
        let set = &self.settings;
        let one_minus = |key| (1.0 - set.number(key)) as f32;
        let (table, count) = blocks(t);
        let (sums, rate) = (t.scratch(4 * count), t.scratch(4));
        let (grads, params, m, v) = (arena(t, "grads"), arena(t, "params"), state(t, "m"), state(t, "v"));
        let (report, decays) = (report(t), decays(t));

        let call = t.call_reduce("optim/vradam_norms").size("blocks", count);
        let call = call.size("one_minus_beta1", one_minus("beta1")).read(table).read(grads.clone());
        call.read(m.clone()).write(sums).groups(count);

        let call = t.call_reduce("optim/vradam_scalars").constant("OF_GRAD", set.choice("norm_of") == "grad");
        let call = call.size("blocks", count).size("beta3", set.number("beta3") as f32);
        let call = call.size("alpha1", set.number("alpha1") as f32);
        call.read(sums).write(rate).write(report.clone()).grid(1, 1, 1);

        let len4 = t.layout().param_floats() / 4;
        let call = t.call("optim/vradam").size("len4", len4).size("eps", set.number("eps") as f32);
        let call = call.size("one_minus_beta1", one_minus("beta1")).size("one_minus_beta2", one_minus("beta2"));
        let call = call.size("weight_decay", set.number("weight_decay") as f32);
        let call = call.read(report).read(decays).read(grads).write(params).write(m).write(v).read(rate);
        call.groups(len4.div_ceil(256));
    }

    fn scalars(&self, t: u64) -> [f64; 4] {
        [correction(self.settings.number("beta1"), t), correction(self.settings.number("beta2"), t), 0.0, 0.0]
    }

    fn lr(&self) -> f64 {
        self.settings.number("lr")
    }
}
