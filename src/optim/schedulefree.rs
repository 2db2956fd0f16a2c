//! Schedule-Free AdamW: gradients are taken at one point and the network is evaluated at another, the average that
//! replaces a schedule. The formula is in `shaders/optim/schedulefree.wgsl`.

use super::{Optimizer, Program, Setting, Settings, Start, arena, decays, norm_and_guard, report, state};
use crate::{
    optim::updates::correction,
    program::{BufferKind, Tape},
};

/// Name of the state that is not per parameter: four numbers about the weights of the average.
const AVERAGE: &str = "average";

/// The registry's entry, with the defaults of the published code.
pub(super) static PROGRAM: Program = Program {
    name: "schedulefree",
    source: "Schedule-Free AdamW: Defazio et al. 2024, github.com/facebookresearch/schedule_free",
    settings: || {
        vec![
            Setting::lr(2.5e-3),
            Setting::share(
                "beta1",
                0.9,
                "how far gradients are taken towards the average, which is found from the distance",
            ),
            Setting::below_one("beta2", 0.999, "the decay of the second moment"),
            Setting::eps(1e-8, "what is added to the denominator"),
            Setting::number("weight_decay", 0.0, "the decoupled decay, of the point where gradients are taken"),
            Setting::whole("warmup_steps", 0, 0, None, "the updates over which the rate rises to lr"),
            Setting::number("r", 0.0, "the power of t in the weights of the average"),
            Setting::number("weight_lr_power", 2.0, "the power of the largest rate so far in those weights"),
        ]
    },
    make: |settings| Box::new(ScheduleFree { settings }),
};

/// The rule with its settings.
pub struct ScheduleFree {
    settings: Settings,
}

impl ScheduleFree {
    fn warmup(&self, t: u64) -> f64 {
        let steps = f64::from(self.settings.whole("warmup_steps"));
        if (t as f64) < steps { t as f64 / steps } else { 1.0 }
    }
}

impl Optimizer for ScheduleFree {
    fn state(&self) -> Vec<(String, Start)> {
        [("z", Start::Params), ("v", Start::Zero), (AVERAGE, Start::Zero)]
            .map(|(name, start)| (name.to_owned(), start))
            .into()
    }

    fn words(&self) -> usize {
        2 // [`AVERAGE`] is four numbers
    }

    fn record(&self, t: &mut Tape) {
        norm_and_guard(t);
        let set = &self.settings;
        let len4 = t.layout().param_floats() / 4;
        let (report, decays, grads, params) =
            (report(t), decays(t), arena(t, BufferKind::Grads), arena(t, BufferKind::Params));
        let (z, v) = (state(t, "z"), state(t, "v"));
        let average = t.buffer(BufferKind::state(AVERAGE), 16);
        let call = t.call("optim/schedulefree_share").size("power", set.number("weight_lr_power") as f32);
        call.read(report).write(average).grid(1, 1, 1);
        let call = t.call("optim/schedulefree").size("len4", len4).size("eps", set.number("eps") as f32);
        let call = call.size("one_minus_beta2", (1.0 - set.number("beta2")) as f32);
        let call = call.size("weight_decay", set.number("weight_decay") as f32);
        let call = call.size("beta1", set.number("beta1") as f32);
        call.read(report)
            .read(decays)
            .read(grads)
            .write(params)
            .write(z)
            .write(v)
            .read(average)
            .groups(len4.div_ceil(256));
    }

    fn scalars(&self, t: u64) -> [f64; 4] {
        let before = ((t - 1) as f64 / t as f64).powf(self.settings.number("r"));
        [self.warmup(t), before, correction(self.settings.number("beta2"), t), 0.0]
    }

    fn lr(&self) -> f64 {
        self.settings.number("lr")
    }

    fn record_evaluation(&self, t: &mut Tape) {
        let beta1 = self.settings.number("beta1");
        let len4 = t.layout().param_floats() / 4;
        let (z, params) = (state(t, "z"), arena(t, BufferKind::Params));
        let call = t.call("optim/schedulefree_average").size("len4", len4);
        call.size("ratio", ((1.0 - beta1) / beta1) as f32).read(z).write(params).groups(len4.div_ceil(256));
    }
}
