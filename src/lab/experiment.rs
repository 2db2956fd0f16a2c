//! Several runs from the same initial weights and data order: the basis of `compare`, `sweep` and `ablate`.
//!
//! A folder holds the experiment's settings and a folder per run. Runs that have ended are read rather than repeated,
//! and one that was interrupted continues from its checkpoint; an experiment with other settings is refused. Pipelines
//! are compiled once, since the device keeps them from one run to the next.
//!
//! [`Experiment::run`] makes all runs, one after another. [`Experiment::run_one`] makes a single one, beside other
//! processes that make others, on this machine or another: what two processes could disturb each other in is locked,
//! the beginning of the experiment and each run.

mod design;
mod ended;
pub mod paper;
pub mod status;

pub use design::{Design, Planned, Variant};
pub use ended::{Ended, read_ended};

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::json;

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
            self, Folder, Journal, Lock, Recipe, Resume, difference, differences, drop_checkpoints, read_json,
            read_run, run_json,
        },
        signals::Stop,
    },
    program::target::Target,
    training::{Options, Trainer, Watch, whiten::first_weights},
};

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
    /// The runs, and the folder for everything that is written.
    pub design: Design,
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
    /// Writes the experiment's settings to its folder, or compares them with those already there.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown optimizer or setting, or a folder with other settings; [`Error::Io`] if the
    /// folder cannot be written to.
    pub fn begin(&self) -> Result<()> {
        let Design { variants, folder, .. } = &self.design;
        for variant in variants {
            variant.optimizer.build(&variant.set)?;
        }
        begin(folder, &self.recipe, self.dataset.checksum())?;
        rule_file::keep(folder, variants.iter().map(|variant| &variant.optimizer))?;
        write_atomically(&folder.join(run::CONFIG), self.config.as_bytes())
    }

    /// Makes the runs that have not ended yet, seed by seed, and returns all runs. `on_run` is called for each run
    /// before it starts or continues (true) or is read from its folder (false), and returns the watcher of its
    /// progress; `on_end` gets all runs so far whenever one has ended. `None` if it was stopped; the same call then
    /// continues.
    ///
    /// # Errors
    /// As [`Experiment::begin`]; otherwise the error of a run.
    pub async fn run(
        &self,
        on_run: &mut dyn FnMut(&Variant, u64, bool) -> Box<dyn Watch>,
        on_end: &mut dyn FnMut(&[Ended]) -> Result<()>,
    ) -> Result<Option<Vec<Ended>>> {
        let _lock = Lock::take(&self.design.folder)?;
        self.begin()?;
        let mut all = Vec::new();
        for planned in self.design.runs() {
            let Planned { variant, seed, .. } = planned;
            if let Some(ended) = self.ended(&planned)? {
                on_run(variant, seed, false);
                all.push(ended);
                continue;
            }
            match self.one(&planned, on_run(variant, seed, true).as_mut()).await? {
                Some(ended) => all.push(ended),
                None => return Ok(None),
            }
            on_end(&all)?;
        }
        Ok(Some(all))
    }

    /// Makes one run, or the rest of it, unless it has ended: then it is read, and `on_run` is not called. Other processes
    /// may make other runs meanwhile; the experiment must have begun ([`Experiment::begin`]). `None` if it was stopped;
    /// the same call then continues.
    ///
    /// # Errors
    /// [`Error::Config`] if another process makes this run; otherwise the error of the run.
    pub async fn run_one(
        &self,
        planned: &Planned<'_>,
        on_run: &mut dyn FnMut() -> Box<dyn Watch>,
    ) -> Result<Option<Ended>> {
        match self.ended(planned)? {
            Some(ended) => Ok(Some(ended)),
            None => self.one(planned, on_run().as_mut()).await,
        }
    }

    /// A run that has ended.
    fn ended(&self, planned: &Planned<'_>) -> Result<Option<Ended>> {
        let ended = read_ended(&planned.folder, planned.variant, planned.seed)?;
        if ended.is_some() {
            drop_checkpoints(&planned.folder)?; // the process may have been killed before it did this
        }
        Ok(ended)
    }

    /// Makes a run, or the rest of one that was interrupted; `None` if it was stopped.
    async fn one(&self, planned: &Planned<'_>, watch: &mut dyn Watch) -> Result<Option<Ended>> {
        let Planned { variant, seed, ref folder, .. } = *planned;
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
        status::forget_failure(folder);
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
