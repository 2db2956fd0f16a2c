//! The training loop.
//!
//! An epoch is a permutation of the images, cut into batches, grouped into updates of `accumulate` batches. Every update
//! takes the mean over its own images, the last of an epoch too: nothing is padded, dropped or carried over.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use serde::{Deserialize, Serialize};

use crate::{
    data::{Batch, Dataset, Loader, Split, order},
    error::{Error, Result},
    evaluate::{Evaluation, batch_beside, batch_sizes, evaluate},
    gpu::{Gpu, runtime::Report},
    models::{self, Config, Model},
    network::{Done, Network, Place, Plans, Recipe},
    optim::{self, Clip, Lookahead, Settings},
    params::Layout,
    schedule::Schedule,
    suggest,
    weights::Weights,
};

/// Batches over which running statistics are collected where the optimizer wants the network evaluated.
const STATISTICS_BATCHES: usize = 50;

/// What a run is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of a [`Model`].
    pub model: String,
    /// Its size.
    pub config: Config,
    /// Name of an optimizer.
    pub optimizer: String,
    /// Its settings as given.
    pub set: Vec<(String, String)>,
    /// Zhang's Lookahead around it.
    pub lookahead: Option<Lookahead>,
    /// Passes over the data.
    pub epochs: u32,
    /// Ends the run after this many updates.
    pub max_steps: Option<u64>,
    /// Images of a batch.
    pub batch: u32,
    /// Batches of an update.
    pub accumulate: u32,
    /// Augmentation, smoothing, dropout, clipping.
    pub recipe: Recipe,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Ends the run when the validation loss has not improved for this many epochs.
    pub early_stop: Option<u32>,
    /// Random order; otherwise that of the files.
    pub shuffle: bool,
    /// Of weights, order and augmentation.
    pub seed: u64,
}

/// One update.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StepRow {
    /// From 1.
    pub step: u64,
    /// From 1.
    pub epoch: u32,
    /// Mean over the update's images, at the parameters before it.
    pub loss: f32,
    /// Learning rate.
    pub lr: f64,
    /// 2-norm of the gradient over all parameters.
    pub grad_norm: f32,
    /// True if loss or gradient was not finite and the update was left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

/// One epoch. Accuracies are percentages; F1, precision and recall are weighted by class frequency, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// From 1.
    pub epoch: u32,
    /// Mean over the images seen, in training mode; NaN (in files: null) if no update of the epoch was finite.
    #[serde(deserialize_with = "number_or_nan")]
    pub train_loss: f64,
    /// Over the images seen, in training mode.
    #[serde(deserialize_with = "number_or_nan")]
    pub train_acc: f64,
    /// Mean over the validation images; absent where there are none.
    pub val_loss: Option<f64>,
    /// Accuracy on the validation images.
    pub val_acc: Option<f64>,
    /// scikit-learn's `f1_score(average='weighted')`.
    pub val_f1: Option<f64>,
    /// `precision_score(average='weighted')`.
    pub val_precision: Option<f64>,
    /// `recall_score(average='weighted')`.
    pub val_recall: Option<f64>,
    /// Training and evaluation.
    pub seconds: f64,
    /// Training images over the seconds of training alone.
    pub images_per_second: f64,
}

fn number_or_nan<'de, D: serde::Deserializer<'de>>(reader: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or(f64::NAN))
}

/// Who is told how the run goes.
pub trait Watch {
    /// After each update; `images` of the epoch's `total` are done, `hits` of them right.
    fn step(&mut self, row: &StepRow, images: u64, total: u64, hits: u64) -> Result<()>;
    /// After each epoch.
    fn epoch(&mut self, row: &EpochRow) -> Result<()>;
}

/// The model of a name.
///
/// # Errors
/// [`Error::Config`] with the nearest name and the list.
pub fn find_model(name: &str) -> Result<&'static Model> {
    let names: Vec<_> = models::ALL.iter().map(|m| m.name).collect();
    models::ALL
        .iter()
        .find(|m| m.name == name)
        .ok_or_else(|| Error::config(format!("no model is called `{name}`"), suggest::hint(name, &names)))
}

/// A network and the data it learns from.
pub struct Trainer<'a> {
    /// The network.
    pub network: Network<'a>,
    /// The optimizer's settings, the defaults included.
    pub settings: Settings,
    /// An update that is not finite ends the run with [`Error::NotFinite`], which names the first kernel and layer that were
    /// not. Costs the host's waiting for every update.
    pub debug_nan: bool,
    dataset: Arc<dyn Dataset>,
    options: Options,
    lr: f64,
    /// Rates of the updates under way, oldest first.
    rates: VecDeque<f64>,
    step: u64,
    /// Updates skipped in a row.
    skips: u32,
    diverged: Option<u64>,
}

/// A run whose updates were skipped this many times in a row has diverged and ends.
const DIVERGED: u32 = 20;

/// Sums of an epoch so far.
#[derive(Default)]
struct Tally {
    loss: f64,
    hits: u64,
    /// Images of all updates, and of those that were not skipped.
    images: u64,
    counted: u64,
}

impl<'a> Trainer<'a> {
    /// Records, allocates and compiles.
    ///
    /// # Errors
    /// [`Error::Config`] for an option out of its range, [`Error::Device`] if the device cannot hold it.
    pub fn new(
        gpu: &'a Gpu,
        dataset: Arc<dyn Dataset>,
        options: Options,
        weights: impl FnOnce(&Layout) -> Result<Weights>,
    ) -> Result<Self> {
        options.check()?;
        let train = dataset.len(Split::Train);
        if train == 0 {
            return Err(Error::config("the data set has no training images", "train needs data_batch_*.bin"));
        }
        if options.early_stop.is_some() && dataset.len(Split::Test) == 0 {
            let message = "--early-stop watches the validation loss, and there are no validation images";
            return Err(Error::config(message, "add --val-split, or test_batch.bin"));
        }
        let (optimizer, settings) = optim::build(&options.optimizer, &options.set)?;
        let optimizer = match options.lookahead {
            Some(lookahead) => lookahead.around(optimizer),
            None => optimizer,
        };
        let lr = optimizer.lr();
        let plans = Plans {
            model: find_model(&options.model)?,
            config: options.config,
            recipe: options.recipe,
            train: batch_sizes(train, options.batch as usize),
            evaluate: batch_sizes(dataset.len(Split::Test), batch_beside(options.batch)),
        };
        let network = Network::new(gpu, &plans, Some(optimizer), weights, options.seed)?;
        let rates = VecDeque::new();
        let debug_nan = false;
        Ok(Self { network, settings, debug_nan, dataset, options, lr, rates, step: 0, skips: 0, diverged: None })
    }

    /// Trains.
    ///
    /// # Errors
    /// A fault of the device, of the data or of the watcher.
    pub fn run(&mut self, watch: &mut dyn Watch) -> Result<Vec<EpochRow>> {
        let mut rows = Vec::new();
        let (mut best, mut since) = (f64::INFINITY, 0);
        for epoch in 1..=self.options.epochs {
            if self.finished() {
                break;
            }
            let row = self.epoch(epoch, watch)?;
            watch.epoch(&row)?;
            rows.push(row);
            if let (Some(patience), Some(loss)) = (self.options.early_stop, row.val_loss) {
                since = if loss < best { 0 } else { since + 1 };
                best = best.min(loss);
                if since >= patience {
                    break;
                }
            }
        }
        // Too few updates were left for a long row of skips, and what remains is no network.
        if self.diverged.is_none() && rows.last().and_then(|row| row.val_loss).is_some_and(|loss| !loss.is_finite()) {
            self.diverged = Some(self.step + 1 - u64::from(self.skips.max(1)));
        }
        Ok(rows)
    }

    /// The first of the updates in a row that were not finite, if the run ended for them or the network it left has a
    /// validation loss that is not finite.
    pub fn diverged(&self) -> Option<u64> {
        self.diverged
    }

    fn finished(&self) -> bool {
        self.diverged.is_some() || self.network.updates().issued >= self.options.updates(&*self.dataset)
    }

    fn epoch(&mut self, epoch: u32, watch: &mut dyn Watch) -> Result<EpochRow> {
        let start = Instant::now();
        let Options { batch, accumulate, shuffle, seed, .. } = self.options;
        let total = self.dataset.len(Split::Train);
        let shuffle = shuffle.then_some((seed, u64::from(epoch)));
        let batches = Loader::new(self.dataset.clone(), Split::Train, order(total, shuffle), batch as usize)?;
        let group = batch as usize * accumulate as usize;
        let updates = self.options.updates(&*self.dataset);
        let (mut tally, mut seen, mut kept) = (Tally::default(), 0, vec![]);
        self.network.leave_evaluation();
        for (index, batch) in batches.enumerate() {
            let batch = batch?;
            let images = batch.labels.len();
            let first = index % accumulate as usize == 0;
            let last = (index + 1) % accumulate as usize == 0 || seen + images == total;
            let images_of_update = group.min(total - seen / group * group) as u32;
            let lr = self.lr * self.options.schedule.factor(self.network.updates().issued, updates);
            if first {
                self.rates.push_back(lr);
            }
            let place = Place { first, last, images: images_of_update, epoch, lr };
            let done = self.network.train(&batch, place)?;
            self.note(done, epoch, total, &mut tally, watch)?;
            if self.debug_nan {
                if first {
                    kept.clear();
                }
                kept.push((batch, place));
                if last {
                    let done = self.network.drain()?;
                    self.note(done, epoch, total, &mut tally, watch)?;
                    self.assure_finite(&kept)?;
                }
            }
            seen += images;
            if last && self.finished() {
                break;
            }
        }
        let done = self.network.drain()?;
        self.note(done, epoch, total, &mut tally, watch)?;
        let training = start.elapsed().as_secs_f64();
        self.enter_evaluation(epoch)?;
        let evaluation = evaluate(&mut self.network, &self.dataset, self.options.batch)?;
        let counted = tally.counted as f64;
        let of = |get: fn(&Evaluation) -> f64| evaluation.as_ref().map(get);
        Ok(EpochRow {
            epoch,
            train_loss: tally.loss / counted,
            train_acc: 100.0 * tally.hits as f64 / counted,
            val_loss: of(|e| e.loss),
            val_acc: of(|e| e.accuracy),
            val_f1: of(|e| e.f1),
            val_precision: of(|e| e.precision),
            val_recall: of(|e| e.recall),
            seconds: start.elapsed().as_secs_f64(),
            images_per_second: tally.images as f64 / training,
        })
    }

    /// Whether the last update, of these batches, was finite.
    fn assure_finite(&mut self, batches: &[(Batch, Place)]) -> Result<()> {
        if self.skips == 0 {
            return Ok(());
        }
        let found = match self.network.find_not_finite(batches)? {
            Some(found) => found.to_string(),
            None => "run again dispatch by dispatch, every number is finite: the device does not repeat itself".into(),
        };
        let message = format!("update {} is not finite: {found}", self.step);
        let hint = "inputs that grow from update to update ask for a smaller --set lr=...; inputs that are small and finite \
                    ask for `velograd selftest`";
        Err(Error::NotFinite { message, hint: hint.into() })
    }

    /// Moves the network to where its optimizer wants it evaluated and saved; it stays there until the next epoch. At another
    /// point than training's, batch norm needs that point's statistics: the mean over some training batches, without what is
    /// left over after whole ones.
    fn enter_evaluation(&mut self, epoch: u32) -> Result<()> {
        if !self.network.enter_evaluation() {
            return Ok(());
        }
        let Options { batch, shuffle, seed, .. } = self.options;
        let (total, batch) = (self.dataset.len(Split::Train), batch as usize);
        let mut order = order(total, shuffle.then_some((seed, u64::from(epoch))));
        order.truncate((total / batch).clamp(1, STATISTICS_BATCHES) * batch);
        for (nth, batch) in (1..).zip(Loader::new(self.dataset.clone(), Split::Train, order, batch)?) {
            self.network.collect_statistics(&batch?, nth, epoch)?;
        }
        self.network.drain()?;
        Ok(())
    }

    fn note(
        &mut self,
        done: Vec<Done>,
        epoch: u32,
        total: usize,
        tally: &mut Tally,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        for done in done {
            let Done::Updated(Report { loss, hits, images, grad_norm, skip, .. }) = done else { continue };
            self.step += 1;
            tally.images += u64::from(images);
            if skip == 0 {
                self.skips = 0;
                tally.loss += f64::from(loss);
                tally.hits += u64::from(hits);
                tally.counted += u64::from(images);
            } else {
                self.skips += 1;
                if self.skips == DIVERGED {
                    self.diverged = Some(self.step + 1 - u64::from(DIVERGED));
                }
            }
            let lr = self.rates.pop_front().unwrap_or(self.lr);
            let row = StepRow { step: self.step, epoch, loss: loss / images as f32, lr, grad_norm, skipped: skip != 0 };
            watch.step(&row, tally.images, total as u64, tally.hits)?;
        }
        Ok(())
    }
}

impl Options {
    /// Updates of the whole run.
    fn updates(&self, dataset: &dyn Dataset) -> u64 {
        let group = u64::from(self.batch) * u64::from(self.accumulate);
        let all = u64::from(self.epochs) * (dataset.len(Split::Train) as u64).div_ceil(group);
        self.max_steps.map_or(all, |most| most.min(all))
    }

    /// Refuses what is out of its range.
    ///
    /// # Errors
    /// [`Error::Config`] with the range.
    pub fn check(&self) -> Result<()> {
        let positive = [
            ("--batch-size", u64::from(self.batch)),
            ("--accumulate", u64::from(self.accumulate)),
            ("--epochs", u64::from(self.epochs)),
            ("--max-steps", self.max_steps.unwrap_or(1)),
        ];
        for (flag, value) in positive {
            if value == 0 {
                return Err(Error::config(format!("{flag} 0"), format!("{flag} is at least 1")));
            }
        }
        for (flag, value) in [("--label-smoothing", self.recipe.smoothing), ("--dropout", self.recipe.dropout)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::config(format!("{flag} {value}"), format!("{flag} is from 0 to below 1")));
            }
        }
        let Clip { norm, value } = self.recipe.clip;
        for (flag, limit) in [("--clip-norm", norm), ("--clip-value", value)] {
            if limit.is_some_and(|v| !(v > 0.0 && v.is_finite())) {
                return Err(Error::config(format!("{flag} {}", limit.unwrap_or(0.0)), format!("{flag} is above 0")));
            }
        }
        if self.early_stop == Some(0) {
            return Err(Error::config("--early-stop 0", "--early-stop is at least 1"));
        }
        check_width(self.config.width)
    }
}

/// The widths that can be asked for.
///
/// # Errors
/// [`Error::Config`] with the range.
pub fn check_width(width: u32) -> Result<()> {
    match width {
        1..=1024 => Ok(()),
        _ => Err(Error::config(format!("--width {width}"), "--width is from 1 to 1024; the published network has 64")),
    }
}

/// Population variance of the epochs' training losses, as NumPy's `var`.
pub fn loss_variance(rows: &[EpochRow]) -> f64 {
    let count = rows.len().max(1) as f64;
    let mean = rows.iter().map(|r| r.train_loss).sum::<f64>() / count;
    rows.iter().map(|r| (r.train_loss - mean).powi(2)).sum::<f64>() / count
}
