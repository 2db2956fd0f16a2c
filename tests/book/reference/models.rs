use std::fmt::Write as _;

use velograd::{
    data::Image,
    models::{self, Model, Quick},
    program::target::Target,
    training::network::{Plans, Recipe},
};

use super::{plain, table};

/// The classes of the networks whose sizes are stated.
const CLASSES: u32 = 10;

/// Every network with its settings and sizes.
pub fn page() -> String {
    let mut out = format!(
        "# Models\n\n\
         `--model` names the network, `--model-set KEY=VALUE` changes a setting. Parameters and GFLOP are for images of {} and {CLASSES} \
         classes; GFLOP are those of the matrix products in an update of 128 images.\n",
        Image::CIFAR
    );
    for model in models::ALL {
        write!(out, "\n## {}\n\n{}.\n\n", model.name, plain(model.about)).unwrap();
        let settings = (model.settings)();
        out.push_str(&table(
            &["setting", "default", "values", "is"],
            settings.iter().map(|setting| {
                let default = format!("`{}`", setting.default());
                vec![format!("`{}`", setting.key), default, plain(&setting.range()), plain(&setting.doc)]
            }),
        ));
        out.push('\n');
        writeln!(
            out,
            "- Images are normalized by {} unless `--normalize` says otherwise (means / standard deviations).",
            plain(&model.normalize.to_string())
        )
        .unwrap();
        if let Some(known_by) = model.known_by {
            let usual = model.usual(&[]).unwrap();
            let (first, last, shapes) = (known_by.first, (known_by.last)(&usual), plain(known_by.shapes));
            writeln!(out, "- A file of weights is recognized by `{first}` and `{last}`: {shapes}.").unwrap();
            let left_out: Vec<_> = model.heads(&usual).iter().map(|name| format!("`{name}`")).collect();
            writeln!(out, "- `--init-head skip` leaves out {}.", left_out.join(", ")).unwrap();
        }
        out.push('\n');
        out.push_str(&table(
            &["settings", "parameters", "GFLOP"],
            variants(model).into_iter().map(|set| sized(model, set)),
        ));
    }
    out
}

/// The settings whose sizes are stated: the defaults and each preset, or two widths of a network that the quick preset narrows, with
/// each stem of a network that has several.
fn variants(model: &Model) -> Vec<Vec<(String, String)>> {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let widths = match model.quick {
        Quick::Width => vec![vec![pair("width", "16")], vec![pair("width", "64")]],
        Quick::Set(_) => vec![vec![]],
    };
    let presets = model.presets.iter().map(|preset| vec![pair("preset", preset.name)]);
    let widths: Vec<_> = widths.into_iter().chain(presets).collect();
    if !model.has("stem") {
        return widths;
    }
    let with = |stem: &'static str| widths.clone().into_iter().map(move |set| [vec![pair("stem", stem)], set].concat());
    ["imagenet", "cifar"].into_iter().flat_map(with).collect()
}

fn sized(model: &Model, set: Vec<(String, String)>) -> Vec<String> {
    let config = model.usual(&set).unwrap();
    let recipe = Recipe::default();
    let plans = Plans { model, config, recipe, target: Target::portable(), train: vec![], evaluate: vec![] };
    let recording = plans.record(128, true);
    let flop: f64 = recording.calls.iter().map(|call| call.flop).sum();
    let words: Vec<_> = set.iter().map(|(key, value)| format!("`{key}={value}`")).collect();
    let words = if words.is_empty() { "the defaults".to_owned() } else { words.join(" ") };
    vec![words, recording.layout.elements().to_string(), format!("{:.2}", flop / 1e9)]
}
