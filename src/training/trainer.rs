//! The training loop.
//!
//! An epoch is a permutation of the images, cut into batches, grouped into updates of `accumulate` batches. Every update
//! takes the mean over its own images, the last of an epoch too: nothing is padded, dropped or carried over. Between two
//! updates the run can be taken apart into a [`Checkpoint`] and put together again, to the bit.

use std::{collections::VecDeque, sync::Arc};

use web_time::Instant;

use crate::{
    data::{Source, Split, order},
    device::Gpu,
    error::{Error, Result},
    optim::Settings,
    program::{params::Layout, target::Target},
    training::{
        After, Checkpoint, EpochRow, Options, Point, Position, Tally, Watch, Wish,
        evaluate::{Evaluation, evaluate},
        network::{Done, Network, NotFinite, Place},
        weights::Weights,
    },
};

/// Batches over which running statistics are collected where the optimizer wants the network evaluated.
const STATISTICS_BATCHES: usize = 50;

/// A network and the data it learns from.
pub struct Trainer {
    /// The network.
    pub network: Network,
    /// The optimizer's settings, the defaults included.
    pub settings: Settings,
    /// An update that is not finite ends the run with [`Error::NotFinite`], which names the first kernel and layer that were
    /// not. Costs the host's waiting for every update.
    pub debug_nan: bool,
    source: Arc<dyn Source>,
    options: Options,
    lr: f64,
    /// Rates of the updates under way, oldest first.
    rates: VecDeque<f64>,
    position: Position,
    stopped: bool,
    /// The batches of the last update, by the indices of their images.
    last: Vec<(Vec<u32>, Place)>,
}

impl Trainer {
    /// Records, allocates and compiles, in the forms of kernels that `target` chooses.
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
        let dataset = source.dataset();
        let plans = options.plans(dataset.as_ref(), target)?;
        let train = dataset.len(Split::Train);
        if train == 0 {
            return Err(Error::config("the data set has no training images", "train needs data_batch_*.bin"));
        }
        if options.early_stop.is_some() && dataset.len(Split::Test) == 0 {
            let message = "--early-stop watches the validation loss, and there are no validation images";
            return Err(Error::config(message, "add --val-split, or test_batch.bin"));
        }
        let (optimizer, settings) = options.optimizer.build(&options.set)?;
        let optimizer = match options.lookahead {
            Some(lookahead) => lookahead.around(optimizer),
            None => optimizer,
        };
        let lr = optimizer.lr();
        let network = Network::new(gpu, &plans, Some(optimizer), weights, options.seed).await?;
        let rates = VecDeque::new();
        let (position, debug_nan, stopped, last) = (Position::default(), false, false, vec![]);
        Ok(Self { network, settings, debug_nan, source, options, lr, rates, position, stopped, last })
    }

    /// Trains, from where the trainer stands to the end of the run or to where the watcher stops it. Returns all epochs.
    ///
    /// # Errors
    /// A fault of the device, of the data or of the watcher.
    pub async fn run(&mut self, watch: &mut dyn Watch) -> Result<Vec<EpochRow>> {
        self.stopped = false;
        while !self.stopped && !self.over() {
            self.epoch(watch).await?;
        }
        // Too few updates were left for a long row of skips, and what remains is no network.
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

    /// The first of the updates in a row that were not finite, if the run ended for them or the network it left has a
    /// validation loss that is not finite.
    pub fn diverged(&self) -> Option<u64> {
        self.position.diverged
    }

    /// Computes the last update once more, if it was left out because loss or gradient was not finite, and names the first
    /// kernel and layer whose output is not; `None` if the update was finite, or is this time. It has left the weights as they
    /// were, so it begins where it did; the running statistics move once more, so this comes after all that is saved.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault; one of the data, which are read again.
    pub async fn find_not_finite(&mut self) -> Result<Option<NotFinite>> {
        if self.position.skips == 0 || self.last.is_empty() {
            return Ok(None);
        }
        let order = self.last.iter().flat_map(|(indices, _)| indices).copied().collect();
        let mut images = self.source.batches(Split::Train, order, self.options.batch as usize)?;
        let mut batches = Vec::new();
        for (_, place) in &self.last {
            let Some(images) = images.next().await else { break };
            batches.push((images?, *place));
        }
        self.network.leave_evaluation();
        self.network.find_not_finite(&batches).await
    }

    /// Continues where a checkpoint was taken, in a run of the same options and data (more epochs are possible). From here
    /// on it is the run it would have been, to the bit on the same device.
    ///
    /// # Errors
    /// [`Error::Config`] if it is of another run.
    pub fn restore(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let Checkpoint { position, network } = checkpoint;
        let batches = self.source.dataset().len(Split::Train).div_ceil(self.options.batch as usize);
        let whole = position.batch.is_multiple_of(self.options.accumulate as usize) || position.batch == batches;
        if position.batch > batches || !whole || position.step != network.updates.issued {
            let Position { step, batch, .. } = position;
            let message = format!("the checkpoint is of another run: step {step}, batch {batch} of {batches}");
            return Err(Error::config(message, ""));
        }
        self.network.restore(&network)?;
        self.position = position;
        Ok(())
    }

    async fn checkpoint(&self) -> Result<Checkpoint> {
        Ok(Checkpoint { position: self.position.clone(), network: self.network.state().await? })
    }

    /// Whether the epoch under way has no further update.
    fn finished(&self) -> bool {
        let last = self.options.updates(self.source.dataset().as_ref());
        let last = self.position.last_update.map_or(last, |end| last.min(end));
        self.network.updates().issued >= last
    }

    /// Whether no further epoch begins.
    fn over(&self) -> bool {
        let Position { batch, epochs, since_best, diverged, .. } = &self.position;
        let patience = self.options.early_stop.is_some_and(|patience| *since_best >= patience);
        let all = epochs.len() >= self.options.epochs as usize;
        *batch == 0 && (all || patience || diverged.is_some() || self.finished())
    }

    /// What is left of the epoch under way, and its evaluation.
    async fn epoch(&mut self, watch: &mut dyn Watch) -> Result<()> {
        let (start, before) = (Instant::now(), self.position.seconds);
        let Options { batch, accumulate, shuffle, seed, .. } = self.options;
        let (epoch, total, done) =
            (self.position.epoch(), self.source.dataset().len(Split::Train), self.position.batch);
        let mut order = order(total, shuffle.then_some((seed, u64::from(epoch))));
        order.drain(..total.min(done * batch as usize));
        let mut batches = self.source.batches(Split::Train, order, batch as usize)?;
        let group = batch as usize * accumulate as usize;
        let updates = self.options.updates(self.source.dataset().as_ref());
        self.network.leave_evaluation();
        for index in done.. {
            let Some(images) = batches.next().await.transpose()? else { break };
            let seen = index * batch as usize;
            let first = index % accumulate as usize == 0;
            if first && self.finished() {
                break;
            }
            let all_seen = seen + images.labels.len() == total;
            let last = all_seen || (index + 1) % accumulate as usize == 0;
            let images_of_update = group.min(total - seen / group * group) as u32;
            let lr = self.lr * self.options.schedule.factor(self.network.updates().issued, updates);
            if first {
                self.rates.push_back(lr);
            }
            let place = Place { first, last, images: images_of_update, epoch, lr };
            let landed = self.network.make_room().await?;
            self.network.train(&images, place)?;
            self.note(landed, watch)?;
            if first {
                self.last.clear();
            }
            self.last.push((images.indices, place));
            if self.debug_nan && last {
                let done = self.network.drain().await?;
                self.note(done, watch)?;
                self.assure_finite().await?;
            }
            if last {
                self.position.batch = index + 1;
                self.position.seconds = before + start.elapsed().as_secs_f64();
                self.pause(if all_seen || self.finished() { After::LastUpdate } else { After::Update }, watch).await?;
                if self.stopped {
                    return Ok(());
                }
            }
        }
        let done = self.network.drain().await?;
        self.note(done, watch)?;
        let training = before + start.elapsed().as_secs_f64();
        let last = epoch >= self.options.epochs || self.finished() || self.position.diverged.is_some();
        let evaluation = if last || epoch.is_multiple_of(self.options.validate_every) {
            self.enter_evaluation(epoch).await?;
            evaluate(&mut self.network, self.source.as_ref(), self.options.batch).await?
        } else {
            None
        };
        let Tally { loss, hits, images, counted } = self.position.tally;
        let of = |get: fn(&Evaluation) -> f64| evaluation.as_ref().map(get);
        let row = EpochRow {
            epoch,
            train_loss: loss / counted as f64,
            train_acc: 100.0 * hits as f64 / counted as f64,
            val_loss: of(|e| e.loss),
            val_acc: of(|e| e.accuracy),
            val_f1: of(|e| e.f1),
            val_precision: of(|e| e.precision),
            val_recall: of(|e| e.recall),
            seconds: before + start.elapsed().as_secs_f64(),
            images_per_second: images as f64 / training,
        };
        watch.epoch(&row)?;
        self.position.end_epoch(row);
        self.pause(if self.over() { After::Run } else { After::Epoch }, watch).await
    }

    /// Grants what the watcher wishes.
    async fn pause(&mut self, after: After, watch: &mut dyn Watch) -> Result<()> {
        let (updates, epochs) = (self.network.updates().issued, self.position.epochs.len() as u32);
        let wish = watch.wish(Point { updates, epochs, after })?;
        if wish != Wish::GoOn {
            let done = self.network.drain().await?;
            self.note(done, watch)?;
            watch.checkpoint(self.checkpoint().await?)?;
        }
        self.stopped = wish == Wish::Stop;
        Ok(())
    }

    /// Whether the last update was finite.
    async fn assure_finite(&mut self) -> Result<()> {
        if self.position.skips == 0 {
            return Ok(());
        }
        let found = match self.find_not_finite().await? {
            Some(found) => found.to_string(),
            None => "run again dispatch by dispatch, every number is finite: the device does not repeat itself".into(),
        };
        let message = format!("update {} is not finite: {found}", self.position.step);
        let hint = "inputs that grow from update to update ask for a smaller --set lr=...; inputs that are small and finite \
                    ask for `velograd selftest`";
        Err(Error::NotFinite { message, hint: hint.into() })
    }

    /// Moves the network to where its optimizer wants it evaluated and saved; it stays there until the next epoch. At another
    /// point than training's, batch norm needs that point's statistics: the mean over some training batches, without what is
    /// left over after whole ones.
    async fn enter_evaluation(&mut self, epoch: u32) -> Result<()> {
        if !self.network.enter_evaluation() {
            return Ok(());
        }
        let Options { batch, shuffle, seed, .. } = self.options;
        let (total, batch) = (self.source.dataset().len(Split::Train), batch as usize);
        let mut order = order(total, shuffle.then_some((seed, u64::from(epoch))));
        order.truncate((total / batch).clamp(1, STATISTICS_BATCHES) * batch);
        let mut batches = self.source.batches(Split::Train, order, batch)?;
        for nth in 1.. {
            let Some(batch) = batches.next().await.transpose()? else { break };
            self.network.make_room().await?;
            self.network.collect_statistics(&batch, nth, epoch)?;
        }
        self.network.drain().await?;
        Ok(())
    }

    fn note(&mut self, done: Vec<Done>, watch: &mut dyn Watch) -> Result<()> {
        let total = self.source.dataset().len(Split::Train) as u64;
        for done in done {
            let Done::Updated(report) = done else { continue };
            let lr = self.rates.pop_front().unwrap_or(self.lr);
            let row = self.position.note(&report, lr, self.options.on_nan);
            watch.step(&row, self.position.tally.images, total, self.position.tally.hits)?;
        }
        Ok(())
    }
}
