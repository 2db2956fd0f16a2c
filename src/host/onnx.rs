//! Writes a network with its weights as an ONNX model, for other programs to run.

mod graph;
#[allow(missing_docs, reason = "the fields are those of onnx.proto, which documents them")]
pub mod proto;

use std::path::Path;

use prost::Message as _;
use serde_json::json;

use super::{files::write_atomically, identity::VERSION};
use crate::{
    error::{Error, Result},
    models::{Config, Model},
    ops::Normalize,
    program::{params::Layout, target::Target},
    training::{
        network::{Plans, Recipe},
        provenance::{self, Provenance},
        weights::Weights,
    },
};
use proto::{ModelProto, OperatorSetIdProto, StringStringEntryProto};

/// The name of the argument of a network of images: f32 of shape `[batch, channels, rows, columns]`.
pub const IMAGES: &str = "images";

/// The name of the argument of a network of tokens: i64 of shape `[batch, block]`.
pub const TOKENS: &str = "tokens";

/// The name of the graph's result: f32 of shape `[batch, classes]`, or `[batch, block, vocabulary]`.
pub const OUTPUT: &str = "logits";

/// The name of the dimension that is any number of samples.
pub const BATCH: &str = "batch";

/// The version of ONNX's operators. Newer ones would only add to the programs that cannot read the file.
pub const OPSET: i64 = 17;

/// The version of the format that came with these operators.
const IR_VERSION: i64 = 8;

/// The most bytes of a message of protobuf.
const MOST_BYTES: usize = i32::MAX as usize;

/// What the graph of a network of images takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Values from 0 to 1, which it normalizes.
    Images,
    /// Images that have been normalized.
    Normalized,
}

/// What becomes an ONNX model.
pub struct Export<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its size.
    pub config: Config,
    /// What its images are normalized by, if it takes images.
    pub normalize: Normalize,
    /// Who normalizes them.
    pub input: Input,
    /// Where the weights come from, if that is known.
    pub provenance: Option<&'a Provenance>,
}

impl Export<'_> {
    /// The network in f32, as an evaluation computes it without test-time augmentation; `weights` are asked for its
    /// layout.
    ///
    /// # Errors
    /// [`Error::Config`] if an op of the network does not say what it computes, or any error that `weights` returns.
    pub fn to_onnx(&self, weights: impl FnOnce(&Layout) -> Result<Weights>) -> Result<ModelProto> {
        let Self { model, config, normalize, .. } = self;
        let normalize = config.input.image().map(|_| *normalize);
        let recipe = Recipe { normalize, ..Recipe::default() };
        let plans = Plans {
            model,
            config: config.clone(),
            recipe,
            target: Target::portable(),
            train: vec![],
            evaluate: vec![],
        };
        let recording = plans.record(1, false);
        let weights = weights(&recording.layout)?;
        Ok(ModelProto {
            ir_version: Some(IR_VERSION),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(OPSET) }],
            producer_name: Some("velograd".into()),
            producer_version: Some(VERSION.into()),
            graph: Some(graph::graph(&recording, &weights, self.input, model.name)?),
            metadata_props: self.metadata(),
        })
    }

    /// What the file says besides the network.
    fn metadata(&self) -> Vec<StringStringEntryProto> {
        let Normalize { mean, std } = self.normalize;
        let mut entries = vec![("model", self.model.name.to_owned())];
        if self.config.input.image().is_some() {
            let normalization = json!({ "mean": mean, "std": std, "in_graph": self.input == Input::Images });
            entries.push(("normalization", normalization.to_string()));
        }
        if let Some(from) = self.provenance {
            if !from.dataset.classes.is_empty() {
                entries.push(("classes", json!(from.dataset.classes).to_string()));
            }
            entries.push((provenance::KEY, from.to_text()));
        }
        let entry = |(key, value): (&str, String)| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
        entries.into_iter().map(entry).collect()
    }
}

/// Writes a model atomically, and replaces a file that exists.
///
/// # Errors
/// [`Error::Config`] if it is larger than a file of this format can be, [`Error::Io`] if it cannot be written.
pub fn save(model: &ModelProto, path: &Path) -> Result<()> {
    let bytes = model.encoded_len();
    if bytes > MOST_BYTES {
        let message = format!("the network takes {bytes} bytes, of which an ONNX file holds at most {MOST_BYTES}");
        return Err(Error::config(message, "a file of weights, model.safetensors, has no such limit"));
    }
    write_atomically(path, &model.encode_to_vec())
}
