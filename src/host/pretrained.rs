//! Pretrained weights, from this program or from PyTorch: a safetensors file of weights, or a checkpoint.
//!
//! [`Pretrained::open`] reads only the header of a file of weights and recognizes its network; [`Pretrained::weights`]
//! reads the tensors, one at a time, once their shapes are known to be right.

mod bert;
mod dtype;
mod file;
mod gpt2;
mod recognize;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use safetensors::Dtype;

use crate::{
    data::{Input, Spec, Tokens, Vocabulary},
    error::{Error, Result},
    host::{
        checkpoint::{self, Loaded},
        huggingface,
        tensors::Tensors,
        weights::counters,
    },
    models::{Config, Model},
    ops::Normalize,
    program::params::{Layout, Segment},
    training::{
        provenance::{self, Provenance},
        weights::{Weights, put, take},
    },
};
use file::{File, check_values};
use recognize::Names;

/// Most bytes of the header of a file of weights; ResNet-18's has 12,000, and a vocabulary of 65,536 words about a million.
const MOST_TABLE: u64 = 8 << 20;

/// Most characters that are shown of the reason why metadata are ignored.
const LONGEST_REASON: usize = 200;

/// What is done with the file's last layer, which has a row per class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Head {
    /// It is loaded like every other layer.
    #[default]
    Load,
    /// It is left out: the network starts with a randomly initialized one, for classes of its own.
    Skip,
}

/// Pretrained weights whose network has been recognized.
pub struct Pretrained {
    /// The model that the tensors belong to.
    pub model: &'static Model,
    /// Its settings and number of classes, and the size of the samples as far as the file tells it.
    pub config: Config,
    /// Where the weights come from, if the file says so and its tensors do not contradict it.
    pub provenance: Option<Provenance>,
    /// How names and values were converted and which metadata were ignored, a line each.
    pub remarks: Vec<String>,
    /// Whether the file beside the weights states what no shape tells.
    told: bool,
    path: PathBuf,
    content: Content,
}

enum Content {
    File(Box<File>),
    Checkpoint(Box<Loaded>),
}

impl Pretrained {
    /// Reads the header of a file of weights, or a whole checkpoint. A folder as transformers' `save_pretrained` writes it stands
    /// for the weights in it.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Data`] if its tensors are those of no known network; the
    /// message says what the file is instead, where that can be told.
    pub fn open(path: &Path) -> Result<Self> {
        let path = &huggingface::file(path)?;
        let inside = path.join("model.safetensors");
        if inside.is_file() {
            let hint = format!("the weights of that run: {}", inside.display());
            return Err(Error::data(path, "a file of weights", "the folder of a run", hint));
        }
        let tensors = Tensors::open(path, checkpoint::MOST_HEADER)?;
        let metadata = tensors.table.metadata().as_ref();
        if metadata.is_some_and(|metadata| metadata.contains_key(checkpoint::KEY)) {
            return Self::of_checkpoint(path, checkpoint::load_all(tensors)?);
        }
        tensors.check_table(MOST_TABLE)?;
        let said = metadata.and_then(|metadata| metadata.get(provenance::KEY)).map(|text| Provenance::parse(text));
        let names = Names::new(path, &tensors.table)?;
        let stated = said.as_ref().and_then(|said| Some(said.as_ref().ok()?.input));
        let (model, config) = recognize::network(path, &tensors.table, &names, stated)?;
        let mut file = File::new(tensors, names);
        let (config, told) = match said {
            Some(Ok(_)) => (config, false), // it states everything
            _ => match model.name {
                huggingface::gpt2::MODEL => gpt2::complete(&mut file, model, config)?,
                huggingface::bert::MODEL => bert::complete(&file, model, config)?,
                _ => (config, false),
            },
        };
        let File { tensors, names, conv1d } = &file;
        let mut remarks = vec![];
        if !names.dropped.is_empty() {
            let shown = names.dropped[..names.dropped.len().min(3)].join("`, `");
            remarks.push(format!("{}: `{shown}` dropped from the names of tensors", path.display()));
        }
        let types: BTreeSet<_> = tensors.table.tensors().into_values().map(|tensor| tensor.dtype).collect();
        let converted: Vec<_> = types.into_iter().filter(|t| dtype::is_float(*t) && *t != Dtype::F32).collect();
        if !converted.is_empty() {
            let list = converted.iter().map(|t| format!("{t:?}")).collect::<Vec<_>>().join(" and ");
            remarks.push(format!("{}: {list} converted to F32", path.display()));
        }
        if *conv1d {
            let more = if told { "; its config.json is read" } else { "" };
            remarks.push(format!("{}: the layout is Hugging Face's{more}", path.display()));
        } else if told {
            remarks.push(format!("{}: its config.json is read", path.display()));
        }
        let mut read = Self::new(path, model, config, Content::File(Box::new(file)));
        (read.remarks, read.told) = (remarks, told);
        read.believe(said);
        Ok(read)
    }

    fn of_checkpoint(path: &Path, loaded: Loaded) -> Result<Self> {
        let (model, config) = loaded.network()?;
        let said = Provenance::of_run(&loaded.run);
        let mut read = Self::new(path, model, config, Content::Checkpoint(Box::new(loaded)));
        read.believe(Some(said));
        Ok(read)
    }

    fn new(path: &Path, model: &'static Model, config: Config, content: Content) -> Self {
        Self { model, config, provenance: None, remarks: vec![], told: false, path: path.to_owned(), content }
    }

    /// Adopts the origin that the metadata state, unless they are malformed or contradict the tensors.
    fn believe(&mut self, said: Option<std::result::Result<Provenance, String>>) {
        let refused = match said {
            None => return,
            Some(Err(why)) => why,
            Some(Ok(provenance)) => match provenance.contradiction(self.model, &self.config) {
                Some(contradiction) => contradiction,
                None => {
                    self.config = provenance.config(self.model).unwrap_or_else(|_| self.config.clone());
                    self.provenance = Some(provenance);
                    return;
                }
            },
        };
        // The reason may quote the metadata, which may be as long as the file.
        let refused: String = refused.chars().take(LONGEST_REASON).collect();
        self.remarks.push(format!("{}: what it says of itself is ignored: {refused}", self.path.display()));
    }

    /// The side of the images that the weights were trained on, in pixels, if the file states it: pictures are of any size, and
    /// are brought to this one.
    pub fn side(&self) -> Option<u32> {
        Some(self.provenance.as_ref()?.input.image()?.width)
    }

    /// Takes the settings in `set` that neither the file nor its shapes tell, such as the number of heads, and remarks on what is
    /// assumed of the others.
    ///
    /// # Errors
    /// [`Error::Config`] if the file tells another value of a setting in `set`, or the network cannot have it.
    pub fn assume(&mut self, set: &[(String, String)]) -> Result<()> {
        let set = self.model.in_full(set)?;
        let asked_for = |key: &str| set.iter().any(|(asked, _)| asked == key);
        if self.provenance.is_none() && !self.told {
            let untold = (self.model.untold)(&self.config.settings);
            let known = self.config.settings.iter().map(|(key, value)| (key.to_owned(), value.to_string()));
            let asked = set.iter().filter(|(key, _)| untold.contains(&&**key)).cloned();
            let settings: Vec<_> = known.chain(asked).collect();
            let input = match (self.config.input, self.model.block(&self.model.parse(&settings)?)) {
                (Input::Tokens(tokens), Some(length)) if asked_for("block") => Tokens { length, ..tokens }.into(),
                (input, _) => input,
            };
            self.config = self.model.config(input, self.config.classes, &settings)?;
            let find = |key: &str| self.config.settings.find(key).expect("a setting of the model");
            let assumed = untold.into_iter().filter(|key| !asked_for(key));
            let assumed: Vec<_> = assumed.map(|key| format!("{key} {}", find(key))).collect();
            if !assumed.is_empty() {
                let list = assumed.join(", ");
                self.remarks.push(format!("{} does not tell all settings: {list} assumed", self.path.display()));
            }
        }
        let asked = self.model.parse(&set)?;
        let told = &self.config.settings;
        match asked.iter().find(|(key, value)| asked_for(key) && told.find(key) != Some(value)) {
            None => Ok(()),
            Some((key, value)) => {
                let told = told.find(key).expect("a setting of the model");
                let message = format!("'model_set' {key}={value} does not fit the weights, which have {key} {told}");
                let hint = format!("{key}={told}, or drop {key}, from the recipe too if it is there");
                Err(Error::about("model_set", message, hint))
            }
        }
    }

    /// The tokens of the blocks that the network takes; `None` if it takes images.
    pub fn length(&self) -> Option<u32> {
        Some(self.config.input.tokens()?.length)
    }

    /// What the tokens stand for that the weights were trained on, if the file states it.
    pub fn vocabulary(&self) -> Option<Vocabulary> {
        self.provenance.as_ref()?.vocabulary()
    }

    /// The normalization of the images that the weights were trained on, if the file states it.
    pub fn normalize(&self) -> Option<Normalize> {
        self.provenance.as_ref()?.normalize
    }

    /// The network's shape for such samples.
    ///
    /// # Errors
    /// [`Error::Config`] if the weights are of a network for others.
    pub fn config_on(&self, input: impl Into<Input>) -> Result<Config> {
        let input = input.into();
        let config = self.config.on(input);
        // A network that pools its map has the same parameters for images of any size.
        if self.model.refuse(&config).is_ok() && self.model.layout(&config) == self.layout() {
            return Ok(config);
        }
        let there = self.config.input;
        let message = match input {
            Input::Image(image) => format!("the weights are of a network for {there}, the images are {image}"),
            Input::Tokens(_) => format!("the weights are of a network for {there}, the data set has {input}"),
        };
        let hint = format!("'data' names {} like those that the weights were trained on", there.unit());
        Err(Error::config(message, hint))
    }

    /// Refuses weights whose last layer tells apart another number of classes than the images have; `hint` says what to do.
    ///
    /// # Errors
    /// [`Error::Config`] with both numbers.
    pub fn fit_classes(&self, spec: &Spec, hint: &str) -> Result<()> {
        let (there, here) = (self.config.classes, spec.classes.len());
        if there as usize == here {
            return Ok(());
        }
        let message = format!("the weights tell apart {there} classes, {} has {here}", spec.name);
        Err(Error::config(message, hint))
    }

    /// The weights for a network of this layout. A head that is skipped is drawn from `seed`, as in [`Weights::init`].
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Data`] naming a tensor that is missing, has another shape or type, has a value that
    /// is not finite, or does not belong to the network.
    pub fn weights(&self, layout: &Layout, head: Head, seed: u64) -> Result<Weights> {
        let mut weights = match head {
            Head::Skip => Weights::init(layout, seed),
            Head::Load => Weights::zeros(layout), // each tensor is either filled or an error
        };
        let wanted = |segment: &Segment| head == Head::Load || !self.model.is_head(&self.config, &segment.name);
        match &self.content {
            Content::File(file) => {
                self.only_known(&file.names, layout)?;
                weights.batches = file.batches(layout)?;
                fill(&mut weights, layout, wanted, |segment| file.floats(segment))?;
            }
            Content::Checkpoint(loaded) => {
                let own = self.layout();
                let stored = loaded.weights(&own)?;
                weights.batches = stored.batches;
                fill(&mut weights, layout, wanted, |segment| self.of_arenas(&own, &stored, segment))?;
            }
        }
        Ok(weights)
    }

    /// The layout of the file's network.
    fn layout(&self) -> Layout {
        self.model.layout(&self.config)
    }

    /// The values of one tensor of a checkpoint whose arenas have the layout `own`.
    fn of_arenas(&self, own: &Layout, stored: &Weights, wanted: &Segment) -> Result<Vec<f32>> {
        let expected = || format!("`{}` of shape {:?}", wanted.name, wanted.shape.dims());
        for (segments, arena) in [(&own.params, &stored.params), (&own.running, &stored.running)] {
            if let Some(segment) = segments.iter().find(|segment| segment.name == wanted.name) {
                if segment.shape != wanted.shape {
                    let found = format!("shape {:?}", segment.shape.dims());
                    return Err(Error::data(&self.path, expected(), found, ""));
                }
                let values = take(arena, segment);
                check_values(&self.path, &wanted.name, &values)?;
                return Ok(values);
            }
        }
        Err(Error::data(&self.path, expected(), "no such tensor", ""))
    }

    /// Refuses tensors that the network does not have.
    fn only_known(&self, names: &Names, layout: &Layout) -> Result<()> {
        let counters: BTreeSet<String> = counters(layout).collect();
        let known: BTreeSet<&str> = layout.params.iter().chain(&layout.running).map(|s| &s.name[..]).collect();
        match names.all().find(|name| !known.contains(name) && !counters.contains(*name)) {
            None => Ok(()),
            Some(name) => {
                let expected = format!("the tensors of {} alone", self.model.words(self.model.name, &self.config));
                Err(Error::data(&self.path, expected, format!("also `{name}`"), ""))
            }
        }
    }
}

/// Writes the values of each wanted tensor to its place in the arenas.
fn fill(
    weights: &mut Weights,
    layout: &Layout,
    wanted: impl Fn(&Segment) -> bool,
    values: impl Fn(&Segment) -> Result<Vec<f32>>,
) -> Result<()> {
    for (segments, arena) in [(&layout.params, &mut weights.params), (&layout.running, &mut weights.running)] {
        for segment in segments.iter().filter(|segment| wanted(segment)) {
            put(arena, segment, &values(segment)?);
        }
    }
    Ok(())
}
