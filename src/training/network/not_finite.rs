//! Finds where the first number that is not finite comes up, by running an update's batches again, dispatch by
//! dispatch.
//!
//! This is slow, since everything that a kernel writes is read back, and is only done after an update that was skipped.
//! A skipped update leaves parameters and optimizer state as they were, so the second pass computes what the first did.

use std::fmt;

use super::{AT_UPDATE, Network, Place, program};
use crate::{
    data::Batch,
    device::runtime::{Argument, Dispatch},
    error::Result,
    program::{BufferKind, Cleared, shader::Access, step::Report},
};

/// The first dispatch whose output is not finite.
#[derive(Clone, Debug, PartialEq)]
pub struct NotFinite {
    /// The kernel and its options.
    pub kernel: String,
    /// The place in the network.
    pub label: String,
    /// Which batch of the update, counted from 1.
    pub batch: usize,
    /// The values that it wrote.
    pub output: Values,
    /// The values that it read, those of its arguments that are floating-point numbers.
    pub inputs: Vec<Values>,
}

/// A summary of the values in a buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// The variable in WGSL.
    pub name: String,
    /// How many values there are.
    pub count: usize,
    /// How many of them are not finite.
    pub not_finite: usize,
    /// The largest magnitude of the finite ones.
    pub largest: f32,
}

impl Values {
    fn new(name: &str, values: &[f32]) -> Self {
        let finite = values.iter().filter(|v| v.is_finite());
        let largest = finite.clone().fold(0.0_f32, |largest, v| largest.max(v.abs()));
        Self { name: name.into(), count: values.len(), not_finite: values.len() - finite.count(), largest }
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, count, not_finite, largest } = self;
        match not_finite {
            0 => write!(f, "`{name}`: {count} finite numbers up to {largest:.3e}"),
            _ => write!(f, "`{name}`: {not_finite} of {count} numbers not finite, the others up to {largest:.3e}"),
        }
    }
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, label, batch, output, inputs } = self;
        write!(f, "the first output that is not finite is that of {kernel}")?;
        if !label.is_empty() {
            write!(f, " of {label}")?;
        }
        write!(f, ", in batch {batch} of the update\n  wrote {output}")?;
        inputs.iter().try_for_each(|input| write!(f, "\n  read {input}"))
    }
}

impl Network {
    /// Runs the batches of the last update, which was skipped, again, and names the first kernel whose output is not
    /// finite; `None` if all are. `batches` are all batches of the update, in order, as they were given to
    /// [`Network::train`]. The running statistics move once more, so the run should end here.
    ///
    /// # Errors
    /// [`crate::error::Error::Device`] on a fault.
    ///
    /// # Panics
    /// As [`Network::train`].
    pub async fn find_not_finite(&mut self, batches: &[(Batch, Place)]) -> Result<Option<NotFinite>> {
        self.drain().await?;
        self.go_back().await?;
        let mut targets = 0;
        for (index, (batch, place)) in batches.iter().enumerate() {
            targets += batch.counted();
            self.feed(batch, &self.step_of(batch, *place, targets));
            let mut submission = self.runtime.submission();
            // What the first pass left must not be mistaken for output of this one.
            self.runtime.activations().iter().for_each(|buffer| submission.clear(buffer));
            // Also where gradients are kept: what these batches add to them is in question.
            self.clear(&mut submission, if place.first { AT_UPDATE } else { &[Cleared::ByBatch] });
            submission.submit();
            let mut programs = vec![program(&self.programs.train, batch.len())];
            if place.last {
                programs.push(self.update_program());
            }
            for program in programs {
                if let Some(found) = self.first_of(program, index + 1).await? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// Brings a state that is carried from batch to batch back to where it was before the last one. An update of a network that
    /// has such a state is one batch.
    async fn go_back(&self) -> Result<()> {
        for kind in self.runtime.kinds().filter(|kind| matches!(kind, BufferKind::Carried(_))) {
            let buffer = self.runtime.buffer(kind);
            let words: Vec<u32> = self.runtime.read(buffer, (buffer.size() / 4) as usize).await?;
            self.runtime.write(buffer, &words[words.len() / 2..]);
        }
        Ok(())
    }

    async fn first_of(&self, program: usize, batch: usize) -> Result<Option<NotFinite>> {
        for (at, dispatch) in self.runtime.dispatches(program).iter().enumerate() {
            let mut submission = self.runtime.submission();
            submission.run(&[(program, at..at + 1)]);
            submission.submit();
            let of = |access| dispatch.arguments.iter().filter(move |a| a.binding.access == access);
            for argument in of(Access::ReadWrite) {
                let Some(output) = self.values(argument).await?.filter(|values| values.not_finite > 0) else {
                    continue;
                };
                let mut inputs = Vec::new();
                for argument in of(Access::Read) {
                    inputs.extend(self.values(argument).await?);
                }
                let (kernel, label) = (Dispatch::kernel(dispatch).to_owned(), dispatch.label.clone());
                return Ok(Some(NotFinite { kernel, label, batch, output, inputs }));
            }
        }
        Ok(None)
    }

    /// Summarizes the values of an argument, if they are floating-point numbers.
    async fn values(&self, argument: &Argument) -> Result<Option<Values>> {
        let Argument { binding, buffer, offset, bytes } = argument;
        let count = *bytes as usize / 4;
        match binding.element {
            // Numbers that are loaded two at a time are u64.
            Some(naga::Scalar::F32 | naga::Scalar::U64) => {
                Ok(Some(Values::new(&binding.name, &self.runtime.read_at::<f32>(buffer, *offset, count).await?)))
            }
            Some(naga::Scalar::F16) => {
                let words: Vec<u32> = self.runtime.read_at(buffer, *offset, count).await?;
                let halves = words.iter().flat_map(|word| [*word as u16, (word >> 16) as u16]);
                let values: Vec<f32> = halves.map(|bits| half::f16::from_bits(bits).to_f32()).collect();
                Ok(Some(Values::new(&binding.name, &values)))
            }
            None if binding.name == "report" => {
                let report = self.runtime.read_at::<Report>(buffer, *offset, 1).await?[0];
                Ok(Some(Values::new("report", &[report.loss, report.grad_norm])))
            }
            _ => Ok(None),
        }
    }
}
