//! `velograd train --resume`: continues a run from a checkpoint.

use std::{path::PathBuf, process::ExitCode};

use serde_json::{Value, json};

use crate::{
    cli::{
        flags::{Preset, given, recipe_of, train::TrainFlags},
        layers::Layers,
        print::{note, say},
        resume::{self, Target},
    },
    data::Dataset,
    error::{Error, Result},
    host::{
        checkpoint, identity,
        pretrained::Pretrained,
        ranks::Ranks,
        rule_file,
        run::{self, Folder, Lock, Resume, read_run},
        signals::Stop,
    },
    training::{Options, Position, Score, Trainer, weights::Weights},
};

use super::{
    asked::{Asked, Setup},
    checksum, follow, train,
};

/// A run that is continued, and by how much it is extended.
struct Begun {
    /// Its `run.json`.
    run: Value,
    /// The number of updates after which it was to end.
    max_steps: Option<u64>,
    /// Number of additional epochs.
    extend: Option<u32>,
    /// Whether it is to have more updates than planned.
    longer: bool,
}

/// Continues a run, with `extend` additional epochs. Once the folder describes the run as asked for, a second attempt
/// must not ask for these epochs or for the named checkpoint again, and both become `None`.
pub fn go_on(layers: &Layers, target: &mut Target, extend: &mut Option<u32>, ranks: &Ranks) -> Result<ExitCode> {
    let lock = ranks.is_first().then(|| Lock::take(&target.folder)).transpose()?;
    let (begun, asked) = Begun::new(layers, target, *extend)?;
    if !begun.run["result"].is_null() && !begun.longer && target.checkpoint.is_none() {
        say!("{} has ended; --extend EPOCHS trains on. {}", target.folder.display(), how_it_ended(&begun.run));
        return Ok(ExitCode::SUCCESS);
    }
    let gpu = asked.open_device(ranks)?;
    // The recipe has the network's size, so the file of initial weights need not exist any more.
    let mut setup = asked.on(gpu, None, Some((target, &begun.run)), ranks)?;
    let (trainer, run, record, stop) = begun.reopen(&mut setup, target, lock, ranks)?;
    (target.checkpoint, *extend) = (None, None);
    match record {
        Some(record) => train(&setup, trainer, run, record, &target.folder, stop, ranks),
        None => follow(trainer, stop, ranks),
    }
}

impl Begun {
    /// Reads the run and refuses flags that differ from it, as far as that can be found without the device and the
    /// data.
    fn new(layers: &Layers, target: &Target, extend: Option<u32>) -> Result<(Self, Asked)> {
        let run = read_run(&target.folder)?;
        let path = target.folder.join("run.json");
        let begun = resume::begun::<TrainFlags>(&run, &path)?;
        let max_steps = begun.recipe.get("max-steps").and_then(Value::as_u64);
        let asked_steps = layers.flags::<TrainFlags>()?.0.run.schedule.max_steps;
        let more_steps = asked_steps.zip(max_steps).is_some_and(|(asked, steps)| asked > steps);
        if more_steps && extend.is_some() {
            let hint = "the run is made longer by epochs or by updates: drop one of them";
            return Err(Error::about("extend", "'extend' and a larger 'max_steps'", hint));
        }
        let mut layers = layers.clone();
        layers.push(begun.clone());
        let asked = Asked::new(&layers, layers.preset().unwrap_or(Preset::Paper), Some(&run))?;
        // The normalization may need the images, and is compared once they are open.
        let but: &[&str] = if more_steps { &["normalize", "max-steps", "preset"] } else { &["normalize", "preset"] };
        let (_, settings) = asked.rule.build(&asked.flags.run.rules.set)?;
        let facts = json!({
            "version": identity::VERSION,
            "dataset": run["dataset"],
            "optimizer": asked.rule.name(),
            "rule": rule_file::to_json(&asked.rule),
            "settings": settings.to_json(),
        });
        let but = if run::by_text(&run, &facts) { &[but, &["optimizer"]].concat() } else { but };
        let differences = resume::differences::<TrainFlags>(&begun, recipe_of(&asked.flags)?, but)?;
        run::refuse_differences(&path, &[run::other_facts(&run, &facts), differences].concat())?;
        asked.check()?;
        let longer = extend.is_some() || more_steps;
        if longer && !run["result"]["diverged"].is_null() {
            let hint = "another run can start from weights of before: 'init' takes checkpoints as well";
            return Err(Error::about("extend", "the run has diverged: it cannot be made longer", hint));
        }
        Ok((Self { run, max_steps, extend, longer }, asked))
    }

    /// Opens the run's folder, if this rank has the lock on it, and restores the checkpoint that was named, or the newest.
    fn reopen(
        self,
        setup: &mut Setup,
        target: &Target,
        lock: Option<Lock>,
        ranks: &Ranks,
    ) -> Result<(Trainer, Value, Option<Folder>, Stop)> {
        let Target { folder, checkpoint: named, .. } = target;
        let before = &self.run;
        let was = Options { max_steps: self.max_steps, ..setup.options.clone() };
        run::same_run(&folder.join("run.json"), before, &setup.run_json(), &["max-steps"])?;
        if self.longer {
            let planned = planned_epochs(&was, setup.dataset.as_ref(), &before["result"])?;
            if let Some(more) = self.extend {
                setup.extend(extended(planned, more)?);
            }
        }
        let mut run = setup.run_json();
        for key in ["device", "driver"].into_iter().filter(|&key| before[key] != run[key]) {
            let (there, here) = (&before[key], &run[key]);
            note!("begun with {key} {there}, continued with {here}: results agree to rounding, not to the bit");
        }
        if !before["init"].is_null() {
            run["init"] = before["init"].clone();
        }

        let policy = setup.flags.run.reliability.policy()?;
        let stop = Stop::on_signals()?;
        // No rank reads the folder any more when the first begins to change it.
        let patience = setup.flags.patience();
        ranks.from_first("", patience)?;
        let (record, loaded) = match lock {
            Some(lock) => {
                let how = Resume { lock, before, policy, formats: &setup.flags.log, checkpoint: named.as_deref() };
                let (record, loaded) = Folder::resume(folder, how, &mut run, &mut |text| note!("{text}"))?;
                let chosen = loaded.as_ref().map(|loaded| &loaded.path);
                ranks.from_first(&json!(chosen).to_string(), patience)?;
                (Some(record), loaded)
            }
            None => {
                let chosen: Option<PathBuf> = serde_json::from_str(&ranks.from_first("", patience)?).unwrap_or(None);
                (None, chosen.map(|path| checkpoint::load(&path)).transpose()?)
            }
        };
        let mut trainer = setup.trainer(ranks, |layout| match &setup.flags.init {
            // The checkpoint's weights will replace them.
            _ if loaded.is_some() => Ok(Weights::init(layout, setup.options.seed)),
            None => setup.first_weights(layout),
            Some(path) => {
                let (found, expected) = (json!(checksum(path)?), &run["init"]);
                if found != *expected {
                    return Err(Error::data(path, format!("checksum {expected}"), found.to_string(), ""));
                }
                Pretrained::open(path)?.weights(layout, given(setup.flags.init_head).into(), setup.options.seed)
            }
        })?;
        match loaded {
            None => note!("no checkpoint in {}: the run begins anew", folder.display()),
            Some(loaded) => {
                trainer.restore(loaded.checkpoint)?;
                let Position { step, epochs, .. } = trainer.position();
                note!("continued from {}: {step} updates, {} whole epochs", loaded.path.display(), epochs.len());
                rate_moves(&was, setup, *step).iter().for_each(|text| note!("{text}"));
            }
        }
        Ok((trainer, run, record, stop))
    }
}

/// The result of a run that has ended, in words.
fn how_it_ended(run: &Value) -> String {
    let (score, result) = (Score::of_run(run), &run["result"]);
    let count = |key: &str, what: &str| {
        let count = result[key].as_u64().unwrap_or(0);
        format!("{count} {what}{}", if count == 1 { "" } else { "s" })
    };
    let number =
        |key: &str, unit: &str| result[key].as_f64().map_or_else(|| "unknown".into(), |v| format!("{v:.4}{unit}"));
    let validation = match score {
        Score::Accuracy => format!("accuracy on validation {}", number("val_acc", " %")),
        Score::Loss(_) => format!("validation loss {}", number("val_loss", "")),
    };
    let diverged = result["diverged"].as_u64().map_or(String::new(), |step| format!(" It diverged at update {step}."));
    format!(
        "It had {}, {}; training loss {}, {validation}.{diverged}",
        count("epochs", "epoch"),
        count("updates", "update"),
        number("train_loss", ""),
    )
}

/// The number of epochs that a run was to have, including a last one that is cut short.
///
/// # Errors
/// [`Error::Config`] if something else than its length ended it.
fn planned_epochs(was: &Options, dataset: &dyn Dataset, result: &Value) -> Result<u64> {
    let by_steps = was.max_steps.map_or(u64::MAX, |steps| steps.div_ceil(was.updates_per_epoch(dataset).max(1)));
    let planned = by_steps.min(was.epochs.into());
    if result["epochs"].as_u64().is_some_and(|had| had < planned) {
        let hint = "another run can start from its weights: 'init' model.safetensors";
        return Err(Error::about("extend", "the run was ended by 'early_stop': it cannot be made longer", hint));
    }
    Ok(planned)
}

/// The number of epochs of a run that gets `more` than planned.
fn extended(planned: u64, more: u32) -> Result<u32> {
    if more == 0 {
        return Err(Error::setting("extend", 0, "at least 1"));
    }
    let epochs = u32::try_from(planned).ok().and_then(|planned| planned.checked_add(more));
    epochs.ok_or_else(|| Error::setting("extend", more, format!("at most {}", u64::from(u32::MAX) - planned)))
}

/// A remark if the learning rate jumps because its schedule is stretched over a longer run.
fn rate_moves(was: &Options, setup: &Setup, done: u64) -> Option<String> {
    let dataset = setup.dataset.as_ref();
    let (before, total) = (was.updates(dataset), setup.options.updates(dataset));
    if before == total {
        return None;
    }
    let lr = setup.settings.to_json()["lr"].as_f64().unwrap_or(1.0);
    let rate = |update: u64, of: u64| lr * setup.options.schedule.factor(update, of);
    let (last, next) = (rate(done.checked_sub(1)?, before), rate(done, total));
    let jumps = (next - last).abs() > 0.1 * last.max(next);
    jumps.then(|| {
        format!(
            "the learning rate was {last:.3e} at update {done} and is {next:.3e} at the next: the schedule is stretched over {total} \
             updates"
        )
    })
}
