//! The vocabulary of token files: `meta.json` beside them, or else GPT-2's size.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    data::{MOST_CLASSES, Vocabulary, vocabulary},
    error::{Error, Result},
    host::files::{TEXT_LIMIT, read},
};

/// The size of GPT-2's vocabulary.
const USUAL: usize = 50_257;
/// The file that states the vocabulary.
pub(super) const FILE: &str = "meta.json";
/// nanoGPT's file for this, a pickle.
pub(super) const PICKLE: &str = "meta.pkl";

/// Most characters of a key that are printed.
const SHOWN: usize = 40;

/// The vocabulary.
pub(super) struct Meta {
    pub(super) entries: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// The content of the file.
#[derive(Deserialize)]
struct Stated {
    vocab_size: usize,
    itos: Option<Itos>,
}

/// What each token stands for: in order, or by its number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Itos {
    List(Vec<String>),
    Map(std::collections::BTreeMap<String, String>),
}

impl Meta {
    /// The vocabulary that the folder states.
    ///
    /// # Errors
    /// [`Error::Data`] if its file is another, or states no vocabulary that a network may have.
    pub(super) fn beside(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        if !path.exists() {
            let pickle = folder.join(PICKLE).exists();
            let why =
                if pickle { format!("{PICKLE} is a program of Python's and not read") } else { format!("no {FILE}") };
            let notes = vec![format!("the vocabulary is taken to be of GPT-2's size, {USUAL}: {why}")];
            return Ok(Self { entries: Vocabulary::numbers(USUAL).into_entries(), notes });
        }
        let wrong = |found: String| {
            let expected =
                format!("{{\"vocab_size\": N}} with N from 2 to {MOST_CLASSES}, and perhaps \"itos\" with N texts");
            Error::data(&path, expected, found, "itos is a list, or an object with the keys \"0\" to \"N-1\"")
        };
        // Of a list, serde would take the items for the fields.
        let object: Map<String, Value> =
            serde_json::from_slice(&read_stated(&path)?).map_err(|error| wrong(error.to_string()))?;
        let stated: Stated = serde_json::from_value(object.into()).map_err(|error| wrong(error.to_string()))?;
        let size = stated.vocab_size;
        if !(2..=MOST_CLASSES).contains(&size) {
            return Err(wrong(format!("a vocab_size of {size}")));
        }
        let entries = match stated.itos {
            None => Vocabulary::numbers(size).into_entries(),
            Some(Itos::List(list)) => list,
            Some(Itos::Map(mut map)) => {
                let missing = |token: &usize| wrong(format!("an itos without {token}"));
                let entry = |token: usize| map.remove(&token.to_string()).ok_or_else(|| missing(&token));
                let entries = (0..size).map(entry).collect::<Result<_>>()?;
                if let Some((key, _)) = map.first_key_value() {
                    let key: String = key.escape_debug().take(SHOWN).collect();
                    return Err(wrong(format!("a vocab_size of {size} and an itos with `{key}`")));
                }
                entries
            }
        };
        if entries.len() != size {
            return Err(wrong(format!("a vocab_size of {size} and an itos of {}", entries.len())));
        }
        vocabulary::check_bytes(&entries).map_err(|found| wrong(format!("an itos with {found}")))?;
        Ok(Self { entries, notes: vec![] })
    }
}

fn read_stated(path: &Path) -> Result<Vec<u8>> {
    read(path, TEXT_LIMIT).map_err(|error| match error {
        Error::Data { path, expected, found, .. } => {
            Error::data(&path, expected, found, "leave out itos: tokens are then called by their numbers")
        }
        other => other,
    })
}
