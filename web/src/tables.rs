//! The program's own tables, from which the page makes its forms.

use serde_json::{Value, json};
use velograd::{
    data::DRAWN,
    models,
    optim::{self, Bound, Kind, Setting, TEMPLATE},
    training::schedule,
};
use wasm_bindgen::prelude::*;

/// Networks whose first weights depend on the images, or that need tokens to be hidden, are left to the program.
const LEFT_OUT: [&str; 1] = ["airbench94"];

/// Optimizers, networks, data sets and schedules with their settings, and a rule to start from.
#[wasm_bindgen]
pub fn tables() -> String {
    let optimizers = optim::ALL
        .iter()
        .map(|rule| json!({ "name": rule.name, "source": rule.source, "settings": settings(&rule.settings) }));
    let models = models::ALL.iter().filter(|model| !model.masked && !LEFT_OUT.contains(&model.name)).map(|model| {
        let settings = settings(&(model.settings)());
        json!({ "name": model.name, "about": model.about, "takes": model.takes.to_string(), "settings": settings })
    });
    json!({
        "version": velograd::host::identity::VERSION,
        "optimizers": optimizers.collect::<Vec<_>>(),
        "models": models.collect::<Vec<_>>(),
        "data": DRAWN,
        "schedules": schedule::NAMES,
        "template": TEMPLATE,
    })
    .to_string()
}

/// Settings with their kinds, defaults, ranges and texts.
pub fn settings(settings: &[Setting]) -> Value {
    let setting = |setting: &Setting| {
        let default = setting.default().to_string();
        let (kind, range, words) = match &setting.kind {
            Kind::Number { range, .. } => ("number", Some(range), None),
            Kind::Whole { range, .. } => ("whole", Some(range), None),
            Kind::Flag { .. } => ("flag", None, None),
            Kind::Choice { words } => ("choice", None, Some(words)),
        };
        let (low, high) = (range.and_then(|range| range.low), range.and_then(|range| range.high));
        json!({
            "key": setting.key,
            "kind": kind,
            "default": default,
            "doc": setting.doc,
            "low": low.map(end),
            "high": high.map(end),
            "range": range.map(|range| range.to_string().trim().to_owned()),
            "words": words,
        })
    };
    settings.iter().map(setting).collect()
}

/// An end of a range, and whether it belongs to it.
fn end(bound: Bound) -> Value {
    match bound {
        Bound::Included(value) => json!({ "value": value, "included": true }),
        Bound::Excluded(value) => json!({ "value": value, "included": false }),
    }
}
