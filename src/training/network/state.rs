//! What a network is between two updates, read from the device and put back: its part of a checkpoint.

use crate::{
    error::{Error, Result},
    ops::SCALER,
    optim::{self, Updates},
    program::step::Report,
};

use super::Network;

/// A network between two updates.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Names and words of the buffers that outlive an update.
    pub buffers: Vec<(String, Vec<u32>)>,
    /// Updates issued and skipped.
    pub updates: Updates,
    /// Training batches so far.
    pub batches: i64,
    /// Whether the parameters are where the optimizer wants them evaluated.
    pub evaluating: bool,
}

impl Network<'_> {
    /// The buffers that a later update reads what an earlier one wrote to. All others are written anew: by each batch, by
    /// each update, or by [`Network::new`]. In alphabetical order.
    pub fn lasting_buffers(&self) -> Vec<String> {
        let mut names = vec!["params".to_owned(), "running".to_owned()];
        let state = self.optimizer.iter().flat_map(|optimizer| optimizer.state());
        names.extend(state.map(|(name, _)| optim::state_name(&name)));
        names.push(SCALER.to_owned());
        if self.evaluating {
            names.push(optim::ASIDE.to_owned());
        }
        names.sort_unstable();
        names
    }

    /// Reads everything that the next update depends on; waits for the device.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    ///
    /// # Panics
    /// If submissions are under way: [`Network::drain`] comes first, so that the host has heard of every update.
    pub fn state(&self) -> Result<State> {
        assert!(self.flights.is_empty(), "state: drain comes first");
        let read = |name: String| {
            let buffer = self.runtime.buffer(&name);
            Ok((name, self.runtime.read(buffer, (buffer.size() / 4) as usize)?))
        };
        let buffers = self.lasting_buffers().into_iter().map(read).collect::<Result<_>>()?;
        Ok(State { buffers, updates: self.updates, batches: self.batches, evaluating: self.evaluating })
    }

    /// Puts a network of the same plans and optimizer where the other was, to the bit.
    ///
    /// # Errors
    /// [`Error::Config`] with the buffers of both, if they differ; nothing is changed then.
    ///
    /// # Panics
    /// If submissions are under way.
    pub fn restore(&mut self, state: &State) -> Result<()> {
        assert!(self.flights.is_empty(), "restore: drain comes first");
        let evaluating = std::mem::replace(&mut self.evaluating, state.evaluating && self.to_evaluation.is_some());
        let expected = self.lasting_buffers();
        let words = |name: &str| (self.runtime.buffer(name).size() / 4) as usize;
        let fits = |(name, found): (&String, &(String, Vec<u32>))| *name == found.0 && words(name) == found.1.len();
        if expected.len() != state.buffers.len() || !expected.iter().zip(&state.buffers).all(fits) {
            let list = |names: Vec<(&String, usize)>| format!("{names:?}");
            let here = list(expected.iter().map(|name| (name, words(name))).collect());
            let there = list(state.buffers.iter().map(|(name, words)| (name, words.len())).collect());
            self.evaluating = evaluating;
            return Err(Error::config(
                "the checkpoint is of another network or optimizer",
                format!("there: {there}\n  here: {here}"),
            ));
        }
        for (name, words) in &state.buffers {
            self.runtime.write(self.runtime.buffer(name), words);
        }
        let report = Report { skipped: state.updates.skipped, ..Report::default() };
        self.runtime.write(self.runtime.buffer("report"), &[report]);
        (self.updates, self.batches) = (state.updates, state.batches);
        Ok(())
    }
}
