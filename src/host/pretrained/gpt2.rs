//! What a file of GPT-2 tells of its network beyond the shapes of its tensors.

use super::file::File;
use crate::{
    error::{Error, Result},
    host::huggingface::{
        gpt2::{MODEL, Stated, usual},
        names::{HEAD, WORDS},
        stated,
    },
    models::{Config, Model},
};

/// The network's shape by the values of the tensors and, if the layout is Hugging Face's, by `config.json` beside the file; and
/// whether that states what no shape tells.
///
/// # Errors
/// [`Error::Io`], or [`Error::Data`] if `config.json` is damaged or about another network.
pub(super) fn complete(file: &mut File, model: &Model, mut config: Config) -> Result<(Config, bool)> {
    let path = file.tensors.path().to_owned();
    let found = if file.conv1d { Stated::beside(&path)? } else { None };
    // PyTorch's state dict has a tied layer under both of its names.
    if found.as_ref().is_none_or(|found| found.tied) && file.same(WORDS, HEAD)? {
        file.names.leave_out(HEAD);
        config = model.with(&config, &[("tied".into(), true.to_string())])?;
    }
    let Some(found) = found else {
        let assumed = if file.conv1d { usual() } else { vec![] };
        return Ok((model.with(&config, &assumed)?, false));
    };
    found.agree(&config, &path)?;
    let config = model.with(&config, &found.settings()).map_err(|error| {
        Error::data(&stated::path(&path), format!("settings that `{MODEL}` can have"), error.to_string(), "")
    })?;
    Ok((config, true))
}
