//! The kernel that measures the rate of multiply-adds.

use super::{At, Case, Data, Expected, Port};
use crate::program::Tape;

/// Repeated x <- x/2 + 1, whose fixed point is 2.
#[derive(Clone, Copy, Debug)]
pub struct FmaCase {
    /// Workgroups of 64 invocations.
    pub groups: u32,
    /// Rounds of 16 steps.
    pub turns: u32,
}

impl Case for FmaCase {
    fn name(&self) -> String {
        format!("{} multiply-adds in turn", 16 * self.turns)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let sums = t.scratch(4 * 64 * self.groups);
        let call = t.call("bench/fma").size("turns", self.turns).size("factor", 0.5_f32).size("summand", 1.0_f32);
        call.write(sums).groups(self.groups);
        vec![Port::new("sums", At::Tensor(sums))]
    }

    fn data(&self) -> Data {
        Data::new()
    }

    fn expected(&self, _: &Data) -> Vec<Expected> {
        let end = |start: u32| (0..16 * self.turns).fold(f64::from(start), |x, _| x / 2.0 + 1.0);
        let sum = |id: u32| (0..8).map(|i| end(id + i)).sum::<f64>();
        let value = (0..64 * self.groups).flat_map(|id| [sum(id); 4]).collect();
        // A step halves the error of its input and adds one rounding: two in all, and three for the tree of sums.
        vec![Expected::rounded("sums", value, 5.0)]
    }
}
