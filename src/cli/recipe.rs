//! Interprets the flags of a run that `train`, `compare`, `sweep` and `ablate` share.

use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::{
    flags::{Preset, given, run::RunFlags, values::switch_word},
    layers::{Layers, SHORT_FORMS},
    normalization::choose_and_say,
    print::note,
};
use crate::{
    cli::live,
    data::{Dataset, Holdout, Image, Split, TokensBy, Vocabulary},
    device::{Gpu, NO_ADAPTER},
    error::{Error, Result},
    host::{
        data::{self, pictures, text},
        files::absolute,
        pretrained::Pretrained,
        rule_file,
        run::{MODEL_SET, Recipe},
    },
    models::{self, Config},
    ops::Augment,
    optim::Clip,
    program::target::Precision,
    training::{Options, network::Recipe as Recorded, schedule::Schedule},
};

impl<R: Args + Default> RunFlags<R> {
    /// Checks what can be checked without a device or data; `layers` are those that the flags were merged from.
    ///
    /// # Errors
    /// [`Error::Config`] with the setting and its range.
    pub fn check(&self, layers: &Layers) -> Result<()> {
        self.reliability.policy()?;
        if let Some(name) = &self.data.dataset {
            data::known(name).map_err(|error| error.of_setting("dataset"))?;
        }
        let model = self.network.model()?;
        let settings = self.network.settings().map_err(|error| layers.locate_model_set(error, model))?;
        // The images are not known yet, so that their size is not checked.
        self.options(Precision::F32, Config { input: Image::CIFAR.into(), classes: 10, settings })?.check()
    }

    /// Whether samples are in random order; unless a flag says so they are, but for a network that goes on from one to the next.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown network.
    pub fn shuffled(&self) -> Result<bool> {
        Ok(self.images.shuffle.unwrap_or(!self.network.model()?.carries_state))
    }

    /// The options of a run of a network of this shape with these flags, which must be complete, but for its optimizer and
    /// seed.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown name or an invalid schedule.
    pub fn options(&self, precision: Precision, config: Config) -> Result<Options> {
        let Self { images, network, batch, schedule, regularization, validation, reliability, .. } = self;
        let model = network.model()?;
        let single = |value: Option<f64>| given(value) as f32;
        // Tokens are taken as they are.
        let augment = config.input.image().map_or(Augment::NONE, |_| given(images.augment));
        Ok(Options {
            model: model.name.into(),
            config,
            lookahead: schedule.lookahead,
            epochs: given(schedule.epochs),
            max_steps: schedule.max_steps,
            batch: given(batch.batch_size),
            accumulate: given(schedule.accumulate),
            remainder: given(schedule.remainder),
            recipe: Recorded {
                precision,
                augment,
                normalize: None, // set by `normalize` below, which may need the images
                tta: given(validation.tta),
                mixup: given(regularization.mixup),
                smoothing: single(regularization.label_smoothing),
                dropout: single(regularization.dropout),
                clip: Clip {
                    value: regularization.clip_value.map(|v| v as f32),
                    norm: regularization.clip_norm.map(|v| v as f32),
                },
                no_decay: given(regularization.no_decay),
                keep_gradients: !given(schedule.zero_grad),
                accumulates: false, // set where the programs are recorded
            },
            schedule: Schedule::parse(&given(schedule.schedule.clone()), given(schedule.warmup))
                .map_err(|error| error.of_setting("schedule"))?,
            validate_every: given(validation.validate_every),
            early_stop: validation.early_stop,
            on_nan: given(reliability.on_nan).into(),
            shuffle: self.shuffled()?,
            ..Options::default()
        })
    }

    /// Opens the data set and prints its remarks; `seed` is the seed of drawn samples and of the choice of held-out
    /// ones. Pictures get the size, and text the blocks, of the weights that the run starts from, if there are any; without them
    /// text gets the network's. Text is encoded by `vocabulary`, if there is one.
    ///
    /// # Errors
    /// As [`data::open`] and [`Holdout::new`].
    pub fn open(
        &self,
        seed: u64,
        init: Option<&Pretrained>,
        vocabulary: Option<&Vocabulary>,
    ) -> Result<Arc<dyn Dataset>> {
        let length = match init {
            Some(init) => init.length(),
            None => self.network.model()?.block(&self.network.settings()?),
        };
        let usual_size = init.and_then(Pretrained::side);
        let masked = self.network.model()?.masked;
        let wanted = data::Wanted { usual_size, length, vocabulary, masked, ..self.data.wanted(seed) };
        let opened = live::during("opening the data", || data::open(wanted))?;
        opened.notes.iter().for_each(|text| note!("{text}"));
        let unit = opened.dataset.spec().input.unit();
        let Some(count) = self.validation.val_split else {
            if opened.dataset.len(Split::Test) == 0 {
                note!("there are no test {unit}: there will be no validation");
            }
            return Ok(opened.dataset);
        };
        if self.network.model()?.carries_state {
            let message =
                format!("'val_split' is {count}, and a network that carries its state reads a text without gaps");
            return Err(Error::about("val_split", message, "give a set that has a text to validate on"));
        }
        note!("validation on {count} {unit} held out of the training set; the test {unit} are left alone");
        Ok(Arc::new(Holdout::new(opened.dataset, count as usize, seed)?))
    }

    /// Chooses the normalization of images and prints it; `weights` are those that the run starts from.
    ///
    /// # Errors
    /// [`Error::Config`] if the images' own normalization was asked for and cannot be computed; the errors of reading
    /// the images.
    pub fn normalize(&self, options: &mut Options, dataset: &dyn Dataset, weights: Option<&Pretrained>) -> Result<()> {
        let model = models::find(&options.model)?;
        options.recipe.normalize = choose_and_say(self.images.normalize, weights, model, dataset)?;
        Ok(())
    }
}

/// The preset that suits the device. Prints which it is.
pub fn preset_of(gpu: &Gpu) -> Preset {
    if gpu.info.backend == "gl" {
        note!("no Vulkan driver was found; OpenGL on {} is many times slower: {}", gpu.info.name, NO_ADAPTER);
    }
    let (preset, device, other) = if gpu.info.is_software() {
        (Preset::Quick, "a software adapter", "paper for the published experiment")
    } else {
        (Preset::Paper, "a GPU", "quick for a first look")
    };
    note!("preset {} ({} is {device}); --preset {other}", preset.name(), gpu.info.name);
    preset
}

/// Flags that concern only this start of the program and are not part of a recipe.
pub const OF_THIS_START: [&str; 8] =
    ["out", "resume", "extend", "selftest", "debug-nan", "on-device-lost", "device", "rank-timeout"];

/// Reduces flags to the recipe that repeats the run, and adds what was chosen where the flags left it open.
pub fn resolve(recipe: &mut Recipe, preset: Preset, options: &Options, dataset: &dyn Dataset, data_seed: u64) {
    let spec = dataset.spec();
    let drawn = dataset.seed().is_some() || recipe.get("val-split").is_some_and(|v| !v.is_null());
    let path = dataset.path().map(absolute);
    let default = models::find(&options.model).map(|model| model.normalize).ok();
    let normalize = options.recipe.normalize.filter(|by| Some(*by) != default);
    let tokens = (spec.name == text::NAME).then(|| TokensBy::of(&spec.classes).to_string());
    let chosen = [
        ("preset", json!(preset.name())),
        ("dataset", json!(spec.name)),
        ("data", json!(path)),
        ("image-size", json!(spec.input.image().filter(|_| spec.name == pictures::NAME).map(|image| image.width))),
        ("tokens", json!(tokens)),
        ("augment", json!(options.recipe.augment.to_string())),
        ("shuffle", json!(switch_word(options.shuffle))),
        ("data-seed", json!(drawn.then_some(data_seed))),
        // Written as numbers, which remain valid whatever happens to the images or weights that they come from.
        ("normalize", json!(normalize.map(|by| by.to_string()))),
        ("model", json!(options.model)),
        (MODEL_SET, options.config.settings.to_json()),
        ("precision", json!(options.recipe.precision.name())),
    ];
    detach(recipe, preset);
    recipe.extend(chosen.map(|(key, value)| (key.to_owned(), value)));
}

/// Reduces flags to what is valid wherever and whenever the program starts: paths become absolute.
pub fn detach(recipe: &mut Recipe, preset: Preset) {
    let short = |key: &str| SHORT_FORMS.iter().any(|(flag, table, _)| *table == MODEL_SET && *flag == key);
    recipe.retain(|key, _| !OF_THIS_START.contains(&key.as_str()) && !short(key));
    recipe.insert("preset".into(), preset.name().into());
    if let Some(Value::String(path)) = recipe.get_mut("data") {
        *path = absolute(std::path::Path::new(path));
    }
    if let Some(Value::Array(rules)) = recipe.get_mut("optimizers") {
        rules.iter_mut().for_each(|rule| *rule = rule_file::absolute(rule.as_str().unwrap_or_default()).into());
    }
}

/// The names in a table on the command line.
pub fn names_in(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.clone()).collect()
}
