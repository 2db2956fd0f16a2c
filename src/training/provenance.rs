//! Where weights come from, as their file says: the network, the images and the run. A file of weights says so in its
//! metadata, a checkpoint in the `run.json` that it contains; both use the same keys.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    data::{Dataset, Image, Input, Tokens, Vocabulary},
    models::{self, Config, MOST_CLASSES, Model},
    ops::Normalize,
    settings::Settings,
};

/// Key of the JSON object in a file's metadata.
pub const KEY: &str = "velograd";

/// Where weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of this program that trained them.
    pub version: String,
    /// Name of the model.
    pub model: String,
    /// The model's settings, the defaults included.
    #[serde(default)]
    pub network: Map<String, Value>,
    /// What the samples are: `image` or `tokens` in the file.
    #[serde(flatten, deserialize_with = "input_of")]
    pub input: Input,
    /// The number of classes; for tokens, that of the vocabulary.
    pub classes: u32,
    /// What the images were normalized by; `None` in files of versions that did not record this.
    pub normalize: Option<Normalize>,
    /// Name of the update rule.
    pub optimizer: String,
    /// The update rule's settings, the defaults included.
    pub settings: Value,
    /// The run's seed.
    pub seed: u64,
    /// The images.
    pub dataset: TrainedOn,
}

/// The data set that weights were trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainedOn {
    /// Its name.
    pub name: String,
    /// CRC-32 of all records, in hexadecimal.
    pub crc32: String,
    /// What each label means, in order; empty if the file does not say.
    #[serde(default)]
    pub classes: Vec<String>,
    /// The seed that the images were drawn from, if they were drawn.
    #[serde(default)]
    pub seed: Option<u64>,
}

/// What an object says that the samples are. Runs that do not say it are older than the choice, and have images of CIFAR-10's
/// size.
fn input_of<'de, D: Deserializer<'de>>(object: D) -> Result<Input, D::Error> {
    #[derive(Deserialize)]
    struct Stated {
        image: Option<Image>,
        tokens: Option<Tokens>,
    }
    let Stated { image, tokens } = Deserialize::deserialize(object)?;
    Ok(tokens.map_or(Input::Image(image.unwrap_or(Image::CIFAR)), Input::Tokens))
}

/// The key and the value by which a `run.json` says what the samples are.
pub fn stated(input: Input) -> (&'static str, Value) {
    match input {
        Input::Image(image) => ("image", json!(image)),
        Input::Tokens(tokens) => ("tokens", json!(tokens)),
    }
}

/// The network of a run, by its `run.json` or by the metadata of a file: the model, and its settings.
///
/// # Errors
/// What is missing or impossible, in words.
pub fn network_of(run: &Value) -> Result<(&'static Model, Config), String> {
    let name = run["model"].as_str().ok_or("no model")?;
    let model = models::ALL.iter().find(|model| model.name == name).ok_or_else(|| format!("model {name}"))?;
    let classes = run["classes"].as_u64().filter(|n| (1..=MOST_CLASSES as u64).contains(n));
    let classes = classes.ok_or_else(|| format!("classes {}", run["classes"]))? as u32;
    let input = input_of(run).map_err(|e| format!("image or tokens: {e}"))?;
    let config = model.config(input, classes, &settings_of(model, run)).map_err(|error| error.to_string())?;
    Ok((model, config))
}

/// The settings of a run's network. Older runs name two of them apart, for every model.
fn settings_of(model: &Model, run: &Value) -> Vec<(String, String)> {
    let old = ["stem", "width"].map(|key| (key.to_owned(), run[key].clone()));
    let old = old.into_iter().filter(|(key, value)| !value.is_null() && model.has(key));
    let new = run["network"].as_object().cloned().unwrap_or_default();
    Settings::given(&old.chain(new).collect())
}

/// The most characters of a class that are printed.
const SHOWN: usize = 40;

/// The longest text that is taken from a file, in characters, since it may be printed.
const LONGEST: usize = 1000;

impl Provenance {
    /// Reads it from a JSON text, as metadata have it.
    ///
    /// # Errors
    /// What is wrong with the text, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        Self::of_run(&value)
    }

    /// Reads it from a `run.json`.
    ///
    /// # Errors
    /// What is missing or impossible, in words.
    pub fn of_run(run: &Value) -> Result<Self, String> {
        let mut read: Self = Deserialize::deserialize(run).map_err(|e| e.to_string())?;
        if let Ok((_, config)) = network_of(run) {
            read.network = config.settings.to_json().as_object().cloned().unwrap_or_default();
        }
        read.input.check().map_err(|error| error.to_string())?;
        if let Some(normalize) = read.normalize {
            normalize.check().map_err(|_| format!("a normalization by {normalize}"))?;
        }
        let TrainedOn { name, crc32, classes, .. } = &read.dataset;
        let texts = [&read.version, &read.model, &read.optimizer, name, crc32];
        if texts.into_iter().any(|text| !printable(text)) {
            return Err("a text that cannot be printed".into());
        }
        let count = classes.len();
        if count > MOST_CLASSES || (count > 0 && count as u64 != u64::from(read.classes)) {
            return Err(format!("{count} names of {} classes", read.classes));
        }
        Ok(read)
    }

    /// The JSON text for metadata.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and lists of them")
    }

    /// What the tokens stand for that the weights were trained on; `None` for images, and if the file does not say.
    pub fn vocabulary(&self) -> Option<Vocabulary> {
        let entries = &self.dataset.classes;
        (self.input.tokens().is_some() && !entries.is_empty()).then(|| Vocabulary::of(entries))
    }

    /// How it contradicts the tensors in the same file, which are to be believed and have the shapes of a `model` of this
    /// `config`; `None` if it does not.
    pub fn contradiction(&self, model: &Model, config: &Config) -> Option<String> {
        if self.model != model.name {
            return Some(format!("model {}, where the tensors are of {}", self.model, model.name));
        }
        let said = match self.config(model) {
            Ok(said) => said,
            Err(why) => return Some(why.to_string()),
        };
        let tensors = |config: &Config| -> Vec<String> {
            let layout = model.layout(config);
            layout.params.iter().map(|s| format!("`{}` of shape {:?}", s.name, s.shape.dims())).collect()
        };
        let (said, is) = (tensors(&said), tensors(config));
        let nth = (0..said.len().max(is.len())).find(|&nth| said.get(nth) != is.get(nth))?;
        let words = |list: &[String]| list.get(nth).cloned().unwrap_or("no further tensor".into());
        Some(format!("{}, where the file has {}", words(&said), words(&is)))
    }

    /// The shape that it states of its network, which is a `model`.
    ///
    /// # Errors
    /// What is impossible about it.
    pub fn config(&self, model: &Model) -> crate::error::Result<Config> {
        model.config(self.input, self.classes, &Settings::given(&self.network))
    }

    /// How the samples of `dataset` differ from those that the weights were trained on, in a line; `None` if they are
    /// the same, or the file does not say enough to tell.
    pub fn other_images(&self, dataset: &dyn Dataset) -> Option<String> {
        let (spec, known) = (dataset.spec(), &self.dataset);
        if !known.classes.is_empty() && known.classes != spec.classes {
            // A token may be the end of a line, and a folder's name may have one.
            let shown = |class: &String| class.chars().take(SHOWN).flat_map(char::escape_debug).collect::<String>();
            let list = |classes: &[String]| {
                let first: Vec<_> = classes.iter().take(3).map(shown).collect();
                format!("{}, ...", first.join(", "))
            };
            return Some(format!(
                "ANOTHER DATA SET: the weights tell apart {} ({}),\nthe {} are {} ({})",
                known.name,
                list(&known.classes),
                spec.input.unit(),
                spec.name,
                list(&spec.classes)
            ));
        }
        if known.classes.is_empty() && known.name != spec.name {
            let (unit, here) = (spec.input.unit(), &spec.name);
            return Some(format!("ANOTHER DATA SET: the weights are of {}, the {unit} of {here}", known.name));
        }
        let here = format!("{:08x}", dataset.checksum());
        (known.crc32 != here).then(|| {
            format!(
                "other {} of {} than the weights were trained on: CRC-32 {here}, there {}",
                spec.input.unit(),
                spec.name,
                known.crc32
            )
        })
    }
}

fn printable(text: &str) -> bool {
    text.chars().count() <= LONGEST && !text.chars().any(char::is_control)
}
