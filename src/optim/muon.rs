//! Muon: the momentum of each matrix is approximately orthogonalized by Newton-Schulz before the step, and AdamW or SGD
//! updates the other tensors. An update is some thirty dispatches whatever the network, and reads nothing back. The
//! formulas are in `shaders/optim/muon_*.wgsl`.

mod tables;

use super::{Optimizer, Program, Setting, Settings, Start, arena, norm_and_guard, report, state};
use crate::{
    optim::updates::correction,
    program::{
        BufferKind, Slot, Tape, Tensor,
        params::{Layout, Shape},
    },
};
use tables::{Matrix, Rest};

/// The registry's entry, with the defaults of the published code.
pub(super) static PROGRAM: Program = Program {
    name: "muon",
    source: "Jordan et al. 2024, github.com/KellerJordan/Muon; variant=airbench: github.com/KellerJordan/cifar10-airbench",
    settings: || {
        vec![
            Setting::number("lr", 0.02, "the learning rate of matrices and filters"),
            Setting::below_one("momentum", 0.95, "the decay of the momentum buffer"),
            Setting::flag("nesterov", true, "Nesterov's look ahead"),
            Setting::whole("ns_steps", 5, 1, Some(100), "the steps of Newton-Schulz"),
            Setting::number("weight_decay", 0.0, "the decoupled decay of matrices (keller)"),
            Setting::choice(
                "variant",
                &["keller", "airbench"],
                "an averaged buffer and decay, or a summed buffer and weights brought back to one norm",
            ),
            Setting::choice(
                "scale",
                &["flat", "keller", "none", "match_rms_adamw"],
                "the factor of a matrix's rate by its shape: rows by columns, a filter's height by its width as the published code had it \
             before 2026, none, or the size of AdamW's steps",
            ),
            Setting::choice(
                "aux",
                &["adamw", "sgd"],
                "the rule of vectors and of the first and last layer's matrices: AdamW, or SGD with Nesterov's momentum",
            ),
            Setting::number("aux_lr", 3e-4, "the learning rate of vectors; a schedule moves it in proportion to lr"),
            Setting::below_one("aux_beta1", 0.9, "AdamW's decay of the first moment"),
            Setting::below_one("aux_beta2", 0.95, "AdamW's decay of the second moment"),
            Setting::above_zero("aux_eps", 1e-10, "what AdamW adds to the denominator"),
            Setting::below_one("aux_momentum", 0.85, "SGD's momentum"),
            Setting::number("aux_weight_decay", 0.0, "the decay of vectors: AdamW's is decoupled, SGD's an L2 penalty"),
            Setting::number("head_lr", 3e-4, "the learning rate of the first and last layer's matrices, as aux_lr"),
            Setting::number("head_weight_decay", 0.0, "the decay of the first and last layer's matrices"),
            Setting::whole(
                "first_bias_updates",
                0,
                0,
                None,
                "the update at which the first layer's bias stops: its rate falls from aux_lr in a straight line; 0: as other vectors",
            ),
        ]
    },
    make: |settings| Box::new(Muon { settings }),
};

/// The rule with its settings.
pub struct Muon {
    settings: Settings,
}

/// The buffers of the Newton-Schulz iteration.
struct Work {
    table: Slot,
    x: Tensor,
    next: Tensor,
    gram: Tensor,
    polynomial: Tensor,
}

impl Muon {
    fn airbench(&self) -> bool {
        self.settings.choice("variant") == "airbench"
    }

    /// The factor of a matrix's learning rate; for `variant=airbench`, the norm that its weights are rescaled to.
    fn factor(&self, shape: Shape) -> f64 {
        let dims: Vec<f64> = shape.dims().iter().map(|&d| d as f64).collect();
        let (rows, cols) = (dims[0], dims[1..].iter().product::<f64>());
        if self.airbench() {
            return rows.sqrt();
        }
        match self.settings.choice("scale") {
            // Until January 2026, when pull request 60 of KellerJordan/Muon called it a bug, the published code took
            // the last two of PyTorch's dimensions: for a filter, its height and width.
            "keller" => (dims[dims.len() - 2] / dims[dims.len() - 1]).max(1.0).sqrt(),
            "none" => 1.0,
            "match_rms_adamw" => 0.2 * rows.max(cols).sqrt(),
            _ => (rows / cols).max(1.0).sqrt(),
        }
    }

    /// How a tensor is updated that Muon does not update as a matrix. Kernels scale lr by its rate, so at lr = 0
    /// nothing moves.
    fn rest(&self, kind: tables::Kind) -> Rest {
        let number = |key| self.settings.number(key);
        let lr = number("lr");
        let ratio = |rate: f64| if lr > 0.0 { rate / lr } else { 0.0 };
        let (aux_lr, weight_decay) = (number("aux_lr"), number("aux_weight_decay"));
        match kind {
            tables::Kind::Matrix => {
                Rest { rate: ratio(number("head_lr")), weight_decay: number("head_weight_decay"), own: false }
            }
            tables::Kind::FirstBias if self.settings.whole("first_bias_updates") > 0 => {
                Rest { rate: if lr > 0.0 { aux_lr } else { 0.0 }, weight_decay, own: true }
            }
            _ => Rest { rate: ratio(aux_lr), weight_decay, own: false },
        }
    }

    fn record_matrices(&self, t: &mut Tape, matrices: &[Matrix]) {
        let set = &self.settings;
        let blocks = tables::blocks(t.layout(), true).len() as u32;
        let (count, floats) = (matrices.len() as u32, t.layout().param_floats());
        let table = t.buffer(BufferKind::table("muon.matrices"), 36 * u64::from(count));
        let block_table = t.buffer(BufferKind::table("muon.blocks"), 16 * u64::from(blocks));
        let (report, grads, params, buffer) =
            (report(t), arena(t, BufferKind::Grads), arena(t, BufferKind::Params), state(t, "buffer"));
        let (sums, scalars) = (t.scratch(4 * blocks), t.scratch(4 * count));
        let gram = tables::gram_floats(matrices);
        let mut work = Work {
            table,
            x: t.scratch(floats),
            next: t.scratch(floats),
            gram: t.scratch(gram),
            polynomial: t.scratch(gram),
        };

        let call = t.call_reduce("optim/muon_momentum").constant("AIRBENCH", self.airbench());
        let call = call.constant("NESTEROV", set.flag("nesterov")).size("blocks", blocks);
        let momentum = set.number("momentum");
        let call = call.size("momentum", momentum as f32).size("one_minus_momentum", (1.0 - momentum) as f32);
        let call = call.read(block_table).read(report).read(grads).read(params);
        call.write(buffer).write(work.x).write(sums).groups(blocks);

        let call = t.call("optim/muon_scalars").constant("AIRBENCH", self.airbench());
        let call = call.sizes([("first", 0), ("last", count)]).size("weight_decay", set.number("weight_decay") as f32);
        call.read(table).read(sums).write(scalars).over(count);

        let call = t.call("optim/muon_scale").size("blocks", blocks);
        call.read(block_table).read(scalars).write(work.x).groups(blocks);

        for _ in 0..set.whole("ns_steps") {
            newton_schulz(t, matrices, &work);
            (work.x, work.next) = (work.next, work.x);
        }

        let call = t.call("optim/muon_step").size("blocks", blocks).read(block_table).read(report);
        call.read(scalars).read(work.x).write(params).groups(blocks);
    }

    fn record_rest(&self, t: &mut Tape) {
        let blocks = tables::blocks(t.layout(), false).len() as u32;
        if blocks == 0 {
            return;
        }
        let set = &self.settings;
        let table = t.buffer(BufferKind::table("muon.rest"), 24 * u64::from(blocks));
        let (report, grads, params, m) =
            (report(t), arena(t, BufferKind::Grads), arena(t, BufferKind::Params), state(t, "buffer"));
        if set.choice("aux") == "sgd" {
            let call = t.call("optim/muon_rest_sgd").size("blocks", blocks);
            let call = call.size("momentum", set.number("aux_momentum") as f32).read(table).read(report);
            return call.read(grads).write(params).write(m).groups(blocks);
        }
        let v = t.buffer(BufferKind::state("v"), 4 * u64::from(tables::rest_floats(t.layout())));
        let call = t.call("optim/muon_rest").size("blocks", blocks);
        let call = call.size("one_minus_beta1", (1.0 - set.number("aux_beta1")) as f32);
        let call = call.size("one_minus_beta2", (1.0 - set.number("aux_beta2")) as f32);
        let call = call.size("eps", set.number("aux_eps") as f32);
        call.read(table).read(report).read(grads).write(params).write(m).write(v).groups(blocks);
    }
}

/// One iteration of Newton-Schulz on every matrix, from `work.x` to `work.next`.
fn newton_schulz(t: &mut Tape, matrices: &[Matrix], work: &Work) {
    let wide = matrices.partition_point(|m| !m.tall());
    let side = |m: &Matrix| (m.side(), m.side());
    let runs = [(false, 0, wide), (true, wide, matrices.len())];
    let runs = || runs.iter().copied().filter(|(_, first, last)| first < last);
    let flop = |list: &[Matrix], of: fn(&Matrix) -> [u32; 3]| -> f64 {
        list.iter().map(|m| 2.0 * of(m).iter().map(|&d| f64::from(d)).product::<f64>()).sum()
    };
    // Only half of a symmetric product is computed.
    let widest = matrices.iter().map(Matrix::side).max().unwrap_or(4);
    for (tall, first, last) in runs() {
        let list = &matrices[first..last];
        let (core, call) = t.call_gemm("optim/muon_gram", widest);
        let call = call.constant("TALL", tall).sizes([("first", first as u32), ("last", last as u32)]);
        let call = call.flop(0.5 * flop(list, |m| [m.side(), m.rows, m.cols]));
        call.read(work.table).read(work.x).write(work.gram).groups(tables::tiles(list, core, side));
    }
    let (core, call) = t.call_gemm("optim/muon_polynomial", widest);
    let call = call.sizes([("first", 0), ("last", matrices.len() as u32)]);
    let call = call.flop(0.5 * flop(matrices, |m| [m.side(); 3])).read(work.table).read(work.gram);
    call.write(work.polynomial).groups(tables::tiles(matrices, core, side));
    for (tall, first, last) in runs() {
        let list = &matrices[first..last];
        let (core, call) = t.call_gemm("optim/muon_apply", if tall { widest } else { list[0].cols });
        let call = call.constant("TALL", tall).sizes([("first", first as u32), ("last", last as u32)]);
        let call = call.flop(flop(list, |m| [m.side(), m.rows, m.cols])).read(work.table);
        let call = call.read(work.polynomial).read(work.x).write(work.next);
        call.groups(tables::tiles(list, core, |m| (m.rows, m.cols)));
    }
}

impl Optimizer for Muon {
    fn state(&self) -> Vec<(String, Start)> {
        ["buffer", "v"].map(|name| (name.to_owned(), Start::Zero)).into()
    }

    fn record(&self, t: &mut Tape) {
        norm_and_guard(t);
        state(t, "buffer");
        t.buffer(BufferKind::state("v"), 16);
        let matrices = tables::matrices(t.layout());
        if !matrices.is_empty() {
            self.record_matrices(t, &matrices);
        }
        self.record_rest(t);
    }

    fn words(&self) -> usize {
        1 // the second moment is kept only for the tensors that AdamW updates
    }

    fn scalars(&self, t: u64) -> [f64; 4] {
        let correction = |key| correction(self.settings.number(key), t);
        // The learning rate of the first layer's bias falls linearly: its factor goes from 1 to 0.
        let share = 1.0 - (t - 1) as f64 / f64::from(self.settings.whole("first_bias_updates")).max(1.0);
        [correction("aux_beta1"), correction("aux_beta2"), share.max(0.0), 0.0]
    }

    fn lr(&self) -> f64 {
        self.settings.number("lr")
    }

    fn tables(&self, layout: &Layout) -> Vec<(&'static str, Vec<u32>)> {
        let names = ["muon.matrices", "muon.blocks", "muon.rest"];
        let words = tables::words(layout, |shape| self.factor(shape), |kind| self.rest(kind));
        names.into_iter().zip(words).filter(|(_, words)| !words.is_empty()).collect()
    }
}
