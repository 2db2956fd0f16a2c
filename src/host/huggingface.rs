//! GPT-2 and BERT as Hugging Face's transformers keeps them: a folder with the tensors, `model.safetensors`, and the settings,
//! `config.json`.

pub mod bert;
pub mod gpt2;
pub mod names;
pub mod stated;

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, tensor::TensorView};

use super::{files::write_atomically, weights};
use crate::{
    error::{Error, Result},
    models::{Config, Model},
    program::params::Layout,
    training::weights::{Weights, take},
};

/// The file of the tensors.
const WEIGHTS: &str = "model.safetensors";

/// Whether a path is a folder as `save_pretrained` writes it, by its `config.json`.
pub fn is_folder(path: &Path) -> bool {
    path.join(stated::FILE).is_file()
}

/// The file of weights that a path means: that of a folder as `save_pretrained` writes it, or else the path itself.
///
/// # Errors
/// [`Error::Data`] if such a folder has its weights in several files or in another format.
pub fn file(path: &Path) -> Result<PathBuf> {
    if !is_folder(path) {
        return Ok(path.to_owned());
    }
    let file = path.join(WEIGHTS);
    if !file.is_file() {
        let hint = "transformers writes it by model.save_pretrained(folder, max_shard_size=\"100GB\")";
        return Err(Error::data(path, WEIGHTS, "no such file", hint));
    }
    Ok(file)
}

/// transformers' class of a network; `None` if it is none of those that are written.
pub fn class(model: &Model) -> Option<&'static str> {
    [(gpt2::MODEL, gpt2::CLASS), (bert::MODEL, bert::CLASS)]
        .into_iter()
        .find(|(name, _)| *name == model.name)
        .map(|(_, class)| class)
}

/// The text of `config.json`.
fn settings(model: &Model, config: &Config) -> Result<String> {
    match model.name {
        gpt2::MODEL => gpt2::to_json(model, config),
        bert::MODEL => bert::to_json(model, config),
        other => {
            let message =
                format!("transformers' GPT-2 is `{}` and its BERT `{}`, and not {other}", gpt2::MODEL, bert::MODEL);
            Err(Error::about("huggingface", message, "'onnx' writes every network"))
        }
    }
}

/// Writes a folder that `from_pretrained` of the network's [`class`] loads; `weights` are asked for the network's layout. The
/// settings are written last, so that a folder that has them is complete.
///
/// # Errors
/// [`Error::Config`] if transformers' GPT-2 or BERT cannot be this network, [`Error::Data`] if the folder has files in it, [`Error::Io`]
/// if it cannot be written, or any error that `weights` returns.
pub fn save(
    folder: &Path,
    model: &Model,
    config: &Config,
    weights: impl FnOnce(&Layout) -> Result<Weights>,
) -> Result<()> {
    let settings = settings(model, config)?;
    check_free(folder)?;
    let layout = model.layout(config);
    let Weights { params, .. } = weights(&layout)?;
    let tensors = layout.params.iter().map(|segment| {
        let (mut shape, mut values) = (segment.shape.dims(), take(&params, segment));
        if names::is_conv1d(&segment.name) {
            values = names::transposed(&values, shape[1]);
            shape.reverse();
        }
        (segment.name.clone(), shape, values)
    });
    let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = tensors.collect();
    let views = tensors.iter().map(|(name, shape, values)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values));
        (name.clone(), view.expect("lengths follow from shapes"))
    });
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let file = folder.join(WEIGHTS);
    weights::write(&file, views.collect(), Some(("format", "pt".into())))?;
    write_atomically(&folder.join(stated::FILE), settings.as_bytes()).inspect_err(|_| {
        // Weights without settings would be in the way when there is room.
        let _ = fs::remove_file(&file);
    })
}

/// Refuses a folder with files in it: `model.safetensors` is also the name of a run's weights.
fn check_free(folder: &Path) -> Result<()> {
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Error::data(folder, "a new or an empty folder", "one with files in it", "name another")),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("read", folder)(error)),
    }
}
