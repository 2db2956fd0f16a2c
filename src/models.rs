//! Networks: one function each, from a tensor of samples to a tensor of logits.
//!
//! A network is a function and a row in [`ALL`]. It declares its settings as update rules do, and [which samples](Takes) it
//! takes: images or blocks of tokens, of any [size](Input) that its layers can be applied to.

pub mod airbench;
pub mod bert;
pub mod cnn;
pub mod gpt;
pub mod lstm;
pub mod mlp;
pub mod resnet;
pub mod seq2seq;
mod transformer;
pub mod vgg;
pub mod vit;

use std::fmt;

use crate::{
    data::{Image, Input, Tokens},
    error::{Error, Result, suggest},
    ops::{Activation, Normalize, bias, linear_of, widen},
    program::{
        Dtype, Recording, Tape, Tensor,
        params::{Init, Layout},
        target::Target,
    },
    settings::{Setting, Settings},
};

pub use crate::data::MOST_CLASSES;

/// The most floats of a network's parameters, and of one of its activations: as many as Vulkan can bind at once, whose
/// `maxStorageBufferRange` has 32 bits.
pub const MOST_FLOATS: u64 = (1 << 30) - 1;

/// The shape of a network: what it takes, what it returns, and its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What the samples are.
    pub input: Input,
    /// The number of classes; for tokens, that of the vocabulary.
    pub classes: u32,
    /// The model's settings.
    pub settings: Settings,
}

impl Config {
    /// The same network for samples of another size.
    pub fn on(&self, input: impl Into<Input>) -> Self {
        Self { input: input.into(), ..self.clone() }
    }

    /// The size of the images of a network that takes them.
    ///
    /// # Panics
    /// If the samples are not images, which [`Model::refuse`] finds first.
    pub fn image(&self) -> Image {
        self.input.image().expect("a network of images")
    }

    /// The size of the blocks of tokens of a network that takes them.
    ///
    /// # Panics
    /// If the samples are not tokens, which [`Model::refuse`] finds first.
    pub fn tokens(&self) -> Tokens {
        self.input.tokens().expect("a network of tokens")
    }
}

/// Which samples a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Images, as a tensor `[n, height, width, channels]`; its logits are `[n, 1, 1, classes]`.
    Images,
    /// Blocks of tokens, as a tensor `[n, length, 1, 1]` of whole numbers; its logits are `[n, length, 1, classes]`.
    Tokens,
}

impl Takes {
    /// Whether such a sample is taken.
    pub fn takes(self, input: Input) -> bool {
        match self {
            Self::Images => input.image().is_some(),
            Self::Tokens => input.tokens().is_some(),
        }
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Images => "images",
            Self::Tokens => "tokens",
        })
    }
}

/// A network that can be trained.
pub struct Model {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in a line, with its source.
    pub about: &'static str,
    /// Its settings, with their defaults and ranges.
    pub settings: fn() -> Vec<Setting>,
    /// Its usual sizes: the setting `preset` is one of their names, and stands for their settings.
    pub presets: &'static [Preset],
    /// Which samples it takes.
    pub takes: Takes,
    /// Whether it learns to fill in tokens that are hidden from it ([`Masking`](crate::data::Masking)), rather than the targets of
    /// the data set.
    pub masked: bool,
    /// Whether it goes on from the state that the batch before has left, so that it reads a text in columns ([`columns`]), block by
    /// block: sample `r` of a batch continues sample `r` of the one before.
    ///
    /// [`columns`]: crate::data::columns
    pub carries_state: bool,
    /// Records the network: takes a batch of samples and its shape, returns logits.
    pub record: fn(&mut Tape, Tensor, &Config) -> Tensor,
    /// Refuses a shape that the network cannot have, in words.
    pub check: fn(&Config) -> Result<()>,
    /// How the command line's preset quick makes it small for a first look.
    pub quick: Quick,
    /// What its images are normalized by, unless the user says otherwise; tokens are not normalized.
    pub normalize: Normalize,
    /// How a file of weights is recognized; `None` if no file is.
    pub known_by: Option<Signature>,
    /// The names of parameters beside the last layer that have a row or a number for each class: an embedding of tokens, or a bias
    /// that is kept apart.
    pub of_classes: &'static [&'static str],
    /// Settings that the shapes of a file's tensors do not tell, which a reader has to assume.
    pub untold: fn(&Settings) -> Vec<&'static str>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Model").field(&self.name).finish()
    }
}

/// How a network is made small.
#[derive(Clone, Copy, Debug)]
pub enum Quick {
    /// By its setting `width`.
    Width,
    /// By these settings; by none if it is small.
    Set(&'static [(&'static str, &'static str)]),
}

/// A size of a network that has a name.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// What it is called, as in its paper or its code.
    pub name: &'static str,
    /// The settings that it stands for.
    pub set: &'static [(&'static str, &'static str)],
}

/// How a file of weights is told to be a model's: by the names and shapes of its tensors.
#[derive(Clone, Copy)]
pub struct Signature {
    /// The name of a weight that tells the family: the first, unless other networks use its name too.
    pub first: &'static str,
    /// The name of the last weight of a network, which has a row for each class.
    pub last: fn(&Config) -> String,
    /// The shapes of both in words, for messages.
    pub shapes: &'static str,
    /// Whether a file with a weight of the first one's name is this model's, where several models use the name.
    pub is: fn(&ShapeOf<'_>) -> bool,
    /// What the shapes say of the network; `None` if they do not fit it.
    pub read: fn(&ShapeOf<'_>) -> Option<Read>,
}

/// What the shapes of a file's tensors say of its network.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The settings that differ from the defaults, or may.
    pub settings: Vec<(String, String)>,
    /// The number of classes.
    pub classes: u32,
    /// What the samples are where the file does not state it otherwise; `None` if the shapes allow none. A network that pools
    /// its map takes images of any height and width.
    pub input: Option<Input>,
}

/// The shape of a file's tensor by its name, `None` if there is no such tensor.
pub type ShapeOf<'a> = dyn Fn(&str) -> Option<Vec<u32>> + 'a;

/// The setting that stands for those of a preset.
const PRESET: &str = "preset";

impl Model {
    /// A model without settings that takes images normalized to -1 to 1, and whose files of weights are not recognized.
    pub const fn new(name: &'static str, record: fn(&mut Tape, Tensor, &Config) -> Tensor) -> Self {
        Self {
            name,
            about: "",
            settings: Vec::new,
            presets: &[],
            takes: Takes::Images,
            masked: false,
            carries_state: false,
            record,
            check: |_| Ok(()),
            quick: Quick::Set(&[]),
            normalize: Normalize::HALF,
            known_by: None,
            of_classes: &[],
            untold: |_| vec![],
        }
    }

    /// The prefix of the names of its last layer's tensors: the head, which has a row for each class.
    pub fn head(&self, config: &Config) -> String {
        self.known_by.map_or(String::new(), |known_by| (known_by.last)(config).trim_end_matches("weight").to_owned())
    }

    /// What [`is_head`](Self::is_head) says of, in words: `fc.*` for all tensors of the last layer, and the names of others.
    pub fn heads(&self, config: &Config) -> Vec<String> {
        let head = self.head(config);
        let others = self.of_classes.iter().filter(|name| !name.starts_with(&head)).map(|name| (*name).to_owned());
        std::iter::once(format!("{head}*")).chain(others).collect()
    }

    /// Whether a tensor of this name belongs to the last layer, or has a row or a number for each class too.
    pub fn is_head(&self, config: &Config, name: &str) -> bool {
        name.starts_with(&self.head(config)) || self.of_classes.contains(&name)
    }

    /// A network in words, `first` before what tells it from others of its model: its width, and settings that are not the
    /// defaults.
    pub fn words(&self, first: &str, config: &Config) -> String {
        let defaults = (self.settings)();
        let usual = |key: &str| defaults.iter().find(|setting| setting.key == key).map(Setting::default);
        let told = config.settings.iter().filter(|(key, value)| *key == "width" || usual(key).as_ref() != Some(value));
        let told: Vec<String> = told.map(|(key, value)| format!("{key} {value}")).collect();
        std::iter::once(first.to_owned()).chain(told).collect::<Vec<_>>().join(", ")
    }

    /// Its settings, of which those in `set` are given, and those of a `preset` that is among them.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown setting or preset, or a value out of its range.
    pub fn parse(&self, set: &[(String, String)]) -> Result<Settings> {
        Settings::parse(self.name, &(self.settings)(), &self.in_full(set)?)
    }

    /// Settings as they are given, with those that a preset stands for in its place: before the others, which count.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown preset.
    pub fn in_full(&self, set: &[(String, String)]) -> Result<Vec<(String, String)>> {
        let (presets, others): (Vec<_>, Vec<_>) =
            set.iter().cloned().partition(|(key, _)| key == PRESET && !self.presets.is_empty());
        let Some((_, name)) = presets.last() else { return Ok(others) };
        let Some(preset) = self.presets.iter().find(|preset| preset.name.eq_ignore_ascii_case(name)) else {
            let names: Vec<_> = self.presets.iter().map(|preset| preset.name).collect();
            let message = format!("{}: no preset is called `{name}`", self.name);
            return Err(Error::config(message, suggest::hint(name, &names)));
        };
        let set = preset.set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Ok(set.chain(others).collect())
    }

    /// The tokens that it sees at once under these settings; `None` if it takes no tokens.
    pub fn block(&self, settings: &Settings) -> Option<u32> {
        (self.takes == Takes::Tokens).then(|| settings.whole("block"))
    }

    /// Its shape under these settings for the samples by which networks are shown and measured: images of CIFAR-10, or whole
    /// blocks of the 65 characters of Tiny Shakespeare.
    ///
    /// # Errors
    /// As [`config`](Self::config).
    pub fn usual(&self, set: &[(String, String)]) -> Result<Config> {
        self.usual_of(set, None, None)
    }

    /// As [`usual`](Self::usual), with another side of the images in pixels, and another number of classes or of tokens of the
    /// vocabulary.
    ///
    /// # Errors
    /// As [`config`](Self::config), and [`Error::Config`] for a side of images where the network takes tokens.
    pub fn usual_of(&self, set: &[(String, String)], side: Option<u32>, classes: Option<u32>) -> Result<Config> {
        let Some(length) = self.block(&self.parse(set)?) else {
            let side = side.unwrap_or(Image::CIFAR.width);
            return self.config(Image { height: side, width: side, ..Image::CIFAR }, classes.unwrap_or(10), set);
        };
        if side.is_some() {
            let message = format!("'image_size' is about images, and {} takes {}", self.name, self.takes);
            return Err(Error::about("image_size", message, "leave 'image_size' out"));
        }
        let vocabulary = classes.unwrap_or(65);
        self.config(Tokens { length, vocabulary }, vocabulary, set)
    }

    /// Whether it has a setting of this name.
    pub fn has(&self, key: &str) -> bool {
        (self.settings)().iter().any(|setting| setting.key == key)
    }

    /// Its shape for such samples and so many classes, under these settings.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown setting, a value out of its range, or a shape that the network cannot have.
    pub fn config(&self, input: impl Into<Input>, classes: u32, set: &[(String, String)]) -> Result<Config> {
        let config = Config { input: input.into(), classes, settings: self.parse(set)? };
        self.refuse(&config)?;
        Ok(config)
    }

    /// Its shape like `config`, but for the settings in `set`.
    ///
    /// # Errors
    /// As [`config`](Self::config).
    pub fn with(&self, config: &Config, set: &[(String, String)]) -> Result<Config> {
        let known = config.settings.iter().map(|(key, value)| (key.to_owned(), value.to_string()));
        let settings: Vec<_> = known.chain(set.iter().cloned()).collect();
        self.config(config.input, config.classes, &settings)
    }

    /// Refuses samples that the network does not take, a shape that it cannot have, or one with more than [`MOST_FLOATS`].
    ///
    /// # Errors
    /// [`Error::Config`] with what is possible.
    pub fn refuse(&self, config: &Config) -> Result<()> {
        config.input.check()?;
        self.refuse_kind(config.input)?;
        (self.check)(config)?;
        let recording = self.one_sample(config);
        let (parameters, largest) = (recording.layout.elements() as u64, largest_tensor(&recording));
        if parameters.max(largest) <= MOST_FLOATS {
            return Ok(());
        }
        let what = self.words(self.name, config);
        let message = match parameters > MOST_FLOATS {
            true => format!("{what} has {parameters} parameters for {}", config.input),
            false => format!("{what} has an activation of {largest} floats for {}", config.input),
        };
        Err(Error::config(message, format!("at most {MOST_FLOATS} are possible, and a narrower network has fewer")))
    }

    /// Refuses samples of the kind that the network does not take.
    fn refuse_kind(&self, input: Input) -> Result<()> {
        if self.takes.takes(input) {
            return Ok(());
        }
        let message = format!("{} takes {}, and the data set has {}", self.name, self.takes, input.words());
        let others: Vec<_> = ALL.iter().filter(|model| model.takes.takes(input)).map(|model| model.name).collect();
        let hint = match &others[..] {
            [] => "no network takes those".to_owned(),
            names => format!("'model' is one of those that take them: {}", names.join(", ")),
        };
        Err(Error::about("model", message, hint))
    }

    /// The parameters of the network, in the order in which it declares them.
    pub fn layout(&self, config: &Config) -> Layout {
        self.one_sample(config).layout
    }

    /// The most samples in a batch: with more, an activation has more than [`MOST_FLOATS`]. Batches are refused by this before
    /// they are recorded, so that every count stays within 32 bits.
    pub fn largest_batch(&self, config: &Config) -> u32 {
        (MOST_FLOATS / largest_tensor(&self.one_sample(config))).min(1 << 16) as u32
    }

    /// The evaluation of one sample.
    fn one_sample(&self, config: &Config) -> Recording {
        let mut t = Tape::new(&Target::portable(), false);
        let sample = match config.input {
            Input::Image(Image { channels, height, width }) => t.tensor([1, height, width, channels]),
            Input::Tokens(Tokens { length, .. }) => t.tensor_of(Dtype::U32, [1, length, 1, 1]),
        };
        (self.record)(&mut t, sample, config);
        t.finish()
    }
}

/// Floats of the largest tensor.
fn largest_tensor(recording: &Recording) -> u64 {
    recording.tensors.iter().map(|tensor| tensor.words).max().unwrap_or(1)
}

/// Every model.
pub static ALL: &[Model] = &[
    resnet::RESNET18,
    resnet::RESNET34,
    resnet::RESNET50,
    resnet::RESNET101,
    resnet::RESNET152,
    vgg::VGG11,
    vgg::VGG13,
    vgg::VGG16,
    vgg::VGG19,
    cnn::MODEL,
    mlp::MODEL,
    airbench::MODEL,
    vit::MODEL,
    gpt::MODEL,
    seq2seq::MODEL,
    bert::MODEL,
    lstm::MODEL,
];

/// The model with this name.
///
/// # Errors
/// [`Error::Config`] with the nearest name and the list of all.
pub fn find(name: &str) -> Result<&'static Model> {
    let names: Vec<_> = ALL.iter().map(|m| m.name).collect();
    ALL.iter()
        .find(|m| m.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| Error::config(format!("no model is called `{name}`"), suggest::hint(name, &names)))
}

/// What network the tensors of a file belong to that is a relative of a model in [`ALL`], in words; `None` if it is one of
/// them, or of another family.
pub fn relative(shape: &ShapeOf<'_>) -> Option<String> {
    resnet::relative(shape)
}

/// A linear layer with a bias as PyTorch initializes it, followed by ReLU.
fn linear_relu(t: &mut Tape, x: Tensor, outputs: u32) -> Tensor {
    let fan = t.shape(x)[3];
    let x = linear_of(t, x, outputs, Init::Uniform { fan });
    bias(t, x, Init::Uniform { fan }, Activation::Relu)
}

/// Rows in f32, whatever the precision of the layers before: the last layer and the loss need it.
fn in_f32(t: &mut Tape, x: Tensor) -> Tensor {
    if t.dtype(x) == Dtype::F32 { x } else { widen(t, x) }
}
