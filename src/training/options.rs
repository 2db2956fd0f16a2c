//! The options of a run, and what can be refused before there is a device.

use super::{Cut, Remainder};
use crate::{
    data::{Dataset, Input, Masking, Split},
    error::{Error, Result},
    models::{self, Config, resnet},
    ops::{Augment, Normalize},
    optim::{Clip, Lookahead, RuleChoice},
    program::target::{Precision, Target},
    training::{
        evaluate::{batch_beside, batch_sizes, evaluation_sizes},
        network::{Plans, Recipe},
        schedule::Schedule,
    },
};

/// The values of mixup's `alpha`.
const MIXUP: std::ops::RangeInclusive<f64> = 0.001..=1000.0;

/// The options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of a [`Model`](crate::models::Model).
    pub model: String,
    /// The model's shape.
    pub config: Config,
    /// The update rule.
    pub optimizer: RuleChoice,
    /// The rule's settings, as given.
    pub set: Vec<(String, String)>,
    /// Lookahead (Zhang et al. 2019) around the rule.
    pub lookahead: Option<Lookahead>,
    /// Passes over the data.
    pub epochs: u32,
    /// Ends the run after this many updates.
    pub max_steps: Option<u64>,
    /// Samples in a batch.
    pub batch: u32,
    /// Batches in an update.
    pub accumulate: u32,
    /// What becomes of an epoch's samples that do not fill an update.
    pub remainder: Remainder,
    /// Precision, augmentation, label smoothing, dropout, clipping and further settings of the network.
    pub recipe: Recipe,
    /// The learning-rate schedule.
    pub schedule: Schedule,
    /// Epochs from one validation to the next; the last epoch always has one.
    pub validate_every: u32,
    /// Ends the run when the validation loss has not improved for this many validations.
    pub early_stop: Option<u32>,
    /// What happens after an update whose loss or gradient is not finite.
    pub on_nan: OnNan,
    /// Whether the samples come in random order; otherwise they come in that of the data set.
    pub shuffle: bool,
    /// Seed of the initial weights, the order, augmentation and dropout.
    pub seed: u64,
}

impl Default for Options {
    /// VeloGrad's published experiment: 20 epochs of ResNet-18 with torchvision's stem, two batches of 128 augmented images
    /// to an update.
    fn default() -> Self {
        Self {
            model: "resnet18".into(),
            config: resnet::config(resnet::Stem::Imagenet, 64, 10),
            optimizer: "velograd".into(),
            set: vec![],
            lookahead: None,
            epochs: 20,
            max_steps: None,
            batch: 128,
            accumulate: 2,
            remainder: Remainder::Step,
            recipe: Recipe { augment: Augment::PAPER, ..Recipe::default() },
            schedule: Schedule::CONSTANT,
            validate_every: 1,
            early_stop: None,
            on_nan: OnNan::Skip,
            shuffle: true,
            seed: 0,
        }
    }
}

impl Options {
    /// Targets of a sample that have a loss: one of an image, one for each token of a block, or for each that is hidden.
    pub fn counted(&self) -> u32 {
        let targets = self.config.input.targets();
        match models::find(&self.model) {
            Ok(model) if model.masked => Masking::counted(targets),
            _ => targets,
        }
    }

    /// Targets of a sample to each that has a loss: how many tokens the network sees for one that is counted; 1 of images.
    pub fn targets_per_counted(&self) -> f64 {
        f64::from(self.config.input.targets()) / f64::from(self.counted())
    }

    /// The programs of the run.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown model or an option out of its range, or where the training images do not fill an update.
    pub fn plans(&self, dataset: &dyn Dataset, target: &Target) -> Result<Plans<'static>> {
        self.check()?;
        let model = models::find(&self.model)?;
        model.refuse(&self.config)?;
        self.fits(dataset)?;
        let train = dataset.len(Split::Train);
        let cut = self.cut(train);
        if cut.images == 0 && train > 0 {
            let message = format!("'batch_size' is {}, and the text has {train} blocks to train on", self.batch);
            let hint = format!("{} reads a text in as many columns as a batch has blocks: at most {train}", self.model);
            return Err(Error::about("batch_size", message, hint));
        }
        if cut.images > 0 {
            cut.check()?;
        }
        let train = batch_sizes(cut.trained(), cut.batch);
        let largest = model.largest_batch(&self.config);
        if let Some(n) = train.iter().find(|&&n| n > largest) {
            return Err(Error::setting("batch_size", n, format!("at most {largest}")));
        }
        // The device counts the targets of an update in 32 bits. An update may have, besides its own
        // batches, those that an epoch carried over to it, which are fewer than a whole update's.
        let of_batch = cut.batch.min(cut.images).max(1) as u64 * u64::from(self.config.input.targets());
        let twice = u64::from(self.remainder == Remainder::Carry) + 1;
        let most = u64::from(u32::MAX) / of_batch / twice;
        if cut.images.div_ceil(cut.batch).min(cut.accumulate) as u64 > most {
            return Err(Error::setting("accumulate", self.accumulate, format!("at most {most}")));
        }
        let evaluated = batch_beside(self.batch, self.recipe, largest);
        Ok(Plans {
            model,
            config: self.config.clone(),
            recipe: Recipe {
                augment: self.recipe.augment.divide(dataset, self.seed, 1).0,
                accumulates: self.accumulate > 1 || self.recipe.keep_gradients,
                ..self.recipe
            },
            target: target.clone(),
            train,
            evaluate: evaluation_sizes(model, dataset.len(Split::Test), evaluated),
        })
    }

    /// Refuses samples of another kind or size, or with other classes, than the network's.
    fn fits(&self, dataset: &dyn Dataset) -> Result<()> {
        let (spec, Config { input, classes, .. }) = (dataset.spec(), &self.config);
        if (spec.input, spec.classes.len()) == (*input, *classes as usize) {
            return input.image().map_or(Ok(()), |image| self.recipe.augment.check(image));
        }
        let message = format!(
            "a network for {input} and {classes} classes, and {}: {} and {} classes",
            spec.name,
            spec.input,
            spec.classes.len()
        );
        Err(Error::config(message, "images and network must fit"))
    }

    /// What images are normalized by.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown model.
    pub fn normalize(&self) -> Result<Normalize> {
        Ok(self.recipe.normalize.unwrap_or(models::find(&self.model)?.normalize))
    }

    /// The number of updates in an epoch.
    pub fn updates_per_epoch(&self, dataset: &dyn Dataset) -> u64 {
        self.cut(dataset.len(Split::Train)).updates() as u64
    }

    /// The number of updates in the whole run.
    pub fn updates(&self, dataset: &dyn Dataset) -> u64 {
        let all = u64::from(self.epochs) * self.updates_per_epoch(dataset);
        self.max_steps.map_or(all, |most| most.min(all))
    }

    /// How an epoch of `images` images is cut into batches and updates.
    pub fn cut(&self, images: usize) -> Cut {
        let (batch, accumulate) = (self.batch as usize, self.accumulate as usize);
        // In columns, every batch is whole.
        let images = if self.carries_state() { images - images % batch.max(1) } else { images };
        Cut { images, batch, accumulate, remainder: self.remainder }
    }

    /// Whether the network reads a text in columns, and carries its state from batch to batch.
    pub fn carries_state(&self) -> bool {
        models::find(&self.model).is_ok_and(|model| model.carries_state)
    }

    /// Refuses what cannot be had where the state is carried from batch to batch.
    fn check_columns(&self) -> Result<()> {
        let model = &self.model;
        if self.shuffle {
            let message =
                format!("'shuffle' is on, and {model} goes on from the state that the blocks before have left");
            return Err(Error::about("shuffle", message, "'shuffle' off reads the text in its order"));
        }
        if self.accumulate > 1 {
            let message = format!(
                "'accumulate' is {}, and the batches of an update of {model} would be successive blocks rather than parts of one",
                self.accumulate
            );
            return Err(Error::about("accumulate", message, "'accumulate' 1, with a larger 'batch_size' if need be"));
        }
        Ok(())
    }

    /// Refuses what so many ranks cannot train together.
    ///
    /// # Errors
    /// [`Error::Config`] if an update has too few batches for each rank to have one, or the network carries a state from batch to batch.
    pub fn check_ranks(&self, ranks: usize) -> Result<()> {
        if ranks > 1 && self.carries_state() {
            let message =
                format!("{} carries its state from batch to batch, and {ranks} ranks train together", self.model);
            return Err(Error::about("model", message, "train it on one device"));
        }
        if (self.accumulate as usize) < ranks {
            let message = format!("'accumulate' is {}, and {ranks} ranks train together", self.accumulate);
            let hint = format!(
                "'accumulate' counts an update's batches over all ranks: {ranks}, a multiple of it, or nothing"
            );
            return Err(Error::about("accumulate", message, hint));
        }
        Ok(())
    }

    /// What the user may not expect although it follows from the options, a line each.
    pub fn remarks(&self, dataset: &dyn Dataset) -> Vec<String> {
        let updates = self.updates(dataset);
        // Schedule-Free has a warm-up in its own settings.
        let own = self.set.iter().rev().find(|(key, _)| key == "warmup_steps").and_then(|(_, text)| text.parse().ok());
        let warmups = [(self.schedule.warmup as f64, ""), (own.unwrap_or(0.0), " (warmup_steps)")];
        let long = warmups.into_iter().filter(|(warmup, _)| *warmup > 0.0 && *warmup >= updates as f64);
        long.map(|(warmup, of)| {
            let highest = 100.0 * updates as f64 / warmup;
            let end = if highest == 100.0 {
                "to its height with the last update alone".to_owned()
            } else {
                format!("only to {highest:.0} % of its height")
            };
            format!(
                "the warm-up of {warmup} updates{of} is not shorter than the run of {updates}: the learning rate rises {end}"
            )
        })
        .collect()
    }

    /// Refuses options that are out of their range.
    ///
    /// # Errors
    /// [`Error::Config`] with the range.
    pub fn check(&self) -> Result<()> {
        let positive = [
            ("batch_size", u64::from(self.batch)),
            ("accumulate", u64::from(self.accumulate)),
            ("epochs", u64::from(self.epochs)),
            ("max_steps", self.max_steps.unwrap_or(1)),
            ("validate_every", u64::from(self.validate_every)),
            ("early_stop", self.early_stop.map_or(1, u64::from)),
        ];
        if let Some((setting, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(Error::setting(setting, 0, "at least 1"));
        }
        for (setting, value) in [("label_smoothing", self.recipe.smoothing), ("dropout", self.recipe.dropout)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::setting(setting, value, "from 0 to below 1"));
            }
        }
        let mixup = self.recipe.mixup;
        if mixup != 0.0 && !MIXUP.contains(&mixup) {
            let range = format!("0 for none, or from {} to {}", MIXUP.start(), MIXUP.end());
            return Err(Error::setting("mixup", mixup, range));
        }
        if let (true, Input::Tokens(_)) = (mixup != 0.0, self.config.input) {
            let message = format!("'mixup' mixes images with their labels, and the data set has {}", self.config.input);
            return Err(Error::about(
                "mixup",
                message,
                "drop 'mixup'; 'dropout' and 'label_smoothing' regularize text too",
            ));
        }
        let Clip { norm, value } = self.recipe.clip;
        for (setting, limit) in [("clip_norm", norm), ("clip_value", value)] {
            if let Some(limit) = limit.filter(|v| !(*v > 0.0 && v.is_finite())) {
                return Err(Error::setting(setting, limit, "above 0"));
            }
        }
        if let Some(normalize) = self.recipe.normalize {
            normalize.check()?;
        }
        if self.carries_state() {
            self.check_columns()?;
        }
        if self.recipe.keep_gradients && self.recipe.precision == Precision::Mixed {
            let message =
                "'zero_grad' is off, and in mixed precision a gradient that is too large for f16 would stay so";
            return Err(Error::about("zero_grad", message, "'precision' f32"));
        }
        if let (true, Input::Tokens(_)) = (self.recipe.tta, self.config.input) {
            let message = format!("'tta' is about views of images, and the data set has {}", self.config.input);
            return Err(Error::about("tta", message, "drop 'tta'"));
        }
        Ok(())
    }
}

/// What happens after an update whose loss or gradient is not finite. The device skips the update in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNan {
    /// The run goes on, unless twenty updates in a row were skipped: then it has diverged and ends.
    #[default]
    Skip,
    /// The run ends at the first such update.
    Stop,
}

impl OnNan {
    /// The number of updates skipped in a row that ends the run.
    pub(super) fn most(self) -> u32 {
        match self {
            Self::Skip => 20,
            Self::Stop => 1,
        }
    }
}
