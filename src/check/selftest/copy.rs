//! The copy kernel with which `benches/optimizers.rs` compares the speed of update rules.

use super::{At, Case, Data, Expected, Port, random};
use crate::program::Tape;

/// A copy.
#[derive(Clone, Copy, Debug)]
pub struct CopyCase {
    /// The number of elements, a multiple of four.
    pub len: u32,
}

impl Case for CopyCase {
    fn name(&self) -> String {
        format!("copy {} elements", self.len)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let (source, copy) = (t.scratch(self.len), t.scratch(self.len));
        let call = t.call("bench/copy").size("len4", self.len / 4).read(source).write(copy);
        call.groups((self.len / 4).div_ceil(256));
        vec![Port::new("source", At::Tensor(source)), Port::new("copy", At::Tensor(copy))]
    }

    fn data(&self) -> Data {
        Data::from([("source", random(self.len as usize, 1))])
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        vec![Expected::exact("copy", data["source"].clone())]
    }
}
