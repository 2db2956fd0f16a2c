//! The state of a network between two updates, read from the device and restored: its part of a checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    error::{Error, Result},
    optim::Updates,
    program::{BufferKind, Kept, step::Report},
};

use super::Network;

/// The buffers that differ between two networks, by their names and numbers of words, a line each.
fn differences(there: &BTreeMap<String, usize>, here: &BTreeMap<String, usize>) -> String {
    let words = |of: &BTreeMap<String, usize>, name: &String| {
        of.get(name).map_or("none".to_owned(), |words| format!("{words} words"))
    };
    let names: BTreeSet<&String> = there.keys().chain(here.keys()).collect();
    let differ = names.into_iter().filter(|name| there.get(*name) != here.get(*name));
    let lines = differ.map(|name| format!("`{name}`: there {}, here {}", words(there, name), words(here, name)));
    lines.collect::<Vec<_>>().join("\n  ")
}

/// The state of a network between two updates.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Names and contents, in 32-bit words, of the buffers that outlive an update.
    pub buffers: Vec<(String, Vec<u32>)>,
    /// The numbers of updates issued and skipped.
    pub updates: Updates,
    /// Training batches so far.
    pub batches: i64,
    /// Whether the parameters are at the optimizer's point of evaluation.
    pub evaluating: bool,
    /// Loss (the bits of an f32), hits and number of targets of the batches whose gradient waits for its update, if there are any.
    pub waiting: Option<[u32; 3]>,
}

impl Network {
    /// The buffers that carry values from one update to a later one, in order of their names. All others are written
    /// anew by each batch, by each update, or by [`Network::new`].
    pub fn lasting_buffers(&self) -> Vec<BufferKind> {
        let lasts = |kind: &&BufferKind| match kind.life().kept {
            None => false,
            Some(Kept::Always) => true,
            Some(Kept::WhileAccumulating) => self.waiting.is_some() || self.keeps_gradients,
            Some(Kept::WhileEvaluating) => self.evaluating,
        };
        let mut kinds: Vec<_> = self.runtime.kinds().filter(lasts).cloned().collect();
        kinds.sort_unstable_by_key(BufferKind::to_string);
        kinds
    }

    /// Reads everything that the next update depends on; waits for the device.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    ///
    /// # Panics
    /// If submissions are under way: [`Network::drain`] comes first, so that the host knows of every update.
    pub async fn state(&self) -> Result<State> {
        assert!(self.flights.is_empty(), "state: drain comes first");
        let mut buffers = Vec::new();
        for kind in self.lasting_buffers() {
            let buffer = self.runtime.buffer(&kind);
            let words = self.runtime.read(buffer, (buffer.size() / 4) as usize).await?;
            buffers.push((kind.to_string(), words));
        }
        let waiting = self.waiting.map(|Report { loss, hits, targets, .. }| [loss.to_bits(), hits, targets]);
        Ok(State { buffers, updates: self.updates, batches: self.batches, evaluating: self.evaluating, waiting })
    }

    /// Restores the state of a network of the same plans and optimizer, to the bit.
    ///
    /// # Errors
    /// [`Error::Config`] with the buffers in which they differ, if they do; nothing is changed then.
    ///
    /// # Panics
    /// If submissions are under way.
    pub fn restore(&mut self, state: &State) -> Result<()> {
        assert!(self.flights.is_empty(), "restore: drain comes first");
        let evaluating =
            std::mem::replace(&mut self.evaluating, state.evaluating && self.programs.to_evaluation.is_some());
        let sums =
            |[loss, hits, targets]: [u32; 3]| Report { loss: f32::from_bits(loss), hits, targets, ..Report::default() };
        let waiting = std::mem::replace(&mut self.waiting, state.waiting.map(sums));
        let expected = self.lasting_buffers();
        let words = |kind: &BufferKind| (self.runtime.buffer(kind).size() / 4) as usize;
        let fits = |(kind, (name, found)): (&BufferKind, &(String, Vec<u32>))| {
            kind.to_string() == *name && words(kind) == found.len()
        };
        if expected.len() != state.buffers.len() || !expected.iter().zip(&state.buffers).all(fits) {
            let here: BTreeMap<String, usize> = expected.iter().map(|kind| (kind.to_string(), words(kind))).collect();
            let there: BTreeMap<String, usize> =
                state.buffers.iter().map(|(name, words)| (name.clone(), words.len())).collect();
            (self.evaluating, self.waiting) = (evaluating, waiting);
            return Err(Error::config("the checkpoint is of another network or optimizer", differences(&there, &here)));
        }
        for (kind, (_, words)) in expected.iter().zip(&state.buffers) {
            self.runtime.write(self.runtime.buffer(kind), words);
        }
        let report = Report { skipped: state.updates.skipped, ..Report::default() };
        self.runtime.write(self.runtime.buffer(&BufferKind::Report), &[report]);
        (self.updates, self.batches) = (state.updates, state.batches);
        (self.submitted, self.report_taken) = (self.waiting.map_or(0, |sums| sums.targets), true);
        Ok(())
    }
}
