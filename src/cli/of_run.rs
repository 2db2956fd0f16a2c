//! What a run left, for commands that look at it afterwards: its weights, and the images that it was made with.

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
    /// Its weights: a file of them alone, or a checkpoint.
    pub weights: PathBuf,
    pub data: DataFlags,
    /// What its images are drawn by.
    pub data_seed: u64,
    /// Whether it was validated on six views of each image.
    pub tta: bool,
    run: Value,
}

impl OfRun {
    /// Finds what was left: the weights that the run ended with, or while it goes on those of its newest checkpoint; with `best`
    /// the checkpoint with the best accuracy on validation.
    ///
    /// # Errors
    /// As [`resume::find`]; [`Error::Data`] if it has left no weights yet.
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

    /// In what way these images are not those that the run was made with.
    pub fn other_images(&self, dataset: &dyn Dataset) -> Option<String> {
        let there = self.run["dataset"]["crc32"].as_str()?;
        let here = format!("{:08x}", dataset.checksum());
        (there != here).then(|| {
            let name = self.run["dataset"]["name"].as_str().unwrap_or("another set");
            format!("the run was made with {name}, checksum {there}; these images are {}, {here}", dataset.spec().name)
        })
    }
}
