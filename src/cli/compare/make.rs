//! Makes the runs of an experiment, from its flags to what is shown.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use pollster::block_on;
use serde::Serialize;

use crate::{
    cli::{
        flags::{
            Flags, Preset, experiment::ExperimentFlags, given, present, recipe_of, run::RunFlags, values::switch_word,
        },
        layers::{Layer, Layers, Origin},
        live, open_device,
        print::{self, explain, note, remark, say},
        progress::{Progress, Runs},
        recipe::{self, names_in, preset_of},
        resume,
    },
    data::Split,
    error::{Error, Result},
    host::{
        files::write_atomically,
        run::{MODEL_SET, Recipe, config_toml},
        signals::Stop,
    },
    lab::experiment::{self, Ended, Experiment, Variant},
    program::target::Precision,
    training::Score,
};

use super::{Compared, Shown};

/// Makes the runs of the variants that `variants` derives from the flags and from the target. Whenever a run
/// has ended, what is to be shown of those so far is written.
pub fn run<F: Flags, R: Args + Default + Clone + Serialize>(
    flags: &F,
    experiment: impl Fn(&F) -> &ExperimentFlags<R>,
    variants: impl Fn(&F, Option<f64>) -> Result<Compared>,
) -> Result<ExitCode> {
    let given = Layers::given(flags)?;
    let mut layers = given.clone();
    // The same command continues the experiment, from any folder and whatever `data` holds by now.
    let out = experiment(&given.flags::<F>()?.0).out.clone();
    let begun = out.as_deref().map(experiment::begun).transpose()?.flatten();
    if let Some((path, begun)) = &begun {
        let kept = ["preset", "dataset", "data", "data-seed"];
        let recipe = begun.clone().into_iter().filter(|(key, _)| kept.contains(&key.as_str())).collect();
        layers.push(Layer { origin: Origin::Begun(path.clone()), recipe: present(recipe) });
    }
    make(&layers, begun, experiment, variants).map_err(|error| given.locate(error))
}

fn make<F: Flags, R: Args + Default + Clone + Serialize>(
    layers: &Layers,
    begun: Option<(PathBuf, Recipe)>,
    experiment: impl Fn(&F) -> &ExperimentFlags<R>,
    variants_of: impl Fn(&F, Option<f64>) -> Result<Compared>,
) -> Result<ExitCode> {
    // Checks what can be checked before the device and the data are opened.
    let (early, remarks) = layers.complete::<F>(layers.preset().unwrap_or(Preset::Quick))?.flags::<F>()?;
    let out = check(layers, experiment(&early), &variants_of(&early, None)?.variants)?;
    remarks.iter().for_each(|text| remark(text));

    let gpu = open_device(experiment(&early).run.device.device.as_deref())?;
    let preset = layers.preset().unwrap_or_else(|| preset_of(&gpu));
    let complete = layers.complete::<F>(preset)?;
    explain(complete.explained());
    let (flags, _) = complete.flags::<F>()?;
    let ExperimentFlags { run, seeds, target, .. } = experiment(&flags);
    let Compared { variants, lines, show } = variants_of(&flags, *target)?;
    let (precision, kernels) = given(run.precision.precision).on(&gpu)?;
    if let Some((path, recipe)) = &begun {
        let begun = Layer { origin: Origin::Begun(path.clone()), recipe: recipe.clone() };
        same_recipe(out, &begun, &flags, run, precision)?;
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
    let tune = begun.map_or_else(|| run.tune.clone(), |(_, recipe)| run.tune.begun(&recipe));
    plans.target = tune.apply(&gpu, &plans, &names_in(layers.on_command_line("choice")))?;
    let products = plans.products();
    let resolved = |mut recipe: Recipe| {
        recipe::resolve(&mut recipe, preset, &options, dataset.as_ref(), data_seed);
        tune.keep(&plans.target, &products, &mut recipe);
        recipe
    };
    let common = resolved(recipe_of(&RunFlags::<R> { rules: R::default(), ..run.clone() })?);
    let whole = resolved(recipe_of(&flags)?);
    let (policy, stop) = (run.reliability.policy()?, Stop::on_signals()?);
    let all = Experiment {
        gpu: &gpu,
        target: plans.target.clone(),
        dataset: dataset.clone(),
        options: options.clone(),
        variants,
        seeds: given(*seeds),
        folder: out.to_owned(),
        recipe: common,
        config: config_toml(F::COMMAND, &whole, out, " --out DIR"),
        policy,
        stop: stop.clone(),
    };
    let write = |runs: &[Ended]| -> Result<Shown> {
        let shown = show(runs, &all)?;
        shown.files.iter().try_for_each(|(name, bytes)| write_atomically(&out.join(name), bytes))?;
        Ok(shown)
    };
    lines()?.iter().for_each(|line| note!("{line}"));
    let count = Runs::new(all.variants.len() * all.seeds as usize);
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
        return Ok(stop.exit_code().map_or(ExitCode::FAILURE, ExitCode::from));
    };
    let shown = write(&runs)?;
    let names: Vec<&str> = shown.files.iter().map(|(name, _)| name.as_str()).collect();
    say!("");
    print::table(&shown.table);
    shown.lines.iter().for_each(|line| say!("{line}"));
    say!("wrote {} to {}", names.join(", "), out.display());
    Ok(ExitCode::SUCCESS)
}

/// Checks what can be checked without a device or data, and returns the folder.
fn check<'a, R: Args + Default>(
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

/// Refuses to continue an experiment that was started with another recipe.
fn same_recipe<F: Flags, R: Args + Default>(
    out: &Path,
    begun: &Layer,
    flags: &F,
    run: &RunFlags<R>,
    precision: Precision,
) -> Result<()> {
    let mut asked = recipe_of(flags)?;
    asked.insert(MODEL_SET.into(), run.network.settings()?.to_json());
    asked.insert("shuffle".into(), switch_word(run.shuffled()?).into());
    asked.insert("precision".into(), precision.name().into());
    // The normalization may need the images, and is compared once they are open. Choices are added to those made
    // before; the other settings are not common to all runs.
    let but = ["normalize", "choice", "seeds", "target", "optimizers", "settings", "lr"];
    experiment::refuse_differences(out, &resume::differences::<F>(begun, asked, &but)?)
}
