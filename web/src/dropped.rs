//! Files that the visitor has dropped on the page: they are read here, and go nowhere else.

use std::sync::Arc;

use serde_json::json;
use velograd::{
    data::{Dataset, Split},
    error::Error,
    host::data::held::{self, File},
};
use wasm_bindgen::prelude::*;

use crate::{Result, thrown};

/// What a recipe calls them.
pub const NAME: &str = "dropped";

/// The dropped files, of which there may be none.
#[wasm_bindgen]
#[derive(Default)]
pub struct Dropped {
    /// Files of text, which are cut into the blocks of the network that reads them; files that were not read yet.
    files: Vec<File>,
    images: Option<Arc<dyn Dataset>>,
}

#[wasm_bindgen]
impl Dropped {
    /// None yet.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    pub fn add(&mut self, name: String, bytes: Vec<u8>) {
        self.files.push((name, bytes));
    }

    /// Reads the files, and says what they are.
    pub fn read(&mut self) -> Result<String> {
        let Some(opened) = held::images(&self.files).map_err(thrown)? else {
            // A block of one token says whether it can be read at all.
            let text = held::text(&self.files, 1).map_err(thrown)?;
            let (tokens, kinds) = (text.dataset.tokens(Split::Train), text.dataset.spec().classes.len());
            let about = format!("{tokens} characters to learn from, of {kinds} kinds");
            return Ok(json!({ "name": text.dataset.spec().name, "text": true, "about": about, "notes": text.notes }).to_string());
        };
        let (set, notes) = (opened.dataset, opened.notes);
        let spec = set.spec();
        let (train, test, classes) = (set.len(Split::Train), set.len(Split::Test), spec.classes.len());
        let about = format!("{train} images to learn from and {test} to test on, {}, of {classes} classes", spec.input);
        let said = json!({ "name": spec.name, "text": false, "about": about, "notes": notes });
        self.images = Some(set);
        self.files.clear();
        Ok(said.to_string())
    }
}

impl Dropped {
    /// The set that they are; `block` is the length of a network's blocks of tokens.
    ///
    /// # Errors
    /// [`Error::Config`] if there are none, or the network does not take them; [`Error::Data`] if they are too little.
    pub fn open(&self, block: Option<u32>) -> velograd::Result<Arc<dyn Dataset>> {
        let wrong = |message: &str, hint: &str| Err(Error::config(message, hint));
        match (&self.images, block) {
            (Some(images), None) => Ok(images.clone()),
            (None, Some(block)) if !self.files.is_empty() => held::text(&self.files, block).map(|opened| opened.dataset),
            (None, _) if self.files.is_empty() => {
                wrong("the files of this recipe are not here", "drop them on the page, or choose other data")
            }
            (Some(_), Some(_)) => wrong("the files are images, and the network takes text", "choose a network for images"),
            (None, _) => wrong("the files are text, and the network takes images", "gpt takes text"),
        }
    }
}
