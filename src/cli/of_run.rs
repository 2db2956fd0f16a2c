//! The weights of an existing run and the images it was trained on, for commands that examine it afterwards.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::{
    flags::{data::DataFlags, values},
    print::remark,
    resume::{self, Target},
};
use crate::{
    data::Dataset,
    error::{Error, Result},
    host::{
        checkpoint::{Best, keeper},
        huggingface,
        pretrained::Pretrained,
        run::{CHECKPOINTS, WEIGHTS, read_run},
    },
};

/// Which weights a command is about.
#[derive(Args)]
pub struct WeightsFlags {
    /// The folder of a run (or one with several, or `latest`, or a checkpoint): its last weights; or a file of weights, or a folder
    /// of GPT-2 as transformers writes it
    #[arg(value_name = "RUN", required_unless_present = "weights", conflicts_with = "weights")]
    run: Option<PathBuf>,
    /// Take RUN's checkpoint with the best accuracy on validation, of text the least loss, instead of its last weights
    #[arg(long)]
    best: bool,
    /// What `train` wrote, checkpoints included, torchvision's or nanoGPT's state dict as safetensors, or GPT-2 as transformers
    /// writes it, the file or its folder; the network's settings and its classes come from there. It may also be a run, as RUN
    #[arg(long, value_name = "FILE.safetensors|RUN", help_heading = "Network")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    told: ModelSet,
}

/// What a file of weights may leave open.
#[derive(Args)]
pub struct ModelSet {
    /// A setting of the network that a file of weights from elsewhere does not tell, such as a transformer's heads
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::key_value, help_heading = "Network")]
    model_set: Vec<(String, String)>,
}

impl WeightsFlags {
    /// Opens the weights.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(&self) -> Result<(Option<OfRun>, PathBuf, Pretrained)> {
        let by_flag = self.weights.as_deref();
        let named = by_flag.or(self.run.as_deref()).expect("clap asks for one of them");
        open(named, self.best, by_flag.is_some(), &self.told)
    }
}

/// Finds the weights that `named` means, opens their file and prints what is remarkable about it. The run is `None` for a file
/// that is not in the folder of one and, with `alone`, for every file.
///
/// # Errors
/// As [`OfRun::find`], [`Pretrained::open`] and [`Pretrained::assume`].
pub fn open(named: &Path, best: bool, alone: bool, told: &ModelSet) -> Result<(Option<OfRun>, PathBuf, Pretrained)> {
    let is_run = |path: &Path| resume::find(path).is_ok();
    let of_weights = named.is_file() || huggingface::is_folder(named);
    let is_file = if alone { of_weights || !(named.exists() || is_run(named)) } else { of_weights && !is_run(named) };
    if best && is_file {
        let message = format!("'best' chooses a checkpoint of a run, and {} is a file of weights", named.display());
        return Err(Error::about("best", message, "name the run's folder, or drop 'best'"));
    }
    let of_run = (!is_file).then(|| OfRun::find(named, best)).transpose()?;
    let path = of_run.as_ref().map_or_else(|| named.to_owned(), |run| run.weights.clone());
    if of_run.as_ref().is_some_and(|run| run.under_way) {
        remark("the run has not ended: these are the weights of its newest checkpoint");
    }
    let mut weights = Pretrained::open(&path)?;
    weights.assume(&told.model_set)?;
    weights.remarks.iter().for_each(|line| remark(line));
    Ok((of_run, path, weights))
}

/// The weights of a run, and its images.
pub struct OfRun {
    pub folder: PathBuf,
    /// A file of weights or a checkpoint.
    pub weights: PathBuf,
    pub data: DataFlags,
    /// The seed of drawn images.
    pub data_seed: u64,
    /// Whether the run was validated with test-time augmentation.
    pub tta: bool,
    /// Whether the run has not ended, so that these are the weights of its newest checkpoint.
    under_way: bool,
    run: Value,
}

impl OfRun {
    /// Finds the weights of a run: those that it ended with or, while it is under way, those of its newest checkpoint;
    /// with `best`, the checkpoint with the best validation.
    ///
    /// # Errors
    /// As [`resume::find`]; [`Error::Data`] if the run has no weights yet.
    pub fn find(what: &Path, best: bool) -> Result<Self> {
        let Target { folder, checkpoint, .. } = resume::find(what)?;
        let run = read_run(&folder)?;
        let (ended, checkpoints) = (folder.join(WEIGHTS), folder.join(CHECKPOINTS));
        let has_ended = !run["result"].is_null() && ended.is_file();
        if best && checkpoint.is_some() {
            return Err(Error::about(
                "best",
                "'best' beside a checkpoint that is named",
                "name the run's folder, or drop 'best'",
            ));
        }
        let under_way = checkpoint.is_none() && !best && !has_ended;
        let weights = match checkpoint {
            Some(checkpoint) => Some(checkpoint),
            None if best => keeper::best_in(&checkpoints)?.map(|(path, Best { .. })| path),
            None if has_ended => Some(ended),
            None => keeper::newest_file(&checkpoints),
        };
        let weights = weights.ok_or_else(|| {
            let (expected, hint) = if best {
                ("a checkpoint at the end of a validated epoch", "without 'best' the last weights are taken")
            } else {
                ("weights or a checkpoint", "the run has not come to its first checkpoint")
            };
            Error::data(&folder, expected, "none", hint)
        })?;
        let dataset = &run["dataset"];
        let data = DataFlags {
            data: dataset["path"].as_str().map(PathBuf::from),
            dataset: dataset["name"].as_str().map(str::to_owned),
            tokens: serde_json::from_value(run["recipe"]["tokens"].clone()).unwrap_or_default(),
            image_size: run["recipe"]["image-size"].as_u64().and_then(|size| u32::try_from(size).ok()),
        };
        let data_seed = dataset["seed"].as_u64().or(run["seed"].as_u64()).unwrap_or(0);
        let tta = run["tta"].as_bool().unwrap_or(false);
        Ok(Self { folder, weights, data, data_seed, tta, under_way, run })
    }

    /// States how these images differ from those of the run, if they do.
    pub fn other_images(&self, dataset: &dyn Dataset) -> Option<String> {
        let there = self.run["dataset"]["crc32"].as_str()?;
        let here = format!("{:08x}", dataset.checksum());
        (there != here).then(|| {
            let name = self.run["dataset"]["name"].as_str().unwrap_or("another set");
            format!("the run was made with {name}, checksum {there}; these images are {}, {here}", dataset.spec().name)
        })
    }
}
