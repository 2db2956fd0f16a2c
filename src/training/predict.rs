//! What a network says of images that belong to no data set.

use crate::{
    data::{Batch, Image},
    device::Gpu,
    error::Result,
    models::{Config, Model},
    program::params::Layout,
    training::{
        evaluate::evaluator_of,
        network::{Network, Recipe},
        sampling::probabilities,
        weights::Weights,
    },
};

/// The probabilities of classes by their logits.
fn shares(row: &[f32]) -> Vec<f64> {
    let finite = row.iter().all(|logit| logit.is_finite());
    if finite { probabilities(row, 1.0) } else { vec![f64::NAN; row.len()] }
}

/// A network that tells classes apart.
pub struct Predictor {
    network: Network,
    image: Image,
    classes: usize,
}

impl Predictor {
    /// A network for up to `batch` images at a time with their views, or as many fewer as the device has room for. Of the recipe, only precision,
    /// normalization and test-time augmentation matter.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) if the device cannot hold it for one image, or what `weights` returns.
    ///
    /// # Panics
    /// If the network takes tokens.
    pub async fn new(
        gpu: &Gpu,
        (model, config): (&Model, &Config),
        batch: u32,
        recipe: Recipe,
        weights: impl Fn(&Layout) -> Result<Weights>,
    ) -> Result<Self> {
        let network = evaluator_of(gpu, (model, config), batch.saturating_mul(recipe.views()), recipe, weights).await?;
        Ok(Self { network, image: config.image(), classes: config.classes as usize })
    }

    /// The most images at a time.
    pub fn batch(&self) -> usize {
        self.network.evaluation_batch()
    }

    /// The probabilities of all classes for each image, the softmax of its logits. An image is a plane of bytes for each channel.
    /// None of them is a number if one of the logits is not finite.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) on a fault.
    ///
    /// # Panics
    /// If there are more images than [`batch`](Self::batch), or one has another size.
    pub async fn probabilities(&mut self, images: &[Vec<u8>]) -> Result<Vec<Vec<f64>>> {
        let (batch, size) = (self.batch(), self.image.bytes());
        assert!(images.len() <= batch && images.iter().all(|image| image.len() == size), "Predictor: other images");
        // The program is for whole batches: what is left of the last one is black.
        let mut inputs = images.concat();
        inputs.resize((batch * size).next_multiple_of(4), 0);
        let batch = Batch { inputs, targets: vec![0; batch], indices: (0..batch as u32).collect() };
        self.network.evaluate(&batch, true)?;
        let logits = self.network.logits(batch.len()).await?;
        self.network.drain().await?;
        Ok(logits.chunks_exact(self.classes).take(images.len()).map(shares).collect())
    }
}
