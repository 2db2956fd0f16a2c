//! Chooses the normalization of images, and states it.

use super::print::note;
use crate::{
    data::Dataset,
    error::{Error, Result},
    host::{pretrained::Pretrained, threads::on_all_cores},
    models::Model,
    ops::Normalize,
    training::{Normalization, Origin, choose_normalize},
};

/// The normalization of images, and the lines that state it; `weights` are those that the network starts from. Text has none.
pub(super) fn choose(
    asked: Option<Normalization>,
    weights: Option<&Pretrained>,
    model: &Model,
    dataset: &dyn Dataset,
) -> Result<(Option<Normalize>, Vec<String>)> {
    if asked.is_none() && dataset.spec().input.image().is_none() {
        return Ok((None, vec![]));
    }
    let recorded = weights.and_then(Pretrained::normalize);
    let (by, origin) = choose_normalize(asked, recorded, model, dataset, on_all_cores)?;
    Ok((Some(by), stated(by, origin, weights)))
}

/// The normalization of images where the training images are not at hand.
pub(super) fn without_images(asked: Option<Normalization>, weights: &Pretrained) -> Result<(Normalize, Origin)> {
    let Some(asked) = asked else {
        let recorded = weights.normalize().map(|by| (by, Origin::Weights));
        return Ok(recorded.unwrap_or((weights.model.normalize, Origin::Model)));
    };
    let by = asked.numbers().ok_or_else(|| {
        let hint = "give the numbers, which `velograd data` prints, as in 0.4914,0.4822,0.4465/0.247,0.2435,0.2616";
        Error::about(
            "normalize",
            "'normalize' dataset needs the training images, which this command does not read",
            hint,
        )
    })?;
    Ok((by, Origin::Asked(asked)))
}

/// The lines that state a normalization and where it comes from.
pub(super) fn stated(by: Normalize, origin: Origin, weights: Option<&Pretrained>) -> Vec<String> {
    let why = match origin {
        Origin::Asked(Normalization::Given(_)) => "as given".to_owned(),
        Origin::Asked(asked) => asked.to_string(),
        Origin::Weights => "the weights' own".to_owned(),
        // This is stated in one line, with the flag that changes it.
        Origin::Model if weights.is_some() => "assumed; --normalize sets it".to_owned(),
        Origin::Model => "default".to_owned(),
    };
    let mut lines = vec![format!("normalized: {} ({why})", words(by))];
    if let Some(recorded) = weights.and_then(Pretrained::normalize).filter(|recorded| *recorded != by) {
        lines.push(format!("the weights' own is {}", words(recorded)));
    }
    lines
}

/// Chooses the normalization of images and prints it.
pub(super) fn choose_and_say(
    asked: Option<Normalization>,
    weights: Option<&Pretrained>,
    model: &Model,
    dataset: &dyn Dataset,
) -> Result<Option<Normalize>> {
    let (by, lines) = choose(asked, weights, model, dataset)?;
    lines.iter().for_each(|line| note!("{line}"));
    Ok(by)
}

/// Mean and standard deviation with four decimals.
pub(super) fn words(normalize: Normalize) -> String {
    let list = |values: [f64; 3]| values.map(|v| format!("{}", (v * 1e4).round() / 1e4)).join(" ");
    format!("mean {}, std {}", list(normalize.mean), list(normalize.std))
}
