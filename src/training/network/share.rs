//! Training by several ranks: the share that a batch has in an update, and how shares are put together.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
};

use web_time::Instant;

use super::{AT_UPDATE, Done, Network, Place, Programs, flight::Flight, program};
use crate::{
    data::Batch,
    device::{
        Gpu,
        readback::{Landing, Readback},
    },
    error::Result,
    ops::{add_share, move_running},
    program::{
        BufferKind, Recording, Size, Slot, Tape,
        shader::Access,
        step::{Report, Step},
        target::Target,
    },
    training::ranks::Rank,
};

/// What a rank adds up: its slice of the sum, the share that is added next, and the running statistics of a batch.
const SUM: BufferKind = BufferKind::Scratch(std::borrow::Cow::Borrowed("exchange.sum"));
const SHARE: BufferKind = BufferKind::Scratch(std::borrow::Cow::Borrowed("exchange.share"));
const STATISTICS: BufferKind = BufferKind::Scratch(std::borrow::Cow::Borrowed("exchange.running"));

/// Written over the running statistics before a batch: what is still there afterwards, the batch has not touched.
const UNTOUCHED: f32 = -0.0;

/// The gradient leaves the device in so many buckets at most, and in fewer where they would hold less than so many numbers.
const BUCKETS: usize = 16;
const LEAST: usize = 1 << 14;

/// What a batch adds to an update besides its gradient.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Loss (the bits of an f32), hits, targets, and hits among the five likeliest classes.
    pub counts: [u32; 4],
    /// The batch's own statistics in place of the running ones; -0 where it leaves them as they are.
    pub running: Vec<f32>,
}

/// What a network has as one of several ranks.
pub(super) struct Sharing {
    rank: Rank,
    /// `None` if it is the only one.
    buckets: Option<Buckets>,
    /// Sums over the batches of all ranks of the update under way.
    totals: Report,
}

impl Sharing {
    pub(super) fn new(gpu: &Gpu, recordings: &[Recording], training: &BTreeMap<u32, usize>, rank: Rank) -> Self {
        let buckets = rank.has_others().then(|| Buckets::new(gpu, recordings, training));
        Self { rank, buckets, totals: Report::default() }
    }
}

/// How the gradient of a batch leaves the device while the rest of it is still computed.
struct Buckets {
    /// Parts of the arena of parameters. The last, which is computed first, comes first.
    ranges: Vec<Range<usize>>,
    /// For each program of training, the number of dispatches after which each bucket is complete.
    complete: BTreeMap<usize, Vec<usize>>,
    readbacks: Vec<Readback>,
    of_running: Option<Readback>,
    /// The copies that are under way.
    landings: VecDeque<Landing>,
    running_lands: Option<Landing>,
    /// The running statistics before the batch.
    before: Vec<f32>,
}

/// The parts of an arena of so many numbers, a multiple of four, from its end.
fn parts(floats: usize) -> Vec<Range<usize>> {
    let count = (floats / LEAST).clamp(1, BUCKETS);
    let at = |nth: usize| floats / 4 * nth / count * 4;
    (0..count).rev().map(|nth| at(nth)..at(nth + 1)).collect()
}

/// The number of calls after which nothing is added to each part of the gradient any more, in the order of the parts.
fn complete(training: &Recording, parts: &[Range<usize>]) -> Vec<usize> {
    let mut done = 0;
    let after = |part: &Range<usize>| {
        let adds = |(slot, access): &(Slot, Access)| match slot {
            Slot::Buffer { buffer, offset, bytes } => {
                let (from, to) = (*offset as usize / 4, (*offset + *bytes) as usize / 4);
                let overlap = from < part.end && part.start < to;
                overlap && *access != Access::Read && *training.kind(*buffer) == BufferKind::Grads
            }
            Slot::Tensor(_) => false,
        };
        training.calls.iter().rposition(|call| call.args.iter().any(adds)).map_or(0, |last| last + 1)
    };
    let counts = parts.iter().map(after);
    // What is submitted in turn cannot be complete before what comes before it.
    counts
        .map(|count| {
            done = done.max(count);
            done
        })
        .collect()
}

impl Buckets {
    fn new(gpu: &Gpu, recordings: &[Recording], training: &BTreeMap<u32, usize>) -> Self {
        let layout = &recordings[0].layout;
        let ranges = parts(layout.param_floats() as usize);
        let complete = training.values().map(|&program| (program, complete(&recordings[program], &ranges))).collect();
        let readbacks = ranges.iter().map(|range| Readback::new(gpu, 4 * range.len() as u64)).collect();
        let running = 4 * u64::from(layout.running_floats());
        Self {
            ranges,
            complete,
            readbacks,
            of_running: (running > 0).then(|| Readback::new(gpu, running)),
            landings: VecDeque::new(),
            running_lands: None,
            before: vec![],
        }
    }
}

/// The parts of an arena of so many numbers that a rank adds up, one of each bucket.
fn own(rank: Rank, floats: usize) -> impl Iterator<Item = Range<usize>> {
    parts(floats).into_iter().map(move |part| {
        let slice = rank.slice(part.len());
        part.start + slice.start..part.start + slice.end
    })
}

/// Adds to the programs those that put shares together.
pub(super) fn record(programs: &mut Programs<Recording>, target: &Target, rank: Rank) {
    let Some(training) = programs.train.values().next_back() else { return };
    let layout = &training.layout;
    let len = own(rank, layout.param_floats() as usize).map(|part| part.len()).sum::<usize>() as u32;
    let mut t = Tape::over_layout(target, layout);
    let bytes = 4 * u64::from(len.max(4));
    let (share, sum) = (t.buffer(SHARE, bytes), t.buffer(SUM, bytes));
    add_share(&mut t, share, sum, len / 4);
    programs.add = Some(t.finish());
    if layout.running_floats() > 0 {
        programs.running = Some(record_running(training, target));
    }
}

/// One call for each that moves running statistics in training.
fn record_running(training: &Recording, target: &Target) -> Recording {
    let mut t = Tape::over_layout(target, &training.layout);
    t.buffer(STATISTICS, 4 * u64::from(training.layout.running_floats()));
    for call in &training.calls {
        let moves = call.args.iter().filter_map(|(slot, access)| match slot {
            Slot::Buffer { buffer, offset, bytes } if *access == Access::ReadWrite => {
                (*training.kind(*buffer) == BufferKind::Running).then_some((*offset, *bytes))
            }
            _ => None,
        });
        let moves: Vec<_> = moves.collect();
        let [mean, var] = moves[..] else {
            assert!(moves.is_empty(), "{}: running statistics that several ranks cannot put together", call.spec);
            continue;
        };
        let size = |wanted: &str| call.sizes.iter().find(|(name, _)| name == wanted).map(|(_, size)| *size);
        let (Some(Size::U32(c4)), Some(Size::F32(momentum))) = (size("c4"), size("momentum")) else {
            panic!("{}: running statistics without momentum", call.spec);
        };
        let [batch_mean, batch_var] = [mean, var].map(|(offset, bytes)| t.range(STATISTICS, offset, bytes));
        let [mean, var] = [mean, var].map(|(offset, bytes)| t.range(BufferKind::Running, offset, bytes));
        move_running(&mut t, [batch_mean, batch_var], [mean, var], c4, momentum);
    }
    t.finish()
}

impl Network {
    /// Begins an update of several ranks, with the gradient that is there if it is kept or was carried over.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) on a fault.
    pub async fn begin_shares(&mut self, first: bool) -> Result<()> {
        let floats = self.layout.param_floats() as usize;
        self.sharing.totals = if first { Report::default() } else { self.waiting.unwrap_or_default() };
        let gradient: Vec<f32> = match first && !self.keeps_gradients {
            true => vec![0.0; floats],
            false => self.runtime.read(self.runtime.buffer(&BufferKind::Grads), floats).await?,
        };
        let sum: Vec<f32> = own(self.sharing.rank, floats).flat_map(|part| &gradient[part]).copied().collect();
        if !sum.is_empty() {
            self.runtime.write(self.runtime.buffer(&SUM), &sum);
        }
        Ok(())
    }

    /// The parts of the arena in which a batch's gradient leaves the device, in the order in which they do.
    pub fn buckets(&self) -> Vec<Range<usize>> {
        parts(self.layout.param_floats() as usize)
    }

    /// Submits a batch. [`bucket`](Self::bucket) and [`counts`](Self::counts) return what it adds to its update; until then no other
    /// may follow. The gradient on the device is then that of the batch alone, and the running statistics are as before.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) on a fault.
    ///
    /// # Panics
    /// As [`Network::train`], or if submissions are under way.
    pub async fn share(&mut self, batch: &Batch, place: Place) -> Result<()> {
        assert!(!self.evaluating, "share: leave_evaluation comes first");
        assert!(self.flights.is_empty(), "share: drain comes first");
        let program = program(&self.programs.train, batch.len());
        let step = Step { averaged: 1, ..self.step_of(batch, Place { last: false, ..place }, 1) };
        let slot = self.take_slot();
        let mut buckets = self.sharing.buckets.take().expect("one of several ranks");
        let (start, runtime) = (Instant::now(), &self.runtime);
        if buckets.of_running.is_some() {
            let running = runtime.buffer(&BufferKind::Running);
            let floats = self.layout.running_floats() as usize;
            buckets.before = runtime.read(running, floats).await?;
            runtime.write(running, &vec![UNTOUCHED; floats]);
        }
        self.report_taken = true;
        self.feed(batch, &step);
        let mut submission = self.runtime.submission();
        self.clear(&mut submission, AT_UPDATE);
        let runtime = &self.runtime;
        let mut from = 0;
        for ((range, readback), &to) in buckets.ranges.iter().zip(&buckets.readbacks).zip(&buckets.complete[&program]) {
            for part in self.pace.parts(runtime, &[(program, from..to)]) {
                submission.run(&part);
                std::mem::replace(&mut submission, runtime.submission()).submit();
            }
            submission.read_back(runtime.buffer(&BufferKind::Grads), 4 * range.start as u64, readback);
            let submitted = std::mem::replace(&mut submission, runtime.submission()).submit();
            buckets.landings.push_back(readback.landing(submitted));
            from = to;
        }
        let whole = runtime.whole(program);
        for part in self.pace.parts(runtime, &[(program, from..whole.1.end)]) {
            submission.run(&part);
            std::mem::replace(&mut submission, runtime.submission()).submit();
        }
        if let Some(readback) = &buckets.of_running {
            submission.read_back(runtime.buffer(&BufferKind::Running), 0, readback);
            let submitted = std::mem::replace(&mut submission, runtime.submission()).submit();
            buckets.running_lands = Some(readback.landing(submitted));
        }
        let landing = self.reported(submission, slot);
        let (work, samples) = (vec![whole], batch.len());
        self.sharing.buckets = Some(buckets);
        self.flights.push_back(Flight { landing, slot, done: |_| Done::Collected, work, samples, cut: false, start });
        self.during(self.runtime.gpu.check())
    }

    /// Waits for the next bucket of the gradient of the batch under way.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) on a fault.
    ///
    /// # Panics
    /// If no batch is under way, or it has no further bucket.
    pub async fn bucket(&mut self) -> Result<Vec<u32>> {
        let buckets = self.sharing.buckets.as_mut().expect("one of several ranks");
        let nth = buckets.ranges.len() - buckets.landings.len();
        let landing = buckets.landings.pop_front().expect("a bucket of a batch that is under way");
        buckets.readbacks[nth].landed(&self.runtime.gpu, landing).await
    }

    /// Waits for the end of the batch under way, and returns the rest of what it adds.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) on a fault.
    pub async fn counts(&mut self) -> Result<Counts> {
        self.drain().await?;
        let report: Vec<Report> = self.runtime.read(self.runtime.buffer(&BufferKind::Report), 1).await?;
        let Report { loss, hits, targets, top, .. } = report[0];
        let buckets = self.sharing.buckets.as_mut().expect("one of several ranks");
        let running = match (&buckets.of_running, buckets.running_lands.take()) {
            (Some(readback), Some(landing)) => {
                let running = readback.landed(&self.runtime.gpu, landing).await?;
                self.runtime.write(self.runtime.buffer(&BufferKind::Running), &buckets.before);
                running
            }
            _ => vec![],
        };
        Ok(Counts { counts: [loss.to_bits(), hits, targets, top], running })
    }

    /// Adds to this rank's part of the sum that of a batch's gradient. The batches of an update come in their order.
    pub fn add_slice(&mut self, slice: &[f32]) {
        if slice.is_empty() {
            return;
        }
        let runtime = &self.runtime;
        runtime.write(runtime.buffer(&SHARE), slice);
        let mut submission = runtime.submission();
        submission.run(&[runtime.whole(self.programs.add.expect("one of several ranks"))]);
        submission.submit();
    }

    /// Adds the counts of a batch to those of its update, and moves the running statistics by its own; in the order of the batches.
    pub fn add_counts(&mut self, counts: [u32; 4], running: &[f32]) {
        let [loss, hits, targets, top] = counts;
        self.sharing.totals.loss += f32::from_bits(loss);
        self.sharing.totals.hits += hits;
        self.sharing.totals.targets += targets;
        self.sharing.totals.top += top;
        self.batches = self.batches.saturating_add(1);
        if let Some(program) = self.programs.running {
            let runtime = &self.runtime;
            runtime.write(runtime.buffer(&STATISTICS), running);
            let mut submission = runtime.submission();
            submission.run(&[runtime.whole(program)]);
            submission.submit();
        }
    }

    /// This rank's part of the sum over the batches so far. Waits for the device.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) on a fault.
    pub async fn slice(&self) -> Result<Vec<u32>> {
        let len = own(self.sharing.rank, self.layout.param_floats() as usize).map(|part| part.len()).sum();
        match len {
            0 => Ok(vec![]),
            _ => self.runtime.read(self.runtime.buffer(&SUM), len).await,
        }
    }

    /// Takes the parts of all ranks as the gradient of the update under way, and makes the update if the place is its last; else the
    /// gradient waits for the batches of the next epoch.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) on a fault that is known by now.
    ///
    /// # Panics
    /// If there is no optimizer.
    pub fn update_by(&mut self, slices: &[Vec<u32>], place: Place) -> Result<()> {
        let floats = self.layout.param_floats() as usize;
        let mut gradient = vec![0; floats];
        for (rank, slice) in self.sharing.rank.all().zip(slices) {
            let mut rest = &slice[..];
            for part in own(rank, floats) {
                let (own, others) = rest.split_at(part.len());
                gradient[part].copy_from_slice(own);
                rest = others;
            }
        }
        self.runtime.write(self.runtime.buffer(&BufferKind::Grads), &gradient);
        if !place.last {
            self.waiting = Some(self.sharing.totals);
            return Ok(());
        }
        let optimizer = self.optimizer.as_deref().expect("a network that trains has an optimizer");
        self.update_step = self.updates.next(optimizer, place.lr);
        let Report { loss, hits, targets, top, .. } = self.sharing.totals;
        // Clipped elements are counted by the update; the count of skipped updates behind them is left as it is.
        self.runtime.write(self.runtime.buffer(&BufferKind::Report), &[loss.to_bits(), hits, targets, 0, top]);
        let loss_mean = 1.0 / targets.max(1) as f32;
        self.runtime.set_step(&Step { loss_mean, seed: self.seed, epoch: place.epoch, ..self.update_step });
        let work = vec![self.runtime.whole(self.update_program())];
        self.launch(0, &[], work, Done::Updated)
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, own, parts};
    use crate::training::ranks::Rank;

    #[test]
    fn parts_of_all_ranks_make_the_arena() {
        for (floats, of) in [(4, 3), (40, 3), (100_000, 4), (11_173_964, 7)] {
            let parts = parts(floats);
            assert!(parts.len() <= BUCKETS && parts[0].end == floats && parts.last().unwrap().start == 0);
            let mut seen = vec![0u8; floats];
            for rank in (Rank { index: 0, of }).all() {
                own(rank, floats).flatten().for_each(|at| seen[at] += 1);
            }
            assert!(seen.iter().all(|&times| times == 1), "{floats} of {of}");
        }
    }
}
