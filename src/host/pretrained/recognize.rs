//! Recognizes the network that a file's tensors belong to, by their names and shapes.

use std::{collections::BTreeMap, path::Path};

use safetensors::tensor::Metadata;

use crate::{
    data::Input,
    error::{Error, Result},
    host::huggingface::names::{self, HEAD, is_beside_bert, is_mask, missing_prefix},
    models::{self, Config, MOST_CLASSES, Model, Read, Signature},
};

/// Prefixes that PyTorch's wrappers add to a module's names: `DataParallel` and `DistributedDataParallel`, and
/// `torch.compile`.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// The names of a file's weights as this program has them, and their names in the file.
pub(super) struct Names {
    /// Maps each name to the name in the file.
    in_file: BTreeMap<String, String>,
    /// The prefixes of wrappers that were dropped, as in the file.
    pub(super) dropped: Vec<String>,
}

impl Names {
    /// Drops the wrappers' prefixes, adds the one that Hugging Face's files lack, and leaves out what is no weight.
    ///
    /// # Errors
    /// [`Error::Data`] if two tensors then have the same name.
    pub(super) fn new(path: &Path, table: &Metadata) -> Result<Self> {
        let mut names = Self { in_file: BTreeMap::new(), dropped: vec![] };
        let mut all = table.offset_keys();
        all.sort_unstable();
        let prefix = missing_prefix(|name| all.iter().any(|known| unwrapped(known) == name));
        let of_bert = all.iter().any(|name| unwrapped(name).starts_with("bert.embeddings."));
        for name in &all {
            let plain = unwrapped(name);
            let wrappers = &name[..name.len() - plain.len()];
            if !wrappers.is_empty() && !names.dropped.iter().any(|known| known == wrappers) {
                names.dropped.push(wrappers.to_owned());
            }
            let own = prefix.filter(|_| plain != HEAD).unwrap_or("").to_owned() + plain;
            if is_mask(&own) || (of_bert && is_beside_bert(&own)) {
                continue;
            }
            let own = match names::of_bert(&own).filter(|_| of_bert) {
                // The bias of the last layer is often there under both of its names.
                Some(renamed) if all.iter().any(|known| unwrapped(known) == renamed) => continue,
                Some(renamed) => renamed,
                None => own,
            };
            if let Some(twin) = names.in_file.insert(own, name.clone()) {
                let found = format!("`{twin}` and `{name}`, which are one name without `{}`", WRAPPERS.join("` and `"));
                return Err(Error::data(path, "each tensor once", found, "save the inner module's state dict"));
            }
        }
        Ok(names)
    }

    /// Leaves a tensor of the file out.
    pub(super) fn leave_out(&mut self, name: &str) {
        self.in_file.remove(name);
    }

    /// The name of a tensor in the file.
    pub(super) fn in_file(&self, name: &str) -> Option<&str> {
        self.in_file.get(name).map(String::as_str)
    }

    /// Every name, sorted.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.in_file.keys().map(String::as_str)
    }
}

/// A name without the wrappers' prefixes.
fn unwrapped(name: &str) -> &str {
    let mut plain = name;
    while let Some(rest) = WRAPPERS.iter().find_map(|prefix| plain.strip_prefix(prefix)) {
        plain = rest;
    }
    plain
}

/// The model that the tensors belong to, and its shape as their shapes tell it. `stated` is what the samples are by the
/// metadata.
///
/// # Errors
/// [`Error::Data`] if they belong to no known model; the message says what they are instead, where that can be told.
pub(super) fn network(
    path: &Path,
    table: &Metadata,
    names: &Names,
    stated: Option<Input>,
) -> Result<(&'static Model, Config)> {
    let shape = |name: &str| -> Option<Vec<u32>> {
        let dims = table.info(names.in_file(name)?)?.shape.iter().map(|&d| u32::try_from(d).unwrap_or(u32::MAX));
        Some(dims.collect())
    };
    if let Some(relative) = models::relative(&shape) {
        let known = models::ALL.iter().map(|model| model.name).collect::<Vec<_>>().join(" or ");
        return Err(Error::data(path, format!("weights of {known}"), relative, ""));
    }
    let begins = |(_, known_by): &(_, Signature)| shape(known_by.first).is_some();
    let known = signatures().find(|model| begins(model) && (model.1.is)(&shape));
    // A file that has the first weight of a family and is none of its models is compared with the first of them.
    let Some((model, known_by)) = known.or_else(|| signatures().find(begins)) else {
        return Err(unknown(path, names));
    };
    if let Some(Read { settings, classes, input }) = (known_by.read)(&shape)
        && (1..=MOST_CLASSES as u32).contains(&classes)
    {
        let Some(input) = input.or(stated) else {
            let hint = "`velograd train` writes it to the metadata";
            return Err(Error::data(path, "the size of the images", "shapes that do not tell it", hint));
        };
        if let Ok(config) = model.config(input, classes, &settings) {
            return Ok((model, config));
        }
    }
    let last = usual_last(model, &known_by);
    let expected = format!("{} and {last} of {}: {}", known_by.first, model.name, known_by.shapes);
    let word = |name: &str| shape(name).map_or("none".to_owned(), |dims| format!("{dims:?}"));
    Err(Error::data(path, expected, format!("{} and {}", word(known_by.first), word(&last)), ""))
}

/// The name of a model's last weight under its default settings.
fn usual_last(model: &Model, known_by: &Signature) -> String {
    model.usual(&[]).map_or(String::new(), |config| (known_by.last)(&config))
}

/// The models whose files are recognized.
fn signatures() -> impl Iterator<Item = (&'static Model, Signature)> {
    models::ALL.iter().filter_map(|model| Some((model, model.known_by?)))
}

/// The error for a file without any model's first weight. If the file has it behind some prefix, the network is a part
/// of a larger module, and the hint names that part.
fn unknown(path: &Path, names: &Names) -> Error {
    // Models of one family share the name; the first one stands for all.
    let mut first: Vec<(&str, String)> = vec![];
    for (model, known_by) in signatures() {
        match first.iter_mut().find(|(name, _)| *name == known_by.first) {
            Some((_, models)) => *models += &format!(", {}", model.name),
            None => first.push((known_by.first, model.name.to_owned())),
        }
    }
    let first: Vec<String> = first.into_iter().map(|(name, models)| format!("`{name}` ({models})")).collect();
    let expected = format!("a tensor {}", first.join(" or "));
    let inner = signatures().find_map(|(model, known_by)| {
        let prefix = names.all().find_map(|name| name.strip_suffix(known_by.first)).filter(|p| p.ends_with('.'))?;
        let last = format!("{prefix}{}", usual_last(model, &known_by));
        Some((known_by, prefix)).filter(|_| names.in_file(&last).is_some())
    });
    match (inner, names.all().next()) {
        (Some((known_by, prefix)), _) => {
            let found = format!("`{prefix}{}`", known_by.first);
            let hint = format!("in PyTorch, save the state dict of the part called `{}`", prefix.trim_end_matches('.'));
            Error::data(path, expected, found, hint)
        }
        (None, Some(name)) => {
            let found = format!("{} tensors, none of that name; the first is `{name}`", names.all().count());
            Error::data(path, expected, found, "")
        }
        (None, None) => Error::data(path, expected, "no tensor at all", ""),
    }
}
