//! Checkpoints as safetensors files. Each holds all the state that the rest of a run depends on.
//!
//! The tensors are the device's buffers, whole and in the device's layout. The metadata hold one JSON object with the
//! host's state and the `run.json` that identifies the run. The last tensor, and so the last four bytes of the file, is
//! the CRC-32 of all bytes before it: a file that was cut short or changed anywhere is refused.

pub mod keeper;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use safetensors::{
    Dtype,
    tensor::{TensorInfo, TensorView},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::{Error, Result},
    host::{files::TENSORS_LIMIT, tensors::Tensors},
    models::{Config, Model},
    optim::Updates,
    program::params::Layout,
    training::{Checkpoint, Position, Score, network::State, provenance::network_of, weights::Weights},
};

/// Version of the format of the file's content; another number is refused.
const FORMAT: u32 = 1;

/// Key of the JSON object in the metadata.
pub(crate) const KEY: &str = "velograd.checkpoint";

/// Name of the checksum's tensor. safetensors writes wider types first, so a tensor of bytes is the last one whatever
/// its name.
const CHECKSUM: &str = "crc32";

/// Most bytes of a header that are read; a checkpoint's has a few hundred bytes per epoch and tensor.
pub(crate) const MOST_HEADER: u64 = 64 << 20;

/// The checkpoint with the best validation so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Number of updates before it; its file is named after it.
    pub step: u64,
    /// Validation accuracy in percent.
    pub accuracy: f64,
    /// Validation loss; files of before text was judged by it have none.
    #[serde(default)]
    pub loss: Option<f64>,
}

impl Best {
    /// What it is the best by.
    pub fn value(&self, score: Score) -> Option<f64> {
        match score {
            Score::Accuracy => Some(self.accuracy),
            Score::Loss(_) => self.loss,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Meta {
    format: u32,
    run: Value,
    position: Position,
    issued: u64,
    skipped: u32,
    batches: i64,
    evaluating: bool,
    /// The sums of [`State::waiting`]. Files written before `remainder = carry` existed have none.
    #[serde(default)]
    waiting: Option<[u32; 3]>,
    best: Option<Best>,
}

/// A checkpoint that was read from a file.
pub struct Loaded {
    /// Where it was read from.
    pub path: PathBuf,
    /// The state to restore.
    pub checkpoint: Checkpoint,
    /// The run's `run.json` at the time of the checkpoint.
    pub run: Value,
    /// The best checkpoint so far, this one included.
    pub best: Option<Best>,
}

impl Loaded {
    /// The model that the checkpoint's run trained, and its configuration.
    pub(crate) fn network(&self) -> Result<(&'static Model, Config)> {
        network_of(&self.run).map_err(|why| Error::data(&self.path, "the model and size of a network", why, ""))
    }

    /// The checkpoint's weights, for a network of this layout.
    pub(crate) fn weights(&self, layout: &Layout) -> Result<Weights> {
        let State { buffers, batches, .. } = &self.checkpoint.network;
        let arena = |wanted: &str, len: u32| {
            if len == 0 {
                return Ok(vec![]); // a network without batch norm has no running statistics
            }
            let words = buffers.iter().find(|(name, words)| name == wanted && words.len() == len as usize);
            let words =
                words.ok_or_else(|| Error::data(&self.path, format!("`{wanted}` of {len} floats"), "none", ""))?;
            Ok(words.1.iter().map(|&word| f32::from_bits(word)).collect())
        };
        Ok(Weights {
            params: arena("params", layout.param_floats())?,
            running: arena("running", layout.running_floats())?,
            batches: *batches,
        })
    }
}

/// Serializes a checkpoint to the bytes of its file.
///
/// # Panics
/// If two buffers have the same name, which those of a network never have.
pub fn to_bytes(checkpoint: Checkpoint, run: &Value, best: Option<Best>) -> Vec<u8> {
    let Checkpoint { position, network: State { buffers, updates, batches, evaluating, waiting } } = checkpoint;
    let Updates { issued, skipped } = updates;
    let run = run.clone();
    let meta = Meta { format: FORMAT, run, position, issued, skipped, batches, evaluating, waiting, best };
    let text = serde_json::to_string(&meta).expect("numbers, texts and lists of them");
    let view = |dtype, len, bytes| TensorView::new(dtype, vec![len], bytes).expect("lengths are right");
    let mut views: Vec<(&str, TensorView<'_>)> = buffers
        .iter()
        .map(|(name, words)| (name.as_str(), view(Dtype::F32, words.len(), bytemuck::cast_slice(words))))
        .collect();
    views.push((CHECKSUM, view(Dtype::U8, 4, &[0; 4])));
    let metadata = HashMap::from([(KEY.to_owned(), text)]);
    let mut bytes = safetensors::serialize(views, Some(metadata)).expect("every buffer has a name of its own");
    let end = bytes.len() - 4;
    let checksum = crc32fast::hash(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&checksum);
    bytes
}

/// Reads a checkpoint and verifies its checksum.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::Data`] if it is not a complete checkpoint of this format.
pub fn load(path: &Path) -> Result<Loaded> {
    load_all(Tensors::open(path, MOST_HEADER)?)
}

/// [`load`] for a file whose header has been read.
pub(crate) fn load_all(tensors: Tensors) -> Result<Loaded> {
    let path = &tensors.path().to_owned();
    let (table, bytes) = tensors.read(TENSORS_LIMIT)?;
    let wrong = |expected: &str, found: String| Error::data(path, expected, found, "");
    let (body, end) = bytes.split_last_chunk::<4>().ok_or_else(|| wrong("a checkpoint", "nothing".into()))?;
    let (stored, sum) = (u32::from_le_bytes(*end), crc32fast::hash(body));
    if stored != sum {
        return Err(wrong(&format!("content with checksum {stored:08x}"), format!("{sum:08x}: it is damaged")));
    }
    let broken = |e: String| wrong("a checkpoint", e);
    let text = table.metadata().as_ref().and_then(|m| m.get(KEY));
    let text = text.ok_or_else(|| broken(format!("no `{KEY}` in its metadata")))?;
    let value: Value = serde_json::from_str(text).map_err(|e| broken(e.to_string()))?;
    if value["format"] != FORMAT {
        return Err(wrong(&format!("format {FORMAT}"), format!("format {}", value["format"])));
    }
    let meta: Meta = serde_json::from_value(value).map_err(|e| broken(e.to_string()))?;
    let (mut buffers, data) = (Vec::new(), &bytes[bytes.len() - table.data_len()..]);
    for name in table.offset_keys().into_iter().filter(|name| name != CHECKSUM) {
        let TensorInfo { dtype, data_offsets: (from, to), .. } = table.info(&name).expect("it is a name of the table");
        if *dtype != Dtype::F32 {
            return Err(broken(format!("`{name}` of {dtype:?}")));
        }
        buffers.push((name, bytemuck::pod_collect_to_vec(&data[*from..*to])));
    }
    let Meta { run, position, issued, skipped, batches, evaluating, waiting, best, .. } = meta;
    let updates = Updates { issued, skipped };
    let network = State { buffers, updates, batches, evaluating, waiting };
    Ok(Loaded { path: path.to_owned(), checkpoint: Checkpoint { position, network }, run, best })
}
