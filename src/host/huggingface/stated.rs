//! `config.json` of transformers as a file: where it is, how it is read, and how it is compared with a network.

use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json, json};

use crate::{
    error::{Error, Result},
    host::files::{TEXT_LIMIT, read},
};

/// The file's name.
pub const FILE: &str = "config.json";

/// The most characters of the file that a message quotes.
const LONGEST: usize = 200;

/// The file beside a file of weights.
pub fn path(weights: &Path) -> PathBuf {
    weights.with_file_name(FILE)
}

/// The beginning of a text that is from the file, which may be as long as the file.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// Reads the file beside a file of weights; `None` if there is none. `kind` is the network that it is to be about.
///
/// # Errors
/// [`Error::Io`], or [`Error::Data`] if it is no object with fields of these types.
pub(super) fn beside<T: DeserializeOwned>(weights: &Path, kind: &str) -> Result<Option<T>> {
    let path = path(weights);
    if !path.exists() {
        return Ok(None);
    }
    let wrong = |error: serde_json::Error| {
        Error::data(&path, format!("settings of transformers' {kind}"), shown(&error.to_string()), "")
    };
    // Of a list, serde would take the items for the fields.
    let object: Map<String, Json> = serde_json::from_slice(&read(&path, TEXT_LIMIT)?).map_err(wrong)?;
    serde_json::from_value(object.into()).map(Some).map_err(wrong)
}

/// Refuses a file that says another thing of a network than `expected`; `model` is the network's name here.
///
/// # Errors
/// [`Error::Data`] with the first thing that it would have to say otherwise.
pub(super) fn agree<T: Serialize>(expected: &T, found: &T, weights: &Path, model: &str) -> Result<()> {
    let (expected, found) = (object(expected), object(found));
    let Some((key, value)) = expected.iter().find(|(key, value)| found[*key] != **value) else { return Ok(()) };
    let hint = format!("it is about another network than the tensors beside it, or about one that `{model}` cannot be");
    Err(Error::data(&path(weights), format!("{key} {value}"), shown(&found[key].to_string()), hint))
}

/// The fields as an object.
pub(super) fn object(stated: &impl Serialize) -> Map<String, Json> {
    let Json::Object(object) = json!(stated) else { unreachable!("it has named fields") };
    object
}

/// The text of a file with these fields and more.
pub(super) fn text(stated: &impl Serialize, more: &Json) -> String {
    let mut object = object(stated);
    object.extend(more.as_object().cloned().into_iter().flatten());
    format!("{:#}\n", Json::Object(object))
}
