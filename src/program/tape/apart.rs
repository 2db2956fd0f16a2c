//! Sums of their own for the gradients that a batch adds to more than once.
//!
//! Calls add to the arena of gradients in place. Where it holds what other batches have added, a weight that two layers share would
//! get `(G + head) + embedding`, and not `G + (head + embedding)`, which is what several ranks add up: each rank's batch begins at zero.

use std::ops::Range;

use super::Tape;
use crate::program::{BufferKind, Recording, Slot, params::CHUNK, shader::Access};

/// A part of the arena of gradients, and where a batch's own sum of it is.
pub struct Apart {
    /// The layer whose parameter it is.
    pub label: String,
    /// What this batch adds.
    pub own: Slot,
    /// What all batches of the update have added.
    pub all: Slot,
    /// The numbers in each.
    pub floats: u32,
}

/// The bytes of the arena that more than one call adds to, as ranges that do not touch each other.
fn added_twice(recording: &Recording) -> Vec<Range<u64>> {
    let added = recording.calls.iter().flat_map(|call| &call.args).filter_map(|(slot, access)| match slot {
        Slot::Buffer { buffer, offset, bytes } if *access == Access::ReadWrite && *bytes > 0 => {
            (*recording.kind(*buffer) == BufferKind::Grads).then_some(*offset..*offset + *bytes)
        }
        _ => None,
    });
    let mut added: Vec<_> = added.collect();
    added.sort_unstable_by_key(|range| range.start);
    let mut parts: Vec<(Range<u64>, bool)> = vec![];
    for range in added {
        match parts.last_mut() {
            Some((part, twice)) if range.start < part.end => (part.end, *twice) = (part.end.max(range.end), true),
            _ => parts.push((range, false)),
        }
    }
    parts.into_iter().filter_map(|(part, twice)| twice.then_some(part)).collect()
}

impl Tape {
    /// Makes calls that add to a part of the gradient that others add to as well do so in a buffer of the batch alone
    /// ([`BufferKind::Apart`]). Returns these parts, which have to be added to the gradient once the backward pass is over.
    pub(crate) fn set_apart(&mut self) -> Vec<Apart> {
        let mut at = 0;
        let mut moved = vec![];
        for part in added_twice(&self.recording) {
            let bytes = part.end - part.start;
            moved.push((part, at));
            // Bindings begin where the arena's do.
            at += bytes.next_multiple_of(4 * u64::from(CHUNK));
        }
        if moved.is_empty() {
            return vec![];
        }
        let Slot::Buffer { buffer: apart, .. } = self.buffer(BufferKind::Apart, at) else { unreachable!("a buffer") };
        let grads = self.recording.buffer(&BufferKind::Grads).expect("calls add to it");
        for (slot, access) in self.recording.calls.iter_mut().flat_map(|call| &mut call.args) {
            let Slot::Buffer { buffer, offset, .. } = slot else { continue };
            if *buffer != grads || *access != Access::ReadWrite {
                continue;
            }
            if let Some((part, at)) = moved.iter().find(|(part, _)| part.contains(offset)) {
                (*buffer, *offset) = (apart, at + *offset - part.start);
            }
        }
        let layout = &self.recording.layout;
        let parts = moved.into_iter().map(|(part, at)| {
            let (offset, bytes) = (part.start, part.end - part.start);
            let of = layout.params.iter().rev().find(|segment| 4 * u64::from(segment.offset) <= offset);
            let label = of.and_then(|segment| segment.name.rsplit_once('.')).map_or("", |(layer, _)| layer).to_owned();
            let own = Slot::Buffer { buffer: apart, offset: at, bytes };
            Apart { label, own, all: Slot::Buffer { buffer: grads, offset, bytes }, floats: (bytes / 4) as u32 }
        });
        parts.collect()
    }
}
