//! Accuracy, loss and further metrics over the test split.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    data::{Dataset, Source, Split, columns, order},
    device::Gpu,
    error::{Error, Result},
    models::{Config, Model},
    program::params::Layout,
    training::{
        metrics::Confusion,
        network::{Done, Network, Plans, Recipe},
        ranks::{Alone, Exchange},
        weights::Weights,
    },
};

/// The largest batch size of an evaluation; the results do not depend on it.
const BATCH: usize = 256;

/// The columns in which a network that carries its state reads the text that it is evaluated on, as in PyTorch's example
/// `word_language_model`; fewer where the text has fewer blocks.
pub const COLUMNS: usize = 10;

/// The sizes of the batches in which `len` samples are evaluated, the largest of which is `batch` unless the network reads a text in
/// columns.
pub(crate) fn evaluation_sizes(model: &Model, len: usize, batch: usize) -> Vec<u32> {
    match model.carries_state {
        true => batch_sizes(len.min(COLUMNS), COLUMNS),
        false => batch_sizes(len, batch),
    }
}

/// The batch size of an evaluation beside training batches of size `batch`: with all its views it is not larger, so
/// that evaluation needs no more memory than training, nor than `largest`, the most that the network takes.
pub(crate) fn batch_beside(batch: u32, recipe: Recipe, largest: u32) -> usize {
    BATCH.min((batch.min(largest) / recipe.views()).max(1) as usize)
}

/// The distinct sizes of the batches into which `len` items are cut.
pub(crate) fn batch_sizes(len: usize, batch: usize) -> Vec<u32> {
    let mut sizes = Vec::new();
    if len >= batch {
        sizes.push(batch as u32);
    }
    if !len.is_multiple_of(batch) {
        sizes.push((len % batch) as u32);
    }
    sizes
}

/// The classes that [`Evaluation::top5_accuracy`] takes.
pub const TOP: usize = 5;

/// The result of an evaluation.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// In percent.
    pub accuracy: f64,
    /// How many images in a hundred are of one of the [`TOP`] likeliest classes: of classes with equal logits, the image's own counts
    /// first. `None` if there are no more classes, and of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top5_accuracy: Option<f64>,
    /// Mean cross-entropy.
    pub loss: f64,
    /// Weighted F1, from 0 to 1; it and the following need a confusion matrix, which many classes do not have.
    pub f1: Option<f64>,
    /// Weighted precision, from 0 to 1.
    pub precision: Option<f64>,
    /// Weighted recall, from 0 to 1.
    pub recall: Option<f64>,
    /// Counts, indexed by `[label][prediction]`.
    pub confusion: Option<Vec<Vec<u64>>>,
}

/// What the network said of each sample, in the order of the split.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logits {
    /// A row of as many values as there are classes for each target; with test-time augmentation, the weighted mean over
    /// an image's views.
    pub values: Vec<f32>,
    /// The targets of each sample: the class that an image is of.
    pub targets: Vec<u32>,
}

/// Evaluates on the test split; `None` if it is empty. A network that carries its state reads it in [columns](COLUMNS), without the few
/// blocks at its end that do not make a block of each. `progress` is called after each batch with the numbers of samples
/// that are done and of all.
///
/// # Errors
/// A fault of the device or of the data.
pub async fn evaluate(
    network: &mut Network,
    source: &dyn Source,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<Evaluation>> {
    evaluate_each(network, source, progress, None).await
}

/// [`evaluate`] by several ranks, each of which takes some of the batches and gets the result of all. It has the bits of a single
/// rank's: losses are added in the order of the batches.
///
/// # Errors
/// As [`evaluate`], and if another rank has ended.
pub async fn evaluate_over(
    network: &mut Network,
    source: &dyn Source,
    progress: &mut dyn FnMut(u64, u64),
    exchange: &mut dyn Exchange,
) -> Result<Option<Evaluation>> {
    evaluate_all(network, source, progress, None, exchange).await
}

/// What is done with the logits of a batch, a row for each target, and with its targets.
pub type Each<'a> = &'a mut dyn FnMut(&[f32], &[u32]);

/// [`evaluate`], which calls `each` for every batch, if it is given. It then waits for each batch.
///
/// # Errors
/// As [`evaluate`].
pub async fn evaluate_each(
    network: &mut Network,
    source: &dyn Source,
    progress: &mut dyn FnMut(u64, u64),
    each: Option<Each<'_>>,
) -> Result<Option<Evaluation>> {
    evaluate_all(network, source, progress, each, &mut Alone).await
}

async fn evaluate_all(
    network: &mut Network,
    source: &dyn Source,
    progress: &mut dyn FnMut(u64, u64),
    mut each: Option<Each<'_>>,
    exchange: &mut dyn Exchange,
) -> Result<Option<Evaluation>> {
    let rank = exchange.rank();
    let total = source.dataset().len(Split::Test);
    if total == 0 {
        return Ok(None);
    }
    let batch = network.evaluation_batch();
    let in_columns = network.carries_state();
    let order = if in_columns { columns(total, batch) } else { order(total, None) };
    let total = order.len();
    let own = order.chunks(batch).enumerate().filter(|(number, _)| rank.owns(*number));
    let order: Vec<u32> = own.flat_map(|(_, batch)| batch).copied().collect();
    // The logits of samples that do not come in their order.
    let mut apart: BTreeMap<u32, (Vec<f32>, Vec<u32>)> = BTreeMap::new();
    // Loss (the bits of an f32), hits, and those among the likeliest, of each batch.
    let mut counts: Vec<[u32; 3]> = vec![];
    let mut add = |done: Vec<Done>| {
        let evaluated =
            done.into_iter().filter_map(|done| if let Done::Evaluated(report) = done { Some(report) } else { None });
        counts.extend(evaluated.map(|report| [report.loss.to_bits(), report.hits, report.top]));
    };
    let mut batches = source.batches(Split::Test, order, batch, None)?;
    let (mut done, mut targets) = (0, vec![]);
    let masking = source.dataset().masking();
    while let Some(batch) = batches.next().await {
        add(network.make_room().await?);
        let mut batch = batch?;
        if let Some(masking) = masking {
            masking.hide_for_evaluation(&mut batch);
        }
        targets.push(batch.counted());
        network.evaluate(&batch, done == 0)?;
        if let Some(each) = &mut each {
            let logits = network.logits(batch.len()).await?;
            if in_columns {
                let [values, targets] = [logits.len(), batch.targets.len()].map(|len| len / batch.len());
                let rows = logits.chunks(values).zip(batch.targets.chunks(targets)).zip(&batch.indices);
                apart.extend(rows.map(|((row, targets), &index)| (index, (row.to_vec(), targets.to_vec()))));
            } else {
                each(&logits, &batch.targets);
            }
        }
        done += batch.len() as u64;
        progress((done * rank.of as u64).min(total as u64), total as u64);
    }
    if let Some(each) = &mut each {
        apart.values().for_each(|(row, targets)| each(row, targets));
    }
    add(network.drain().await?);
    let confusion = match network.confusion().await? {
        Some(counted) => Some(counted_by_all(counted, done > 0, exchange)?),
        None => None,
    };
    let own: Vec<u32> =
        counts.iter().zip(&targets).flat_map(|(&[loss, hits, top], &targets)| [loss, hits, top, targets]).collect();
    let all = exchange.gather(&own)?;
    let (mut loss, mut hits, mut top, mut targets) = (0.0, 0, 0, 0);
    for number in 0..total.div_ceil(batch) {
        let [of_loss, of_hits, of_top, of_targets] = all[number % rank.of][number / rank.of * 4..][..4] else {
            unreachable!("four counts of each batch")
        };
        loss += f64::from(f32::from_bits(of_loss));
        hits += u64::from(of_hits);
        top += u64::from(of_top);
        targets += u64::from(of_targets);
    }
    let targets = targets as f64;
    let percent = |count: u64| 100.0 * count as f64 / targets;
    let spec = source.dataset().spec();
    let top5_accuracy = (spec.input.image().is_some() && spec.classes.len() > TOP).then(|| percent(top));
    let evaluation = Evaluation::of(percent(hits), loss / targets, confusion.as_ref());
    Ok(Some(Evaluation { top5_accuracy, ..evaluation }))
}

/// The counts of all ranks together; a rank that had no batch has not counted.
fn counted_by_all(own: Confusion, counts: bool, exchange: &mut dyn Exchange) -> Result<Confusion> {
    let cells: Vec<u32> = own.counts.iter().map(|&count| if counts { count as u32 } else { 0 }).collect();
    let mut all = Confusion::new(own.classes);
    for of_rank in exchange.gather(&cells)? {
        all.counts.iter_mut().zip(of_rank).for_each(|(sum, count)| *sum += u64::from(count));
    }
    Ok(all)
}

/// A network that only evaluates, at most `batch` samples or views at a time and as many fewer as the device has room for. Of the recipe, only
/// precision, normalization and test-time augmentation matter.
///
/// # Errors
/// [`crate::error::Error::Device`] if the device cannot hold it for one sample, or what `weights` returns.
pub async fn evaluator(
    gpu: &Gpu,
    dataset: &dyn Dataset,
    network: (&Model, &Config),
    batch: u32,
    recipe: Recipe,
    weights: impl Fn(&Layout) -> Result<Weights>,
) -> Result<Network> {
    let sizes = |batch| evaluation_sizes(network.0, dataset.len(Split::Test), batch);
    fitted(gpu, network, (batch, &sizes), recipe, weights).await
}

/// [`evaluator`] for samples of no data set: each batch has as many as [`Network::evaluation_batch`] says.
///
/// # Errors
/// As [`evaluator`].
pub async fn evaluator_of(
    gpu: &Gpu,
    network: (&Model, &Config),
    batch: u32,
    recipe: Recipe,
    weights: impl Fn(&Layout) -> Result<Weights>,
) -> Result<Network> {
    fitted(gpu, network, (batch, &|batch| vec![batch as u32]), recipe, weights).await
}

/// A network whose largest batch is halved until the device has room for it; `sizes` are those that come with a largest one.
async fn fitted(
    gpu: &Gpu,
    (model, config): (&Model, &Config),
    (batch, sizes): (u32, &dyn Fn(usize) -> Vec<u32>),
    recipe: Recipe,
    weights: impl Fn(&Layout) -> Result<Weights>,
) -> Result<Network> {
    let sized = |batch| Plans {
        model,
        config: config.clone(),
        recipe,
        target: gpu.target.clone(),
        train: vec![],
        evaluate: sizes(batch),
    };
    let mut batch = batch_beside(batch, recipe, model.largest_batch(config));
    loop {
        match Network::new(gpu, &sized(batch), None, &weights, 0).await {
            Err(Error::Device { .. }) if batch > 1 && gpu.check().is_ok() => batch = batch.div_ceil(2),
            done => return done,
        }
    }
}

impl Logits {
    /// Adds the logits and targets of a batch.
    pub fn add(&mut self, values: &[f32], targets: &[u32]) {
        self.values.extend(values);
        self.targets.extend(targets);
    }
}

impl Evaluation {
    fn of(accuracy: f64, loss: f64, confusion: Option<&Confusion>) -> Self {
        let weighted = confusion.map(Confusion::weighted);
        Self {
            accuracy,
            top5_accuracy: None,
            loss,
            f1: weighted.map(|weighted| weighted.f1),
            precision: weighted.map(|weighted| weighted.precision),
            recall: weighted.map(|weighted| weighted.recall),
            confusion: confusion.map(|matrix| matrix.counts.chunks(matrix.classes).map(<[u64]>::to_vec).collect()),
        }
    }
}
