//! Assigns tensors to shared buffers: two tensors that are never alive together may live in one buffer.
//!
//! Tensors share whole buffers, each at offset 0: WebGPU tracks the usage of whole buffers, so two ranges of one buffer
//! could not be read and written in the same dispatch. A tensor that a call reads last is released after that call, so
//! no call binds one buffer twice.

use super::{Call, Recording, Slot, Tensor};

/// Which pool buffer each tensor of each recording lives in. The recordings share the pool, since only one runs at a
/// time.
pub struct Plan {
    /// Bytes of each pool buffer.
    pub pool: Vec<u64>,
    /// The pool buffer of each tensor, per recording.
    assigned: Vec<Vec<Option<usize>>>,
}

impl Plan {
    /// Assigns buffers to all tensors. Without `share`, every tensor gets its own, for the test that sharing changes no
    /// result.
    pub fn new<'a>(recordings: impl IntoIterator<Item = &'a Recording>, share: bool) -> Self {
        let mut plan = Self { pool: Vec::new(), assigned: Vec::new() };
        for recording in recordings {
            let assigned = plan.one(recording, share);
            plan.assigned.push(assigned);
        }
        plan
    }

    /// The pool buffer of a tensor; `None` if no call mentions it.
    pub fn buffer(&self, recording: usize, tensor: Tensor) -> Option<usize> {
        self.assigned[recording][tensor.0 as usize]
    }

    /// Bytes of all pool buffers together.
    pub fn bytes(&self) -> u64 {
        self.pool.iter().sum()
    }

    fn one(&mut self, recording: &Recording, share: bool) -> Vec<Option<usize>> {
        let mentions = |call: usize| mentioned(&recording.calls[call]);
        let mut last = vec![0; recording.tensors.len()];
        for call in 0..recording.calls.len() {
            mentions(call).for_each(|t| last[t] = call);
        }
        for (tensor, info) in recording.tensors.iter().enumerate() {
            if info.keep {
                last[tensor] = usize::MAX;
            }
        }
        let mut assigned: Vec<Option<usize>> = vec![None; recording.tensors.len()];
        let mut free: Vec<usize> = if share { (0..self.pool.len()).collect() } else { Vec::new() };
        for call in 0..recording.calls.len() {
            for tensor in mentions(call) {
                if assigned[tensor].is_none() {
                    assigned[tensor] = Some(self.take(&mut free, 4 * recording.tensors[tensor].words));
                }
            }
            if share {
                for tensor in mentions(call).filter(|&t| last[t] == call) {
                    let buffer = assigned[tensor].expect("assigned above");
                    if !free.contains(&buffer) {
                        free.push(buffer);
                    }
                }
            }
        }
        assigned
    }

    /// Takes the smallest free buffer that is large enough; or else enlarges the largest free one; or else adds a new
    /// one.
    fn take(&mut self, free: &mut Vec<usize>, bytes: u64) -> usize {
        let fits = free.iter().copied().filter(|&b| self.pool[b] >= bytes).min_by_key(|&b| self.pool[b]);
        // Enlarging a much smaller buffer saves nothing over a new one, and wastes it on small tensors later.
        let grows = free.iter().copied().filter(|&b| 2 * self.pool[b] >= bytes).max_by_key(|&b| self.pool[b]);
        if let Some(buffer) = fits.or(grows) {
            free.retain(|&b| b != buffer);
            self.pool[buffer] = self.pool[buffer].max(bytes);
            buffer
        } else {
            self.pool.push(bytes);
            self.pool.len() - 1
        }
    }
}

/// The indices of the tensors among a call's arguments.
fn mentioned(call: &Call) -> impl Iterator<Item = usize> {
    call.args.iter().filter_map(|(slot, _)| match slot {
        Slot::Tensor(t) => Some(t.0 as usize),
        Slot::Buffer { .. } => None,
    })
}

impl Recording {
    /// The first and the last call that mention a tensor; `None` if none does.
    pub fn lifetime(&self, tensor: Tensor) -> Option<(usize, usize)> {
        let mentions = |call: &Call| mentioned(call).any(|t| t == tensor.0 as usize);
        Some((self.calls.iter().position(mentions)?, self.calls.iter().rposition(mentions)?))
    }
}
