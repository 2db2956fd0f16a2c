//! Update rules without a network: MVN-Grad's two experiments (Patitucci and Mokhtari, arXiv 2602.10204, its figures
//! 2 and 3), for any optimizer. Changes of parameters are in units of the learning rate.

use std::sync::Arc;

use crate::{
    data::{Dataset, Split, order},
    device::Gpu,
    error::{Error, Result},
    host::loader::Loader,
    models::{Config, Model},
    ops::{Augment, Normalize},
    optim::{self, RuleChoice, Stepper},
    program::{BufferKind, params::Layout, step::Report},
    random::Rng,
    training::{
        network::{Network, Place, Plans, Recipe},
        weights::Weights,
    },
};

/// Elements of the tensor in the spike experiment.
const COORDINATES: usize = 1024;

/// Key of the spike experiment's random generator.
const SPIKE: u64 = 0x5b1;

/// Updates before the spike.
const BEFORE_SPIKE: usize = 100;

/// Standard deviation of the gradients before and after the spike.
const NOISE: f64 = 1e-2;

/// The largest change of any parameter, in units of the learning rate, in the 30 updates that begin with a spike of
/// `size` standard deviations; the gradients before and after it are normal with mean 0.
///
/// # Errors
/// An unknown optimizer or setting, or a fault of the device.
pub async fn spike(
    gpu: &Gpu,
    optimizer: impl Into<RuleChoice>,
    set: &[(String, String)],
    size: f64,
    seed: u64,
) -> Result<f64> {
    let (optimizer, _) = optimizer.into().build(set)?;
    let lr = rate_of(optimizer.as_ref())?;
    let mut stepper = Stepper::new(gpu, optimizer, &[vec![0.0; COORDINATES]]).await?;
    let mut rng = Rng::keyed(seed, &[SPIKE]);
    let mut peak = 0.0_f64;
    let mut before = stepper.params().await?;
    for update in 0..BEFORE_SPIKE + 30 {
        let factor = if update == BEFORE_SPIKE { size } else { 1.0 };
        let gradient: Vec<f32> = (0..COORDINATES).map(|_| (factor * NOISE * rng.normal()) as f32).collect();
        stepper.step(&[gradient], 1.0).await?;
        if update + 1 >= BEFORE_SPIKE {
            let after = stepper.params().await?;
            if update >= BEFORE_SPIKE {
                peak = peak.max(largest(&before[0], &after[0]));
            }
            before = after;
        }
    }
    Ok(peak / lr)
}

fn largest(before: &[f32], after: &[f32]) -> f64 {
    let changes = before.iter().zip(after).map(|(b, a)| (f64::from(*a) - f64::from(*b)).abs());
    changes.fold(0.0, f64::max)
}

/// The learning rate, by which changes are divided.
fn rate_of(optimizer: &dyn optim::Optimizer) -> Result<f64> {
    match optimizer.lr() {
        0.0 => Err(Error::config("lr=0: the update has no size in units of it", "choose a rate above 0")),
        lr => Ok(lr),
    }
}

/// A network at fixed parameters, and the gradients of many mini-batches there.
pub struct Frozen {
    dims: Vec<Vec<usize>>,
    params: Vec<Vec<f32>>,
    /// Gradient and mean loss per mini-batch.
    draws: Vec<(Vec<Vec<f32>>, f32)>,
}

/// The network and the data of a [`Frozen`].
pub struct Point<'a> {
    /// The network.
    pub model: &'a Model,
    /// Its size.
    pub config: Config,
    /// What images are normalized by; `None` for the model's default.
    pub normalize: Option<Normalize>,
    /// The training images.
    pub dataset: Arc<dyn Dataset>,
    /// Images in a mini-batch; there must be at least as many training images.
    pub batch: u32,
    /// Seed of the order of images and of augmentation.
    pub seed: u64,
}

impl Frozen {
    /// Draws `count` gradients of augmented training batches at these weights.
    ///
    /// # Errors
    /// [`Error::Config`] if there are fewer images than a batch holds; a fault of the device or the data.
    pub async fn new(
        gpu: &Gpu,
        point: &Point<'_>,
        weights: impl FnOnce(&Layout) -> Result<Weights>,
        count: usize,
    ) -> Result<Self> {
        let Point { model, config, normalize, dataset, batch, seed } = point;
        let images = dataset.len(Split::Train);
        if (images as u64) < u64::from(*batch) || *batch == 0 {
            let message = format!("'batch_size' is {batch}, and there are {images} training images");
            return Err(Error::about("batch_size", message, "a mini-batch has from 1 to that many images"));
        }
        let recipe = Recipe { augment: Augment::PAPER, normalize: *normalize, ..Recipe::default() };
        let target = gpu.target.clone();
        let plans = Plans { model, config: config.clone(), recipe, target, train: vec![*batch], evaluate: vec![] };
        let (sgd, _) = optim::build("sgd", &[])?; // a network that takes gradients needs an optimizer; this one never steps
        let mut network = Network::new(gpu, &plans, Some(sgd), weights, *seed).await?;
        let segments = network.layout.params.clone();
        let tensors = |arena: &[f32]| -> Vec<Vec<f32>> {
            let part = |s: &crate::program::params::Segment| &arena[s.offset as usize..][..s.shape.stored() as usize];
            segments.iter().map(|s| s.shape.from_stored(part(s))).collect()
        };
        let params = tensors(&network.weights().await?.params);
        let mut draws = Vec::with_capacity(count);
        for epoch in 1.. {
            let mut indices = order(images, Some((*seed, u64::from(epoch))));
            indices.truncate(images / *batch as usize * *batch as usize);
            for images in Loader::new(dataset.clone(), Split::Train, indices, *batch as usize)? {
                if draws.len() == count {
                    return Ok(Self { dims: segments.iter().map(|s| s.shape.dims()).collect(), params, draws });
                }
                network.train(&images?, Place { first: true, last: false, images: *batch, epoch, lr: 0.0 })?;
                network.drain().await?;
                let runtime = &network.runtime;
                let gradient: Vec<f32> =
                    runtime.read(runtime.buffer(&BufferKind::Grads), network.layout.param_floats() as usize).await?;
                let report: Report = runtime.read(runtime.buffer(&BufferKind::Report), 1).await?[0];
                draws.push((tensors(&gradient), report.loss / report.targets as f32));
            }
        }
        unreachable!("epochs do not end");
    }

    /// The mean gradient and loss of the `nth` group of `group` mini-batches, which are those of one batch of all their
    /// images.
    fn mean(&self, nth: usize, group: usize) -> (Vec<Vec<f32>>, f32) {
        let draws = &self.draws[nth * group..][..group];
        let share = 1.0 / group as f64;
        let tensor = |t: usize| {
            let element = |i: usize| draws.iter().map(|(g, _)| f64::from(g[t][i])).sum::<f64>() * share;
            (0..self.dims[t].iter().product()).map(|i| element(i) as f32).collect()
        };
        let loss = draws.iter().map(|(_, loss)| f64::from(*loss)).sum::<f64>() * share;
        ((0..self.dims.len()).map(tensor).collect(), loss as f32)
    }

    /// The variance of the next update given the optimizer's state, in units of the squared learning rate, averaged
    /// over all parameters. It is estimated by Monte Carlo over `draws` batches of `group` mini-batches, all from one
    /// state, which `before` batches at the same point have produced.
    ///
    /// # Errors
    /// An unknown optimizer or setting, a fault of the device, or [`Error::Config`] if too few mini-batches were drawn.
    pub async fn conditional_variance(
        &self,
        gpu: &Gpu,
        optimizer: &RuleChoice,
        set: &[(String, String)],
        group: usize,
        [before, draws]: [usize; 2],
    ) -> Result<f64> {
        if (before + draws) * group > self.draws.len() || draws < 2 {
            let message = format!("{} mini-batches for {before} + {draws} batches of {group}", self.draws.len());
            return Err(Error::config(message, "draw more; a variance needs two draws"));
        }
        let (optimizer, _) = optimizer.build(set)?;
        let lr = rate_of(optimizer.as_ref())?;
        let mut stepper = Stepper::shaped(gpu, &gpu.target, optimizer, &self.dims, &self.params).await?;
        for nth in 0..before {
            let (gradient, loss) = self.mean(nth, group);
            stepper.step(&gradient, loss).await?;
        }
        let frozen = stepper.snapshot().await?;
        // Subtracting the first draw keeps the digits of updates that hardly vary.
        let mut first: Vec<f32> = vec![];
        let (mut sums, mut squares) = (vec![], vec![]);
        for draw in 0..draws {
            stepper.restore(&frozen);
            let (gradient, loss) = self.mean(before + draw, group);
            stepper.step(&gradient, loss).await?;
            let after: Vec<f32> = stepper.params().await?.concat();
            if draw == 0 {
                (sums, squares) = (vec![0.0; after.len()], vec![0.0; after.len()]);
                first.clone_from(&after);
            }
            for (i, (after, first)) in after.iter().zip(&first).enumerate() {
                let change = (f64::from(*after) - f64::from(*first)) / lr;
                sums[i] += change;
                squares[i] += change * change;
            }
        }
        let count = draws as f64;
        let variances = sums.iter().zip(&squares).map(|(sum, square)| (square - sum * sum / count) / (count - 1.0));
        Ok(variances.sum::<f64>() / sums.len() as f64)
    }
}
