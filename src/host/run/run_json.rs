//! The content of `run.json`: the facts known before the run and, under `result`, its outcome.

use serde_json::{Value, json};

use super::{begun, recipe::Recipe};
use crate::{
    data::{Dataset, Split},
    device::Gpu,
    host::{files::absolute, identity, rule_file},
    optim::Settings,
    program::target::{Precision, Target},
    training::{EpochRow, Options, Trainer, loss_variance, provenance},
};

/// The content of `run.json` before the run. `common` is the run's recipe without its optimizer, settings and seed.
pub fn run_json(
    gpu: &Gpu,
    target: &Target,
    dataset: &dyn Dataset,
    options: &Options,
    settings: &Settings,
    common: &Recipe,
) -> Value {
    let mut recipe = common.clone();
    recipe.insert("optimizer".into(), json!(options.optimizer.argument()));
    recipe.insert("seed".into(), json!(options.seed));
    recipe.insert("set".into(), given_settings(&options.set, settings));
    let (input, size) = provenance::stated(options.config.input);
    let normalize = options.config.input.image().and_then(|_| options.normalize().ok());
    let mut run = json!({
        "version": identity::VERSION,
        "build": identity::build(),
        "device": gpu.info.name,
        "backend": gpu.info.backend,
        "driver": gpu.info.driver,
        "model": options.model,
        "network": options.config.settings.to_json(),
        (input): size,
        "classes": options.config.classes,
        "precision": options.recipe.precision.name(),
        "cooperative_matrices": target.matrix.is_some() && options.recipe.precision == Precision::Mixed,
        "optimizer": options.optimizer.name(),
        "settings": settings.to_json(),
        "no_decay": options.recipe.no_decay.to_string(),
        "lookahead": options.lookahead.map(|l| json!({ "k": l.k, "alpha": l.alpha })),
        "epochs": options.epochs,
        "max_steps": options.max_steps,
        "batch_size": options.batch,
        "accumulate": options.accumulate,
        "remainder": options.remainder.name(),
        "augment": options.recipe.augment.to_string(),
        "normalize": normalize,
        "tta": options.recipe.tta,
        "shuffle": if options.shuffle { "on" } else { "off" },
        "seed": options.seed,
        "dataset": {
            "name": dataset.spec().name,
            "path": dataset.path().map(absolute),
            "seed": dataset.seed(),
            "train": dataset.len(Split::Train),
            "test": dataset.len(Split::Test),
            "crc32": format!("{:08x}", dataset.checksum()),
            "classes": dataset.spec().classes,
        },
        "begun": begun::begun(),
        "recipe": recipe,
    });
    if options.optimizer.text().is_some() {
        run["rule"] = rule_file::to_json(&options.optimizer);
    }
    run
}

/// The settings of the optimizer that were given, with their values as parsed.
fn given_settings(given: &[(String, String)], read: &Settings) -> Value {
    let all = read.to_json();
    given
        .iter()
        .map(|(key, text)| (key.clone(), all.get(key).cloned().unwrap_or_else(|| json!(text))))
        .collect::<Recipe>()
        .into()
}

/// The `result` in `run.json` of a run that has ended.
pub(super) fn result_json(trainer: &Trainer, rows: &[EpochRow]) -> Value {
    let last = rows.last();
    json!({
        "epochs": rows.len(),
        "updates": trainer.network.updates().issued,
        "skipped": trainer.network.updates().skipped,
        "first_skip": trainer.position().first_skip,
        "clipped": trainer.clips().then_some(trainer.position().clipped),
        "diverged": trainer.diverged(),
        "train_loss": last.map(|r| r.train_loss),
        "val_acc": last.and_then(|r| r.val_acc),
        "val_loss": last.and_then(|r| r.val_loss),
        "loss_variance": loss_variance(rows),
        "device_bytes": trainer.network.runtime.planned_bytes,
        "seconds": rows.iter().map(|r| r.seconds).sum::<f64>(),
    })
}
