//! An experiment as far as it is known without a device and without data, as where its runs are submitted.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    queue::Queue,
    shown::{Compared, Compares},
};
use crate::{
    cli::{
        flags::{Preset, experiment::ExperimentFlags, given, present, recipe_of, values::switch_word},
        layers::{Layer, Layers, Origin},
        print::remark,
        recipe, resume, toml_file,
    },
    error::{Error, Result},
    host::{
        files::write_atomically,
        run::{CONFIG, Lock, MODEL_SET, Recipe, to_toml},
    },
    lab::experiment::{self, Design, Variant},
    program::target::Precision,
};

/// The folder, within that of an experiment, with what the processes of `--jobs` have said.
pub const JOBS: &str = "jobs";

/// Name of the file with the flags that runs are started with.
const LAUNCH: &str = "launch.toml";

/// What an experiment keeps wherever and whenever it goes on.
const KEPT: [&str; 4] = ["preset", "dataset", "data", "data-seed"];

/// An experiment without its device.
pub struct Known {
    /// `compare`, `sweep` or `ablate`.
    pub command: &'static str,
    pub compared: Compared,
    pub design: Design,
    /// What all runs have in common: as the experiment was begun, or else as it is asked for.
    pub recipe: Recipe,
    /// The flags that a run is started with, complete, and the adapter.
    launch: Recipe,
    device: Option<String>,
    /// Whether the experiment has begun.
    begun: bool,
    /// The path of the program.
    program: PathBuf,
}

/// What the layers that were given say of an experiment. If it is `there` already, its own flags are below them, so that its
/// folder is enough.
///
/// # Errors
/// [`Error::Config`] if flags are wrong, or other than those that the experiment was begun with; the errors of reading its
/// files; if it is to be there, [`Error::Data`] if it is not.
pub fn known<F: Compares>(layers: &Layers, there: bool) -> Result<Known> {
    let mut layers = layers.clone();
    let out = layers.flags::<F>()?.0.experiment().out.clone();
    if let (true, Some(out)) = (there, &out) {
        if !out.is_dir() {
            let hint = format!("'out' names what `velograd {}` has made", F::COMMAND);
            return Err(Error::data(out, "the folder of an experiment", "no such folder", hint));
        }
        let written = |name: &&str| std::fs::metadata(out.join(name)).and_then(|file| file.modified()).ok();
        if let Some(name) = [LAUNCH, CONFIG].into_iter().filter(|name| written(name).is_some()).max_by_key(written) {
            let path = out.join(name);
            let recipe = toml_file::read::<F>(&path)?.recipe;
            layers.push(Layer { origin: Origin::Begun(path), recipe });
        }
    }
    let begun = begun(&mut layers, out.as_deref())?;
    let preset = layers.preset().unwrap_or(Preset::Paper);
    let (flags, remarks) = layers.complete::<F>(preset)?.flags::<F>()?;
    let compared = flags.compared(flags.experiment().target)?;
    let out = check(&layers, flags.experiment(), &compared.variants)?;
    if !there {
        remarks.iter().for_each(|text| remark(text));
        if layers.preset().is_none() {
            remark("preset paper, whatever the devices are; --preset quick for a first look");
        }
    }
    if let Some(begun) = &begun {
        same_recipe(out, begun, &flags, None)?;
    }
    let mut launch = recipe_of(&flags)?;
    recipe::detach(&mut launch, preset);
    Ok(Known {
        command: F::COMMAND,
        design: Design {
            variants: compared.variants.clone(),
            seeds: given(flags.experiment().seeds),
            folder: std::path::absolute(out).map_err(Error::io("find", out))?,
        },
        compared,
        recipe: begun.as_ref().map_or_else(|| present(launch.clone()), |layer| layer.recipe.clone()),
        launch,
        device: flags.experiment().run.device.device.clone(),
        begun: begun.is_some(),
        program: std::env::current_exe().map_err(Error::io("find", Path::new("velograd")))?,
    })
}

impl Known {
    /// Writes the flags that runs are started with to the experiment's folder.
    ///
    /// # Errors
    /// [`Error::Config`] if they differ from those there and a run is being made or is in Slurm's queue: the numbers of runs
    /// would mean others. [`Error::Io`] if they cannot be written, and the errors of asking Slurm.
    pub fn keep(&self) -> Result<()> {
        self.keep_beside(None)
    }

    /// [`Known::keep`] by a process that has itself locked this folder.
    ///
    /// # Errors
    /// As [`Known::keep`].
    pub fn keep_beside(&self, own: Option<&Path>) -> Result<()> {
        let out = &self.design.folder;
        if self.differs() {
            self.refuse_if_under_way(own)?;
        }
        std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
        write_atomically(&out.join(LAUNCH), self.text().as_bytes())
    }

    fn refuse_if_under_way(&self, own: Option<&Path>) -> Result<()> {
        let out = &self.design.folder;
        let refuse = |more: &str, hint: String| {
            let message = format!("{} was started with other flags, and {more}", out.display());
            Err(Error::about("out", message, hint))
        };
        let queue = Queue::of(out)?;
        let arrays = queue.arrays_alive();
        if !arrays.is_empty() {
            let arrays = arrays.into_iter().collect::<Vec<_>>().join(" ");
            return refuse("its jobs are in the queue", format!("`scancel {arrays}` first, or choose another 'out'"));
        }
        if queue.is_unknown() {
            let hint = "call this on a machine that has Slurm's commands, or choose another 'out'";
            return refuse("there is no squeue here to ask about its jobs", hint.to_owned());
        }
        let within =
            |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let runs = within(&out.join("runs")).flat_map(|variant| within(&variant).collect::<Vec<_>>());
        let mut folders = [out.clone(), out.join(JOBS)].into_iter().chain(runs).filter(|folder| Some(&**folder) != own);
        if let Some(taken) = folders.find(|folder| Lock::is_taken(folder)) {
            let hint = "wait until it has ended, or choose another 'out'".to_owned();
            return refuse(&format!("a process has locked {}", taken.display()), hint);
        }
        Ok(())
    }

    /// Whether runs were started with other flags before.
    fn differs(&self) -> bool {
        // An experiment that has begun adds its preset and data to the flags, which therefore differ from those before it began
        // if they did not name them. Other ones have been refused by then.
        let kept = |key: &str| self.begun && KEPT.contains(&key);
        let flags = |text: &str| -> Option<toml::Table> {
            let table: toml::Table = text.parse().ok()?;
            Some(table.into_iter().filter(|(key, _)| !kept(key)).collect())
        };
        let before = std::fs::read_to_string(self.design.folder.join(LAUNCH));
        before.is_ok_and(|before| flags(&before) != flags(&self.text()))
    }

    fn text(&self) -> String {
        let command = self.command;
        format!("# The flags with which each run is started.\ncommand = \"{command}\"\n{}", to_toml(&self.launch))
    }

    /// The words of a command about this experiment: the program, its flags, and `more`.
    pub fn words(&self, more: &[&str]) -> Vec<String> {
        let (out, config) = (&self.design.folder, self.design.folder.join(LAUNCH));
        let words = [&self.program.display().to_string(), self.command, "--config", &config.display().to_string()];
        let words = words.into_iter().map(str::to_owned).chain(["--out".into(), out.display().to_string()]);
        words.chain(more.iter().map(|word| (*word).to_owned())).collect()
    }

    /// The words of a command that makes a run on this adapter, or on that of `--device` if there is one; the run's number
    /// is what it lacks.
    pub fn run(&self, device: Option<&str>) -> Vec<String> {
        match device.or(self.device.as_deref()) {
            Some(device) => self.words(&["--device", device, "--run"]),
            None => self.words(&["--run"]),
        }
    }
}

/// Adds below the others the layer of what an experiment keeps wherever it goes on, and returns its whole recipe, if it has
/// begun: the same command continues it, from any folder and whatever `data` holds by now.
///
/// # Errors
/// Those of reading its file.
pub fn begun(layers: &mut Layers, out: Option<&Path>) -> Result<Option<Layer>> {
    let Some((path, recipe)) = out.map(experiment::begun).transpose()?.flatten() else { return Ok(None) };
    let part: Recipe = recipe.clone().into_iter().filter(|(key, _)| KEPT.contains(&key.as_str())).collect();
    let origin = |path: PathBuf| Origin::Begun(path);
    layers.push(Layer { origin: origin(path.clone()), recipe: present(part) });
    Ok(Some(Layer { origin: origin(path), recipe }))
}

/// Checks what can be checked without a device or data, and returns the folder.
///
/// # Errors
/// [`Error::Config`] with the setting and its range.
pub fn check<'a, R: Args + Default>(
    layers: &Layers,
    flags: &'a ExperimentFlags<R>,
    variants: &[Variant],
) -> Result<&'a Path> {
    let Some(out) = flags.out.as_deref() else {
        return Err(Error::about("out", "'out' is missing", "'out' names the folder for runs, tables and figures"));
    };
    if given(flags.seeds) == 0 {
        return Err(Error::setting("seeds", 0, "at least 1"));
    }
    if let Some(twice) = variants.iter().enumerate().find(|(i, v)| variants[..*i].iter().any(|w| w.label == v.label)) {
        let hint = "name each optimizer once; a rule is called by its file's name";
        return Err(Error::config(format!("`{}` is there twice", twice.1.label), hint));
    }
    for Variant { optimizer, set, .. } in variants {
        optimizer.rule().map_err(|error| error.of_setting("optimizers"))?;
        let wrong = |key: &str, value: &str| optimizer.build(&[(key.into(), value.into())]).is_err();
        optimizer.build(set).map_err(|error| layers.locate_set(error, optimizer.name(), wrong))?;
    }
    flags.run.check(layers)?;
    Ok(out)
}

/// Refuses to continue an experiment that was started with another recipe. `precision` is what the flag means on the
/// device, once that is known.
///
/// # Errors
/// [`Error::Config`] with each difference.
pub fn same_recipe<F: Compares>(out: &Path, begun: &Layer, flags: &F, precision: Option<Precision>) -> Result<()> {
    let run = &flags.experiment().run;
    let mut asked = recipe_of(flags)?;
    asked.insert(MODEL_SET.into(), run.network.settings()?.to_json());
    asked.insert("shuffle".into(), switch_word(run.shuffled()?).into());
    asked.extend(precision.map(|precision| ("precision".to_owned(), precision.name().into())));
    // The normalization may need the images, and is compared once they are open. Choices are added to those made
    // before; the other settings are not common to all runs.
    let but = ["normalize", "choice", "seeds", "target", "optimizers", "settings", "lr"];
    experiment::refuse_differences(out, &resume::differences::<F>(begun, asked, &but)?)
}
