//! Recognizes the network that a file's tensors belong to, by their names and shapes.

use std::{collections::BTreeMap, path::Path};

use safetensors::tensor::Metadata;

use crate::{
    error::{Error, Result},
    models::{self, Config, MOST_CLASSES, Model, check_width},
};

/// Prefixes that PyTorch's wrappers add to a module's names: `DataParallel` and `DistributedDataParallel`, and
/// `torch.compile`.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// The names of a file's tensors without the wrappers' prefixes, and their names in the file.
pub(super) struct Names {
    /// Maps each name without prefixes to the name in the file.
    in_file: BTreeMap<String, String>,
    /// The prefixes that were dropped, as in the file.
    pub(super) dropped: Vec<String>,
}

impl Names {
    /// Drops the wrappers' prefixes.
    ///
    /// # Errors
    /// [`Error::Data`] if two tensors then have the same name.
    pub(super) fn new(path: &Path, table: &Metadata) -> Result<Self> {
        let mut names = Self { in_file: BTreeMap::new(), dropped: vec![] };
        let mut all = table.offset_keys();
        all.sort_unstable();
        for name in all {
            let mut plain = &name[..];
            while let Some(rest) = WRAPPERS.iter().find_map(|prefix| plain.strip_prefix(prefix)) {
                plain = rest;
            }
            let prefix = &name[..name.len() - plain.len()];
            if !prefix.is_empty() && !names.dropped.iter().any(|known| known == prefix) {
                names.dropped.push(prefix.to_owned());
            }
            if let Some(twin) = names.in_file.insert(plain.to_owned(), name.clone()) {
                let found = format!("`{twin}` and `{name}`, which are one name without `{}`", WRAPPERS.join("` and `"));
                return Err(Error::data(path, "each tensor once", found, "save the inner module's state dict"));
            }
        }
        Ok(names)
    }

    /// The name of a tensor in the file.
    pub(super) fn in_file(&self, name: &str) -> Option<&str> {
        self.in_file.get(name).map(String::as_str)
    }

    /// Every name without prefixes, sorted.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.in_file.keys().map(String::as_str)
    }
}

/// The model that the tensors belong to, and its configuration.
///
/// # Errors
/// [`Error::Data`] if they belong to no known model; the message says what they are instead, where that can be told.
pub(super) fn network(path: &Path, table: &Metadata, names: &Names) -> Result<(&'static Model, Config)> {
    let shape = |name: &str| -> Option<Vec<u32>> {
        let dims = table.info(names.in_file(name)?)?.shape.iter().map(|&d| u32::try_from(d).unwrap_or(u32::MAX));
        Some(dims.collect())
    };
    if let Some(relative) = models::ALL.iter().find_map(|model| (model.relative)(&shape)) {
        let known = models::ALL.iter().map(|model| model.name).collect::<Vec<_>>().join(" or ");
        return Err(Error::data(path, format!("weights of {known}"), relative, ""));
    }
    let Some(model) = models::ALL.iter().find(|model| shape(model.known_by[0]).is_some()) else {
        return Err(unknown(path, names));
    };
    let [first, last] = model.known_by.map(shape);
    if let (Some(first), Some(last)) = (&first, &last)
        && let Some(config) = (model.config_of)(first, last).filter(is_sound)
    {
        return Ok((model, config));
    }
    let [first_name, last_name] = model.known_by;
    let expected = format!("{first_name} and {last_name} of {}: {}", model.name, model.shapes);
    let word = |shape: Option<Vec<u32>>| shape.map_or("none".to_owned(), |dims| format!("{dims:?}"));
    Err(Error::data(path, expected, format!("{} and {}", word(first), word(last)), ""))
}

/// Whether a network can have this configuration.
pub(super) fn is_sound(config: &Config) -> bool {
    check_width(config.width).is_ok() && (1..=MOST_CLASSES).contains(&config.classes)
}

/// The error for a file without any model's first weight. If the file has it behind some prefix, the network is a part
/// of a larger module, and the hint names that part.
fn unknown(path: &Path, names: &Names) -> Error {
    let first: Vec<String> = models::ALL.iter().map(|m| format!("`{}` ({})", m.known_by[0], m.name)).collect();
    let expected = format!("a tensor {}", first.join(" or "));
    let inner = models::ALL.iter().find_map(|model| {
        let prefix = names.all().find_map(|name| name.strip_suffix(model.known_by[0])).filter(|p| p.ends_with('.'))?;
        Some((model, prefix)).filter(|_| names.in_file(&format!("{prefix}{}", model.known_by[1])).is_some())
    });
    match (inner, names.all().next()) {
        (Some((model, prefix)), _) => {
            let found = format!("`{prefix}{}`", model.known_by[0]);
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
