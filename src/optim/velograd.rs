//! VeloGrad: Adam's moments of a norm-scaled gradient, a learning rate that falls with loss and norm, cosine-similarity
//! momentum, adaptive weight decay and Lookahead. An update is five dispatches and reads nothing back. The formulas are
//! in `shaders/optim/velograd_*.wgsl`.

use super::{Optimizer, Program, Setting, Settings, Start, arena, blocks, correction, report, segments, state};
use crate::program::{BufferKind, GradNorm, Tape};

/// The registry's entry. The defaults are those of the published notebook; `scope=global decay_norm=delta` is the paper
/// taken literally.
pub(super) static PROGRAM: Program = Program {
    name: "velograd",
    source: "the VeloGrad paper and its notebook",
    settings: || {
        vec![
            Setting::lr(1.5e-3),
            Setting::below_one("beta1", 0.9, "the decay of the first moment"),
            Setting::below_one("beta2", 0.99, "the decay of the second moment and of the loss average"),
            Setting::eps(1e-8, "what is added to denominators"),
            Setting::number("weight_decay", 1e-4, "the decoupled decay before it adapts"),
            Setting::whole("lookahead_k", 5, 1, None, "the updates between two lookaheads"),
            Setting::fraction("alpha_slow", 0.5, "how far the slow weights move to the fast ones"),
            Setting::fraction("alpha_interp", 0.2, "how far the fast weights move to the slow ones"),
            Setting::choice("scope", &["tensor", "global"], "what the norms run over"),
            Setting::choice(
                "decay_norm",
                &["direction", "delta"],
                "the update whose norm lowers the decay: before or after the rate",
            ),
            Setting::flag("use_select", true, "the scaling of the gradient by its norm"),
            Setting::flag("use_loss", true, "the loss-aware rate"),
            Setting::flag("use_norm", true, "the norm-aware rate"),
            Setting::flag("use_sim", true, "the cosine-similarity momentum"),
            Setting::flag("use_adaptive_decay", true, "the adaptation of the decay"),
            Setting::flag("use_lookahead", true, "the lookahead"),
        ]
    },
    make: |settings| Box::new(VeloGrad { settings }),
};

/// The rule with its settings.
pub struct VeloGrad {
    settings: Settings,
}

impl VeloGrad {
    /// Whether weight decay or Lookahead follows the step.
    fn decays(&self) -> bool {
        self.settings.number("weight_decay") != 0.0 || self.settings.flag("use_lookahead")
    }
}

impl Optimizer for VeloGrad {
    fn state(&self) -> Vec<(String, Start)> {
        let zeros = ["m", "v", "previous", "scalars"].map(|name| (name.to_owned(), Start::Zero));
        zeros.into_iter().chain(self.decays().then(|| ("slow".to_owned(), Start::Params))).collect()
    }

    fn words(&self) -> usize {
        self.state().len() - 1 // the scalars are per tensor
    }

    fn record(&self, t: &mut Tape) {
        let set = &self.settings;
        let eps = set.number("eps") as f32;
        let one_minus = |key| (1.0 - set.number(key)) as f32;
        let global = set.choice("scope") == "global";
        let (block_table, block_count) = blocks(t);
        let (segment_table, segment_count) = segments(t);
        let (grads, params) = (arena(t, BufferKind::Grads), arena(t, BufferKind::Params));
        let (m, v, previous) = (state(t, "m"), state(t, "v"), state(t, "previous"));
        let scalars = t.buffer(BufferKind::state("scalars"), 4 * (1 + u64::from(segment_count)));
        let (report, reported) = (report(t), t.grad_norm == GradNorm::Reported);
        let sums = t.scratch(4 * block_count);
        let table = t.scratch(8 * segment_count);

        let call = t.call_reduce("optim/velograd_norms").size("blocks", block_count).read(block_table);
        call.read(grads).read(previous).write(sums).groups(block_count);

        let mut call = t.call_reduce("optim/velograd_scalars").constant("GLOBAL", global);
        call = call.constant("REPORTED", reported);
        for (name, key) in
            [("USE_SELECT", "use_select"), ("USE_LOSS", "use_loss"), ("USE_NORM", "use_norm"), ("USE_SIM", "use_sim")]
        {
            call = call.constant(name, set.flag(key));
        }
        call = call.size("segments", segment_count).size("one_minus_beta2", one_minus("beta2")).size("eps", eps);
        call = call.read(segment_table).read(sums).write(scalars).write(table);
        call.write(report).grid(1, 1, 1);

        let call = t.call_reduce("optim/velograd_update").size("blocks", block_count).size("eps", eps);
        let call = call.size("one_minus_beta1", one_minus("beta1")).size("one_minus_beta2", one_minus("beta2"));
        let call = call.read(block_table).read(table).read(grads).write(params);
        call.write(m).write(v).write(previous).write(sums).groups(block_count);

        if self.decays() {
            let call = t.call_reduce("optim/velograd_decay_scalars").constant("GLOBAL", global);
            let call = call.constant("DELTA", set.choice("decay_norm") == "delta");
            let call = call.constant("USE_ADAPTIVE_DECAY", set.flag("use_adaptive_decay"));
            let call = call.size("segments", segment_count).size("eps", eps);
            let call = call.size("weight_decay", set.number("weight_decay") as f32);
            call.read(segment_table).read(sums).read(scalars).write(table).grid(1, 1, 1);

            let slow = state(t, "slow");
            let call = t.call_reduce("optim/velograd_decay").constant("USE_LOOKAHEAD", set.flag("use_lookahead"));
            let call = call.size("blocks", block_count).size("alpha_slow", set.number("alpha_slow") as f32);
            let call = call.size("alpha_interp", set.number("alpha_interp") as f32);
            call.read(block_table).read(table).write(params).write(slow).groups(block_count);
        }
    }

    fn scalars(&self, t: u64) -> [f64; 4] {
        let correction = |key| correction(self.settings.number(key), t);
        let lookahead = t.is_multiple_of(u64::from(self.settings.whole("lookahead_k")));
        [correction("beta1"), correction("beta2"), f64::from(u8::from(lookahead)), f64::from(u8::from(t == 1))]
    }

    fn lr(&self) -> f64 {
        self.settings.number("lr")
    }
}
