//! A network on a device, ready to train and to evaluate: its programs, its buffers, and submissions in flight.
//!
//! A batch of another size (the last of an epoch) is another program over the same buffers. Submitting a batch never
//! waits: each submission copies a [`Report`] into one of a ring of buffers on the host, which [`Network::landed`]
//! reads once the next submissions are under way.

mod flight;
mod not_finite;
mod pace;
mod plans;
mod programs;
mod share;
mod state;

pub(crate) use flight::RING;
pub use not_finite::NotFinite;
pub use plans::{Plans, Recipe};
pub use programs::Programs;
pub use share::Counts;
pub use state::State;

use std::collections::{BTreeMap, VecDeque};

use web_time::Instant;

use crate::{
    data::{Batch, Input},
    device::{Gpu, readback::Readback, runtime::Runtime},
    error::{Error, Result},
    ops,
    optim::{self, Optimizer, Updates},
    program::{
        BufferKind, Cleared, Dtype, Recording, Tensor,
        params::{Layout, padded},
        step::{REPORT_BYTES, Report, Step},
        target::Precision,
    },
    training::{metrics::Confusion, ranks::Rank, weights::Weights},
};

use flight::Flight;
use pace::Pace;
use share::Sharing;

const _: () = assert!(RING <= optim::IN_FLIGHT, "the device would look for a row that the host no longer sends");

/// What a finished submission did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Done {
    /// A batch whose gradient was accumulated, with loss, hits and targets of its update so far.
    Accumulated(Report),
    /// A batch of [`Network::collect_statistics`].
    Collected,
    /// The last batch of an update.
    Updated(Report),
    /// A batch of an evaluation.
    Evaluated(Report),
}

/// The position of a training batch in its update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Whether the update begins with the batch: the gradient is cleared before it, unless it is [kept](Recipe::keep_gradients).
    pub first: bool,
    /// Whether the parameters are updated after the batch.
    pub last: bool,
    /// What the sum of gradients over the batch's samples is divided by, besides the counted targets of a sample: the number of
    /// samples in all batches of the update, for the mean over them. Samples of an update have equally many targets that are not
    /// ignored.
    pub images: u32,
    /// The epoch, counted from 1: augmentation and dropout draw anew for a sample in each epoch.
    pub epoch: u32,
    /// Learning rate of the update.
    pub lr: f64,
}

/// A network on a device.
pub struct Network {
    /// Programs and buffers.
    pub runtime: Runtime,
    /// Names and places of parameters.
    pub layout: Layout,
    optimizer: Option<Box<dyn Optimizer>>,
    programs: Programs<usize>,
    /// How many calls of a training program come before its backward pass.
    forward: usize,
    /// The logits of each program; `None` for updates.
    logits: Vec<Option<Tensor>>,
    sharing: Sharing,
    evaluating: bool,
    carries_state: bool,
    /// [`Recipe::keep_gradients`].
    keeps_gradients: bool,
    /// Whether an epoch begins with the next training batch.
    begins: bool,
    updates: Updates,
    update_step: Step,
    /// The report on the batches whose gradient waits for its update, as far as they are known to be done.
    waiting: Option<Report>,
    /// Targets of the update under way that have been submitted.
    submitted: u32,
    /// Whether the device's report was used for something else since the last training batch.
    report_taken: bool,
    seed: u32,
    /// As in [`Recipe::mixup`].
    mixup: f64,
    batches: i64,
    classes: u32,
    input: Input,
    ring: Vec<Readback>,
    flights: VecDeque<Flight>,
    next_slot: usize,
    pace: Pace,
    /// When the last finished batch was read.
    landed: Option<Instant>,
}

impl Network {
    /// Records the programs, allocates buffers, compiles kernels, and writes the weights to the device.
    ///
    /// # Errors
    /// [`Error::Device`] if the device cannot hold or run it, or does not support the precision.
    pub async fn new(
        gpu: &Gpu,
        plans: &Plans<'_>,
        optimizer: Option<Box<dyn Optimizer>>,
        weights: impl FnOnce(&Layout) -> Result<Weights>,
        seed: u64,
    ) -> Result<Self> {
        Self::of_rank(gpu, plans, optimizer, weights, seed, Rank::ALONE).await
    }

    /// As [`new`](Self::new), for one of several ranks: [`Network::share`] and what follows it take the place of [`Network::train`].
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn of_rank(
        gpu: &Gpu,
        plans: &Plans<'_>,
        optimizer: Option<Box<dyn Optimizer>>,
        weights: impl FnOnce(&Layout) -> Result<Weights>,
        seed: u64,
        rank: Rank,
    ) -> Result<Self> {
        let largest = plans.model.largest_batch(&plans.config);
        let evaluated = plans.evaluate.iter().map(|n| n * plans.recipe.views());
        if let Some(n) = plans.train.iter().copied().chain(evaluated).find(|&n| n > largest) {
            return Err(Error::config(
                format!("a batch of {n} {}", plans.config.input.unit()),
                format!("at most {largest} are possible"),
            ));
        }
        gpu.supports(plans.recipe.precision)?;
        if let Some(optimizer) = &optimizer {
            optim::try_out(gpu, optimizer.as_ref()).await?;
        }
        let mut programs = plans.programs(optimizer.as_deref());
        if rank.has_others() {
            share::record(&mut programs, &plans.target(), rank);
        }
        let (recordings, programs) = programs.numbered();
        let layout = recordings[0].layout.clone();
        let sharing = Sharing::new(gpu, &recordings, &programs.train, rank);
        let runtime = match Runtime::new(gpu, &recordings, true).await {
            Ok(runtime) => runtime,
            Err(error) => return Err(plans.does_not_fit(gpu, error).await),
        };
        let mut network = Self {
            runtime,
            layout,
            optimizer,
            programs,
            forward: recordings[0].forward_calls,
            logits: recordings.iter().map(logits_of).collect(),
            sharing,
            evaluating: false,
            carries_state: plans.model.carries_state,
            keeps_gradients: plans.recipe.keep_gradients,
            begins: false,
            updates: Updates::default(),
            update_step: Step::default(),
            waiting: None,
            submitted: 0,
            report_taken: false,
            seed: Step::seed_of(seed),
            mixup: plans.recipe.mixup,
            batches: 0,
            classes: plans.config.classes,
            input: plans.config.input,
            ring: (0..RING).map(|_| Readback::new(gpu, REPORT_BYTES)).collect(),
            flights: VecDeque::new(),
            next_slot: 0,
            pace: Pace::of(&gpu.info),
            landed: None,
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
        runtime.write(runtime.buffer(&BufferKind::Params), &weights.params);
        // A network without batch norm has no running statistics, and no buffer for them.
        if self.layout.running_floats() > 0 {
            runtime.write(runtime.buffer(&BufferKind::Running), &weights.running);
        }
        self.batches = weights.batches;
    }

    /// Sets the loss scale of mixed precision to 2^exponent, with an exponent of at most 126, and the number of updates
    /// in a row that were not skipped since it last changed. In f32 the buffer stays all zeros.
    pub fn set_scale(&self, [exponent, good]: [u32; 2]) {
        self.runtime.write(self.runtime.buffer(&ops::SCALER), &[exponent, good]);
    }

    /// The current weights; waits for the device.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    pub async fn weights(&self) -> Result<Weights> {
        let read = async |kind, len: u32| match len {
            0 => Ok(vec![]),
            _ => self.runtime.read(self.runtime.buffer(kind), len as usize).await,
        };
        Ok(Weights {
            params: read(&BufferKind::Params, self.layout.param_floats()).await?,
            running: read(&BufferKind::Running, self.layout.running_floats()).await?,
            batches: self.batches,
        })
    }

    /// Says that an epoch begins with the next training batch: a network that [carries its state](crate::models::Model::carries_state)
    /// begins it with a state of zeros, as the first.
    pub fn begin_epoch(&mut self) {
        self.begins = true;
    }

    /// Whether a batch goes on from the state that the one before has left.
    pub fn carries_state(&self) -> bool {
        self.carries_state
    }

    /// Submits a training batch and, if it is the last of an update, the update. Never waits. Evaluations may come
    /// between two batches of an update; they leave the gradient as it is.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault that is known by now.
    ///
    /// # Panics
    /// If the network is not [ready](Network::ready), no program was recorded for the batch's size, there is no
    /// optimizer, the parameters are at the point of evaluation, or an evaluation within the update was not
    /// [drained](Network::drain).
    pub fn train(&mut self, batch: &Batch, place: Place) -> Result<()> {
        assert!(!self.evaluating, "train: leave_evaluation comes first");
        let program = program(&self.programs.train, batch.len());
        if place.first {
            self.submitted = 0;
        } else if self.report_taken {
            assert!(self.flights.is_empty(), "train: drain comes first, after an evaluation within an update");
            self.give_report_back();
        }
        self.report_taken = false;
        self.submitted += batch.counted();
        self.batches = self.batches.saturating_add(1);
        if place.last {
            let optimizer = self.optimizer.as_deref().expect("a network that trains has an optimizer");
            self.update_step = self.updates.next(optimizer, place.lr);
        }
        let step = self.step_of(batch, place, self.submitted);
        // Before the first update, the device has zeros.
        let mut clear = match place.first {
            true if self.keeps_gradients => vec![Cleared::ByBatch, Cleared::ByCount],
            true => AT_UPDATE.to_vec(),
            false => vec![Cleared::ByBatch],
        };
        clear.extend(std::mem::take(&mut self.begins).then_some(Cleared::ByEpoch));
        let programs = if place.last { vec![program, self.update_program()] } else { vec![program] };
        let work = programs.into_iter().map(|p| self.runtime.whole(p)).collect();
        let done: fn(Report) -> Done = if place.last { Done::Updated } else { Done::Accumulated };
        self.submit(batch, &step, &clear, work, done)
    }

    /// The [`Step`] of a training batch; `targets` are those of its update so far that are counted, its own included.
    fn step_of(&self, batch: &Batch, place: Place, targets: u32) -> Step {
        let update = if place.last { self.update_step } else { Step::default() };
        // A batch in which some targets are ignored has fewer; it is not divided by the places that have no loss.
        let each = f64::from(batch.counted().max(1)) / batch.len().max(1) as f64;
        let loss_scale = 1.0 / (place.images as f32 * each as f32);
        let loss_mean = 1.0 / targets.max(1) as f32;
        Step { loss_scale, loss_mean, seed: self.seed, epoch: place.epoch, ..update }
    }

    /// Writes the sums of the update under way back to the device's report, which further batches add to.
    fn give_report_back(&self) {
        if let Some(Report { loss, hits, targets, .. }) = self.waiting {
            self.runtime.write(self.runtime.buffer(&BufferKind::Report), &[loss.to_bits(), hits, targets]);
        }
    }

    /// Sums of loss, hits and targets over the batches that are done and whose gradient waits for its update; `None` if
    /// there are none, as between most updates. Batches under way are not counted.
    pub fn waiting(&self) -> Option<Report> {
        self.waiting
    }

    /// Moves the parameters to the point at which the optimizer wants the network evaluated and saved, which for most
    /// is where they are. Returns true if it is another point, as with Schedule-Free: batch-norm statistics must then
    /// be collected anew ([`Network::collect_statistics`]), and [`Network::leave_evaluation`] must come before the next
    /// update. A second call does nothing.
    pub fn enter_evaluation(&mut self) -> bool {
        if let (Some(program), false) = (self.programs.to_evaluation, self.evaluating) {
            optim::begin_evaluation(&self.runtime, program);
            self.evaluating = true;
        }
        self.evaluating
    }

    /// Moves the parameters back to where [`Network::enter_evaluation`] found them, to the bit. The running statistics
    /// are not restored, since training does not read them.
    pub fn leave_evaluation(&mut self) {
        if std::mem::take(&mut self.evaluating) {
            optim::end_evaluation(&self.runtime);
        }
    }

    /// Runs only the forward pass of a training batch, so that the running statistics become the mean over the batches
    /// from 1 to `nth`, as the caller counts them. Never waits.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault that is known by now.
    ///
    /// # Panics
    /// If the network is not [ready](Network::ready), or no training program was recorded for the batch's size.
    pub fn collect_statistics(&mut self, batch: &Batch, nth: u32, epoch: u32) -> Result<()> {
        let (program, forward) = (program(&self.programs.train, batch.len()), self.forward);
        let step = Step { averaged: nth, seed: self.seed, epoch, ..Step::default() };
        self.report_taken = true;
        self.submit(batch, &step, &[Cleared::ByCount], vec![(program, 0..forward)], |_| Done::Collected)
    }

    /// The largest batch that a program was recorded for to evaluate; 1 if there is none.
    pub fn evaluation_batch(&self) -> usize {
        self.programs.evaluate.keys().max().map_or(1, |&n| n as usize)
    }

    /// Submits a batch for evaluation; the `first` one clears the confusion matrix, and a state that is carried from batch to batch. Never waits.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault that is known by now.
    ///
    /// # Panics
    /// If the network is not [ready](Network::ready), or no program was recorded for the batch's size.
    pub fn evaluate(&mut self, batch: &Batch, first: bool) -> Result<()> {
        let program = program(&self.programs.evaluate, batch.len());
        let clear: &[Cleared] = if first { &[Cleared::ByCount, Cleared::ByEvaluation] } else { &[Cleared::ByCount] };
        self.report_taken = true;
        let (step, work) = (Step { loss_scale: 1.0, ..Step::default() }, vec![self.runtime.whole(program)]);
        self.submit(batch, &step, clear, work, Done::Evaluated)
    }

    /// The logits of the evaluated batch that was submitted last, which had so many samples: a row of as many values as
    /// there are classes for each target, one sample after the other. With test-time augmentation they are means over views.
    /// Waits for the device.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    ///
    /// # Panics
    /// If no program was recorded for a batch of this size.
    pub async fn logits(&self, samples: usize) -> Result<Vec<f32>> {
        let program = program(&self.programs.evaluate, samples);
        let logits = self.logits[program].expect("an evaluation has logits");
        let (classes, stored) = (self.classes as usize, padded(self.classes) as usize);
        let places = self.input.targets() as usize;
        let rows: Vec<f32> = self.runtime.read(self.runtime.tensor(program, logits), samples * places * stored).await?;
        // They are stored place by place, and in each place sample by sample.
        let in_order = (0..samples).flat_map(|sample| (0..places).map(move |place| place * samples + sample));
        Ok(in_order.flat_map(|row| &rows[row * stored..][..classes]).copied().collect())
    }

    /// The logits of one place of one sample, as in [`logits`](Self::logits). Waits for the device.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    ///
    /// # Panics
    /// If no program was recorded for a batch of this size, or it has no such place.
    pub async fn logits_at(&self, samples: usize, sample: usize, place: usize) -> Result<Vec<f32>> {
        let program = program(&self.programs.evaluate, samples);
        let logits = self.logits[program].expect("an evaluation has logits");
        assert!(sample < samples && place < self.input.targets() as usize, "logits_at: no such place");
        let at = 4 * (place * samples + sample) as u64 * u64::from(padded(self.classes));
        self.runtime.read_at(self.runtime.tensor(program, logits), at, self.classes as usize).await
    }

    /// The confusion matrix since it was last cleared; `None` if there are too many classes for one, or samples have several
    /// targets. Waits for the device.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    pub async fn confusion(&self) -> Result<Option<Confusion>> {
        if !ops::confuses(self.input.targets(), self.classes) {
            return Ok(None);
        }
        let cells = (self.classes * self.classes) as usize;
        let counts: Vec<u32> = self.runtime.read(self.runtime.buffer(&BufferKind::Confusion), cells).await?;
        let counts = counts.into_iter().map(u64::from).collect();
        Ok(Some(Confusion { classes: self.classes as usize, counts }))
    }

    /// Whether the optimizer itself clips the gradient's norm.
    pub fn clips(&self) -> bool {
        self.optimizer.as_ref().is_some_and(|optimizer| optimizer.clip_norm().is_some())
    }

    /// The numbers of updates issued and skipped.
    pub fn updates(&self) -> Updates {
        self.updates
    }

    /// Index of the update's program in the runtime, after those of the batches.
    ///
    /// # Panics
    /// If the network has no optimizer.
    pub fn update_program(&self) -> usize {
        self.programs.update.expect("a network that trains has an optimizer")
    }
}

/// The logits of a program, which are f32 in any precision.
fn logits_of(recording: &Recording) -> Option<Tensor> {
    let logits = recording.output?;
    assert_eq!(recording.info(logits).dtype, Dtype::F32, "network: logits are pooled to f32");
    Some(logits)
}

/// The buffers that an update's first batch clears.
const AT_UPDATE: &[Cleared] = &[Cleared::ByUpdate, Cleared::ByBatch, Cleared::ByCount];

fn program(programs: &BTreeMap<u32, usize>, samples: usize) -> usize {
    let found = u32::try_from(samples).ok().and_then(|n| programs.get(&n));
    *found.unwrap_or_else(|| panic!("no program was recorded for a batch of {samples}: {programs:?}"))
}
