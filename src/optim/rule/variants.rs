//! Keeps the variants of a rule that were asked for, so that each is linked and checked once.

use std::sync::{Arc, Mutex};

use super::{RuleFile, Variant};
use crate::{error::Result, optim::Settings};

/// The most variants that are kept beside the default one; the grid of a sweep is smaller.
const MOST: usize = 64;

/// A rule's file with its variants.
#[derive(Debug)]
pub struct Variants {
    pub file: Arc<RuleFile>,
    /// The rule under its default settings, if its text came from outside the program.
    pub default: Option<Arc<Variant>>,
    name: String,
    known: Mutex<Vec<Arc<Variant>>>,
}

impl Variants {
    /// The variants of a file; `name` is the rule's name in errors.
    ///
    /// # Errors
    /// If the text came from outside the program: as [`Variant::new`], for the default settings.
    pub fn new(name: &str, file: RuleFile) -> Result<Self> {
        let file = Arc::new(file);
        let settings = Settings::defaults(file.settings());
        let default = file.is_foreign().then(|| Variant::new(&file, name, settings).map(Arc::new)).transpose()?;
        Ok(Self { file, default, name: name.to_owned(), known: Mutex::default() })
    }

    /// The rule under these settings.
    ///
    /// # Errors
    /// As [`Variant::new`].
    pub fn of(&self, settings: &Settings) -> Result<Arc<Variant>> {
        let mut known = self.known.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(same) = self.default.iter().chain(known.iter()).find(|known| known.is_under(settings)) {
            return Ok(same.clone());
        }
        let new = Arc::new(Variant::new(&self.file, &self.name, settings.clone())?);
        if known.len() == MOST {
            known.remove(0);
        }
        known.push(new.clone());
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::TEMPLATE, *};

    /// Equal settings give the same variant, and default settings give the default one if there is one.
    #[test]
    fn a_variant_is_made_once() {
        for foreign in [false, true] {
            let variants =
                Variants::new("mine", RuleFile::parse("mine", "mine.wgsl", TEMPLATE, foreign).unwrap()).unwrap();
            let settings = Settings::defaults(variants.file.settings());
            let [first, second] = [(); 2].map(|()| variants.of(&settings).unwrap());
            assert!(Arc::ptr_eq(&first, &second));
            assert_eq!(variants.default.is_some(), foreign);
            assert!(variants.default.is_none_or(|default| Arc::ptr_eq(&default, &first)));
        }
    }
}
