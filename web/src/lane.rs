//! One optimizer of a race: its network, and how far it has come.

use serde_json::{Value, json};
use velograd::{
    Gpu, Inline, Trainer,
    check::selftest,
    data::{Batch, Dataset, Split, Vocabulary},
    error::{Error, Result},
    host::{identity::VERSION, weights},
    training::{
        After, EpochRow, Options, Point, Request, StepRow, Watch,
        provenance::{self, Provenance},
        sampling::probabilities,
        whiten::first_weights,
    },
};

use std::{path::Path, sync::Arc};

use crate::recipe::{Recipe, Runner};

/// Test images, or characters of test text, whose predictions the page shows.
pub const SHOWN: u32 = 12;

pub struct Lane {
    trainer: Trainer,
    dataset: Arc<dyn Dataset>,
    /// What the file of its weights says of it, in the words of a `run.json`.
    origin: Value,
    /// Passes over the data of the whole run; the last may end early.
    epochs: u32,
    /// Images and hits of the epoch under way, of which the device reports sums.
    seen: (u64, u64),
    epoch: u32,
    over: bool,
}

impl Lane {
    /// Makes the network, with the first weights that every optimizer of the race gets.
    pub async fn open(gpu: &Gpu, recipe: &Recipe, runner: &Runner, dataset: &Arc<dyn Dataset>) -> Result<Self> {
        let options = recipe.options(runner, dataset.as_ref())?;
        let (seed, normalize, epochs) = (options.seed, options.normalize()?, options.epochs);
        let origin = origin(&options, dataset.as_ref())?;
        let first = |layout: &_| first_weights(layout, seed, dataset.as_ref(), normalize);
        let source = Arc::new(Inline(dataset.clone()));
        let trainer = Trainer::new(gpu, &gpu.target, source, options, first).await?;
        Ok(Self { trainer, dataset: dataset.clone(), origin, epochs, seen: (0, 0), epoch: 0, over: false })
    }

    /// Compares the kernels that this optimizer and network need with their f64 references.
    ///
    /// # Errors
    /// [`velograd::Error::Device`] with the worst kernel if a result is wrong.
    pub async fn assure(gpu: &Gpu, recipe: &Recipe, runner: &Runner, dataset: &Arc<dyn Dataset>) -> Result<()> {
        let options = recipe.options(runner, dataset.as_ref())?;
        let plans = options.plans(dataset.as_ref(), &gpu.target)?;
        let (rule, _) = options.optimizer.build(&options.set)?;
        let target = plans.target();
        let programs = plans.programs(Some(rule.as_ref()));
        let products = programs.products(&target);
        let kernels = programs.kernels();
        let choices = products.iter().map(|(_, choice)| *choice);
        let name = options.optimizer.name();
        selftest::assure(gpu, &target, choices, name, |kernel| kernels.contains(kernel)).await
    }

    /// The number of parameters of the network, and of passes over the data.
    pub fn about(&self) -> Value {
        json!({ "parameters": self.trainer.network.layout.elements(), "epochs": self.epochs })
    }

    /// Trains for so many updates, or to the end. Returns the rows of updates and epochs.
    pub async fn advance(&mut self, updates: u64) -> Result<Value> {
        let until = self.trainer.network.updates().issued + updates;
        let mut rows = Rows { until, seen: self.seen, epoch: self.epoch, steps: vec![], epochs: vec![] };
        if !self.over {
            self.trainer.run(&mut rows).await?;
            self.over = !self.trainer.stopped();
        }
        (self.seen, self.epoch) = (rows.seen, rows.epoch);
        Ok(json!({
            "steps": rows.steps,
            "epochs": rows.epochs,
            "over": self.over,
            "diverged": self.trainer.diverged(),
        }))
    }

    /// The file of weights, which says where they come from as those of the program do.
    pub async fn weights(&mut self) -> Result<Vec<u8>> {
        let dataset = self.dataset.as_ref();
        // The sum of all data is only computed for a file that is to say it.
        self.origin["dataset"]["crc32"] = format!("{:08x}", dataset.checksum()).into();
        let origin = Provenance::of_run(&self.origin)
            .map_err(|why| Error::data(Path::new("model.safetensors"), "where the weights come from", why, ""))?;
        let network = &mut self.trainer.network;
        // Some optimizers are evaluated at other weights than they are trained at.
        let entered = network.enter_evaluation();
        let weights = network.weights().await;
        if entered && !self.over {
            network.leave_evaluation();
        }
        weights::bytes(&weights?, &network.layout, Some(&origin))
    }

    /// What the network says of the first test samples.
    pub async fn predict(&mut self) -> Result<Value> {
        let (network, dataset) = (&mut self.trainer.network, self.dataset.as_ref());
        let spec = dataset.spec();
        let classes = spec.classes.len();
        if spec.input.image().is_none() {
            let batch = network.evaluation_batch();
            let batch = Batch::read(dataset, Split::Test, &(0..batch as u32).collect::<Vec<_>>())?;
            network.evaluate(&batch, true)?;
            let logits = network.logits(batch.len()).await?;
            network.drain().await?;
            let best: Vec<u32> = logits.chunks(classes).take(spec.input.targets() as usize).map(largest).collect();
            let vocabulary = Vocabulary::of(&spec.classes);
            let hits: Vec<bool> = best.iter().zip(&batch.targets).map(|(found, target)| found == target).collect();
            let words = |tokens: &[u32]| tokens.iter().map(|&token| vocabulary.decode(&[token])).collect::<Vec<_>>();
            return Ok(json!({ "text": words(&batch.targets[..best.len()]), "said": words(&best), "hits": hits }));
        }
        let batch = network.evaluation_batch() as u32;
        let shown = SHOWN.min(dataset.len(Split::Test) as u32);
        let (mut said, mut index) = (vec![], 0);
        while index < shown {
            // Programs are for whole batches, so what is too much is the beginning once more.
            let indices: Vec<u32> = (index..index + batch).map(|i| if i < shown { i } else { 0 }).collect();
            network.evaluate(&Batch::read(dataset, Split::Test, &indices)?, true)?;
            let logits = network.logits(batch as usize).await?;
            network.drain().await?;
            said.extend(logits.chunks(classes).take((shown - index) as usize).map(|row| {
                let class = largest(row);
                let share = probabilities(row, 1.0)[class as usize];
                json!({ "class": class, "share": if share.is_finite() { share } else { 0.0 } })
            }));
            index += batch;
        }
        Ok(json!(said))
    }
}

/// Where the weights of a run come from, but for the checksum of its data.
fn origin(options: &Options, dataset: &dyn Dataset) -> Result<Value> {
    let (_, settings) = options.optimizer.build(&options.set)?;
    let (input, size) = provenance::stated(options.config.input);
    let normalize = options.config.input.image().and_then(|_| options.normalize().ok());
    let spec = dataset.spec();
    Ok(json!({
        "version": VERSION,
        "model": options.model,
        "network": options.config.settings.to_json(),
        (input): size,
        "classes": options.config.classes,
        "normalize": normalize,
        "optimizer": options.optimizer.name(),
        "settings": settings.to_json(),
        "seed": options.seed,
        "dataset": { "name": spec.name, "crc32": "", "classes": spec.classes, "seed": dataset.seed() },
    }))
}

/// The index of the largest value, of equal ones the first.
fn largest(row: &[f32]) -> u32 {
    let best = row.iter().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map_or(0, |(index, _)| index as u32)
}

/// Collects the rows of some updates, and pauses behind them.
struct Rows {
    until: u64,
    seen: (u64, u64),
    epoch: u32,
    steps: Vec<Value>,
    epochs: Vec<Value>,
}

/// JSON has no number for what is not finite.
fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { Value::Null }
}

impl Watch for Rows {
    fn step(&mut self, row: &StepRow, images: u64, _: u64, hits: u64) -> Result<()> {
        if self.epoch != row.epoch {
            (self.epoch, self.seen) = (row.epoch, (0, 0));
        }
        let (before, hits_before) = std::mem::replace(&mut self.seen, (images, hits));
        let accuracy = 100.0 * (hits - hits_before) as f64 / (images - before).max(1) as f64;
        // What is an f32 is written as the shortest number that reads back to it, as in the program's files.
        let single = |value: f32| number(value.to_string().parse().unwrap_or(f64::NAN));
        let (loss, norm, lr) = (single(row.loss), single(row.grad_norm), number(row.lr));
        self.steps.push(json!([row.step, loss, accuracy, norm, lr, row.skipped]));
        Ok(())
    }

    fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        self.epochs.push(json!({
            "epoch": row.epoch,
            "train_loss": number(row.train_loss),
            "train_acc": number(row.train_acc),
            "val_loss": row.val_loss.map(number),
            "val_acc": row.val_acc.map(number),
        }));
        Ok(())
    }

    fn request(&mut self, at: Point) -> Result<Request> {
        // The last update of an epoch is followed by its evaluation in the same call.
        let pauses = at.updates >= self.until && at.after != After::LastUpdate && at.after != After::Run;
        Ok(if pauses { Request::Pause } else { Request::Continue })
    }
}
