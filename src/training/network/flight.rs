//! Batches under way: submitting them, and reading their reports when they are done. Only the latter waits.

use web_time::Instant;

use super::{Done, Network, pace::Pace, program};
use crate::{
    data::Batch,
    device::{readback::Landing, runtime::Stretch, submission::Submission},
    error::Result,
    program::{
        BufferKind, Cleared, Input,
        step::{Report, Step},
    },
    training::mixing,
};

/// The most submissions under way.
pub(crate) const RING: usize = 3;

/// The byte offset of `Report.skipped`.
const SKIPPED_AT: u64 = std::mem::offset_of!(Report, skipped) as u64;

/// A batch that is under way.
pub(super) struct Flight {
    pub(super) landing: Landing,
    pub(super) slot: usize,
    pub(super) done: fn(Report) -> Done,
    pub(super) work: Vec<Stretch>,
    pub(super) samples: usize,
    /// Whether its work was split over several submissions.
    pub(super) cut: bool,
    pub(super) start: Instant,
}

impl Network {
    /// Submits a batch with the work on it.
    pub(super) fn submit(
        &mut self,
        batch: &Batch,
        step: &Step,
        clear: &[Cleared],
        work: Vec<Stretch>,
        done: fn(Report) -> Done,
    ) -> Result<()> {
        assert!(self.ready(), "network: a batch has to land before another is handed over");
        self.feed(batch, step);
        self.launch(batch.len(), clear, work, done)
    }

    /// Submits work on what the device has been given.
    pub(super) fn launch(
        &mut self,
        samples: usize,
        clear: &[Cleared],
        work: Vec<Stretch>,
        done: fn(Report) -> Done,
    ) -> Result<()> {
        let slot = self.take_slot();
        let (runtime, start) = (&self.runtime, Instant::now());
        let mut submission = runtime.submission();
        self.clear(&mut submission, clear);
        let parts = self.pace.parts(runtime, &work);
        for (nth, part) in parts.iter().enumerate() {
            if nth > 0 {
                std::mem::replace(&mut submission, runtime.submission()).submit();
            }
            submission.run(part);
        }
        let cut = parts.len() > 1;
        let landing = self.reported(submission, slot);
        self.flights.push_back(Flight { landing, slot, done, work, samples, cut, start });
        self.during(self.runtime.gpu.check())
    }

    /// The read-back for the report of the next flight.
    pub(super) fn take_slot(&mut self) -> usize {
        let slot = self.next_slot;
        self.next_slot = (slot + 1) % RING;
        slot
    }

    /// Submits the last of a flight, with its report.
    pub(super) fn reported(&self, mut submission: Submission<'_>, slot: usize) -> Landing {
        submission.read_back(self.runtime.buffer(&BufferKind::Report), 0, &self.ring[slot]);
        self.ring[slot].landing(submission.submit())
    }

    /// Writes a batch and the `Step` uniform to the device, before the next submission.
    pub(super) fn feed(&self, batch: &Batch, step: &Step) {
        let runtime = &self.runtime;
        // A network that draws nothing for its samples has no use for their indices.
        for kind in runtime.kinds() {
            let part: &[u8] = match kind {
                BufferKind::Input(Input::Samples) => &batch.inputs,
                BufferKind::Input(Input::Targets) => bytemuck::cast_slice(&batch.targets),
                BufferKind::Input(Input::Indices) => bytemuck::cast_slice(&batch.indices),
                BufferKind::Input(Input::Mixing) => {
                    let share = mixing(self.mixup, self.seed.into(), step.epoch, batch.indices[0]);
                    runtime.write(runtime.buffer(kind), &[share]);
                    continue;
                }
                _ => continue,
            };
            runtime.write(runtime.buffer(kind), part);
        }
        runtime.set_step(step);
    }

    /// Clears the buffers that are due to be cleared at this point.
    pub(super) fn clear(&self, submission: &mut Submission<'_>, due: &[Cleared]) {
        for kind in self.runtime.kinds().filter(|kind| kind.life().cleared.is_some_and(|time| due.contains(&time))) {
            match kind {
                // The count of skipped updates is kept, since it runs through the whole training.
                BufferKind::Report => submission.clear_start(self.runtime.buffer(kind), SKIPPED_AT),
                _ => submission.clear(self.runtime.buffer(kind)),
            }
        }
    }

    /// Adds to a device's fault what it was doing.
    pub(super) fn during<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match self.flights.front() {
            Some(flight) => {
                error.during(|| self.pace.describe(&self.runtime, &flight.work, flight.samples, self.input.unit()))
            }
            None => error,
        })
    }

    /// Sets the time in seconds that one submission should not exceed on any device; longer work is split over several.
    /// The default is 0.5 on a GPU, and no limit on a software adapter, which no system resets.
    pub fn set_longest_submission(&mut self, seconds: f64) {
        self.pace = Pace::new(seconds);
    }

    /// The number of submissions that a training batch of so many samples would take now, its update included.
    ///
    /// # Panics
    /// If no program was recorded for the batch's size.
    pub fn submissions(&self, samples: usize) -> usize {
        self.pace
            .parts(
                &self.runtime,
                &[
                    self.runtime.whole(program(&self.programs.train, samples)),
                    self.runtime.whole(self.update_program()),
                ],
            )
            .len()
    }

    /// Whether another batch may be submitted. The first batch must be done before the second if its time decides how
    /// finely later ones are split.
    pub fn ready(&self) -> bool {
        self.flights.len() < if self.pace.is_known() { RING } else { 1 }
    }

    /// Waits for the oldest batch under way; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) on a fault.
    pub async fn landed(&mut self) -> Result<Option<Done>> {
        let Some(flight) = self.flights.pop_front() else { return Ok(None) };
        let Flight { landing, slot, done, work, samples, cut, start } = flight;
        let landed = self.ring[slot].landed::<Report>(&self.runtime.gpu, landing).await;
        let report =
            landed.map_err(|e| e.during(|| self.pace.describe(&self.runtime, &work, samples, self.input.unit())))?;
        let now = Instant::now();
        if cut {
            // If one submission is or may be too few, the next batch is split by how long this one took since the
            // device was free for it.
            let free = self.landed.map_or(start, |before| before.max(start));
            self.pace.measured(&self.runtime, &work, (now - free).as_secs_f64());
        }
        self.landed = Some(now);
        let done = done(report[0]);
        match &done {
            Done::Accumulated(report) => self.waiting = Some(*report),
            Done::Updated(report) => {
                self.updates.heard(report);
                self.waiting = None;
            }
            Done::Evaluated(_) | Done::Collected => {}
        }
        Ok(Some(done))
    }

    /// Waits until another batch may be submitted. Returns what is done.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) on a fault.
    pub async fn make_room(&mut self) -> Result<Vec<Done>> {
        let mut landed = Vec::new();
        while !self.ready() {
            landed.extend(self.landed().await?);
        }
        Ok(landed)
    }

    /// Waits for everything under way. Returns what is done.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) on a fault.
    pub async fn drain(&mut self) -> Result<Vec<Done>> {
        let mut landed = Vec::new();
        while let Some(done) = self.landed().await? {
            landed.push(done);
        }
        Ok(landed)
    }
}
