//! Records rules that are files ([`Rule`](super::Rule)). First come the gradient's norm and the check for non-finite
//! values, or the sums of a rule that has `measure`; then the numbers that the device keeps; then one dispatch for the
//! update.

use std::{cell::RefCell, sync::Arc};

use super::{
    Optimizer, Start, Trial, arena, blocks, decays, norm_and_guard, report,
    rule::{Over, Products, Variant},
    segments, state,
};
use crate::program::{BufferKind, CallBuilder, GradNorm, Slot, Tape, shader::Spec};

/// Name of the state buffer with the numbers that the rule keeps on the device.
const KEPT: &str = "kept";

/// A rule that updates each element from that element alone and from sums over tensors.
pub(super) struct ElementWise {
    variant: Arc<Variant>,
    default: Option<Arc<Variant>>,
    products: RefCell<Vec<Products>>,
}

impl ElementWise {
    /// The rule of a file under some settings. If its text came from outside the program, `default` is the rule under
    /// its default settings, because it is tried under both.
    pub fn new(variant: Arc<Variant>, default: Option<Arc<Variant>>) -> Self {
        let products = RefCell::new(variant.products());
        Self { variant, default, products }
    }

    /// Records the sums of what the rule measures, per block and then per tensor or over all tensors, and the check for
    /// non-finite values if that has not been recorded. Returns the totals.
    fn measure(&self, t: &mut Tape, spec: &Spec, over: Over, words: &[Slot], kept: Option<Slot>) -> Slot {
        let ((table, count), (tensors, tensor_count)) = (blocks(t), segments(t));
        let (sums, totals) = (t.scratch(4 * count), t.scratch(4 * tensor_count));
        let (report, grads, params) = (report(t), arena(t, BufferKind::Grads), arena(t, BufferKind::Params));
        let spec = t.target.reducing(spec.clone());
        let call = self.sizes(t.call_of(spec).size("blocks", count)).read(report).read(table).read(grads);
        let params = self.variant.measures("p").then_some(params);
        let words = self.variant.state().zip(words).filter(|((name, _), _)| self.variant.measures(name));
        let read = params.into_iter().chain(words.map(|(_, slot)| *slot));
        let call = read.fold(call, CallBuilder::read);
        kept.into_iter().fold(call.write(sums), CallBuilder::read).groups(count);
        let reported = t.grad_norm == GradNorm::Reported;
        let call = t.call_reduce("optim/measured").constant("OVER_ALL", over == Over::All);
        let call = call.constant("REPORTED", reported).size("segments", tensor_count);
        call.read(tensors).read(sums).write(totals).write(report).grid(1, 1, 1);
        totals.into()
    }

    /// Sets all fields of the kernel's `Sizes` except the first.
    fn sizes<'t>(&self, call: CallBuilder<'t>) -> CallBuilder<'t> {
        let decay = self.variant.weight_decay().map(|value| ("weight_decay", value));
        let all = decay.into_iter().chain(self.variant.sizes());
        all.fold(call, |call, (name, value)| call.size(name.to_owned(), value))
    }
}

impl Optimizer for ElementWise {
    fn state(&self) -> Vec<(String, Start)> {
        let kept = (self.variant.kept_count() > 0).then_some((KEPT, Start::Zero));
        self.variant.state().chain(kept).map(|(name, start)| (name.to_owned(), start)).collect()
    }

    fn words(&self) -> usize {
        self.variant.state().count()
    }

    fn record(&self, t: &mut Tape) {
        let variant = &self.variant;
        let words: Vec<Slot> = variant.state().map(|(name, _)| state(t, name.to_owned())).collect();
        let kept = (variant.kept_count() > 0).then(|| t.buffer(BufferKind::state(KEPT), 16));
        let totals = match (&variant.measure, variant.over()) {
            (Some(spec), Some(over)) => Some(self.measure(t, spec, over, &words, kept)),
            _ => {
                norm_and_guard(t);
                None
            }
        };
        let report = report(t);
        if let (Some(spec), Some(kept)) = (&variant.keep, kept) {
            let call = variant.sizes().fold(t.call_of(spec.clone()), |call, (name, v)| call.size(name.to_owned(), v));
            call.read(report).write(kept).grid(1, 1, 1);
        }
        let (grads, params, len4) =
            (arena(t, BufferKind::Grads), arena(t, BufferKind::Params), t.layout().param_floats() / 4);
        let (call, groups) = if totals.is_some() {
            let (table, count) = blocks(t);
            let spec = t.target.reducing(variant.update.clone());
            (self.sizes(t.call_of(spec).size("blocks", count)).read(report).read(table), count)
        } else {
            let decays = variant.weight_decay().map(|_| decays(t));
            let call = self.sizes(t.call_of(variant.update.clone()).size("len4", len4)).read(report);
            (decays.into_iter().fold(call, CallBuilder::read), len4.div_ceil(256))
        };
        let call = words.into_iter().fold(call.read(grads).write(params), CallBuilder::write);
        totals.into_iter().chain(kept).fold(call, CallBuilder::read).groups(groups);
    }

    fn scalars(&self, t: u64) -> [f64; 4] {
        self.variant.row(t, &mut self.products.borrow_mut())
    }

    fn clip_norm(&self) -> Option<f64> {
        self.variant.clip_norm()
    }

    fn lr(&self) -> f64 {
        self.variant.lr()
    }

    fn trials(&self) -> Vec<Trial> {
        let Some(default) = &self.default else { return vec![] };
        let of = |variant: &Arc<Variant>, settings| Trial {
            rule: variant.file().to_owned(),
            settings,
            optimizer: Box::new(Self::new(variant.clone(), None)),
        };
        let own = (!Arc::ptr_eq(default, &self.variant)).then(|| of(&self.variant, "with these settings"));
        std::iter::once(of(default, "with its default settings")).chain(own).collect()
    }
}
