//! The training loop.
//!
//! An epoch is a permutation of the images, cut into batches, grouped into updates of `accumulate` batches. Images that
//! do not fill an update make a smaller one, are dropped or are carried over, as [`Remainder`] says; nothing is padded.
//! Between two updates the run can be saved as a [`Checkpoint`] and restored, to the bit.

mod again;
mod rounds;

use std::{collections::VecDeque, sync::Arc};

use web_time::Instant;

use crate::{
    data::{Batch, Batches, Parts, Source, Split, columns, order},
    device::Gpu,
    error::{Error, Result},
    optim::{Clip, Settings},
    program::{params::Layout, target::Target},
    training::{
        After, Checkpoint, EpochRow, OnNan, Options, Part, Point, Position, Remainder, Request, Tally, Watch,
        evaluate::{Evaluation, evaluate_over},
        network::{Done, Network, Place},
        ranks::{Alone, Exchange},
        update_ratios,
        weights::Weights,
    },
};

use rounds::{Round, agree, assure_same};

/// The number of batches over which batch-norm statistics are collected at the optimizer's point of evaluation.
const STATISTICS_BATCHES: usize = 50;

/// A network and the data it learns from.
pub struct Trainer {
    /// The network.
    pub network: Network,
    /// The optimizer's settings, the defaults included.
    pub settings: Settings,
    /// Whether an update that is not finite ends the run with [`Error::NotFinite`], which names the first kernel and
    /// layer whose output was not. The host then waits for every update.
    pub debug_nan: bool,
    source: Arc<dyn Source>,
    options: Options,
    exchange: Box<dyn Exchange>,
    /// The batches that wait to be put together with those of the other ranks.
    round: Round,
    lr: f64,
    /// Learning rates of the updates under way, oldest first.
    rates: VecDeque<f64>,
    position: Position,
    stopped: bool,
    /// The batches of the last update, as the indices of their images; before an epoch's first update, those carried
    /// over to it.
    last: Vec<(Vec<u32>, Place)>,
}

impl Trainer {
    /// Records the programs, allocates buffers and compiles kernels, in the forms that `target` chooses.
    ///
    /// # Errors
    /// [`Error::Config`] for an option out of its range, [`Error::Device`] if the device cannot hold it.
    pub async fn new(
        gpu: &Gpu,
        target: &Target,
        source: Arc<dyn Source>,
        options: Options,
        weights: impl FnOnce(&Layout) -> Result<Weights>,
    ) -> Result<Self> {
        Self::of_ranks(gpu, target, source, options, weights, Box::new(Alone)).await
    }

    /// As [`new`](Self::new), for one of several ranks, each of which calls this with the same options. They end with the same bits as
    /// one device that does all their batches.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`Error::Config`] if an update has fewer batches than there are ranks.
    pub async fn of_ranks(
        gpu: &Gpu,
        target: &Target,
        source: Arc<dyn Source>,
        options: Options,
        weights: impl FnOnce(&Layout) -> Result<Weights>,
        exchange: Box<dyn Exchange>,
    ) -> Result<Self> {
        let rank = exchange.rank();
        options.check_ranks(rank.of)?;
        let dataset = source.dataset();
        let mut plans = options.plans(dataset.as_ref(), target)?;
        // The gradient of a rank's batch begins at zero.
        plans.recipe.accumulates &= !rank.has_others();
        let train = dataset.len(Split::Train);
        if train == 0 {
            let message = format!("the data set has no training {}", dataset.spec().input.unit());
            return Err(Error::config(message, "give a set that has some"));
        }
        if options.early_stop.is_some() && dataset.len(Split::Test) == 0 {
            let unit = dataset.spec().input.unit();
            let message = format!("'early_stop' watches the validation loss, and there are no validation {unit}");
            return Err(Error::about(
                "early_stop",
                message,
                format!("hold some out with 'val_split', or add test {unit}"),
            ));
        }
        let (optimizer, settings) = options.optimizer.build(&options.set)?;
        let optimizer = match options.lookahead {
            Some(lookahead) => lookahead.around(optimizer),
            None => optimizer,
        };
        let lr = optimizer.lr();
        let network = Network::of_rank(gpu, &plans, Some(optimizer), weights, options.seed, rank).await?;
        let rates = VecDeque::new();
        let (position, debug_nan, stopped, last) = (Position::default(), false, false, vec![]);
        let round = Round::default();
        Ok(Self { network, settings, debug_nan, source, options, exchange, round, lr, rates, position, stopped, last })
    }

    /// Trains from the current position to the end of the run, or until the watcher stops it. Returns the rows of all
    /// epochs.
    ///
    /// # Errors
    /// A fault of the device, of the data or of the watcher.
    pub async fn run(&mut self, watch: &mut dyn Watch) -> Result<Vec<EpochRow>> {
        self.stopped = false;
        self.assure_same().await?;
        while !self.stopped && !self.over() {
            self.epoch(watch).await?;
        }
        if !self.stopped {
            self.assure_same().await?;
        }
        // The run may have ended before enough updates in a row were skipped, and still have left a useless network.
        let ruined = self.position.epochs.last().and_then(|row| row.val_loss).is_some_and(|loss| !loss.is_finite());
        if ruined && !self.stopped && self.position.diverged.is_none() {
            self.position.diverged = Some(self.position.row.unwrap_or(self.position.step));
        }
        Ok(self.position.epochs.clone())
    }

    /// Whether the watcher stopped the run before its end.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Where the run stands.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Whether anything clips the gradient: the options, or the rule itself.
    pub fn clips(&self) -> bool {
        self.options.recipe.clip != Clip::default() || self.network.clips()
    }

    /// The first of the updates in a row that were not finite, if the run ended because of them or has left a network
    /// whose validation loss is not finite.
    pub fn diverged(&self) -> Option<u64> {
        self.position.diverged
    }

    /// Continues from a checkpoint of a run with the same options and data (the number of epochs may be larger). What
    /// follows is what would have followed there, to the bit on the same device.
    ///
    /// # Errors
    /// [`Error::Config`] if the checkpoint is from another run.
    pub fn restore(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let Checkpoint { position, network } = checkpoint;
        let cut = self.options.cut(self.source.dataset().len(Split::Train));
        let batches = cut.batches();
        let whole = position.batch.is_multiple_of(self.options.accumulate as usize) || position.batch == batches;
        let carries = self.options.remainder == Remainder::Carry || network.waiting.is_none();
        if position.batch > batches || !whole || !carries || position.step != network.updates.issued {
            let Position { step, batch, .. } = position;
            let message = format!("the checkpoint is of another run: step {step}, batch {batch} of {batches}");
            return Err(Error::config(message, ""));
        }
        self.network.restore(&network)?;
        self.position = position;
        let alone = !self.rank().has_others();
        self.last = if alone && network.waiting.is_some() { self.carried() } else { vec![] };
        Ok(())
    }

    /// The next batch of an epoch as the network is to see it: with tokens hidden, if the data set wants some hidden.
    async fn next(&self, batches: &mut dyn Batches, epoch: u32) -> Result<Option<Batch>> {
        let mut batch = batches.next().await.transpose()?;
        if let (Some(batch), Some(masking)) = (&mut batch, self.source.dataset().masking()) {
            masking.hide(batch, self.options.seed, epoch);
        }
        Ok(batch)
    }

    /// The parts of an epoch's images that the data set cuts out, if it does.
    fn parts(&self, epoch: u32) -> Option<Parts> {
        let Options { recipe, seed, .. } = &self.options;
        recipe.augment.divide(self.source.dataset().as_ref(), *seed, epoch).1
    }

    /// The images of an epoch that are trained on, in order.
    fn order(&self, epoch: u32) -> Vec<u32> {
        let (images, shuffle) = (self.source.dataset().len(Split::Train), self.options.shuffle);
        let trained = self.options.cut(images).trained();
        if self.network.carries_state() {
            return columns(trained, self.options.batch as usize);
        }
        let mut order = order(images, shuffle.then_some((self.options.seed, u64::from(epoch))));
        order.truncate(trained);
        order
    }

    async fn checkpoint(&self) -> Result<Checkpoint> {
        Ok(Checkpoint { position: self.position.clone(), network: self.network.state().await? })
    }

    /// The number of updates until the run ends by its length, or after it has diverged.
    fn left(&self) -> u64 {
        let last = self.options.updates(self.source.dataset().as_ref());
        let last = self.position.last_update.map_or(last, |end| last.min(end));
        last.saturating_sub(self.network.updates().issued)
    }

    /// Whether the epoch under way has no further update.
    fn finished(&self) -> bool {
        self.left() == 0
    }

    /// Whether the run has diverged and has had its last update.
    fn ruined(&self) -> bool {
        self.position.last_update.is_some_and(|end| self.network.updates().issued >= end)
    }

    /// Whether no further epoch begins.
    fn over(&self) -> bool {
        let Position { batch, epochs, since_best, diverged, .. } = &self.position;
        let patience = self.options.early_stop.is_some_and(|patience| *since_best >= patience);
        let all = epochs.len() >= self.options.epochs as usize;
        *batch == 0 && (all || patience || diverged.is_some() || self.finished())
    }

    /// Trains the rest of the epoch under way, and evaluates.
    async fn epoch(&mut self, watch: &mut dyn Watch) -> Result<()> {
        let (start, before) = (Instant::now(), self.position.seconds);
        let (epoch, done) = (self.position.epoch(), self.position.batch);
        let cut = self.options.cut(self.source.dataset().len(Split::Train));
        let mut order = self.order(epoch);
        order.drain(..order.len().min(done * cut.batch));
        let rank = self.rank();
        if rank.has_others() {
            let own = order.chunks(cut.batch).zip(done..).filter(|(_, index)| rank.owns(index % cut.accumulate));
            order = own.flat_map(|(batch, _)| batch).copied().collect();
        }
        let mut batches = self.source.batches(Split::Train, order, cut.batch, self.parts(epoch))?;
        let updates = self.options.updates(self.source.dataset().as_ref());
        self.network.leave_evaluation();
        if done == 0 {
            self.network.begin_epoch();
        }
        let mut cut_short = false;
        for index in done..cut.batches() {
            let images = match rank.owns(index % cut.accumulate) {
                true => self.next(batches.as_mut(), epoch).await?,
                false => None,
            };
            let len = cut.batch.min(cut.trained() - index * cut.batch);
            let Part { begins, ends, carried, divisor } = cut.part(index, len);
            // Batches that are carried over make no update, so the last epoch of a run includes them too: it is then
            // like any other, and the run can be extended.
            let over = if carried { self.ruined() } else { self.finished() };
            if begins && over {
                cut_short = self.position.last_update.is_none();
                break;
            }
            let lr = self.lr * self.options.schedule.factor(self.network.updates().issued, updates);
            if ends {
                self.rates.push_back(lr);
            }
            let landed = self.network.make_room().await?;
            self.note(landed, watch)?;
            // The first batch of an epoch adds to the gradient that was carried over to it, if one was.
            let first = begins && (index > 0 || self.network.waiting().is_none());
            let place = Place { first, last: ends, images: divisor, epoch, lr };
            let all = index + 1 == cut.batches();
            let closes = ends && (all || self.left() == 1 || cut.part(index + 1, 1).carried);
            let weights = match closes && watch.wants_update_ratios() {
                true => Some(self.network.weights().await?.params),
                false => None,
            };
            match images {
                Some(images) if !rank.has_others() => {
                    self.network.train(&images, place)?;
                    if first {
                        self.last.clear();
                    }
                    self.last.push((images.indices, place));
                }
                images => {
                    let number = index % cut.accumulate;
                    self.train_together(images.as_ref(), number, begins, all, place, watch).await?;
                }
            }
            if let Some(before) = weights {
                let after = self.network.weights().await?.params;
                watch.update_ratios(&update_ratios(&self.network.layout, &before, &after));
            }
            if self.debug_nan && ends {
                let done = self.network.drain().await?;
                self.note(done, watch)?;
                self.assure_finite().await?;
            }
            if ends || all {
                self.position.batch = index + 1;
                self.position.seconds = before + start.elapsed().as_secs_f64();
                let last = all || (self.finished() && (self.ruined() || !cut.part(index + 1, 1).carried));
                self.pause(if last { After::LastUpdate } else { After::Update }, watch).await?;
                if self.stopped {
                    return Ok(());
                }
            }
        }
        let done = self.network.drain().await?;
        self.note(done, watch)?;
        if let Some(sums) = self.network.waiting() {
            self.position.carry(&sums);
        }
        let training = before + start.elapsed().as_secs_f64();
        let last = epoch >= self.options.epochs || self.finished() || self.position.diverged.is_some();
        let evaluation = if last || epoch.is_multiple_of(self.options.validate_every) {
            self.enter_evaluation(epoch).await?;
            let progress = &mut |done, total| watch.evaluating(done, total);
            evaluate_over(&mut self.network, self.source.as_ref(), progress, self.exchange.as_mut()).await?
        } else {
            None
        };
        let Tally { loss, hits, images, counted } = self.position.tally;
        let of = |get: fn(&Evaluation) -> Option<f64>| evaluation.as_ref().and_then(get);
        let row = EpochRow {
            epoch,
            train_loss: loss / counted as f64,
            train_acc: 100.0 * hits as f64 / counted as f64,
            val_loss: of(|e| Some(e.loss)),
            val_acc: of(|e| Some(e.accuracy)),
            val_top5: of(|e| e.top5_accuracy),
            val_f1: of(|e| e.f1),
            val_precision: of(|e| e.precision),
            val_recall: of(|e| e.recall),
            seconds: before + start.elapsed().as_secs_f64(),
            images_per_second: images as f64 * self.options.targets_per_counted() / training,
        };
        watch.epoch(&row)?;
        self.position.end_epoch(row, cut_short);
        self.pause(if self.over() { After::Run } else { After::Epoch }, watch).await
    }

    /// Does what the watcher requests.
    async fn pause(&mut self, after: After, watch: &mut dyn Watch) -> Result<()> {
        let (updates, epochs) = (self.network.updates().issued, self.position.epochs.len() as u32);
        let request = watch.request(Point { updates, epochs, after })?;
        let request = if self.rank().has_others() { agree(self.exchange.as_mut(), request)? } else { request };
        if request != Request::Continue {
            let done = self.network.drain().await?;
            self.note(done, watch)?;
        }
        if matches!(request, Request::Checkpoint | Request::Stop) {
            let checkpoint = self.checkpoint().await?;
            if self.rank().has_others() {
                assure_same(self.exchange.as_mut(), &checkpoint.network)?;
            }
            watch.checkpoint(checkpoint)?;
        }
        self.stopped = matches!(request, Request::Stop | Request::Pause);
        Ok(())
    }

    /// Moves the network to the optimizer's point of evaluation, where it stays until the next epoch. If that differs
    /// from the parameters being trained, batch norm needs statistics of that point: the mean over some training
    /// batches, all of them full.
    async fn enter_evaluation(&mut self, epoch: u32) -> Result<()> {
        if !self.network.enter_evaluation() || self.network.layout.running.is_empty() {
            return Ok(());
        }
        let (mut order, batch) = (self.order(epoch), self.options.batch as usize);
        order.truncate((order.len() / batch).clamp(1, STATISTICS_BATCHES) * batch);
        let mut batches = self.source.batches(Split::Train, order, batch, self.parts(epoch))?;
        for nth in 1.. {
            let Some(batch) = self.next(batches.as_mut(), epoch).await? else { break };
            self.network.make_room().await?;
            self.network.collect_statistics(&batch, nth, epoch)?;
        }
        self.network.drain().await?;
        Ok(())
    }

    fn note(&mut self, done: Vec<Done>, watch: &mut dyn Watch) -> Result<()> {
        let dataset = self.source.dataset();
        let targets = u64::from(self.options.counted());
        let total = self.options.cut(dataset.len(Split::Train)).trained() as u64 * targets;
        // A gradient that is kept does not become finite again.
        let on_nan = if self.options.recipe.keep_gradients { OnNan::Stop } else { self.options.on_nan };
        for done in done {
            let Done::Updated(report) = done else { continue };
            let lr = self.rates.pop_front().unwrap_or(self.lr);
            let row = self.position.note(&report, lr, on_nan);
            watch.step(&row, self.position.tally.images, total, self.position.tally.hits)?;
        }
        Ok(())
    }
}
