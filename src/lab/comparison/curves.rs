//! The figure of the VeloGrad notebook: training loss, validation accuracy, rolling variance of the loss and F1, or for text what
//! its networks are judged by, one line per optimizer, with a band of one standard deviation over seeds.

use super::{Comparison, Of};
use crate::{
    lab::{
        experiment::Ended,
        figure::{Axis, Content, Figure, Line, Panel, Point},
        stats,
    },
    training::{EpochRow, LEAST_EPOCHS, Measure, loss_variance},
};

/// One panel: a quantity as a function of the epoch, computed from the rows up to that epoch.
struct Curve {
    title: &'static str,
    label: &'static str,
    log: bool,
    of: Of,
}

const TRAINING_LOSS: Curve = Curve {
    title: "Training loss",
    label: "mean over the epoch",
    log: false,
    of: Of::Last(|row| Some(row.train_loss)),
};

const ROLLING_VARIANCE: Curve = Curve {
    title: "Rolling variance of the training loss",
    label: "over 3 epochs",
    log: true,
    of: Of::All(rolling_variance),
};

/// The last panel of a comparison of images. Text has too many classes for it.
const F1: Curve =
    Curve { title: "Weighted F1", label: "on the validation images", log: false, of: Of::Last(|row| row.val_f1) };

impl From<Measure> for Curve {
    fn from(Measure { title, unit, of, .. }: Measure) -> Self {
        Self { title, label: unit, log: false, of: Of::Last(of) }
    }
}

/// Population variance of the training losses of the last three epochs, the notebook's window.
fn rolling_variance(epochs: &[EpochRow]) -> Option<f64> {
    loss_variance(epochs.get(epochs.len().checked_sub(LEAST_EPOCHS)?..)?)
}

pub(super) fn figure(comparison: &Comparison<'_>) -> Figure {
    let panel = |curve: Curve| Panel {
        title: curve.title.into(),
        x: Axis::whole("epoch"),
        y: Axis { label: curve.label.into(), log: curve.log, whole: false },
        content: Content::Lines(
            comparison.variants.iter().map(|v| line(&curve, &v.label, &comparison.of(v).collect::<Vec<_>>())).collect(),
        ),
    };
    let last = comparison.score.reading().map_or(F1, Curve::from);
    let curves = [TRAINING_LOSS, comparison.score.measure().into(), ROLLING_VARIANCE, last];
    Figure { title: String::new(), panels: curves.map(panel).into(), columns: 2 }
}

/// The mean over the runs that reached each epoch.
fn line(curve: &Curve, label: &str, runs: &[&Ended]) -> Line {
    let epochs = runs.iter().map(|run| run.epochs.len()).max().unwrap_or(0);
    let point = |epoch: usize| {
        let values: Vec<f64> = runs.iter().filter_map(|run| curve.of.value(run.epochs.get(..epoch)?)).collect();
        let mean = stats::mean(&values).ok()?;
        let sd = stats::sample_sd(&values).unwrap_or(0.0);
        Some(Point { x: epoch as f64, y: mean, band: (mean - sd, mean + sd) })
    };
    Line { label: label.into(), points: (1..=epochs).filter_map(point).collect(), crosses: vec![] }
}
