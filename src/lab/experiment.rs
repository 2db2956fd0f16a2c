//! Several runs from the same initial weights and data order: the basis of `compare`, `sweep` and `ablate`.
//!
//! A folder holds the experiment's settings and a folder per run. Runs that have ended are read rather than repeated,
//! and one that was interrupted continues from its checkpoint; an experiment with other settings is refused. Pipelines
//! are compiled once, since the device keeps them from one run to the next.

pub mod paper;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    data::Dataset,
    device::Gpu,
    error::{Error, Result},
    host::{
        checkpoint::keeper::Policy,
        files::write_atomically,
        identity,
        loader::ReadAhead,
        rule_file,
        run::{
            self, EPOCHS_LIMIT, Folder, Journal, Lock, Recipe, Resume, difference, differences, drop_checkpoints,
            read_json, read_rows, read_run, run_json, table_differences,
        },
        signals::Stop,
    },
    optim::RuleChoice,
    program::target::Target,
    training::{EpochRow, Options, Trainer, Watch, whiten::first_weights},
};

/// An optimizer with its settings, under a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name in tables and figures.
    pub label: String,
    /// The update rule.
    pub optimizer: RuleChoice,
    /// The rule's settings, as given.
    pub set: Vec<(String, String)>,
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The variant's label.
    pub label: String,
    /// Seed of the initial weights, the order, augmentation and dropout.
    pub seed: u64,
    /// Its epochs, including the one in which it diverged.
    pub epochs: Vec<EpochRow>,
    /// The first of the updates in a row that were not finite, if the run ended because of them.
    pub diverged: Option<u64>,
    /// Bytes of the device's buffers.
    pub device_bytes: u64,
    /// Its `run.json`.
    pub run: Value,
}

/// Runs to be made in one folder.
pub struct Experiment<'a> {
    /// The device.
    pub gpu: &'a Gpu,
    /// The forms of kernels.
    pub target: Target,
    /// The data, the same for every run.
    pub dataset: Arc<dyn Dataset>,
    /// What all runs have in common; each run has its own optimizer, settings and seed.
    pub options: Options,
    /// The optimizers.
    pub variants: Vec<Variant>,
    /// The number of seeds, which are 0, 1, ...
    pub seeds: u64,
    /// The folder for everything that is written.
    pub folder: PathBuf,
    /// What all runs have in common, as a recipe: experiments are the same if their recipes are.
    pub recipe: Recipe,
    /// The text of `config.toml`, from which the experiment can be repeated.
    pub config: String,
    /// When each run writes checkpoints; they are removed when it has ended.
    pub policy: Policy,
    /// A request to stop, for instance by Ctrl-C.
    pub stop: Stop,
}

impl Experiment<'_> {
    /// Makes the runs that have not ended yet, seed by seed, and returns all runs. `on_run` is called for each run
    /// before it starts or continues (true) or is read from its folder (false), and returns the watcher of its
    /// progress; `on_end` gets all runs so far whenever one has ended. `None` if it was stopped; the same call then
    /// continues.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown optimizer or setting, or a folder with other settings; otherwise the error of a
    /// run.
    pub async fn run(
        &self,
        on_run: &mut dyn FnMut(&Variant, u64, bool) -> Box<dyn Watch>,
        on_end: &mut dyn FnMut(&[Ended]) -> Result<()>,
    ) -> Result<Option<Vec<Ended>>> {
        for variant in &self.variants {
            variant.optimizer.build(&variant.set)?;
        }
        let _lock = Lock::take(&self.folder)?;
        begin(&self.folder, &self.recipe, self.dataset.checksum())?;
        rule_file::keep(&self.folder, self.variants.iter().map(|variant| &variant.optimizer))?;
        write_atomically(&self.folder.join(run::CONFIG), self.config.as_bytes())?;
        let mut all = Vec::new();
        for seed in 0..self.seeds {
            for variant in &self.variants {
                let folder = self.folder.join("runs").join(slug(&variant.label)).join(format!("seed-{seed}"));
                if let Some(ended) = read_ended(&folder, variant, seed)? {
                    on_run(variant, seed, false);
                    drop_checkpoints(&folder)?; // the process may have been killed before it did this
                    all.push(ended);
                    continue;
                }
                match self.one(variant, seed, &folder, on_run(variant, seed, true).as_mut()).await? {
                    Some(ended) => all.push(ended),
                    None => return Ok(None),
                }
                on_end(&all)?;
            }
        }
        Ok(Some(all))
    }

    /// Makes a run, or the rest of one that was interrupted; `None` if it was stopped.
    async fn one(&self, variant: &Variant, seed: u64, folder: &Path, watch: &mut dyn Watch) -> Result<Option<Ended>> {
        let (optimizer, set) = (variant.optimizer.clone(), variant.set.clone());
        let options = Options { optimizer, set, seed, ..self.options.clone() };
        let dataset = self.dataset.as_ref();
        let normalize = options.normalize()?;
        let init = |layout: &_| first_weights(layout, seed, dataset, normalize);
        let source = Arc::new(ReadAhead(self.dataset.clone()));
        let mut trainer = Trainer::new(self.gpu, &self.target, source, options.clone(), init).await?;
        let settings = &trainer.settings;
        let mut run = run_json(self.gpu, &self.target, dataset, &options, settings, &self.recipe);
        let record = if folder.join("run.json").exists() {
            let (lock, before) = (Lock::take(folder)?, &read_run(folder)?);
            let how = Resume { lock, before, policy: self.policy, formats: &[], checkpoint: None };
            let (record, loaded) = Folder::resume(folder, how, &mut run, &mut |text| watch.remark(&text))?;
            if let Some(loaded) = loaded {
                watch.remark(&format!("continued from {}", loaded.path.display()));
                trainer.restore(loaded.checkpoint)?;
                watch.resumed(trainer.position());
            }
            record
        } else {
            Folder::create(folder, &run, self.policy, &[])?
        };
        let mut journal = Journal { folder: record, watch, stop: self.stop.clone() };
        let epochs = trainer.run(&mut journal).await?;
        let Journal { folder: mut record, watch, .. } = journal;
        record.wait()?.iter().for_each(|remark| watch.remark(remark));
        if trainer.stopped() {
            return Ok(None);
        }
        record.end(&trainer, &epochs, &mut run).await?;
        drop_checkpoints(folder)?;
        let device_bytes = trainer.network.runtime.planned_bytes;
        Ok(Some(Ended { label: variant.label.clone(), seed, epochs, diverged: trainer.diverged(), device_bytes, run }))
    }
}

/// Writes an experiment's settings to its folder, or compares them with those already there: the recipe that all runs
/// have in common, and the checksum of the images.
///
/// # Errors
/// [`Error::Config`] if they differ; [`Error::Io`] or [`Error::Data`] if the file there does not hold settings.
pub fn begin(folder: &Path, recipe: &Recipe, checksum: u32) -> Result<()> {
    let path = folder.join(FILE);
    let settings = json!({
        "version": identity::VERSION,
        "build": identity::build(),
        "recipe": recipe,
        "crc32": format!("{checksum:08x}"),
    });
    if path.exists() {
        let known = read_json(&path)?;
        if known["version"] != settings["version"] || known["build"]["kernels"] != settings["build"]["kernels"] {
            let message = format!("{} was begun by another build of the program, with other kernels", folder.display());
            let [there, here] = [&known, &settings].map(identity::in_words);
            let hint = format!(
                "there: {there}\n  here: {here}\n  runs of two builds are no comparison: choose another 'out', or go on with \
                 the build that began it"
            );
            return Err(Error::about("out", message, hint));
        }
        let mut lines = Vec::from_iter(difference("checksum of the images", &known["crc32"], &settings["crc32"]));
        lines.extend(differences(&run::recipe(&known, &path)?, recipe, &[]));
        return refuse_differences(folder, &lines);
    }
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let text = serde_json::to_string_pretty(&settings).unwrap_or_default() + "\n";
    write_atomically(&path, text.as_bytes())
}

/// Refuses an experiment that differs from the one in `folder`; each of `lines` names a difference.
///
/// # Errors
/// [`Error::Config`], if there are any.
pub fn refuse_differences(folder: &Path, lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let message = format!("{} was begun with another recipe:\n  {}", folder.display(), lines.join("\n  "));
    Err(Error::about("out", message, "the same settings go on with it; others need another 'out'"))
}

/// The file of an experiment's settings.
const FILE: &str = "experiment.json";

/// The settings of the experiment in `folder`, with the path of their file, if there is one.
///
/// # Errors
/// [`Error::Io`] or [`Error::Data`] if its file cannot be read.
pub fn begun(folder: &Path) -> Result<Option<(PathBuf, Recipe)>> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let recipe = run::recipe(&read_json(&path)?, &path)?;
    Ok(Some((path, recipe)))
}

/// The run of `variant` in `folder`, if it has ended.
///
/// # Errors
/// [`Error::Config`] if it has other settings; [`Error::Io`] or [`Error::Data`] if a file is not what it should be.
pub fn read_ended(folder: &Path, variant: &Variant, seed: u64) -> Result<Option<Ended>> {
    let path = folder.join("run.json");
    if !path.exists() {
        return Ok(None);
    }
    let run = read_json(&path)?;
    let (_, settings) = variant.optimizer.build(&variant.set)?;
    let (shown, label) = (folder.display(), &variant.label);
    if run["rule"]["text"].as_str() != variant.optimizer.text() {
        let message = format!("{shown} holds a run of another text of the rule `{label}`");
        return Err(Error::about("out", message, "choose another 'out'"));
    }
    let name = variant.optimizer.name();
    if run["optimizer"] != name || run["settings"] != settings.to_json() {
        let mut lines = Vec::from_iter(difference("'optimizer'", &run["optimizer"], &json!(name)));
        if lines.is_empty() {
            lines = table_differences("", &run["settings"], &settings.to_json());
        }
        let message = format!("{shown} holds a run of other settings than `{label}`:\n  {}", lines.join("\n  "));
        return Err(Error::about("out", message, "choose another 'out'"));
    }
    if run["result"].is_null() {
        return Ok(None);
    }
    let metrics = folder.join("metrics.jsonl");
    let epochs: Vec<EpochRow> = read_rows(&metrics, EPOCHS_LIMIT)?;
    if let Some(had) = run["result"]["epochs"].as_u64().filter(|had| *had != epochs.len() as u64) {
        return Err(Error::data(
            &metrics,
            format!("the {had} epochs of the run"),
            format!("{} rows", epochs.len()),
            "",
        ));
    }
    Ok(Some(Ended {
        label: variant.label.clone(),
        seed,
        epochs,
        diverged: run["result"]["diverged"].as_u64(),
        device_bytes: run["result"]["device_bytes"].as_u64().unwrap_or(0),
        run,
    }))
}

/// A label in a form that suits a folder's name.
fn slug(label: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || "._=-".contains(c) { c } else { '_' };
    label.chars().map(keep).collect()
}

/// Parses `low:high:logN` or `low:high:linN` as N numbers, ends included, or a list `a,b,c`.
///
/// # Errors
/// [`Error::Config`] if it is neither, or a number is not positive and finite.
pub fn grid(text: &str) -> Result<Vec<f64>> {
    let wrong = || {
        let message = format!("`{text}` is no list of rates");
        Error::config(message, "as in 1e-4:1e-1:log7, 0.01:0.05:lin5 or 0.001,0.003,0.01; all above 0")
    };
    let number = |t: &str| t.trim().parse::<f64>().ok().filter(|v| *v > 0.0 && (*v as f32).is_finite());
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [low, high, spacing] => {
            let (low, high) = number(low).zip(number(high)).ok_or_else(wrong)?;
            let (log, count) = match (spacing.strip_prefix("log"), spacing.strip_prefix("lin")) {
                (Some(count), _) => (true, count),
                (_, Some(count)) => (false, count),
                _ => return Err(wrong()),
            };
            let count: u32 = count.parse().ok().filter(|c| (2..=1000).contains(c)).ok_or_else(wrong)?;
            let share = |i: u32| f64::from(i) / f64::from(count - 1);
            let at = |i: u32| if log { low * (high / low).powf(share(i)) } else { low + (high - low) * share(i) };
            // Three digits are enough for a learning rate, and tables and folders show as many.
            Ok((0..count).map(|i| format!("{:.2e}", at(i)).parse().unwrap_or(low)).collect())
        }
        [list] => list.split(',').map(number).collect::<Option<_>>().ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::grid;

    #[test]
    fn grids() {
        assert_eq!(grid("1e-3:1e-1:log3").unwrap(), [1e-3, 1e-2, 1e-1]);
        assert_eq!(grid("0.1:0.3:lin3").unwrap(), [0.1, 0.2, 0.3]);
        assert_eq!(grid("0.1, 0.5").unwrap(), [0.1, 0.5]);
        for wrong in ["", "1:2", "1:2:log1", "1:2:log", "0:1:log3", "-1", "a", "1:2:cube3", "nan", "1e300"] {
            assert!(grid(wrong).is_err(), "{wrong}");
        }
    }
}
