//! What `config.json` beside a file of BERT tells of its network beyond the shapes of its tensors.

use super::file::File;
use crate::{
    error::{Error, Result},
    host::huggingface::{
        bert::{MODEL, Stated},
        stated,
    },
    models::{Config, Model},
};

/// The network's shape by the file, and whether there is one.
///
/// # Errors
/// [`Error::Io`], or [`Error::Data`] if it is damaged or about another network.
pub(super) fn complete(file: &File, model: &Model, config: Config) -> Result<(Config, bool)> {
    let path = file.tensors.path();
    let Some(found) = Stated::beside(path)? else { return Ok((config, false)) };
    found.agree(&config, path)?;
    let config = model.with(&config, &found.settings()).map_err(|error| {
        Error::data(&stated::path(path), format!("settings that `{MODEL}` can have"), error.to_string(), "")
    })?;
    Ok((config, true))
}
