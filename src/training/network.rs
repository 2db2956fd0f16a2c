//! A network on a device, ready to train and to evaluate: its programs, its buffers, and submissions in flight.
//!
//! A batch of another size (the last of an epoch) is another program over the same buffers. Nothing waits for the device
//! inside a step: each submission leaves a [`Report`] in one of a ring of buffers, which is read once the next ones are
//! under way.

mod not_finite;
mod pace;
mod plans;
mod state;

pub use not_finite::NotFinite;
pub use plans::{LARGEST_BATCH, Plans, Recipe};
pub use state::State;

use std::{collections::VecDeque, ops::Range, time::Instant};

use crate::{
    data::Batch,
    device::{Gpu, runtime::Runtime},
    error::{Error, Result},
    ops,
    optim::{self, Optimizer, Updates},
    program::{
        params::Layout,
        step::{Report, Step},
        target::Precision,
    },
    training::{metrics::Confusion, weights::Weights},
};

use pace::Pace;

/// Submissions under way at most.
pub(crate) const RING: usize = 3;

const _: () = assert!(RING <= optim::IN_FLIGHT, "the device would look for a row that the host no longer sends");

const REPORT_BYTES: u64 = size_of::<Report>() as u64;

/// What a finished submission was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Done {
    /// A batch whose gradient was accumulated.
    Accumulated,
    /// The last batch of an update.
    Updated(Report),
    /// A batch of an evaluation.
    Evaluated(Report),
}

/// Where a training batch stands in its update.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Clears gradients and report first.
    pub first: bool,
    /// Updates the parameters after.
    pub last: bool,
    /// Images of all the update's batches.
    pub images: u32,
    /// For augmentation.
    pub epoch: u32,
    /// Learning rate of the update.
    pub lr: f64,
}

struct Flight {
    submission: wgpu::SubmissionIndex,
    slot: usize,
    done: fn(Report) -> Done,
    work: Vec<Stretch>,
    images: usize,
}

/// Some dispatches of a program.
type Stretch = (usize, Range<usize>);

/// A network on a device.
pub struct Network<'a> {
    /// Programs and buffers.
    pub runtime: Runtime<'a>,
    /// Names and places of parameters.
    pub layout: Layout,
    /// Whether evaluations take six views of an image.
    pub tta: bool,
    optimizer: Option<Box<dyn Optimizer>>,
    train: Vec<(u32, usize)>,
    evaluate: Vec<(u32, usize)>,
    update: usize,
    to_evaluation: Option<usize>,
    /// Calls of a training program before its backward pass.
    forward: usize,
    evaluating: bool,
    updates: Updates,
    update_step: Step,
    seed: u32,
    batches: i64,
    classes: u32,
    ring: Vec<wgpu::Buffer>,
    flights: VecDeque<Flight>,
    next_slot: usize,
    pace: Pace,
}

impl<'a> Network<'a> {
    /// Records, allocates, compiles, and puts the weights in place.
    ///
    /// # Errors
    /// [`Error::Device`] if the device cannot hold or run it, or has not the precision.
    pub fn new(
        gpu: &'a Gpu,
        plans: &Plans<'_>,
        optimizer: Option<Box<dyn Optimizer>>,
        weights: impl FnOnce(&Layout) -> Result<Weights>,
        seed: u64,
    ) -> Result<Self> {
        if let Some(n) = plans.train.iter().chain(&plans.evaluate).find(|&&n| n > LARGEST_BATCH) {
            return Err(Error::config(
                format!("a batch of {n} images"),
                format!("at most {LARGEST_BATCH} are possible"),
            ));
        }
        gpu.target_for(plans.recipe.precision)?;
        if let Some(optimizer) = &optimizer {
            optimizer.try_out(gpu)?;
        }
        let recordings = plans.recordings(&gpu.target, optimizer.as_deref());
        plans.check(gpu, &recordings)?;
        let layout = recordings[0].layout.clone();
        let runtime = Runtime::new(gpu, &recordings, true)?;
        let ring = (0..RING)
            .map(|_| {
                gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("report ring"),
                    size: REPORT_BYTES,
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            })
            .collect();
        let trains = plans.train.len();
        let update = trains + plans.evaluate.len();
        let mut network = Self {
            runtime,
            layout,
            tta: plans.recipe.tta,
            optimizer,
            train: plans.train.iter().copied().zip(0..).collect(),
            evaluate: plans.evaluate.iter().copied().zip(trains..).collect(),
            update,
            to_evaluation: (update + 1 < recordings.len()).then_some(update + 1),
            forward: recordings[0].forward_calls,
            evaluating: false,
            updates: Updates::default(),
            update_step: Step::default(),
            seed: Step::seed_of(seed),
            batches: 0,
            classes: plans.config.classes,
            ring,
            flights: VecDeque::new(),
            next_slot: 0,
            pace: Pace::of(&gpu.info),
        };
        let weights = weights(&network.layout)?;
        network.set_weights(&weights);
        if let Some(optimizer) = &network.optimizer {
            optim::start(optimizer.as_ref(), &network.runtime, &network.layout);
            if plans.recipe.precision == Precision::Mixed {
                network.set_scale(ops::FIRST_SCALE);
            }
        }
        Ok(network)
    }

    fn set_weights(&mut self, weights: &Weights) {
        let runtime = &self.runtime;
        runtime.write(runtime.buffer("params"), &weights.params);
        runtime.write(runtime.buffer("running"), &weights.running);
        self.batches = weights.batches;
    }

    /// Sets the scale of the loss's gradient under mixed precision, 2^exponent with an exponent of at most 126, and how many updates
    /// in a row were not skipped since it last moved. In f32 the buffer stays as it is made: all zeros.
    pub fn set_scale(&self, [exponent, good]: [u32; 2]) {
        self.runtime.write(self.runtime.buffer(ops::SCALER), &[exponent, good]);
    }

    /// The weights now; waits for the device.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    pub fn weights(&self) -> Result<Weights> {
        let read = |name: &str, len: u32| self.runtime.read(self.runtime.buffer(name), len as usize);
        Ok(Weights {
            params: read("params", self.layout.param_floats())?,
            running: read("running", self.layout.running_floats())?,
            batches: self.batches,
        })
    }

    /// Submits a training batch. Returns what finished meanwhile.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    ///
    /// # Panics
    /// If no program was recorded for the batch's size, there is no optimizer, or the network is where it is evaluated.
    pub fn train(&mut self, batch: &Batch, place: Place) -> Result<Vec<Done>> {
        assert!(!self.evaluating, "train: leave_evaluation comes first");
        let program = program(&self.train, batch.labels.len());
        let optimizer = self.optimizer.as_deref().expect("a network that trains has an optimizer");
        if place.first {
            self.update_step = self.updates.next(optimizer, place.lr);
        }
        self.batches = self.batches.saturating_add(1);
        let step = self.step_of(place, self.batches);
        let clear: &[&str] = if place.first { &["grads"] } else { &[] };
        let programs = if place.last { vec![program, self.update] } else { vec![program] };
        let work = programs.into_iter().map(|p| self.whole(p)).collect();
        let done: fn(Report) -> Done = if place.last { Done::Updated } else { |_| Done::Accumulated };
        self.submit(batch, &step, clear, place.first, work, done)
    }

    /// The uniform of the run's `nth` training batch, one of the update under way.
    fn step_of(&self, place: Place, nth: i64) -> Step {
        let (loss_scale, batch) = (1.0 / place.images as f32, nth as u32);
        Step { loss_scale, batch, seed: self.seed, epoch: place.epoch, ..self.update_step }
    }

    fn whole(&self, program: usize) -> Stretch {
        (program, 0..self.runtime.dispatches(program).len())
    }

    /// Moves the parameters to where the optimizer wants the network evaluated and saved, which for most is where they are.
    /// Returns true where that is another point, as with Schedule-Free: batch-norm statistics are then to be collected anew
    /// ([`Network::collect_statistics`]), and [`Network::leave_evaluation`] comes before the next update. Does nothing the
    /// second time.
    pub fn enter_evaluation(&mut self) -> bool {
        if let (Some(program), false) = (self.to_evaluation, self.evaluating) {
            optim::begin_evaluation(&self.runtime, program);
            self.evaluating = true;
        }
        self.evaluating
    }

    /// Returns the parameters to where [`Network::enter_evaluation`] found them, to the bit. The running statistics stay:
    /// training does not read them.
    pub fn leave_evaluation(&mut self) {
        if std::mem::take(&mut self.evaluating) {
            optim::end_evaluation(&self.runtime);
        }
    }

    /// Runs a training batch forward alone, so that the running statistics become the mean over batches `1 ..= nth` since
    /// the caller began to count. Returns what finished meanwhile.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    ///
    /// # Panics
    /// If no training program was recorded for the batch's size.
    pub fn collect_statistics(&mut self, batch: &Batch, nth: u32, epoch: u32) -> Result<Vec<Done>> {
        let (program, forward) = (program(&self.train, batch.labels.len()), self.forward);
        let step = Step { averaged: nth, seed: self.seed, epoch, ..Step::default() };
        self.submit(batch, &step, &[], true, vec![(program, 0..forward)], |_| Done::Accumulated)
    }

    /// Submits a batch for evaluation. Returns what finished meanwhile.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    ///
    /// # Panics
    /// If no program was recorded for the batch's size.
    pub fn evaluate(&mut self, batch: &Batch, first: bool) -> Result<Vec<Done>> {
        let program = program(&self.evaluate, batch.labels.len());
        let clear: &[&str] = if first { &["confusion"] } else { &[] };
        let (step, work) = (Step { loss_scale: 1.0, ..Step::default() }, vec![self.whole(program)]);
        self.submit(batch, &step, clear, true, work, Done::Evaluated)
    }

    fn submit(
        &mut self,
        batch: &Batch,
        step: &Step,
        clear: &[&str],
        new_report: bool,
        work: Vec<Stretch>,
        done: fn(Report) -> Done,
    ) -> Result<Vec<Done>> {
        let finished = self.make_room()?;
        let (runtime, gpu, start) = (&self.runtime, self.runtime.gpu, Instant::now());
        self.feed(batch, step);
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.clear(&mut encoder, clear, new_report);
        let parts = self.pace.parts(runtime, &work);
        for (nth, part) in parts.iter().enumerate() {
            if nth > 0 {
                let next = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                gpu.queue.submit([std::mem::replace(&mut encoder, next).finish()]);
            }
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            part.iter().for_each(|(program, range)| runtime.encode_range(*program, range.clone(), &mut pass));
        }
        let slot = self.next_slot;
        self.next_slot = (slot + 1) % RING;
        encoder.copy_buffer_to_buffer(runtime.buffer("report"), 0, &self.ring[slot], 0, REPORT_BYTES);
        let submission = gpu.queue.submit([encoder.finish()]);
        self.ring[slot].slice(..).map_async(wgpu::MapMode::Read, |_| ());
        let images = batch.labels.len();
        self.flights.push_back(Flight { submission, slot, done, work, images });
        if parts.len() > 1 {
            // Where one submission is not enough, or might not be, the next batch goes by how long this one took.
            self.during(gpu.wait())?;
            let work = &self.flights.back().expect("it was just put there").work;
            self.pace.measured(&self.runtime, work, start.elapsed().as_secs_f64());
        }
        self.during(gpu.check())?;
        Ok(finished)
    }

    /// A batch and the step's uniform to the device, before the next submission.
    fn feed(&self, batch: &Batch, step: &Step) {
        let runtime = &self.runtime;
        runtime.write(runtime.buffer("images"), &batch.images);
        runtime.write(runtime.buffer("labels"), &batch.labels);
        runtime.write(runtime.buffer("indices"), &batch.indices);
        runtime.set_step(step);
    }

    fn clear(&self, encoder: &mut wgpu::CommandEncoder, buffers: &[&str], report: bool) {
        buffers.iter().for_each(|name| encoder.clear_buffer(self.runtime.buffer(name), 0, None));
        if report {
            encoder.clear_buffer(self.runtime.buffer("report"), 0, Some(SKIPPED_AT)); // the count of skipped updates stays
        }
    }

    /// Adds to a device's fault what it was doing.
    fn during<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match self.flights.front() {
            Some(flight) => error.during(|| self.pace.describe(&self.runtime, &flight.work, flight.images)),
            None => error,
        })
    }

    /// Seconds that one submission should not exceed on any device; what is longer becomes several. The default is 0.5 on a
    /// GPU and no bound on a software adapter, which nobody takes away.
    pub fn set_longest_submission(&mut self, seconds: f64) {
        self.pace = Pace::new(seconds);
    }

    /// Submissions that a training batch of `images` would take now, its update included.
    ///
    /// # Panics
    /// If no program was recorded for the batch's size.
    pub fn submissions(&self, images: usize) -> usize {
        self.pace.parts(&self.runtime, &[self.whole(program(&self.train, images)), self.whole(self.update)]).len()
    }

    /// Waits until another submission may follow. Returns what finished.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    pub fn make_room(&mut self) -> Result<Vec<Done>> {
        let mut finished = Vec::new();
        while self.flights.len() >= RING {
            finished.push(self.land()?);
        }
        Ok(finished)
    }

    /// Waits for the oldest submission and reads its report.
    fn land(&mut self) -> Result<Done> {
        let Flight { submission, slot, done, .. } = self.flights.front().expect("one is under way");
        let (submission, slot, done) = (submission.clone(), *slot, *done);
        let report = self.during(self.report(submission, slot))?;
        self.flights.pop_front();
        let done = done(report);
        if let Done::Updated(report) = &done {
            self.updates.heard(report);
        }
        Ok(done)
    }

    fn report(&self, submission: wgpu::SubmissionIndex, slot: usize) -> Result<Report> {
        let gpu = self.runtime.gpu;
        let waited = gpu.device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None });
        gpu.check()?;
        waited.map_err(|e| gpu.behind(format!("waiting failed: {e}")))?;
        let report = bytemuck::pod_read_unaligned(&gpu.mapped(&self.ring[slot])?);
        self.ring[slot].unmap();
        Ok(report)
    }

    /// Waits for everything under way.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    pub fn drain(&mut self) -> Result<Vec<Done>> {
        let mut finished = Vec::new();
        while !self.flights.is_empty() {
            finished.push(self.land()?);
        }
        Ok(finished)
    }

    /// The confusion matrix since it was last cleared; waits for the device.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    pub fn confusion(&self) -> Result<Confusion> {
        let cells = (self.classes * self.classes) as usize;
        let counts: Vec<u32> = self.runtime.read(self.runtime.buffer("confusion"), cells)?;
        Ok(Confusion { classes: self.classes as usize, counts: counts.into_iter().map(u64::from).collect() })
    }

    /// Updates issued and skipped.
    pub fn updates(&self) -> Updates {
        self.updates
    }

    /// Index of the update's program in the runtime, after those of the batches.
    pub fn update_program(&self) -> usize {
        self.update
    }
}

/// Byte of `Report.skipped`.
const SKIPPED_AT: u64 = std::mem::offset_of!(Report, skipped) as u64;

fn program(programs: &[(u32, usize)], images: usize) -> usize {
    let found = programs.iter().find(|(n, _)| *n as usize == images);
    found.unwrap_or_else(|| panic!("no program was recorded for a batch of {images}: {programs:?}")).1
}
