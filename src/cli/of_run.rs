//! The weights of an existing run and the images it was trained on, for commands that examine it afterwards.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{
    flags::data::DataFlags,
    resume::{self, Target},
};
use crate::{
    data::Dataset,
    error::{Error, Result},
    host::{
        checkpoint::{Best, keeper},
        run::{CHECKPOINTS, WEIGHTS, read_run},
    },
};

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
    run: Value,
}

impl OfRun {
    /// Finds the weights of a run: those that it ended with or, while it is under way, those of its newest checkpoint;
    /// with `best`, the checkpoint with the best validation accuracy.
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
        };
        let data_seed = dataset["seed"].as_u64().or(run["seed"].as_u64()).unwrap_or(0);
        let tta = run["tta"].as_bool().unwrap_or(false);
        Ok(Self { folder, weights, data, data_seed, tta, run })
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
