//! What several tests share: one device for all, and a watch that keeps what a run reports.

use pollster::block_on;
use std::sync::Arc;
use std::sync::OnceLock;

use velograd::{
    data::{Batch, Dataset, Image, Input, Split, Tokens},
    device::Gpu,
    error::Result,
    host::loader::ReadAhead,
    models::{Config, Model, Takes},
    program::{params::Layout, target::Target},
    training::{
        Checkpoint, EpochRow, Options, Point, Request, StepRow, Trainer, Watch,
        network::{Done, Network, Place},
        weights::Weights,
    },
};

/// The device. If there is none, a line says so and `None` is returned, or the test fails if VELOGRAD_REQUIRE_GPU=1.
pub fn gpu() -> Option<&'static Gpu> {
    static DEVICE: OnceLock<std::result::Result<Gpu, String>> = OnceLock::new();
    match DEVICE.get_or_init(|| velograd::host::device::open(None).map_err(|fault| fault.to_string())) {
        Ok(gpu) => Some(gpu),
        Err(fault) => {
            let required = std::env::var("VELOGRAD_REQUIRE_GPU").is_ok_and(|value| value == "1");
            assert!(!required, "VELOGRAD_REQUIRE_GPU=1, and there is no adapter: {fault}");
            println!("skipped: no adapter: {fault}");
            None
        }
    }
}

/// The target that suits the device.
pub fn target() -> Target {
    gpu().map_or_else(Target::portable, |gpu| gpu.target.clone())
}

/// A narrow network of this model for images of CIFAR-10's size, or for short blocks of tokens; a ResNet has the stem for such
/// images, a VGG small linear layers, and a transformer one head.
pub fn small(model: &Model, width: u32, classes: u32) -> Config {
    let tokens = model.takes == Takes::Tokens;
    let transformer = model.has("heads");
    let width = if transformer { 4 * width } else { width };
    let words: &[_] = match transformer {
        true => &[("block", "4"), ("patch", "8"), ("heads", "1"), ("depth", "2")],
        false => &[("stem", "cifar"), ("hidden", "8"), ("pool", "2")],
    };
    let all = words.iter().map(|&(key, word)| (key, word.to_owned())).chain([("width", width.to_string())]);
    let set: Vec<_> = all.filter(|(key, _)| model.has(key)).map(|(key, v)| (key.to_owned(), v)).collect();
    let input = if tokens { Tokens { length: 4, vocabulary: classes }.into() } else { Input::from(Image::CIFAR) };
    model.config(input, classes, &set).expect("a shape of the model")
}

/// Reads an image of a set. Returns its label.
pub fn read(set: &dyn Dataset, split: Split, index: usize, image: &mut [u8]) -> Result<u32> {
    let mut label = [u32::MAX];
    set.read(split, index, image, &mut label)?;
    Ok(label[0])
}

/// Submits a batch once there is room for it. Returns what was finished meanwhile.
pub fn train(network: &mut Network, batch: &Batch, place: Place) -> Result<Vec<Done>> {
    let landed = block_on(network.make_room())?;
    network.train(batch, place)?;
    Ok(landed)
}

/// A trainer with the target that suits the device.
pub fn trainer(
    gpu: &Gpu,
    dataset: Arc<dyn Dataset>,
    options: Options,
    weights: impl FnOnce(&Layout) -> Result<Weights>,
) -> Result<Trainer> {
    block_on(Trainer::new(gpu, &gpu.target, Arc::new(ReadAhead(dataset)), options, weights))
}

/// Keeps the rows; stops the run, and keeps its checkpoint, at the first point where `stop_at` holds.
#[derive(Default)]
pub struct Rows<'a> {
    pub steps: Vec<StepRow>,
    /// The targets of the epoch that were trained on, and of all of it, at the last update.
    pub seen: (u64, u64),
    pub epochs: Vec<EpochRow>,
    pub stop_at: Option<Box<dyn FnMut(Point) -> bool + 'a>>,
    pub taken: Option<Checkpoint>,
}

impl<'a> Rows<'a> {
    pub fn until(stop_at: impl FnMut(Point) -> bool + 'a) -> Self {
        Self { stop_at: Some(Box::new(stop_at)), ..Self::default() }
    }
}

impl Watch for Rows<'_> {
    fn step(&mut self, row: &StepRow, done: u64, total: u64, _: u64) -> Result<()> {
        self.steps.push(*row);
        self.seen = (done, total);
        Ok(())
    }

    fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        self.epochs.push(*row);
        Ok(())
    }

    fn request(&mut self, at: Point) -> Result<Request> {
        let stops = self.stop_at.as_mut().is_some_and(|stop_at| stop_at(at));
        Ok(if stops { Request::Stop } else { Request::Continue })
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.taken = Some(checkpoint);
        Ok(())
    }
}
