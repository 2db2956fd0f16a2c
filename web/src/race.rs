//! A race: optimizers with the same first weights and the same order of samples, each with a network of its own.

use std::sync::Arc;

use serde_json::json;
use velograd::data::{Dataset, Split};
use wasm_bindgen::prelude::*;

use crate::{
    Result,
    device::Device,
    drawn,
    dropped::{self, Dropped},
    lane::{Lane, SHOWN},
    recipe::{Recipe, Runner},
    thrown, unreadable,
};

/// A race on a device.
#[wasm_bindgen]
pub struct Race {
    device: Device,
    recipe: Recipe,
    dataset: Arc<dyn Dataset>,
    lanes: Vec<Lane>,
}

#[wasm_bindgen]
impl Race {
    /// Draws the data of a recipe, or takes them from what was dropped.
    #[wasm_bindgen(constructor)]
    pub fn new(device: &Device, dropped: &Dropped, recipe: &str) -> Result<Self> {
        let recipe: Recipe = serde_json::from_str(recipe).map_err(unreadable)?;
        let open = || match (recipe.data.as_str(), recipe.block()?) {
            (dropped::NAME, block) => dropped.open(block),
            (name, block) => drawn::open(name, recipe.data_seed.unwrap_or(recipe.seed), block),
        };
        let dataset = open().map_err(thrown)?;
        Ok(Self { device: Device { gpu: device.gpu.clone() }, recipe, dataset, lanes: vec![] })
    }

    /// The classes, and the test images that predictions are shown of: bytes of a plane for each channel.
    pub fn samples(&self) -> Result<String> {
        let spec = self.dataset.spec();
        let Some(image) = spec.input.image() else { return Ok(json!({ "classes": spec.classes }).to_string()) };
        let mut samples = vec![];
        for index in 0..(SHOWN as usize).min(self.dataset.len(Split::Test)) {
            let (mut bytes, mut label) = (vec![0; image.bytes()], [0]);
            self.dataset.read(Split::Test, index, &mut bytes, &mut label).map_err(thrown)?;
            samples.push(json!({ "pixels": bytes, "label": label[0] }));
        }
        let size = [image.channels, image.height, image.width];
        Ok(json!({ "classes": spec.classes, "size": size, "images": samples }).to_string())
    }

    /// Compares the kernels that an optimizer's lane will run with their references; rejects if the device is wrong.
    pub async fn assure(&self, runner: &str) -> Result<()> {
        let runner: Runner = serde_json::from_str(runner).map_err(unreadable)?;
        Lane::assure(&self.device.gpu, &self.recipe, &runner, &self.dataset).await.map_err(thrown)
    }

    /// Adds an optimizer; returns how many parameters its network has and how many epochs its run.
    pub async fn add(&mut self, runner: &str) -> Result<String> {
        let runner: Runner = serde_json::from_str(runner).map_err(unreadable)?;
        let lane = Lane::open(&self.device.gpu, &self.recipe, &runner, &self.dataset).await.map_err(thrown)?;
        let about = lane.about().to_string();
        self.lanes.push(lane);
        Ok(about)
    }

    /// Trains one lane for so many updates; returns the rows of its updates and epochs.
    pub async fn advance(&mut self, lane: usize, updates: u32) -> Result<String> {
        let rows = self.lanes[lane].advance(updates.into()).await.map_err(thrown)?;
        Ok(rows.to_string())
    }

    /// The weights of one lane as they are now: the bytes of the file that `velograd train` writes.
    pub async fn weights(&mut self, lane: usize) -> Result<Vec<u8>> {
        self.lanes[lane].weights().await.map_err(thrown)
    }

    /// What one lane says of the test samples that are shown.
    pub async fn predict(&mut self, lane: usize) -> Result<String> {
        let said = self.lanes[lane].predict().await.map_err(thrown)?;
        Ok(said.to_string())
    }
}
