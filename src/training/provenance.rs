//! Where weights come from, as their file says: the network, the images and the run. A file of weights says so in its
//! metadata, a checkpoint in the `run.json` that it contains; both use the same keys.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    data::Dataset,
    models::{Config, MOST_CLASSES, Model},
    ops::Normalize,
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
    /// Name of the first layers, also for models without a choice of them.
    pub stem: String,
    /// Channels of the first stage.
    pub width: u32,
    /// The number of classes.
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
        let read: Self = Deserialize::deserialize(run).map_err(|e| e.to_string())?;
        if let Some(normalize) = read.normalize {
            normalize.check().map_err(|_| format!("a normalization by {normalize}"))?;
        }
        let TrainedOn { name, crc32, classes, .. } = &read.dataset;
        let texts = [&read.version, &read.model, &read.stem, &read.optimizer, name, crc32];
        if texts.into_iter().chain(classes).any(|text| !printable(text)) {
            return Err("a text that cannot be printed".into());
        }
        let count = classes.len();
        if count > MOST_CLASSES as usize || (count > 0 && count as u64 != u64::from(read.classes)) {
            return Err(format!("{count} names of {} classes", read.classes));
        }
        Ok(read)
    }

    /// The JSON text for metadata.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and lists of them")
    }

    /// How it contradicts the tensors in the same file, which are to be believed; `None` if it does not.
    pub fn contradiction(&self, model: &Model, config: Config) -> Option<String> {
        let differences = [
            ("model", self.model.clone(), model.name.to_owned()),
            ("stem", self.stem.clone(), config.stem.name().to_owned()),
            ("width", self.width.to_string(), config.width.to_string()),
            ("classes", self.classes.to_string(), config.classes.to_string()),
        ];
        let differ = |(_, said, is): &&(&str, String, String)| said != is;
        differences.iter().find(differ).map(|(what, said, is)| format!("{what} {said}, where the tensors are of {is}"))
    }

    /// How the images of `dataset` differ from those that the weights were trained on, in a line; `None` if they are
    /// the same, or the file does not say enough to tell.
    pub fn other_images(&self, dataset: &dyn Dataset) -> Option<String> {
        let (spec, known) = (dataset.spec(), &self.dataset);
        if !known.classes.is_empty() && known.classes != spec.classes {
            let list = |classes: &[String]| format!("{}, ...", classes[..classes.len().min(3)].join(", "));
            return Some(format!(
                "ANOTHER DATA SET: the weights tell apart {} ({}),\nthe images are {} ({})",
                known.name,
                list(&known.classes),
                spec.name,
                list(&spec.classes)
            ));
        }
        if known.classes.is_empty() && known.name != spec.name {
            return Some(format!("ANOTHER DATA SET: the weights are of {}, the images of {}", known.name, spec.name));
        }
        let here = format!("{:08x}", dataset.checksum());
        (known.crc32 != here).then(|| {
            format!(
                "other images of {} than the weights were trained on: CRC-32 {here}, there {}",
                spec.name, known.crc32
            )
        })
    }
}

fn printable(text: &str) -> bool {
    text.chars().count() <= LONGEST && !text.chars().any(char::is_control)
}
