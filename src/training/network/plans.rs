//! The programs that make up a network: one for each batch size that it trains on or evaluates, and the update.

use super::Programs;
use crate::{
    data::Input,
    device::{Gpu, runtime},
    error::Error,
    models::{Config, Model},
    ops::{self, Augment, Normalize},
    optim::{self, Clip, Optimizer},
    program::{
        self, BufferKind, Recording, Tape,
        params::NoDecay,
        plan::Plan,
        product::{Choice, Product},
        target::{Precision, Target},
    },
};

/// The parts of a recipe that are recorded; the default has none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recipe {
    /// What activations and their gradients are stored as.
    pub precision: Precision,
    /// What is done to images in training; tokens are taken as they are.
    pub augment: Augment,
    /// What images are normalized by, in training and evaluation; `None` for the model's default.
    pub normalize: Option<Normalize>,
    /// Test-time augmentation: an evaluation takes the weighted mean of the logits of six views ([`ops::average_views`]).
    pub tta: bool,
    /// mixup in training ([`ops::mixup`]): `alpha` of the distribution that the share of each batch is from
    /// ([`mixing`](crate::training::mixing)); 0 for none.
    pub mixup: f64,
    /// PyTorch's `label_smoothing`, in training; from 0 to below 1.
    pub smoothing: f32,
    /// Probability of dropout where the network has it, from 0 to below 1: before the classifier, or in each block of a
    /// transformer.
    pub dropout: f32,
    /// Gradient clipping.
    pub clip: Clip,
    /// Parameters that weight decay leaves out.
    pub no_decay: NoDecay,
    /// Whether no update clears the gradient, which is then the sum of those of all batches so far, as where a loop in PyTorch never
    /// calls `zero_grad`. What clips it clips the sum.
    pub keep_gradients: bool,
    /// Whether a batch may be added to a gradient that holds what others have added. What it adds more than once to a parameter is
    /// then summed apart ([`ops::sum_apart`]), so that the sum has the bits that several ranks give it. A trainer sets this.
    pub accumulates: bool,
}

impl Recipe {
    /// How many images each image of an evaluation becomes.
    pub fn views(&self) -> u32 {
        if self.tta { ops::VIEWS } else { 1 }
    }
}

/// What to record.
#[derive(Clone)]
pub struct Plans<'a> {
    /// The model.
    pub model: &'a Model,
    /// The size of the model.
    pub config: Config,
    /// The other settings.
    pub recipe: Recipe,
    /// The forms of kernels, tuned choices included.
    pub target: Target,
    /// Batch sizes to train on.
    pub train: Vec<u32>,
    /// Batch sizes to evaluate.
    pub evaluate: Vec<u32>,
}

impl Plans<'_> {
    /// The target, in the recipe's precision.
    pub fn target(&self) -> Target {
        self.target.with(self.recipe.precision)
    }

    /// Records the forward pass of a batch of `n` and, in training, its backward pass.
    pub fn record(&self, n: u32, training: bool) -> Recording {
        let mut t = Tape::new(&self.target(), training);
        (t.dropout, t.no_decay) = (self.recipe.dropout, self.recipe.no_decay);
        let augment = match (self.config.input, self.recipe) {
            (Input::Tokens(_), _) => Augment::NONE,
            (_, Recipe { augment, .. }) if training => augment,
            (_, Recipe { tta: true, .. }) => Augment::VIEWS,
            _ => Augment::NONE,
        };
        let mixed = training && self.recipe.mixup > 0.0;
        let x = t.scope("input", |t| match self.config.input {
            Input::Image(image) => {
                let draws = ops::draw(t, n, image, augment);
                let by = self.recipe.normalize.unwrap_or(self.model.normalize);
                let x = ops::augment(t, n, image, draws, augment, by);
                if mixed { ops::mixup(t, x) } else { x }
            }
            Input::Tokens(tokens) => ops::tokens(t, n, tokens),
        });
        if self.recipe.dropout > 0.0 {
            // Batches of training draw by their indices, and those of an evaluation, which may be larger, come with some too.
            t.buffer(BufferKind::Input(program::Input::Indices), 4 * u64::from(n));
        }
        let mut logits = (self.model.record)(&mut t, x, &self.config);
        if augment == Augment::VIEWS {
            logits = t.scope("views", |t| ops::average_views(t, logits));
        }
        t.output(logits);
        let smoothing = if training { self.recipe.smoothing } else { 0.0 };
        t.scope("loss", |t| match mixed {
            true => ops::cross_entropy_mixed(t, logits, smoothing),
            false => ops::cross_entropy(t, logits, smoothing),
        });
        t.backward();
        if training && self.recipe.accumulates {
            ops::sum_apart(&mut t);
        }
        t.finish()
    }

    /// The matrix products of all batch sizes, and how each is computed.
    pub fn products(&self) -> Vec<(Product, Choice)> {
        self.programs(None).products(&self.target())
    }

    /// Every program of the network.
    pub fn programs(&self, optimizer: Option<&dyn Optimizer>) -> Programs<Recording> {
        let all = |sizes: &[u32], training| sizes.iter().map(|&n| (n, self.record(n, training))).collect();
        let (train, evaluate) = (all(&self.train, true), all(&self.evaluate, false));
        let mut programs = Programs { train, evaluate, update: None, to_evaluation: None, add: None, running: None };
        let layout = programs.iter().next().map(|network| network.layout.clone());
        if let (Some(optimizer), Some(layout)) = (optimizer, layout) {
            let target = self.target();
            let tape = || Tape::over_layout(&target, &layout);
            programs.update = Some(optim::record(optimizer, self.recipe.clip, tape()));
            programs.to_evaluation = optim::record_evaluation(optimizer, tape());
        }
        programs
    }

    /// Bytes that the same programs would take in f32; `None` if they are in f32.
    pub fn planned_in_f32(&self, optimizer: Option<&dyn Optimizer>) -> Option<u64> {
        let recipe = Recipe { precision: Precision::F32, ..self.recipe };
        let wide = Plans { recipe, ..self.clone() };
        let (recordings, _) = (recipe != self.recipe).then(|| wide.programs(optimizer).numbered())?;
        Some(runtime::planned_bytes(&recordings, &Plan::new(&recordings, true)))
    }

    /// Names the largest batch that the device can hold, if `error` says that it cannot hold the programs; returns any
    /// other error unchanged.
    pub(super) async fn does_not_fit(&self, gpu: &Gpu, error: Error) -> Error {
        if gpu.check().is_err() || !matches!(error, Error::Device { .. }) {
            return error;
        }
        let asked = self.train.iter().chain(&self.evaluate).copied().max().unwrap_or(1);
        let (mut fits, mut fails) = (0, asked);
        while fits + 1 < fails {
            let n = fits + (fails - fits) / 2;
            let one = [self.record(n, !self.train.is_empty())];
            let holds = runtime::has_room(gpu, &one, &Plan::new(&one, true)).await.is_ok();
            if holds { fits = n } else { fails = n }
        }
        let hint = match fits {
            0 => "this network fits at no batch size; a smaller one may".to_owned(),
            n => format!("the largest batch that fits is {n}: 'batch_size' {n}"),
        };
        Error::device(format!("a batch of {asked} does not fit: {error}"), hint)
    }
}
