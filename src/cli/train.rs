//! `velograd train`: starts a run or continues one.

mod asked;
mod go_on;
mod images;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use pollster::block_on;
use serde_json::{Value, json};

use super::{
    flags::{
        Preset, given,
        train::{InitHead, OnDeviceLost, TrainFlags},
    },
    layers::Layers,
    live,
    print::{self, note, say},
    print_error_of,
    progress::{FEW_CLASSES, Progress},
    recipe::preset_of,
    resume::{self, Target},
};
use crate::{
    data::Split,
    error::{Error, Result, suggest::shell_word},
    host::{
        files::crc32,
        huggingface,
        pretrained::Pretrained,
        ranks::{Follower, Ranks},
        run::{Folder, Journal, default_folder},
        signals::Stop,
    },
    lab::{png::Png, seen::first_images, table::Table},
    models,
    program::target::Precision,
    training::{EpochRow, Options, Position, Score, Trainer, Watch as _, loss_variance},
};

use asked::{Asked, Setup};
use go_on::go_on;

/// Checks what can be checked without a device or data.
///
/// # Errors
/// [`Error::Config`], or [`Error::Io`] and [`Error::Data`] for a recipe that cannot be read.
pub fn check(flags: &TrainFlags) -> Result<()> {
    let layers = Layers::given(flags)?;
    let checked = Asked::new(&layers, layers.preset().unwrap_or(Preset::Quick), None).and_then(|asked| asked.check());
    checked.map_err(|error| layers.locate(error))
}

pub fn run(flags: &TrainFlags) -> Result<ExitCode> {
    let layers = Layers::given(flags)?;
    let ranks = Ranks::join(|error| print_error_of("train", error))?;
    if !ranks.is_first() {
        print::choose(print::Level::Mute);
    }
    ranks.run(|| start(&layers, &ranks).map_err(|error| layers.locate(error)))
}

fn start(layers: &Layers, ranks: &Ranks) -> Result<ExitCode> {
    let (given, _) = layers.flags::<TrainFlags>()?;
    let lost = given.on_device_lost.unwrap_or(OnDeviceLost::Stop);
    let Some(what) = &given.resume else {
        if given.extend.is_some() {
            return Err(Error::about("extend", "'extend' without a run to continue", "name the run with 'resume'"));
        }
        let mut folder = given.out.clone().unwrap_or_default();
        let outcome = begin(layers, &given, &mut folder, ranks);
        return retry_once(lost, outcome, || match folder.join("run.json").exists() {
            true => go_on(layers, &mut Target { folder, checkpoint: None, found: false }, &mut None, ranks),
            // The device was lost before the run had started.
            false => begin(layers, &given, &mut folder, ranks),
        });
    };
    if given.out.is_some() {
        let message = "'out' beside 'resume': a run goes on in its own folder";
        return Err(Error::about("out", message, "drop one of them"));
    }
    let (mut target, mut extend) = (resume::find(what)?, given.extend);
    if target.found {
        note!("the newest run of {} is {}", what.display(), target.folder.display());
    }
    let outcome = go_on(layers, &mut target, &mut extend, ranks);
    retry_once(lost, outcome, || go_on(layers, &mut target, &mut extend, ranks))
}

/// The outcome or, if the device was lost and may be opened again, that of `go_on`. There is one such attempt, since a
/// device that is lost twice may be lost each time.
fn retry_once<T>(policy: OnDeviceLost, outcome: Result<T>, go_on: impl FnOnce() -> Result<T>) -> Result<T> {
    match outcome {
        Err(error @ Error::Lost { .. }) if policy == OnDeviceLost::Resume => {
            note!("{error}\nonce more, on a device opened anew");
            go_on()
        }
        outcome => outcome,
    }
}

/// Starts a run in `folder` if `--out` was given, otherwise in a default folder, which is then stored in `folder`.
fn begin(layers: &Layers, given_flags: &TrainFlags, folder: &mut PathBuf, ranks: &Ranks) -> Result<ExitCode> {
    let asked = Asked::new(layers, layers.preset().unwrap_or(Preset::Quick), None)?;
    asked.check()?;
    let init = asked.flags.init.clone();
    let init = init.map(|path| {
        let mut weights = Pretrained::open(&path)?;
        let (model, asked) = (weights.model, given(asked.flags.run.network.model.clone()));
        if model.name != asked {
            let (found, hint) = (format!("those of {}", model.name), format!("'model' {}", model.name));
            return Err(Error::data(&path, format!("weights of {asked}"), found, hint));
        }
        weights.assume(&given_flags.run.network.model_set)?;
        Ok((weights, checksum(&path)?, path))
    });
    let init = init.transpose()?;
    let head = given(asked.flags.init_head);
    if head == InitHead::Skip && init.is_none() {
        let message = "'init_head' is about the weights of 'init', and there are none";
        return Err(Error::about("init_head", message, "name them with 'init', or drop 'init_head'"));
    }
    if given_flags.out.is_none() {
        *folder = default_folder(asked.rule.name());
    } else if ranks.is_first() {
        Folder::check_free(folder)?;
    }
    let gpu = asked.open_device(ranks)?;
    let preset = layers.preset().unwrap_or_else(|| preset_of(&gpu));
    let weights = init.as_ref().map(|(weights, ..)| weights);
    let setup = Asked::new(layers, preset, None)?.on(gpu, weights, None, ranks)?;
    if let Some(weights) = weights {
        say_of(weights, head, &setup);
    }
    let trainer = setup.trainer(ranks, |layout| match weights {
        Some(weights) => weights.weights(layout, head.into(), setup.options.seed),
        None => setup.first_weights(layout),
    })?;
    let mut run = setup.run_json();
    if let Some((_, checksum, _)) = init {
        run["init"] = json!(checksum);
    }
    let stop = Stop::on_signals()?;
    if !ranks.is_first() {
        return follow(trainer, stop, ranks);
    }
    let record = Folder::create(folder, &run, setup.flags.run.reliability.policy()?, &setup.flags.log)?;
    train(&setup, trainer, run, record, folder, stop, ranks)
}

/// Prints what several ranks have spent on each other.
fn say_of_ranks(trainer: &Trainer) {
    let (rank, spent) = (trainer.rank(), trainer.spent());
    if rank.has_others() {
        note!(
            "rank 0 of {}: {:.1} s of waiting for the others and {:.1} s of handing over, {:.1} MB sent",
            rank.of,
            spent.waiting.as_secs_f64(),
            spent.moving.as_secs_f64(),
            spent.bytes as f64 / 1e6
        );
    }
}

/// Prints what is known of the weights that a run starts from.
fn say_of(weights: &Pretrained, head: InitHead, setup: &Setup) {
    weights.remarks.iter().for_each(|text| note!("{text}"));
    if head == InitHead::Skip {
        let names = weights.model.heads(&weights.config).join(", ");
        let (classes, seed) = (weights.config.classes, setup.options.seed);
        note!("the last layer ({names}, of {classes} classes) is left out and drawn from seed {seed}");
    } else if let Some(text) = weights.provenance.as_ref().and_then(|p| p.other_images(setup.dataset.as_ref())) {
        note!("{text}");
    }
}

/// Trains as a rank that writes nothing.
fn follow(mut trainer: Trainer, stop: Stop, ranks: &Ranks) -> Result<ExitCode> {
    block_on(trainer.run(&mut Follower(stop.clone())))?;
    Ok(match (trainer.stopped(), trainer.diverged()) {
        (true, _) => ranks.signalled(&stop)?,
        (false, Some(_)) => ExitCode::FAILURE,
        (false, None) => ExitCode::SUCCESS,
    })
}

/// Trains from where the trainer is to the end, or until a signal.
fn train(
    setup: &Setup,
    mut trainer: Trainer,
    mut run: Value,
    mut record: Folder,
    folder: &Path,
    stop: Stop,
    ranks: &Ranks,
) -> Result<ExitCode> {
    let Setup { gpu, dataset, options, .. } = setup;
    note!(
        "{} on {}: {}, batch {} x {}, {} parameters, {:.0} MB on the device; writing {}",
        options.model,
        gpu.info.name,
        models::find(&options.model)?.words(options.recipe.precision.name(), &options.config),
        options.batch,
        options.accumulate,
        trainer.network.layout.elements(),
        trainer.network.runtime.planned_bytes as f64 / 1e6,
        folder.display()
    );
    let (train, score) = (dataset.len(Split::Train), Score::of(dataset.as_ref()));
    let mut progress = Progress::new(options, train, score);
    progress.resumed(trainer.position());
    if record.wants_images() && dataset.spec().input.image().is_some() {
        let draw = || first_images(gpu, dataset.as_ref(), options);
        let Png { bytes, size } = live::during("drawing the first images", draw)?;
        record.images(bytes, size)?;
    }
    live::show("waiting for the first update");
    let mut journal = Journal { folder: record, watch: &mut progress, stop };
    trainer.debug_nan = given(setup.flags.debug_nan);
    let rows = block_on(trainer.run(&mut journal))?;
    let Journal { folder: mut record, stop, .. } = journal;
    let remark = record.wait()?;
    live::clear();
    say_of_ranks(&trainer);
    remark.iter().for_each(|text| note!("{text}"));
    if trainer.stopped() {
        let Position { step, epochs, .. } = trainer.position();
        say!("stopped after update {step} in epoch {}; it goes on with", epochs.len() + 1);
        say!("    velograd train --resume {}", shell_word(folder));
        return ranks.signalled(&stop);
    }

    block_on(record.end(&trainer, &rows, &mut run))?;
    if let Some(last) = rows.last() {
        print_table(options, score, &rows, last);
    }
    let (skipped, first) = (trainer.network.updates().skipped, trainer.position().first_skip);
    if let Some(step) = trainer.diverged() {
        say!("the run diverged at step {step}: loss or gradient was no longer finite; a smaller --lr may help");
        let last = trainer.position().step;
        if let Some(found) = block_on(trainer.find_not_finite())? {
            say!("update {last}, the last, once more: {found}");
        } else if ranks.rank().has_others() {
            note!("one device that goes on from an earlier checkpoint with --debug-nan names kernel and layer");
        }
    } else if let Some(first) = first {
        let more = match options.recipe.precision {
            Precision::Mixed => ", and the loss's scale was halved",
            Precision::F32 => "; --debug-nan ends a run there, and names kernel and layer",
        };
        note!("{skipped} updates were skipped, the first at step {first}: loss or gradient was not finite{more}");
    }
    if trainer.clips() {
        let (clipped, all) = (trainer.position().clipped, trainer.position().step - u64::from(skipped));
        note!("the gradient was clipped in {clipped} of {all} updates");
    }
    if let Some((path, best)) = record.best() {
        let best = best.value(score).map_or_else(String::new, |value| score.words(value));
        say!("best on validation: {best}, {}", path.display());
    }
    let what = if trainer.diverged().is_some() { "weights as the run that diverged left them" } else { "weights" };
    say!("{what}: {}", record.weights().display());
    Ok(if trainer.diverged().is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The checksum of the weights that a run starts from, for `run.json`.
fn checksum(path: &Path) -> Result<String> {
    Ok(format!("{:08x}", crc32(&huggingface::file(path)?)?))
}

/// Prints the columns of the VeloGrad paper's table 1; those about classes give way to the validation loss for text, and of many
/// classes there is the top-5 accuracy too.
fn print_table(options: &Options, score: Score, rows: &[EpochRow], last: &EpochRow) {
    let number = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.4}"));
    let seconds: f64 = rows.iter().map(|r| r.seconds).sum();
    let mut validation: Vec<(&str, String)> =
        score.columns().iter().map(|measure| (measure.name, measure.text((measure.of)(last)))).collect();
    if score == Score::Accuracy {
        let top = last.val_top5.filter(|_| options.config.classes > FEW_CLASSES);
        validation.extend(top.map(|share| ("top-5", format!("{share:.2} %"))));
        validation.extend([
            ("weighted F1", number(last.val_f1)),
            ("precision", number(last.val_precision)),
            ("recall", number(last.val_recall)),
        ]);
    }
    let first =
        [("optimizer", options.optimizer.name().to_owned()), ("training loss", format!("{:.4}", last.train_loss))];
    let end = [("loss variance", number(loss_variance(rows))), ("seconds", format!("{seconds:.1}"))];
    let columns = first.into_iter().chain(validation).chain(end);
    let (header, row) = columns.map(|(name, value)| (name.to_owned(), value)).unzip();
    say!("");
    print::table(&Table { header, rows: vec![row] });
}

#[cfg(test)]
mod tests {
    use super::{OnDeviceLost, retry_once};
    use crate::error::{Error, Result};

    #[test]
    fn only_a_lost_device_is_opened_anew_and_only_once() {
        let lost = || Err(Error::Lost { message: "gone".into(), hint: String::new() });
        let never = || -> Result<u32> { panic!("nothing to go on from") };
        assert_eq!(retry_once(OnDeviceLost::Resume, lost(), || Ok(2)).unwrap(), 2);
        assert!(matches!(retry_once::<u32>(OnDeviceLost::Resume, lost(), lost), Err(Error::Lost { .. })));
        assert!(matches!(retry_once(OnDeviceLost::Stop, lost(), never), Err(Error::Lost { .. })));
        assert!(matches!(
            retry_once(OnDeviceLost::Resume, Err(Error::device("x", "")), never),
            Err(Error::Device { .. })
        ));
        assert_eq!(retry_once(OnDeviceLost::Resume, Ok(1), never).unwrap(), 1);
    }
}
