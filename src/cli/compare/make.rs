//! Makes runs of an experiment in this process, from the flags to what is shown.

use std::{path::Path, process::ExitCode};

use pollster::block_on;

use super::{
    known::{begun, check, same_recipe},
    launch::unfinished,
    queue::queue_again,
    shown::{Compared, Compares, Results, Shown},
};
use crate::{
    cli::{
        flags::{Preset, given, recipe_of, run::RunFlags},
        layers::{Layer, Layers},
        live, open_device,
        print::{explain, note, remark},
        progress::{Progress, Runs},
        recipe::{self, names_in, preset_of},
    },
    data::Split,
    error::{Error, Result},
    host::{
        run::{Lock, Recipe, config_toml},
        signals::Stop,
    },
    lab::experiment::{self, Design, Ended, Experiment, Planned, read_ended, status::keep_failure},
    training::Score,
};

/// Makes all runs, one after another. Whenever a run has ended, what is to be shown of those so far is written.
pub fn all<F: Compares>(layers: &Layers) -> Result<ExitCode> {
    start::<F>(layers, None)
}

/// Makes the run of this number, beside other processes that make others.
pub fn one<F: Compares>(layers: &Layers, number: usize) -> Result<ExitCode> {
    start::<F>(layers, Some((number, Stop::on_signals()?)))
}

/// What a process that makes one run has besides what all have.
struct One {
    number: usize,
    /// Held until the experiment has begun.
    lock: Option<Lock>,
    /// Signals are seen from the first on: Slurm has a run that it stops in its queue again, also before that has begun.
    stop: Stop,
}

fn start<F: Compares>(given_layers: &Layers, one: Option<(usize, Stop)>) -> Result<ExitCode> {
    let mut layers = given_layers.clone();
    let out = layers.flags::<F>()?.0.experiment().out.clone();
    let begun = begun(&mut layers, out.as_deref())?;
    // Checks what can be checked before the device and the data are opened.
    let (early, remarks) = layers.complete::<F>(layers.preset().unwrap_or(Preset::Quick))?.flags::<F>()?;
    let variants = early.compared(None)?.variants;
    let out = check(&layers, early.experiment(), &variants)?;
    remarks.iter().for_each(|text| remark(text));
    let Some((number, stop)) = one else { return make::<F>(&layers, begun.as_ref(), out, &early, None) };

    let seeds = given(early.experiment().seeds);
    let design = Design { variants, seeds, folder: out.to_owned() };
    // How many runs there are is a matter of the device unless a preset is named.
    let planned = layers.preset().map(|_| design.numbered(number)).transpose()?;
    if let Some(planned) = &planned {
        free(planned)?;
    }
    let lock = match &begun {
        Some(_) => None,
        None => {
            live::show("waiting for the process that begins the experiment");
            let lock = Lock::wait(out, &mut || stop.exit_code().is_none());
            live::clear();
            if let Some(code) = stop.exit_code() {
                note!("run {number}: {}", stopped_early());
                return Ok(ExitCode::from(code));
            }
            let lock = lock?;
            if experiment::begun(out)?.is_some() {
                drop(lock);
                return start::<F>(given_layers, Some((number, stop)));
            }
            Some(lock)
        }
    };
    let made = make::<F>(&layers, begun.as_ref(), out, &early, Some(One { number, lock, stop }));
    if let (Err(error), Some(planned)) = (&made, &planned) {
        keep_failure(&planned.folder, error);
    }
    made
}

/// Refuses a run that another process makes.
fn free(planned: &Planned<'_>) -> Result<()> {
    let Planned { number, variant, seed, folder, .. } = planned;
    if !folder.exists() || read_ended(folder, variant, *seed)?.is_some() {
        return Ok(());
    }
    Lock::take(folder).map(drop).map_err(|error| match error {
        Error::Config { .. } => {
            let message = format!("run {number} ({}, seed {seed}) is being made by another process", variant.label);
            Error::about("run", message, "'status' lists what has become of each run")
        }
        other => other,
    })
}

/// What becomes of a run that was told to stop.
fn stopped_early() -> &'static str {
    if queue_again() {
        "stopped; Slurm has it in its queue again"
    } else {
        "stopped; the same command again goes on from here"
    }
}

/// Makes all runs, or one of them.
fn make<F: Compares>(
    layers: &Layers,
    begun: Option<&Layer>,
    out: &Path,
    early: &F,
    one: Option<One>,
) -> Result<ExitCode> {
    let gpu = open_device(early.experiment().run.device.device.as_deref())?;
    let preset = layers.preset().unwrap_or_else(|| preset_of(&gpu));
    let complete = layers.complete::<F>(preset)?;
    explain(complete.explained());
    let (flags, _) = complete.flags::<F>()?;
    let experiment = flags.experiment();
    let run = &experiment.run;
    let Compared { variants, lines, show } = flags.compared(experiment.target)?;
    let (precision, kernels) = given(run.precision.precision).on(&gpu)?;
    if let Some(begun) = begun {
        same_recipe(out, begun, &flags, Some(precision))?;
    }
    // All seeds use the same images: they differ in weights, order and augmentation.
    let data_seed = run.images.data_seed.unwrap_or(0);
    let dataset = run.open(data_seed, None, None)?;
    let spec = dataset.spec();
    let mut options = run.options(precision, run.network.config(spec.input, spec.classes.len() as u32)?.1)?;
    run.normalize(&mut options, dataset.as_ref(), None)?;
    options.remarks(dataset.as_ref()).iter().for_each(|text| note!("{text}"));
    let (train, score) = (dataset.len(Split::Train), Score::of(dataset.as_ref()));
    let mut plans = options.plans(dataset.as_ref(), &kernels)?;
    // An experiment that is continued uses the choices that it was started with.
    let tune = begun.map_or_else(|| run.tune.clone(), |begun| run.tune.begun(&begun.recipe));
    plans.target = tune.apply(&gpu, &plans, &names_in(layers.on_command_line("choice")))?;
    let products = plans.products();
    let resolved = |mut recipe: Recipe| {
        recipe::resolve(&mut recipe, preset, &options, dataset.as_ref(), data_seed);
        tune.keep(&plans.target, &products, &mut recipe);
        recipe
    };
    let common = resolved(recipe_of(&RunFlags::<F::Rules> { rules: F::Rules::default(), ..run.clone() })?);
    let whole = resolved(recipe_of(&flags)?);
    let policy = run.reliability.policy()?;
    let stop = one.as_ref().map_or_else(Stop::on_signals, |one| Ok(one.stop.clone()))?;
    let all = Experiment {
        gpu: &gpu,
        target: plans.target.clone(),
        dataset: dataset.clone(),
        options: options.clone(),
        design: Design { variants, seeds: given(experiment.seeds), folder: out.to_owned() },
        recipe: common,
        config: config_toml(F::COMMAND, &whole, out, " --out DIR"),
        policy,
        stop: stop.clone(),
    };
    let stopped = || stop.exit_code().map_or(ExitCode::FAILURE, ExitCode::from);
    if let Some(One { number, lock, .. }) = one {
        let planned = all.design.numbered(number)?;
        let Planned { variant, seed, .. } = &planned;
        let name = format!("run {number} of {} ({}, seed {seed})", all.design.count(), variant.label);
        if stop.exit_code().is_some() {
            note!("{name}: {}", stopped_early());
            return Ok(stopped());
        }
        all.begin()?;
        drop(lock);
        let watch = &mut || {
            note!("{name}");
            live::show(format!("{name}: preparing the network"));
            Box::new(Progress::new(&options, train, score)) as _
        };
        let ended = block_on(all.run_one(&planned, watch))?;
        live::clear();
        let how = match &ended {
            Some(Ended { diverged: Some(step), .. }) => format!("diverged at step {step}"),
            Some(_) => "has ended".to_owned(),
            None => stopped_early().to_owned(),
        };
        note!("{name}: {how}");
        return Ok(if ended.is_some() { ExitCode::SUCCESS } else { stopped() });
    }
    let write = |runs: &[Ended]| -> Result<Shown> {
        let unfinished = unfinished(&all.design, runs);
        let shown = show(&Results { design: &all.design, recipe: &all.recipe, runs, unfinished })?;
        shown.write(out)?;
        Ok(shown)
    };
    lines()?.iter().for_each(|line| note!("{line}"));
    let count = Runs::new(all.design.count());
    let runs = block_on(all.run(
        &mut |variant, seed, starts| {
            let place = count.next(starts);
            let before = if starts { "" } else { ": ended before" };
            note!("{}, seed {seed}{before} ({place})", variant.label);
            if starts {
                live::show(format!("{place}: preparing the network"));
            }
            Box::new(Progress::new(&options, train, score).of(&count))
        },
        &mut |runs| {
            live::clear();
            count.ended();
            write(runs).map(drop)
        },
    ))?;
    live::clear();
    let Some(runs) = runs else {
        note!("stopped; the same command again goes on from here");
        return Ok(stopped());
    };
    write(&runs)?.print(out);
    Ok(ExitCode::SUCCESS)
}
